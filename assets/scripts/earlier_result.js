// A click on an earlier result sends its link.
element.addEventListener("click", (event) => {
  const tile = event.target.closest("[data-query]");
  if (tile) trigger("click", { query: tile.dataset.query });
});
