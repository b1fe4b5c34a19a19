// The clicked card is marked here and not by the server: drawn again, it would lose the focus.
element.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (!card) return;
  const cards = [...element.querySelectorAll(".card")];
  cards.forEach((other) => other.setAttribute("aria-pressed", other === card));
  trigger("select", { index: cards.indexOf(card), value: card.dataset.map });
});
