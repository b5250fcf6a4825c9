// The reading page: one case at a time, its picture, what is drawn on it, and what is still to do.

import { Keeper } from "/reading-keeper.js";
import { dealtWith, History, obstacle, Watch, withoutContour } from "/reading-lines.js";
import { Panel } from "/reading-panel.js";
import { Pen } from "/reading-pen.js";
import { View } from "/reading-view.js";

const TICK_MS = 500;
const TIME_KEPT_S = 10; // so often at least is the time kept

const $ = (id) => document.getElementById(id);
const canvas = $("picture");
let desk; // {title, structures: [{name, label, colour}], cases: [{id, state}], idle_ms}
let panel;
let keeper;
let page = null; // the open case: {number, id, given, history, done, watch, keptSeconds}
let wanted = null; // the case to open next while one is being opened
let opening = false;
let chosen = 0;
let notice = ""; // what was just refused or restored, until the next action
let hidden = false;
let over = null; // the contour that the panel's pointer is on

const view = new View(canvas, redraw);
const sheet = {
  get drawing() {
    return page.history.now;
  },
  get chosen() {
    return desk.structures[chosen].name;
  },
  get locked() {
    return !page || page.done;
  },
  change(drawing) {
    page.history.change(drawing);
    changed();
  },
  say,
  redraw,
};
const pen = new Pen(view, sheet);

// --- the case ---------------------------------------------------------------------------------------------------

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(12000) });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `refused (${answer.status})`);
  return answer;
}

async function open(number) {
  if (number < 0 || number >= desk.cases.length) return;
  wanted = number;
  if (opening) return;
  opening = true;
  keepTime();
  still(true);
  while (wanted !== null) {
    const next = wanted;
    wanted = null;
    try {
      await turnTo(next);
    } catch (error) {
      const away = error instanceof TypeError || error.name === "TimeoutError";
      say(away ? `Case ${next + 1} cannot be opened: the program does not answer. Try again.` : error.message);
    }
  }
  opening = false;
  still(false);
}

// While a case is being opened nothing can be done to the one before.
function still(is) {
  canvas.inert = document.querySelector("aside").inert = is;
  pen.rest();
  if (!is) canvas.focus();
}

async function turnTo(number) {
  const left = keeper.left(number, desk.cases[number].id);
  const [opened, picture] = await Promise.all([
    ask(`/case/${number}?pen=${keeper.pen}`).then((answer) => answer.json()),
    ask(`/picture/${number}`).then((answer) => answer.blob()),
  ]);
  const image = new Image();
  image.src = URL.createObjectURL(picture);
  await image.decode();
  URL.revokeObjectURL(image.src);
  const newest = keeper.newest(number, opened.id, left, opened.saved);
  const { seconds, done, ...drawing } = newest ?? fresh(opened.given);
  const watch = new Watch(seconds, desk.idle_ms);
  page = { number, id: opened.id, given: opened.given, history: new History(drawing), done, watch, keptSeconds: seconds };
  notice = "";
  pen.rest();
  chosen = 0;
  view.show(image);
  active();
  if (newest && newest === left) keep();
  show();
}

function fresh(given) {
  return { contours: given ?? [], not_seen: [], draft: null, seconds: 0, done: false };
}

// --- what is kept -----------------------------------------------------------------------------------------------

function changed() {
  pen.rest();
  notice = "";
  keep();
  show();
}

function keep(quiet = false) {
  const seconds = Math.round(page.watch.seconds * 10) / 10;
  keeper.put(page.number, page.id, { ...page.history.now, seconds, done: page.done }, quiet);
  page.keptSeconds = page.watch.seconds;
  desk.cases[page.number].state = stateOf({ ...page.history.now, done: page.done });
}

function stateOf({ done, contours, not_seen, draft }) {
  if (done) return "done";
  return contours.length || not_seen.length || draft ? "begun" : "";
}

// Send what a page before this one could not get kept.
async function sendLeftOver() {
  for (const number of keeper.leftOver(desk.cases)) {
    const left = keeper.left(number, desk.cases[number].id);
    const { id, saved } = await (await ask(`/case/${number}?pen=${keeper.pen}`)).json();
    if (!left || keeper.newest(number, id, left, saved) !== left) continue;
    keeper.put(number, id, left);
    desk.cases[number].state = stateOf(left);
  }
}

function keepTime(least = 0.1) {
  if (!page || page.done) return;
  tick();
  if (page.watch.seconds - page.keptSeconds >= least) keep(true);
}

function tick() {
  page?.watch.tick(performance.now(), document.visibilityState === "visible" && !page.done && !opening);
}

function active() {
  tick();
  page?.watch.input(performance.now());
}

// --- what the reader does ---------------------------------------------------------------------------------------

function say(text) {
  notice = text;
  show();
}

function choose(index) {
  if (index >= desk.structures.length || !page) return;
  const { draft } = sheet.drawing;
  if (draft && draft.structure !== desk.structures[index].name) {
    return say(`${panel.label(draft.structure)} is still open: close it with Enter, or drop it with Esc.`);
  }
  chosen = index;
  notice = "";
  pen.rest();
  show();
}

function notSeen() {
  if (sheet.locked) return say("This case is finished. Press D to change it.");
  const name = sheet.chosen;
  const { drawing } = sheet;
  if (drawing.not_seen.includes(name)) {
    return sheet.change({ ...drawing, not_seen: drawing.not_seen.filter((other) => other !== name) });
  }
  if (drawing.draft?.structure === name) return say(`${panel.label(name)} is being drawn: drop the line with Esc first.`);
  if (dealtWith(drawing, name)) return say(`${panel.label(name)} is drawn: delete its contours first (X).`);
  sheet.change({ ...drawing, not_seen: [...drawing.not_seen, name] });
}

