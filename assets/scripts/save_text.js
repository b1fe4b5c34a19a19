// Save a text as a file of this name.
(text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = $FILE;
  link.click();
  URL.revokeObjectURL(link.href);
}
