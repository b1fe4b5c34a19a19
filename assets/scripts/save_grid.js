// Draw the grid with its labels on a canvas, in the fonts of this machine, and save that.
() => {
  const table = document.querySelector("#grid table");
  if (!table) return;
  const side = 256, head = 40, gap = 4;
  const rows = [...table.tBodies[0].rows].map((row) => ({
    label: row.querySelector("th").textContent,
    images: [...row.querySelectorAll("img")],
  }));
  const labels = [...table.tHead.querySelectorAll("th")].slice(1).map((th) => th.textContent);
  const left = rows.some((row) => row.label) ? 160 : gap;
  const canvas = document.createElement("canvas");
  canvas.width = left + labels.length * (side + gap);
  canvas.height = head + rows.length * (side + gap);
  const brush = canvas.getContext("2d");
  brush.fillStyle = "white";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.fillStyle = "black";
  brush.font = "15px system-ui, sans-serif";
  brush.textBaseline = "middle";
  const write = (text, x, y, width) => {
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (brush.measureText(longer).width <= width) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    lines.forEach((line, k) => brush.fillText(line, x, y + 18 * (k - (lines.length - 1) / 2), width));
  };
  labels.forEach((label, k) => write(label, left + k * (side + gap), head / 2, side));
  rows.forEach((row, r) => {
    const top = head + r * (side + gap);
    write(row.label, gap, top + side / 2, left - 2 * gap);
    row.images.forEach((image, k) => brush.drawImage(image, left + k * (side + gap), top, side, side));
  });
  canvas.toBlob((file) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "grid.png";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
