// Return the chosen map and the address of the page. The address is empty unless the user chose
// the tab with this label before the page had opened.
(concept, home) => {
  const shown = document.querySelector('[role="tab"][aria-selected="true"]');
  const chosen = document.body.dataset.tab && shown?.textContent.trim() === $LABEL;
  return [concept, chosen ? home : ""];
}
