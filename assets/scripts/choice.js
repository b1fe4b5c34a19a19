// Tell a choice once: a menu has an input event twice for a choice, and whenever it is left.
(value) => {
  const seen = (window.seenInMenus ??= {});
  const event = $EVENT;
  const told = event === "select" || (event === "input" && seen[$MENU] !== value);
  seen[$MENU] = value;
  return told ? crypto.getRandomValues(new Uint32Array(2)).join("") : { __type__: "update" };
}
