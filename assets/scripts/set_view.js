// The style sheet arranges the pictures: side by side, wipe or flip.
(view) => {
  document.querySelector(".pictures").dataset.view = view;
}
