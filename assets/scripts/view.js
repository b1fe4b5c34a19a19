// Both pictures on top of each other: a divider to drag, or a button that shows the original.
const pictures = element.closest(".pictures");
const divider = element.querySelector("input");
const flip = element.querySelector("button");
const longPress = 300; // milliseconds; a longer press acts until it is released
let pressed = 0;

const showOriginal = (shown) => {
  flip.setAttribute("aria-pressed", shown);
  pictures.toggleAttribute("data-flipped", shown);
};
const press = () => {
  pressed = performance.now();
  showOriginal(flip.getAttribute("aria-pressed") !== "true");
};
const release = () => {
  if (pressed && performance.now() - pressed > longPress) showOriginal(false);
  pressed = 0;
};
const isPress = (event) => event.key === " " || event.key === "Enter";

divider.addEventListener("input", () => pictures.style.setProperty("--divider", divider.value));
flip.addEventListener("pointerdown", press);
for (const end of ["pointerup", "pointercancel", "pointerleave"]) flip.addEventListener(end, release);
flip.addEventListener("keydown", (event) => {
  if (!isPress(event)) return;
  event.preventDefault();
  if (!event.repeat) press();
});
flip.addEventListener("keyup", (event) => isPress(event) && release());
flip.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