function finish() {
  if (!page.done) {
    const first = obstacle(sheet.drawing, panel.names);
    if (first) {
      if (!sheet.drawing.draft) chosen = panel.names.indexOf(first.structure);
      const why = {
        open: "its line is still open: close it with Enter, or drop it with Esc.",
        crosses: "the contour crosses itself at the red mark: correct it before you finish.",
        missing: "not dealt with: draw it, or press 0 to say that it is not seen.",
      };
      return say(`Not finished. ${panel.label(first.structure)}: ${why[first.what]}`);
    }
    tick();
  }
  page.done = !page.done;
  active();
  changed();
}

function undo(step) {
  if (sheet.locked) return say("This case is finished. Press D to change it.");
  if (!page.history[step]()) return;
  const { draft } = sheet.drawing;
  if (draft) chosen = panel.names.indexOf(draft.structure);
  changed();
}

function zoom(factor) {
  view.zoom(factor, pen.cursor ? view.place(pen.cursor) : [canvas.clientWidth / 2, canvas.clientHeight / 2]);
  redraw();
}

function hide() {
  hidden = !hidden;
  show();
}

const KEYS = {
  n: () => open(page.number + 1),
  p: () => open(page.number - 1),
  d: finish,
  f: () => {
    view.fit();
    redraw();
  },
  h: hide,
  x: () => pen.deleteContour(),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  ",": () => pen.hop(-1),
  ".": () => pen.hop(1),
  escape: () => pen.drop(),
  delete: () => pen.takeOut(),
  backspace: () => pen.takeBack(),
};
const ON_CANVAS = {
  " ": () => pen.press(),
  enter: () => (pen.carried ? pen.press() : pen.close()),
  arrowleft: (fast) => pen.step(-1, 0, fast),
  arrowright: (fast) => pen.step(1, 0, fast),
  arrowup: (fast) => pen.step(0, -1, fast),
  arrowdown: (fast) => pen.step(0, 1, fast),
};

function pressed(event) {
  active();
  if (!page || event.altKey || (opening && !"np".includes(event.key.toLowerCase()))) return;
  const typed = /^[a-z0-9]$/i.test(event.key) ? null : /^(?:Key|Digit)(.)$/.exec(event.code); // another script's keys
  const key = (typed ? typed[1] : event.key).toLowerCase();
  let action;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") action = () => undo(event.shiftKey ? "redo" : "undo");
    if (key === "y") action = () => undo("redo");
  } else if (/^[0-9]$/.test(key)) {
    action = () => (key === "0" ? notSeen() : choose(Number(key) - 1));
  } else {
    action = KEYS[key];
    if (document.activeElement === canvas || document.activeElement === document.body) action ??= ON_CANVAS[key];
  }
  if (!action || (event.repeat && !key.startsWith("arrow") && !event.ctrlKey && !"+-=,.".includes(key))) return;
  event.preventDefault();
  if (hidden && (ON_CANVAS[key] || "xdelete".includes(key))) hidden = false;
  action(event.shiftKey);
}

// --- what is shown ----------------------------------------------------------------------------------------------

function show() {
  if (page) panel.show(page, chosen, notice, hidden);
  else $("advice").textContent = notice || "Opening…";
  redraw();
}

let drawn = false;
function redraw() {
  if (drawn || !page) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    const { cursor, cross, path, ghost, drawing } = pen;
    canvas.className = sheet.locked ? "locked" : pen.drag?.kind === "pan" ? "grab" : ghost ? "point" : "";
    const styles = Object.fromEntries(
      desk.structures.map(({ name, colour }, index) => [name, { colour, key: String(index + 1) }]),
    );
    const scene = { drawing, chosen: sheet.chosen, styles, hidden, locked: sheet.locked, cursor, cross, ghost, path, over };
    view.draw(scene);
  });
}

// --- the page ---------------------------------------------------------------------------------------------------

const DOES = {
  open,
  choose,
  notSeen(index) {
    choose(index);
    if (chosen === index) notSeen();
  },
  remove: (contour) => sheet.change(withoutContour(sheet.drawing, contour)),
  point(contour) {
    over = contour;
    redraw();
  },
  undo: () => undo("undo"),
  redo: () => undo("redo"),
  closer: () => zoom(1.25),
  wider: () => zoom(0.8),
  fit: KEYS.f,
  hide,
  finish,
  before: KEYS.p,
  after: KEYS.n,
};

async function start() {
  try {
    desk = await (await ask("/desk")).json();
  } catch (error) {
    $("advice").textContent = `This page cannot begin: ${error.message}`;
    return;
  }
  panel = new Panel(desk, DOES);
  keeper = new Keeper(desk.title, (state) => panel.kept(state));
  addEventListener("keydown", pressed);
  for (const kind of ["pointerdown", "pointermove", "wheel", "focus"]) addEventListener(kind, active, { passive: true });
  document.addEventListener("visibilitychange", () => {
    keepTime();
    keeper.flush();
    active();
  });
  setInterval(() => keepTime(TIME_KEPT_S), TICK_MS);
  addEventListener("beforeunload", (event) => {
    if (keeper.unsaved) event.preventDefault();
  });
  await sendLeftOver().catch(() => null); // each is tried again when its case is opened
  if (!desk.cases.length) $("advice").textContent = "There is no case to read.";
  const first = desk.cases.findIndex(({ state }) => state !== "done");
  await open(Math.max(first, 0));
}

start();
