// A click on an unknown word sends it with the word that replaces it.
element.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-known]");
  if (chip) trigger("click", { ...chip.dataset });
});
