// Return the turns of the chat that `keep_typed` has kept over a reload; empty if there are none.
() => {
  window.chatTurns = sessionStorage.getItem("lineas chat") ?? "";
  sessionStorage.removeItem("lineas chat");
  return [window.chatTurns];
}
