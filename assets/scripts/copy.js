// Each button copies the text below it; without access to the clipboard it selects the text.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  const text = button?.closest(".copy").querySelector("pre");
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  } catch {
    getSelection().selectAllChildren(text);
  }
});
