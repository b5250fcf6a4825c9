// What mouse and keys do to a drawing. `sheet` is what they work on: {drawing, chosen, locked, change(drawing),
// say(text), redraw()}; a change is one step of undo.

import { area, contains, crossings, distance, hit, redrawn, rounded, simplified, withPoints, withoutContour } from "/reading-lines.js";

const REACH_PX = 7;
const CLICK_PX = 4; // less is a click, more a drag
const TINY_PX = 8;
const OUTSIDE_PX = 30; // a click this far beside the picture still counts as one on its edge
const STEP_PX = 2;
const STRIDE_PX = 20;

export class Pen {
  constructor(view, sheet) {
    this.view = view;
    this.sheet = sheet;
    this.cursor = null; // a point of the picture, where mouse or arrows have led it
    this.cross = false; // whether the arrows did
    this.drag = null; // what the pressed mouse does
    this.carried = null; // the point that the keyboard takes along: {contour, index, before}
    this.preview = null; // the drawing while something is moved
    this.#listen(view.canvas);
  }

  get drawing() {
    return this.preview ?? this.sheet.drawing;
  }

  get path() {
    return this.drag?.kind === "press" && this.drag.path.length > 1 ? this.drag.path : null;
  }

  // What a click would take: a corner or an edge.
  get ghost() {
    if (!this.cursor || this.sheet.locked || this.drawing.draft || this.drag || this.carried) return null;
    return this.#hit(this.cursor);
  }

  // Forget what was begun, as for another case.
  rest() {
    this.drag = this.carried = this.preview = null;
  }

  // A click at a point of the picture.
  click(point) {
    const { sheet } = this;
    if (!this.#may()) return;
    const { draft } = sheet.drawing;
    const place = rounded(point);
    if (draft && draft.points.length >= 3 && this.#off(place, draft.points[0]) <= REACH_PX) this.close();
    else if (draft && this.#off(place, draft.points.at(-1)) <= 1) return;
    else this.#leave(this.#longer([place]));
  }

  close() {
    const { sheet } = this;
    const { draft } = sheet.drawing;
    if (!draft) return;
    if (draft.points.length < 3) return sheet.say("A contour needs 3 points at least.");
    const around = area(draft.points) >= 1 || crossings(draft.points).length;
    if (!around) return sheet.say("This line goes around nothing. Go on, or drop it with Esc.");
    this.#closed(draft);
  }

  drop() {
    if (this.carried || this.drag) {
      this.rest();
      this.sheet.redraw();
    } else if (this.sheet.drawing.draft) {
      this.sheet.change({ ...this.sheet.drawing, draft: null });
    }
  }

  takeBack() {
    const { drawing } = this.sheet;
    if (!drawing.draft || this.sheet.locked) return;
    const points = drawing.draft.points.slice(0, -1);
    this.sheet.change({ ...drawing, draft: points.length ? { ...drawing.draft, points } : null });
  }

  // Take the point at the cursor out of its contour.
  takeOut() {
    const { sheet } = this;
    if (sheet.drawing.draft) return this.takeBack();
    const at = this.cursor && !sheet.locked ? this.#hit(this.cursor) : null;
    if (!at?.corner) return sheet.say("Delete takes out a point of the chosen structure: go to one first.");
    const { points } = sheet.drawing.contours[at.contour];
    if (points.length <= 3) return sheet.say("A contour needs 3 points at least. X deletes the whole contour.");
    sheet.change(withPoints(sheet.drawing, at.contour, points.filter((_, i) => i !== at.index)));
  }

  deleteContour() {
    const { sheet } = this;
    if (!this.#may()) return;
    const own = sheet.drawing.contours.map((contour, i) => (contour.structure === sheet.chosen ? i : -1));
    const all = own.filter((i) => i >= 0);
    const under = all.filter((i) => this.cursor && contains(sheet.drawing.contours[i].points, this.cursor));
    const at = this.cursor ? this.#hit(this.cursor)?.contour : undefined;
    const index = at ?? under.at(-1) ?? (all.length === 1 ? all[0] : undefined);
    if (index === undefined) return sheet.say("X deletes a contour of the chosen structure: go to one first.");
    sheet.change(withoutContour(sheet.drawing, index));
  }

  // The keyboard's click: a point where the cross is; a point that is there is taken along until the next.
  press() {
    if (!this.cursor || !this.#may()) return;
    if (this.carried) {
      const moved = this.preview;
      this.rest();
      if (moved) this.sheet.change(moved);
      else this.sheet.redraw();
      return;
    }
    const at = this.sheet.drawing.draft ? null : this.#hit(this.cursor);
    if (!at) return this.click(this.cursor);
    this.carried = this.#grip(at, this.cursor);
    this.sheet.redraw();
  }

  step(dx, dy, fast) {
    const step = (fast ? STRIDE_PX : STEP_PX) / this.view.scale;
    const { naturalWidth: width, naturalHeight: height } = this.view.image;
    const [x, y] = this.cursor ?? [width / 2, height / 2];
    this.#lead(this.view.clamped([x + dx * step, y + dy * step]));
  }

  // To the next point of the chosen structure's contours, or the one before.
  hop(by) {
    const { drawing, chosen } = this.sheet;
    const points = drawing.contours.filter((contour) => contour.structure === chosen).flatMap((own) => own.points);
    if (!points.length || this.carried) return;
    const now = this.cursor ? points.findIndex((point) => this.#off(point, this.cursor) < 0.5) : -1;
    this.#lead(points[now < 0 ? 0 : (now + by + points.length) % points.length]);
  }

  #lead(point) {
    this.cursor = point;
    this.cross = true;
    this.view.reveal(point);
    if (this.carried) this.#carry(this.carried, point);
    this.sheet.redraw();
  }

  #off(a, b) {
    return distance(a, b) * this.view.scale;
  }

  #hit(point) {
    return hit(this.sheet.drawing, this.sheet.chosen, point, REACH_PX / this.view.scale);
  }

  #may() {
    const { sheet } = this;
    if (!sheet.locked) return true;
    sheet.say("This case is finished. Press D to change it.");
    return false;
  }

  // The open line with more points at its end; null where there may be none.
  #longer(points) {
    const { drawing, chosen, say } = this.sheet;
    if (!drawing.not_seen.includes(chosen)) {
      return { structure: chosen, points: [...(drawing.draft?.points ?? []), ...points] };
    }
    say("You said that this structure is not seen. 0 takes it back.");
    return null;
  }

  #leave(draft) {
    if (draft) this.sheet.change({ ...this.sheet.drawing, draft });
  }

