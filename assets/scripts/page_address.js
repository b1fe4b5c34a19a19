// Return the address of the page. From now on, record whether the user has chosen a tab, and open
// the tab of an address that Back and Forward return to.
() => {
  document.addEventListener("click", (event) => {
    if (event.target.closest('[role="tab"][id]')) document.body.dataset.tab = "chosen";
  });
  addEventListener("popstate", () => {
    document.getElementById(`tab-${location.hash.slice(1)}-button`)?.click();
  });
  return [location.href];
}
