// Write the open tab into the address: a tab that is opened later is a step that Back undoes.
async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame); // it is drawn
  const tab = document.querySelector('[role="tab"][id][aria-selected="true"]');
  const address = `${location.pathname}${location.search}#${tab?.id.slice("tab-".length, -"-button".length)}`;
  if (tab && !address.endsWith(location.hash || "#")) {
    const write = document.body.dataset.opened ? "pushState" : "replaceState";
    history[write](history.state, "", address);
  }
  if ($OPENED) document.body.dataset.opened = "yes";
}
