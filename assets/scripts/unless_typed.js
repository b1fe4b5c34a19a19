// Put the text that has arrived into its box, unless somebody has typed there since it was asked
// for. What an earlier answer has put there was not typed.
(arrived, shown, put) => {
  const keep = { __type__: "update" };
  if (!arrived) return [keep, keep, keep];
  const [asked, text] = arrived;
  return [asked ?? "", put].includes(shown ?? "") ? [text, text, null] : [keep, keep, null];
}
