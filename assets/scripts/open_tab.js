// Open the tab that the address names, else the given one, unless the user chose another one
// before the server answered.
(tab) => {
  if (document.body.dataset.tab) return { __type__: "update" };
  const named = document.getElementById(`tab-${location.hash.slice(1)}-button`);
  return { __type__: "update", selected: named?.dataset.tabId ?? tab };
}
