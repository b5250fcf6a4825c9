// Lines on a picture, without page or clock. A point is [x, y] in pixels, where pixel i reaches from i to i + 1.
// Drawings are never changed in place: {contours: [{structure, points}], not_seen: [name], draft: {structure, points}}.

const FINE = 100; // a point lies on a hundredth of a pixel

export function rounded([x, y]) {
  return [Math.round(x * FINE) / FINE, Math.round(y * FINE) / FINE];
}

export function distance([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}

// Where a line crosses or touches itself, as edge3vt/viewer/drawing.py has it.
export function crossings(points, closed = true, most = 8) {
  const known = (closed ? found : foundOpen).get(points);
  if (known) return known;
  const line = points.filter((p, i) => {
    const before = i || closed ? points[(i || points.length) - 1] : null;
    return !before || p[0] !== before[0] || p[1] !== before[1];
  });
  const count = line.length;
  const places = [];
  if (closed && count < 3) places.push(points[0]);
  const edges = closed ? count : count - 1;
  for (let i = 0; i < edges && count > 2 && places.length < most; i++) {
    const a = line[i];
    const b = line[(i + 1) % count];
    for (let j = i + 1; j < edges; j++) {
      const c = line[j];
      const d = line[(j + 1) % count];
      if (!near(a, b, c, d)) continue;
      const place = meeting(a, b, c, d, j === i + 1, closed && (j + 1) % count === i);
      if (place) places.push(place);
    }
  }
  (closed ? found : foundOpen).set(points, places);
  return places;
}

// Where the contours of a drawing cross themselves, and its open line.
export function crossed({ contours, draft }) {
  const places = contours.flatMap((contour) => crossings(contour.points));
  return draft ? [...places, ...crossings(draft.points, false)] : places;
}

const found = new WeakMap();
const foundOpen = new WeakMap();

function near(a, b, c, d) {
  return (
    Math.min(a[0], b[0]) <= Math.max(c[0], d[0]) &&
    Math.max(a[0], b[0]) >= Math.min(c[0], d[0]) &&
    Math.min(a[1], b[1]) <= Math.max(c[1], d[1]) &&
    Math.max(a[1], b[1]) >= Math.min(c[1], d[1])
  );
}

function meeting(a, b, c, d, follows, leads) {
  if (follows) return side(a, b, d) === 0 && ahead(a, b, d) < 0 ? b : null;
  if (leads) return side(c, a, b) === 0 && ahead(c, a, b) < 0 ? a : null;
  const [fromA, fromB, fromC, fromD] = [side(c, d, a), side(c, d, b), side(a, b, c), side(a, b, d)];
  if (fromA * fromB < 0 && fromC * fromD < 0) {
    const along = fromA / (fromA - fromB);
    return [a[0] + along * (b[0] - a[0]), a[1] + along * (b[1] - a[1])];
  }
  if (fromA === 0 && within(a, c, d)) return a;
  if (fromB === 0 && within(b, c, d)) return b;
  if (fromC === 0 && within(c, a, b)) return c;
  return fromD === 0 && within(d, a, b) ? d : null;
}

function side(a, b, p) {
  return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}

function ahead(a, b, p) {
  return (b[0] - a[0]) * (p[0] - b[0]) + (b[1] - a[1]) * (p[1] - b[1]);
}

function within(p, q, r) {
  return (
    Math.min(q[0], r[0]) <= p[0] && p[0] <= Math.max(q[0], r[0]) &&
    Math.min(q[1], r[1]) <= p[1] && p[1] <= Math.max(q[1], r[1])
  );
}

// The line with fewer points, none of the old ones further from it than the tolerance (Douglas and Peucker 1973).
export function simplified(points, tolerance) {
  if (points.length < 3) return points;
  const kept = new Set([0, points.length - 1]);
  const parts = [[0, points.length - 1]];
  while (parts.length) {
    const [first, last] = parts.pop();
    let far = tolerance;
    let at = 0;
    for (let i = first + 1; i < last; i++) {
      const off = distance(points[i], onEdge(points[i], points[first], points[last]));
      if (off > far) [far, at] = [off, i];
    }
    if (at) {
      kept.add(at);
      parts.push([first, at], [at, last]);
    }
  }
  return points.filter((_, i) => kept.has(i));
}

// The place of the edge ab that is nearest to p.
export function onEdge(p, a, b) {
  const length = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2;
  const along = length ? ((p[0] - a[0]) * (b[0] - a[0]) + (p[1] - a[1]) * (b[1] - a[1])) / length : 0;
  const part = Math.min(Math.max(along, 0), 1);
  return [a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])];
}

