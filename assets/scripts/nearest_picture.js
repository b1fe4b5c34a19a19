// While the slider is dragged, show the nearest picture of the strip at once, without the server.
(strength, strip) => {
  const strengths = $STRENGTHS;
  const easel = document.querySelector(".easel");
  easel.dataset.turn = Number(easel.dataset.turn ?? 0) + 1; // what is on its way is older
  if (strip?.length !== strengths.length || !(strength >= -1 && strength <= 1)) return { __type__: "update" };
  const distances = strengths.map((other) => Math.abs(other - strength));
  return strip[distances.indexOf(Math.min(...distances))].image;
}