  #closed(draft) {
    const { drawing } = this.sheet;
    this.sheet.change({ ...drawing, draft: null, contours: [...drawing.contours, draft] });
  }

  // A corner to be moved, put in first where it was an edge.
  #grip(at, from) {
    const { drawing } = this.sheet;
    const { points } = drawing.contours[at.contour];
    const before = at.corner
      ? drawing
      : withPoints(drawing, at.contour, points.toSpliced(at.index + 1, 0, rounded(at.at)));
    if (!at.corner) this.preview = before;
    return { kind: "move", contour: at.contour, index: at.corner ? at.index : at.index + 1, before, from };
  }

  #carry({ contour, index, before, from }, to) {
    const { points } = before.contours[contour];
    const [x, y] = points[index];
    const moved = rounded(this.view.clamped([x + to[0] - from[0], y + to[1] - from[1]]));
    this.preview = withPoints(before, contour, points.with(index, moved));
  }

  #listen(canvas) {
    const place = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus();
      if (!this.view.image || this.drag || !event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      this.#down(place(event), event.button, event.shiftKey);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.view.image) return;
      const all = event.getCoalescedEvents?.() ?? [];
      (all.length ? all : [event]).forEach((one) => this.#move(place(one)));
      this.sheet.redraw();
    });
    canvas.addEventListener("pointerup", () => this.#up());
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("pointerleave", () => {
      if (!this.drag && !this.cross) this.cursor = null;
      this.sheet.redraw();
    });
    canvas.addEventListener("dblclick", () => {
      if ((this.sheet.drawing.draft?.points.length ?? 0) >= 3) this.close();
    });
    const wheel = (event) => {
      event.preventDefault();
      if (!this.view.image) return;
      this.view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), place(event));
      this.sheet.redraw();
    };
    canvas.addEventListener("wheel", wheel, { passive: false });
  }

  #down(place, button, shift) {
    if (this.carried) return;
    const point = this.view.point(place);
    if (button !== 0) {
      this.drag = { kind: "pan", start: place, place };
      return;
    }
    const on = this.view.clamped(point, OUTSIDE_PX);
    if (!on || !this.#may()) return;
    const at = this.sheet.drawing.draft ? null : this.#hit(point);
    if (at && !shift) this.drag = this.#grip(at, point);
    else this.drag = { kind: "press", start: place, path: [on], from: shift ? at : null };
    this.sheet.redraw();
  }

  #move(place) {
    const { drag } = this;
    const point = this.view.clamped(this.view.point(place));
    this.cross = false;
    if (drag?.kind === "pan") {
      this.view.move(place[0] - drag.place[0], place[1] - drag.place[1]);
      drag.place = place;
    } else if (drag?.kind === "move") {
      this.#carry(drag, this.view.point(place));
    } else if (drag?.kind === "press") {
      const began = drag.path.length > 1 || distance(place, drag.start) > CLICK_PX;
      if (began && this.#off(point, drag.path.at(-1)) > 1.5) drag.path.push(point);
    }
    if (this.carried) this.#carry(this.carried, point);
    this.cursor = point;
  }

  #up() {
    const { drag, preview } = this;
    if (!drag) return;
    this.drag = this.preview = null;
    if (drag.kind === "move") {
      if (preview) this.sheet.change(preview);
    } else if (drag.kind === "pan") {
      if (distance(drag.place, drag.start) <= CLICK_PX && this.ghost?.corner) this.takeOut();
    } else {
      if (drag.from) this.#redrawn(drag);
      else this.#drawn(drag.path);
    }
    this.sheet.redraw();
  }

  // A part of a contour was drawn anew, from where the press began to where it ended.
  #redrawn({ from, path }) {
    const { sheet } = this;
    const to = this.#hit(path.at(-1));
    if (path.length < 3 || to?.contour !== from.contour || this.#off(from.at, to.at) < TINY_PX) {
      return sheet.say("With Shift, a drag from a contour back to the same one draws that part anew.");
    }
    const points = redrawn(sheet.drawing.contours[from.contour].points, from, to, simplified(path, 0.75 / this.view.scale));
    sheet.change(withPoints(sheet.drawing, from.contour, points));
  }

  // A press is over: a click, or a line by free hand that closes itself where it ends near its start.
  #drawn(path) {
    const size = Math.max(...path.map((point) => this.#off(point, path[0])));
    if (path.length < 3 || size < TINY_PX) return this.click(path[0]);
    const points = simplified(path, 0.75 / this.view.scale).map(rounded);
    const draft = this.#longer(points);
    const near = Math.min(Math.max(size / 5, 2 * REACH_PX), 40);
    const meets = draft && draft.points.length >= 3 && this.#off(points.at(-1), draft.points[0]) <= near;
    if (meets && area(draft.points) * this.view.scale ** 2 > size) this.#closed(draft);
    else this.#leave(draft);
  }
}
