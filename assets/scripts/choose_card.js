// Mark the clicked card here and not on the server: a card that is redrawn loses the focus.
element.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (!card) return;
  const cards = [...element.querySelectorAll(".card")];
  cards.forEach((other) => other.setAttribute("aria-pressed", other === card));
  trigger("select", { index: cards.indexOf(card), value: card.dataset.map });
});
