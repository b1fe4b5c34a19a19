// While the slider is dragged, show the nearest picture of the strip at once, without the server.
(strength, strip, steered) => {
  const strengths = $STRENGTHS;
  if (strip?.length !== strengths.length || !(strength >= -1 && strength <= 1)) return steered;
  const distances = strengths.map((other) => Math.abs(other - strength));
  return strip[distances.indexOf(Math.min(...distances))].image;
}
