// While the slider is dragged, show the nearest picture of the strip at once, without the server.
// Right after the strip has come, that picture may still be on its way: the one before stays.
async (strength, strip) => {
  const keep = { __type__: "update" };
  const strengths = $STRENGTHS;
  const easel = document.querySelector(".easel");
  const turn = (easel.dataset.turn = Number(easel.dataset.turn ?? 0) + 1); // what is on its way is older
  if (strip?.length !== strengths.length || !(strength >= -1 && strength <= 1)) return keep;
  const distances = strengths.map((other) => Math.abs(other - strength));
  const { image } = strip[distances.indexOf(Math.min(...distances))];
  const shown = [...document.querySelectorAll(".strip img")].find((each) => each.src === image.url);
  if (!shown?.complete) await Object.assign(new Image(), { src: image.url }).decode().catch(() => {});
  return turn === Number(easel.dataset.turn) ? image : keep;
}
