// A PNG of what is seen, black outside the ultrasound region, with what must be known of it below.

/** The picture, its overlay and its facts as one canvas. */
export function composed(picture, overlay, facts, said) {
  const { width, height } = picture, line = Math.max(16, Math.round(Math.min(width, height) / 36));
  const kept = document.createElement("canvas"), context = kept.getContext("2d", { alpha: false });
  const lines = [
    facts.statement.toUpperCase() + " · " + said,
    `engine ${facts.engine || "none"}${facts.training ? " · " + facts.training : ""}`,
    `picture ${facts.index} · ${new Date().toISOString()} · edge3vt, from a JPEG`,
  ];
  kept.width = width;
  kept.height = height + lines.length * line + line / 2;
  context.fillStyle = "#000";
  context.fillRect(0, 0, kept.width, kept.height);
  const [x0, y0, x1, y1] = facts.region ?? [0, 0, width, height];
  for (const each of [picture, overlay]) context.drawImage(each, x0, y0, x1 - x0, y1 - y0, x0, y0, x1 - x0, y1 - y0);
  context.fillStyle = "#e4e6e9";
  context.font = `${Math.round(line * 0.72)}px system-ui, "DejaVu Sans", sans-serif`;
  lines.forEach((text, i) => context.fillText(text, line / 2, height + (i + 0.9) * line, width - line));
  return kept;
}

/** Hands it to the browser as a file. */
export function save(kept) {
  kept.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `edge3vt-${new Date().toISOString().replace(/[:.]/g, "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}
