// A click in a row of the table sends its strength, unless it opens a blurred text.
element.addEventListener("click", (event) => {
  const row = event.target.closest("[data-strength]");
  if (!row || event.target.closest("details:not([open]), summary")) return;
  trigger("click", { strength: Number(row.dataset.strength) });
});
