// Pass the strength to the style sheet, which frames its picture in the strip and marks the curve.
(strength) => {
  document.querySelector(".strip").dataset.at = $STRENGTHS.indexOf(strength) + 1;
  document.querySelector(".easel").style.setProperty("--strength", strength);
}
