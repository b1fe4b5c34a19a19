// Open a tab, unless the user chose another one before the server answered.
(tab) =>
  document.body.dataset.tab
    ? { __type__: "update" }
    : { __type__: "update", selected: tab }
