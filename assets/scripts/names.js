// Gradio leaves these to the eye and the mouse: the pictures of a strip have names such as
// “Thumbnail 2 of 9”, and a table that scrolls cannot be reached by keyboard.
() => {
  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const mend = () => {
    for (const picture of document.querySelectorAll(".strip .thumbnail-item")) {
      const caption = picture.querySelector(".caption-label")?.textContent.trim();
      if (!caption) continue;
      set(picture, "aria-label", caption);
      set(picture.querySelector("img"), "alt", "");
    }
    for (const table of document.querySelectorAll(".results table")) set(table, "tabindex", "0");
  };
  const watched = { childList: true, subtree: true, attributeFilter: ["aria-label", "alt"] };
  new MutationObserver(mend).observe(document.body, watched);
  mend();
}