// The corner or else the edge of a structure's contours nearest to p: {contour, index, corner, at}; null beyond reach.
export function hit(drawing, structure, p, reach) {
  let best = null;
  let off = reach;
  for (const corner of [true, false]) {
    drawing.contours.forEach((contour, index) => {
      if (contour.structure !== structure) return;
      contour.points.forEach((a, i) => {
        const at = corner ? a : onEdge(p, a, contour.points[(i + 1) % contour.points.length]);
        if (distance(p, at) <= off) [off, best] = [distance(p, at), { contour: index, index: i, corner, at }];
      });
    });
    if (best) return best;
  }
  return null;
}

// A contour whose shorter part between two hits is exchanged for a path that leads from one to the other.
export function redrawn(points, from, to, path) {
  const [a, b] = [from, to].map(({ index, corner, at }) => {
    return corner ? index : index + distance(points[index], at) / distance(points[index], points[(index + 1) % points.length]);
  });
  const ways = [between(points, b, a), between(points, a, b).reverse()];
  const [forward, back] = ways.map((way) => {
    const all = [to.at, ...way, from.at];
    return all.slice(1).reduce((sum, point, i) => sum + distance(point, all[i]), 0);
  });
  return [from.at, ...path.slice(1, -1), to.at, ...ways[forward >= back ? 0 : 1]].map(rounded);
}

// The corners on the way forward from a place to another, both as index and share of the edge after it.
function between(points, from, to) {
  const way = [];
  const span = (to - from + points.length) % points.length;
  for (let i = Math.floor(from) + 1; i - from < span; i++) way.push(points[i % points.length]);
  return way;
}

export function contains(points, [x, y]) {
  let inside = false;
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  });
  return inside;
}

export function area(points) {
  let twice = 0;
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length];
    twice += ax * by - bx * ay;
  });
  return Math.abs(twice) / 2;
}

export function withPoints(drawing, index, points) {
  const contours = drawing.contours.map((contour, i) => (i === index ? { ...contour, points } : contour));
  return { ...drawing, contours };
}

export function withoutContour(drawing, index) {
  return { ...drawing, contours: drawing.contours.filter((_, i) => i !== index) };
}

// "drawn", "not seen" or "" of a structure.
export function dealtWith(drawing, structure) {
  if (drawing.contours.some((contour) => contour.structure === structure)) return "drawn";
  return drawing.not_seen.includes(structure) ? "not seen" : "";
}

// What stands between a drawing and its end: {structure, what: "open" | "crosses" | "missing"}, null for nothing.
export function obstacle(drawing, structures) {
  if (drawing.draft) return { structure: drawing.draft.structure, what: "open" };
  const crossed = drawing.contours.find((contour) => crossings(contour.points).length);
  if (crossed) return { structure: crossed.structure, what: "crosses" };
  const missing = structures.find((name) => !dealtWith(drawing, name));
  return missing === undefined ? null : { structure: missing, what: "missing" };
}

// Drawings one after another, with a way back and forth.
export class History {
  constructor(drawing) {
    this.now = drawing;
    this.past = [];
    this.future = [];
  }

  change(drawing) {
    this.past.push(this.now);
    if (this.past.length > 1000) this.past.shift();
    this.future = [];
    this.now = drawing;
  }

  undo() {
    return this.#step(this.past, this.future);
  }

  redo() {
    return this.#step(this.future, this.past);
  }

  #step(from, to) {
    if (!from.length) return false;
    to.push(this.now);
    this.now = from.pop();
    return true;
  }
}

// Seconds for which the page was looked at: they pass while it is visible and its reader was active not long ago.
export class Watch {
  constructor(seconds, idleMs) {
    this.seconds = seconds;
    this.idleMs = idleMs;
    this.at = null;
    this.active = 0;
  }

  input(now) {
    this.active = now;
  }

  tick(now, counts) {
    const longest = 2000; // after a longer pause the machine slept
    if (this.at !== null && counts && now - this.active <= this.idleMs && now - this.at <= longest) {
      this.seconds += (now - this.at) / 1000;
    }
    this.at = now;
  }
}
