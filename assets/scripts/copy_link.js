// Copy the address of the page; without access to the clipboard, show it to be copied by hand.
async () => {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    prompt("Link to what is shown", location.href);
    return "Copy link";
  }
  return "Link copied";
}
