(view) => {
  document.querySelector(".pictures").dataset.view = view;
}
