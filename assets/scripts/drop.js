// A picture that is dropped anywhere on the tab is uploaded like one chosen with the button.
const row = element.closest(".restore");
const tab = row.closest('[role="tabpanel"]');
const hasFile = (event) => event.dataTransfer?.types.includes("Files");

tab.addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  tab.classList.add("dropping");
});
tab.addEventListener("dragleave", (event) => {
  if (!tab.contains(event.relatedTarget)) tab.classList.remove("dropping");
});
tab.addEventListener("drop", (event) => {
  tab.classList.remove("dropping");
  if (!hasFile(event) || event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  const input = row.querySelector("input[type=file]");
  const one = new DataTransfer();
  one.items.add(event.dataTransfer.files[0]);
  input.files = one.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
