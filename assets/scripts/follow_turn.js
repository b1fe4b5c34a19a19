// Scroll to a turn when it begins. It does not move while its answers grow: they are being read.
let shown = "1";
new MutationObserver(() => {
  const turn = element.querySelector("[data-turn]");
  const number = turn?.dataset.turn ?? "1";
  if (number !== shown && turn && Number(number) > Number(shown)) turn.scrollIntoView({ behavior: "smooth" });
  shown = number;
}).observe(element, { childList: true, subtree: true });
