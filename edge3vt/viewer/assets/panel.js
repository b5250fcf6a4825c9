// What stands beside the picture: switches, figures and the latency of the last ten seconds.

const SPAN_MS = 10000, SLOW_MS = 200;
export const TONES = { LIVE: "green", "AI OFF": "red", "AI INVALID": "red", "NO SIGNAL": "red" };
const $ = (id) => document.getElementById(id);

/** Sets a text only when it is another one: the browser need not lay out again. */
export function say(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
}

/** What the operator of this browser wants to see; `changed` is called when that is something else. */
export class View {
  constructor(changed) {
    this.changed = changed;
    this.off = new Set();
    this.names = "";
    for (const id of ["shown", "contour", "opacity"]) $(id).addEventListener("input", () => this.read());
    this.read();
  }

  read() {
    this.shown = $("shown").checked;
    this.contour = $("contour").checked;
    this.opacity = Number($("opacity").value) / 100;
    say("opacity-says", `${$("opacity").value} %`);
    this.changed();
  }

  /** A switch for each structure of the model. */
  name(structures) {
    const names = JSON.stringify(structures);
    if (names === this.names) return;
    this.names = names;
    this.off.clear();
    $("structures").replaceChildren(...structures.map(([name, colour], i) => this.row(name, colour, i + 1)));
  }

  row(name, colour, label) {
    const row = document.createElement("label"), box = document.createElement("input");
    const swatch = document.createElement("i"), words = document.createElement("span");
    box.type = "checkbox";
    box.checked = true;
    box.dataset.label = label;
    box.addEventListener("input", () => {
      if (box.checked) this.off.delete(label);
      else this.off.add(label);
      this.changed();
    });
    swatch.className = "swatch";
    swatch.style.background = `rgb(${colour.join(" ")})`;
    words.textContent = name;
    row.append(box, swatch, words);
    if (label < 10) {
      const key = document.createElement("kbd");
      key.textContent = label;
      row.append(key);
    }
    return row;
  }

  /** What a key does to the view; whether it does anything. */
  press(key) {
    const toggle = (box) => box && box.click();
    if (key === " ") toggle($("shown"));
    else if (key === "c") toggle($("contour"));
    else if (key === "+" || key === "=" || key === "-") {
      $("opacity")[key === "-" ? "stepDown" : "stepUp"]();
      this.read();
    } else if (key === "0") {
      for (const box of $("structures").querySelectorAll("input:not(:checked)")) box.click();
    } else if (/^[1-9]$/.test(key)) toggle($("structures").querySelector(`[data-label="${key}"]`));
    else return false;
    return true;
  }
}

/** Counts and times of what was drawn in this browser. */
export class Figures {
  constructor() {
    this.points = [];
    this.drawn = 0;
    this.first = null;
    this.written = 0;
  }

  /** A picture was drawn at `now`. */
  add(facts, now) {
    if (this.first === null || facts.count < this.first) [this.first, this.drawn] = [facts.count, 0];
    this.drawn++;
    this.facts = facts;
    this.points.push([now, facts.timing_ms.total, facts.timing_ms.infer]);
  }

  /** Writes them down, five times a second. */
  write(now) {
    if (now - this.written < SLOW_MS) return;
    this.written = now;
    while (this.points.length && this.points[0][0] < now - SPAN_MS) this.points.shift();
    const last = this.points.filter(([at]) => at > now - 2000).length / 2;
    say("rate", `${last.toFixed(0)} pictures/s`);
    this.chart(now);
    if (!this.facts) return;
    const { facts } = this, given = facts.count - this.first + 1, stages = facts.timing_ms;
    say("drops", `${given - this.drawn} of ${given}`);
    say("number", `${facts.index}, ${facts.width} × ${facts.height}`);
    say("verdict", facts.reason || facts.verdict.replace("_", " "));
    const ms = (name) => `${name} ${stages[name].toFixed(1)}`;
    say("stages", `now ${stages.total.toFixed(1)} ms: ${["seen", "prepare", "infer", "mask", "compose"].map(ms).join(" · ")}`);
  }

  chart(now) {
    const canvas = $("chart"), context = canvas.getContext("2d"), { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    const most = this.points.reduce((top, [, total]) => Math.max(top, total), 0);
    const top = [10, 20, 50, 100, 200, 500, 1000, 5000].find((each) => each > most) ?? 20000;
    const left = 64, x = (at) => left + ((at - now) / SPAN_MS + 1) * (width - left - 4), y = (ms) => height - 8 - (ms / top) * (height - 30);
    context.font = "24px system-ui, sans-serif";
    context.fillStyle = "#a0a5ac";
    context.strokeStyle = "#2b2e33";
    context.lineWidth = 2;
    for (const ms of [0, top / 2, top]) {
      context.fillText(String(ms), 0, y(ms) + 8);
      context.beginPath();
      context.moveTo(left, y(ms));
      context.lineTo(width, y(ms));
      context.stroke();
    }
    for (const [which, colour] of [[2, "#6f7680"], [1, "#8fb8d8"]]) {
      context.strokeStyle = colour;
      context.beginPath();
      let before = -Infinity;
      for (const point of this.points) {
        if (point[0] - before > 250) context.moveTo(x(point[0]), y(point[which])); // a gap stays a gap
        else context.lineTo(x(point[0]), y(point[which]));
        before = point[0];
      }
      context.stroke();
    }
  }
}
