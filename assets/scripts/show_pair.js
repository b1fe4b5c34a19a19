// Show the pictures that have arrived, unless they belong to a strength that the slider has left:
// what is shown then, the nearest picture of the strip, is newer. A picture is decoded before it
// takes the place of the one before, so that no frame is blank.
async (pair, strength) => {
  const keep = { __type__: "update" };
  if (pair?.length !== 2 || Number(pair[1].caption) !== strength) return [keep, keep];
  const easel = document.querySelector(".easel");
  const turn = (easel.dataset.turn = Number(easel.dataset.turn ?? 0) + 1);
  await Promise.allSettled(pair.map(({ image }) => Object.assign(new Image(), { src: image.url }).decode()));
  return turn === Number(easel.dataset.turn) ? pair.map(({ image }) => image) : [keep, keep];
}
