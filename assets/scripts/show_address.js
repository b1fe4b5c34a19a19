// Write the settings into the address, and keep other parts of it. A result that comes while
// another tab is open leaves the address of that one; its own is written when its tab is opened.
(query) => {
  const open = document.querySelector('[role="tab"][id][aria-selected="true"]');
  if (!query || ($TAB && open?.id !== `${$TAB}-button`)) return;
  const others = new URLSearchParams(location.search); // such as the theme
  const ours = [
    ...["map", "strength", "seed", "prompt"],
    ...["steps", "guidance", "steer_steps", "length", "temperature", "chat"],
  ];
  for (const key of ours) others.delete(key);
  const rest = others.toString();
  history.replaceState(history.state, "", query + (rest && `&${rest}`) + location.hash);
}
