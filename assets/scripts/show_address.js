// Write the settings into the address, and keep other parts of it.
(query) => {
  if (!query) return;
  const others = new URLSearchParams(location.search); // such as the theme
  const ours = [
    ...["map", "strength", "seed", "prompt"],
    ...["steps", "guidance", "steer_steps", "length", "temperature", "chat"],
  ];
  for (const key of ours) others.delete(key);
  const rest = others.toString();
  history.replaceState(history.state, "", query + (rest && `&${rest}`) + location.hash);
}
