// The picture and its lines on a canvas, at any zoom. Points of the picture are [x, y], places on the canvas too.

import { crossed } from "/reading-lines.js";

const MOST_ZOOM = 40;
const HANDLE_PX = 3.5;

export class View {
  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.image = null;
    this.fitted = true;
    [this.scale, this.left, this.top] = [1, 0, 0];
    new ResizeObserver(() => {
      const ratio = devicePixelRatio || 1;
      canvas.width = Math.round(canvas.clientWidth * ratio);
      canvas.height = Math.round(canvas.clientHeight * ratio);
      if (this.fitted) this.fit();
      redraw();
    }).observe(canvas);
  }

  show(image) {
    this.image = image;
    this.fit();
  }

  fit() {
    if (!this.image) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.min(width / this.image.naturalWidth, height / this.image.naturalHeight) * 0.98;
    this.left = (width - this.image.naturalWidth * this.scale) / 2;
    this.top = (height - this.image.naturalHeight * this.scale) / 2;
    this.fitted = true;
  }

  get whole() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return Math.min(width / this.image.naturalWidth, height / this.image.naturalHeight) * 0.98;
  }

  // Make the picture larger by a factor, the place on the canvas staying where it is.
  zoom(factor, [x, y]) {
    const scale = Math.min(Math.max(this.scale * factor, this.whole), MOST_ZOOM);
    if (scale <= this.whole) return this.fit();
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
  }

  move(dx, dy) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [w, h] = [this.image.naturalWidth * this.scale, this.image.naturalHeight * this.scale];
    this.left = Math.min(Math.max(this.left + dx, width / 2 - w), width / 2);
    this.top = Math.min(Math.max(this.top + dy, height / 2 - h), height / 2);
    this.fitted = false;
  }

  // Move the picture so that a point of it is well inside the canvas.
  reveal(point) {
    const [x, y] = this.place(point);
    const margin = 40;
    const dx = Math.max(margin - x, 0) - Math.max(x - this.canvas.clientWidth + margin, 0);
    const dy = Math.max(margin - y, 0) - Math.max(y - this.canvas.clientHeight + margin, 0);
    if (!this.fitted && (dx || dy)) this.move(dx, dy);
  }

  place([x, y]) {
    return [x * this.scale + this.left, y * this.scale + this.top];
  }

  point([x, y]) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  // The nearest point of the picture; null more than `far` places outside.
  clamped([x, y], far = Infinity) {
    const inside = [
      Math.min(Math.max(x, 0), this.image.naturalWidth),
      Math.min(Math.max(y, 0), this.image.naturalHeight),
    ];
    const off = Math.hypot(inside[0] - x, inside[1] - y) * this.scale;
    return off <= far ? inside : null;
  }

  // scene: {drawing, chosen, styles: {name: {colour, key}}, hidden, locked, cursor, cross, ghost, path, over}
  draw(scene) {
    const context = this.canvas.getContext("2d");
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    if (!this.image) return;
    context.imageSmoothingQuality = "high";
    const { naturalWidth: width, naturalHeight: height } = this.image;
    context.drawImage(this.image, this.left, this.top, width * this.scale, height * this.scale);
    if (!scene.hidden) this.#drawing(context, scene);
    if (scene.cross && !scene.locked) this.#cross(context, this.place(scene.cursor), scene.styles[scene.chosen].colour);
  }

  #drawing(context, { drawing, chosen, styles, locked, cursor, ghost, path, over }) {
    drawing.contours.forEach((contour, index) => {
      const own = contour.structure === chosen && !locked;
      const places = contour.points.map((point) => this.place(point));
      const { colour, key } = styles[contour.structure];
      this.#line(context, places, colour, index === over ? 4 : own ? 2.2 : 1.4, true);
      if (own) this.#handles(context, places, colour, true);
      this.#tag(context, places, colour, key);
    });
    const { draft } = drawing;
    if (draft) {
      const { colour, key } = styles[draft.structure];
      const places = draft.points.map((point) => this.place(point));
      this.#line(context, places, colour, 2.2, false);
      if (cursor && !path) {
        context.setLineDash([5, 5]);
        this.#line(context, [places.at(-1), this.place(cursor)], colour, 1.4, false);
        context.setLineDash([]);
      }
      this.#handles(context, places, colour, false);
      this.#ring(context, places[0], colour, 7);
      this.#tag(context, places, colour, key);
    }
    if (path) this.#line(context, path.map((point) => this.place(point)), styles[chosen].colour, 2.2, false);
    if (ghost) this.#ring(context, this.place(ghost.at), "#fff", ghost.corner ? 7 : 4);
    crossed(drawing).forEach((point) => this.#alarm(context, this.place(point)));
  }

  #line(context, places, colour, width, closed) {
    context.lineJoin = context.lineCap = "round";
    for (const [style, wide] of [["rgb(0 0 0 / 60%)", width + 2], [colour, width]]) {
      context.beginPath();
      places.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (closed) context.closePath();
      context.strokeStyle = style;
      context.lineWidth = wide;
      context.stroke();
    }
  }

  #handles(context, places, colour, closed) {
    let apart = Infinity;
    places.forEach(([x, y], i) => {
      const [nx, ny] = places[(i + 1) % places.length];
      if ((closed || i + 1 < places.length) && places.length > 1) apart = Math.min(apart, Math.hypot(nx - x, ny - y));
    });
    const size = Math.min(Math.max(apart / 3, 1.5), HANDLE_PX);
    context.fillStyle = "#101214";
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    places.forEach(([x, y]) => {
      context.fillRect(x - size, y - size, 2 * size, 2 * size);
      context.strokeRect(x - size, y - size, 2 * size, 2 * size);
    });
  }

  #tag(context, places, colour, key) {
    const [x, y] = places.reduce((top, place) => (place[1] < top[1] ? place : top));
    if (x < 0 || y < 0 || x > this.canvas.clientWidth || y > this.canvas.clientHeight) return;
    const [left, top] = [Math.min(Math.max(x, 10), this.canvas.clientWidth - 10), Math.max(y - 17, 10)];
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(left - 8, top - 8, 16, 16, 4);
    context.fill();
    context.fillStyle = "#101214";
    context.font = "700 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(key, left, top + 0.5);
  }

  #ring(context, [x, y], colour, radius) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke();
  }

  #alarm(context, [x, y]) {
    this.#ring(context, [x, y], "#000", 16);
    this.#ring(context, [x, y], "#fff", 14);
    this.#ring(context, [x, y], "#ff4d4d", 12);
    this.#line(context, [[x - 5, y - 5], [x + 5, y + 5]], "#ff4d4d", 2.5, false);
    this.#line(context, [[x - 5, y + 5], [x + 5, y - 5]], "#ff4d4d", 2.5, false);
  }

  #cross(context, [x, y], colour) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      this.#line(context, [[x + 4 * dx, y + 4 * dy], [x + 16 * dx, y + 16 * dy]], colour, 1.5, false);
    }
  }
}
