// Save a file whose content is a data URL.
(name, content) => {
  const link = document.createElement("a");
  link.href = content;
  link.download = name;
  link.click();
}
