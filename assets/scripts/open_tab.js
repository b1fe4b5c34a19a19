// Open a tab, unless somebody chose another one before the server answered.
(tab) =>
  document.body.dataset.tab
    ? { __type__: "update" }
    : { __type__: "update", selected: tab }
