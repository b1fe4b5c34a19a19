// The style sheet frames the picture of the strip at this strength, and draws a line in the curve.
(strength) => {
  document.querySelector(".strip").dataset.at = $STRENGTHS.indexOf(strength) + 1;
  document.querySelector(".easel").style.setProperty("--strength", strength);
}
