// The mask: from its runs to outlines, and outlines onto a canvas.

const REACH = 2; // corners before and after that an outline's point is averaged with
const SHORT = 12; // corners of an outline that stays as it is

let size = 0, labels, next, other;

/** Outlines of every structure, in mask pixels: Map of label to closed lines [x0, y0, x1, y1, ...]. */
export function outlines(runs, side) {
  if (side !== size) {
    size = side;
    labels = new Uint8Array(side * side);
    next = new Int32Array((side + 1) * (side + 1)).fill(-1);
    other = new Int32Array((side + 1) * (side + 1)).fill(-1);
  }
  const boxes = new Map();
  let at = 0;
  for (const word of runs) {
    const label = word >>> 24, end = at + (word & 0xffffff);
    labels.fill(label, at, end);
    if (label) spread(boxes, label, at, end - 1);
    at = end;
  }
  const lines = new Map();
  for (const label of [...boxes.keys()].sort((a, b) => a - b)) lines.set(label, traced(label, boxes.get(label)));
  return lines;
}

function spread(boxes, label, first, last) {
  const y0 = Math.floor(first / size), y1 = Math.floor(last / size);
  const x0 = y0 === y1 ? first % size : 0, x1 = y0 === y1 ? last % size : size - 1;
  const box = boxes.get(label);
  if (!box) boxes.set(label, [x0, y0, x1, y1]);
  else {
    box[0] = Math.min(box[0], x0);
    box[1] = Math.min(box[1], y0);
    box[2] = Math.max(box[2], x1);
    box[3] = Math.max(box[3], y1);
  }
}

/** Walks the edges between inside and outside, inside on the right, from corner to corner. */
function traced(label, [x0, y0, x1, y1]) {
  const row = size + 1, starts = [];
  const edge = (from, to) => {
    if (next[from] < 0) next[from] = to;
    else other[from] = to; // two pixels that touch at a corner
    starts.push(from);
  };
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const at = y * size + x;
      if (labels[at] !== label) continue;
      const corner = y * row + x;
      if (y === 0 || labels[at - size] !== label) edge(corner, corner + 1);
      if (x === size - 1 || labels[at + 1] !== label) edge(corner + 1, corner + row + 1);
      if (y === size - 1 || labels[at + size] !== label) edge(corner + row + 1, corner + row);
      if (x === 0 || labels[at - 1] !== label) edge(corner + row, corner);
    }
  }
  const lines = [];
  for (const start of starts) {
    const line = [];
    for (let corner = start; next[corner] >= 0; ) {
      line.push(corner % row, Math.floor(corner / row));
      const to = next[corner];
      next[corner] = other[corner];
      other[corner] = -1;
      corner = to;
    }
    if (line.length) lines.push(smooth(line));
  }
  return lines;
}

/** Every second point of a closed line, the mean of its neighbourhood; short lines stay as they are. */
function smooth(line) {
  const count = line.length / 2;
  if (count < SHORT) return line;
  const smoothed = [], window = 2 * REACH + 1;
  for (let i = 0; i < count; i += 2) {
    let x = 0, y = 0;
    for (let j = i - REACH; j <= i + REACH; j++) {
      const at = 2 * ((j + count) % count);
      x += line[at];
      y += line[at + 1];
    }
    smoothed.push(x / window, y / window);
  }
  return smoothed;
}

/** Draws the structures that the operator wants to see; returns how many there were. */
export function drawMask(context, mask, lines, structures, view) {
  const [left, top, side] = mask.crop, scale = side / mask.size;
  const thickness = Math.max(1, Math.round(context.canvas.height / 450));
  context.lineWidth = thickness;
  context.lineJoin = "round";
  context.setLineDash(mask.old ? [1.6 * thickness, 2.4 * thickness] : []);
  let drawn = 0;
  for (const [label, closed] of lines) {
    if (view.off.has(label) || label > structures.length) continue;
    const path = new Path2D();
    for (const line of closed) {
      for (let i = 0; i < line.length; i += 2) {
        const x = left + line[i] * scale, y = top + line[i + 1] * scale;
        if (i) path.lineTo(x, y);
        else path.moveTo(x, y);
      }
      path.closePath();
    }
    const colour = `rgb(${structures[label - 1][1].join(" ")})`;
    if (!view.contour) {
      context.globalAlpha = view.opacity;
      context.fillStyle = colour;
      context.fill(path, "evenodd");
    }
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.stroke(path);
    drawn++;
  }
  return drawn;
}
