// Return the address of the page, and from now on remember whether a tab was chosen by hand.
() => {
  document.addEventListener("click", (event) => {
    if (event.target.closest('[role="tab"]')) document.body.dataset.tab = "chosen";
  });
  return [location.href];
}
