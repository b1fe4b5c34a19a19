// Return the address of the page; from now on record whether the user has chosen a tab.
() => {
  document.addEventListener("click", (event) => {
    if (event.target.closest('[role="tab"]')) document.body.dataset.tab = "chosen";
  });
  return [location.href];
}
