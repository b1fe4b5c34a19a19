// When the server is back after a lost connection, Gradio reloads the page. The address restores
// what the page shows; this keeps what was typed and not sent, also in tabs that are not open, and
// the turns of the chat.
() => {
  const store = window.sessionStorage, key = "lineas typed";
  // Several boxes have the same label; Gradio's own numbers change with the next version.
  const name = (box) => {
    const label = box.labels?.[0]?.textContent.trim();
    return label && `${box.closest('[id]:not([id=""])')?.id} ${label}`;
  };
  const typed = {}, kept = JSON.parse(store.getItem(key) ?? "{}");
  store.removeItem(key);

  document.addEventListener("input", (event) => {
    if (event.target.matches("textarea") && name(event.target)) {
      typed[name(event.target)] = event.target.value;
    }
  });
  window.addEventListener("beforeunload", () => {
    const notices = [...document.querySelectorAll(".toast-body")].map((each) => each.textContent);
    if (!notices.some((text) => text.includes("Connection to the server was lost"))) return;
    for (const box of document.querySelectorAll("textarea")) {
      if (name(box) in typed) typed[name(box)] = box.value;
    }
    store.setItem(key, JSON.stringify({ ...kept, ...typed }));
    if (window.chatTurns) store.setItem("lineas chat", window.chatTurns);
  });

  const fill = () => {
    for (const box of document.querySelectorAll("textarea")) {
      if (name(box) in kept) setTimeout(put, 100, box); // after what an answer has brought for it
    }
  };
  const put = (box) => {
    if (!box.isConnected || !(name(box) in kept)) return;
    box.value = kept[name(box)];
    delete kept[name(box)];
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  if (!Object.keys(kept).length) return;
  fill();
  new MutationObserver(fill).observe(document.body, { childList: true, subtree: true });
}
