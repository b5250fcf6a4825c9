// The reading page: one case at a time, its picture, what is drawn on it, and what is still to do.

import { Keeper } from "/reading-keeper.js";
import { dealtWith, History, obstacle, Watch, withoutContour } from "/reading-lines.js";
import { Pen } from "/reading-pen.js";
import { View } from "/reading-view.js";

const TICK_MS = 500;
const TIME_KEPT_S = 10; // so often at least is the time kept

const $ = (id) => document.getElementById(id);
const canvas = $("picture");
let desk; // {title, structures: [{name, label, colour}], cases: [{id, state}], idle_ms}
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
}

async function turnTo(number) {
  const [opened, picture] = await Promise.all([
    ask(`/case/${number}?pen=${keeper.pen}`).then((answer) => answer.json()),
    ask(`/picture/${number}`).then((answer) => answer.blob()),
  ]);
  const image = new Image();
  image.src = URL.createObjectURL(picture);
  await image.decode();
  URL.revokeObjectURL(image.src);
  const left = keeper.left(number, opened.id, opened.saved);
  const { seconds, done, ...drawing } = left ?? opened.saved ?? fresh(opened.given);
  const watch = new Watch(seconds, desk.idle_ms);
  page = { number, id: opened.id, given: opened.given, history: new History(drawing), done, watch, keptSeconds: seconds };
  notice = "";
  pen.rest();
  chosen = 0;
  view.show(image);
  active();
  if (left) keep();
  show();
  canvas.focus();
}

function fresh(given) {
  return { contours: given ?? [], not_seen: [], draft: null, seconds: 0, done: false };
}

// --- what is kept -----------------------------------------------------------------------------------------------

function changed() {
  notice = "";
  keep();
  show();
}

function keep(quiet = false) {
  const seconds = Math.round(page.watch.seconds * 10) / 10;
  keeper.put(page.number, page.id, { ...page.history.now, seconds, done: page.done }, quiet);
  page.keptSeconds = page.watch.seconds;
  const { drawing } = sheet;
  const begun = drawing.contours.length || drawing.not_seen.length || drawing.draft ? "begun" : "";
  desk.cases[page.number].state = page.done ? "done" : begun;
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

function told({ unsaved, sending, trouble }) {
  const reasons = {
    away: "the program that keeps it does not answer. It stays here and is sent again: leave this page open.",
    elsewhere: "this case was opened in another window. Go on there, or load this page anew to go on here.",
    link: "the program was started anew. Open its new link in this tab: what is not saved stays here.",
  };
  const text = trouble
    ? `NOT SAVED: ${reasons[trouble] ?? `refused (${trouble}).`}`
    : unsaved ? (sending ? "Saving…" : "Not saved yet") : "✓ Saved";
  if ($("kept").textContent !== text) $("kept").textContent = text;
  $("kept").className = trouble ? "warn" : unsaved ? "" : "good";
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
    return say(`${label(draft.structure)} is still open: close it with Enter, or drop it with Esc.`);
  }
  chosen = index;
  notice = "";
  pen.drop();
  show();
}

function notSeen(index = chosen) {
  if (sheet.locked) return say("This case is finished. Press D to change it.");
  const { name } = desk.structures[index];
  const { drawing } = sheet;
  if (drawing.not_seen.includes(name)) {
    return sheet.change({ ...drawing, not_seen: drawing.not_seen.filter((other) => other !== name) });
  }
  if (drawing.draft?.structure === name) return say(`${label(name)} is being drawn: drop the line with Esc first.`);
  if (dealtWith(drawing, name)) return say(`${label(name)} is drawn: delete its contours first (X).`);
  sheet.change({ ...drawing, not_seen: [...drawing.not_seen, name] });
}

function finish() {
  if (!page) return;
  if (!page.done) {
    const first = obstacle(sheet.drawing, desk.structures.map(({ name }) => name));
    if (first) {
      if (!sheet.drawing.draft) chosen = desk.structures.findIndex(({ name }) => name === first.structure);
      const why = {
        open: "its line is still open: close it with Enter, or drop it with Esc.",
        crosses: "the contour crosses itself at the red mark: correct it before you finish.",
        missing: "not dealt with: draw it, or press 0 to say that it is not seen.",
      };
      return say(`Not finished. ${label(first.structure)}: ${why[first.what]}`);
    }
    tick();
  }
  pen.rest();
  page.done = !page.done;
  active();
  changed();
}

function undo(step) {
  if (sheet.locked) return say("This case is finished. Press D to change it.");
  pen.rest();
  if (!page.history[step]()) return;
  const { draft } = sheet.drawing;
  if (draft) chosen = desk.structures.findIndex(({ name }) => name === draft.structure);
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
  if (!page || event.altKey) return;
  const key = event.key.toLowerCase();
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

function label(name) {
  return desk.structures.find((structure) => structure.name === name).label;
}

function advice() {
  const { drawing } = sheet;
  const { name } = desk.structures[chosen];
  if (page.done) {
    const left = desk.cases.findIndex(({ state }) => state !== "done");
    if (left < 0) return "Finished, and so are all cases. Thank you; you can close this page.";
    return page.number + 1 < desk.cases.length
      ? "This case is finished. N for the next one; D if you want to change it."
      : `This case is finished. Case ${left + 1} is not yet: P goes back. D if you want to change this one.`;
  }
  const crossed = drawing.contours.find((contour) => view.crossed({ contours: [contour], draft: null }).length);
  if (drawing.draft && view.crossed({ contours: [], draft: drawing.draft }).length) {
    return "The line crosses itself at the red mark. Backspace takes the last point back.";
  }
  if (crossed) return `${label(crossed.structure)}: the contour crosses itself at the red mark. Move a point, or undo.`;
  if (drawing.draft) {
    return drawing.draft.points.length < 3
      ? `${label(name)}: click on along its edge, or drag.`
      : `${label(name)}: click on; Enter, or a click on the first point, closes the line. Esc drops it.`;
  }
  if (!obstacle(drawing, desk.structures.map((structure) => structure.name))) {
    return "Every structure is dealt with. Look once more, then finish the case with D.";
  }
  const state = dealtWith(drawing, name);
  if (!state) return `${label(name)}: click around its edge, or drag along it. If you cannot see it, press 0.`;
  const next = desk.structures.findIndex((structure) => !dealtWith(drawing, structure.name));
  const said = state === "drawn" ? "is drawn" : "is said not to be seen";
  return `${label(name)} ${said}. Next: ${desk.structures[next].label}, ${next + 1} at the right or on the keyboard.`;
}

function show() {
  if (!page) {
    $("advice").textContent = notice || "Opening…";
    return;
  }
  const { drawing } = sheet;
  const total = desk.cases.length;
  $("where").textContent = `Case ${page.number + 1} of ${total}`;
  $("id").textContent = page.id;
  const crossing = view.crossed(drawing).length > 0;
  $("advice").textContent = notice || advice();
  $("advice").classList.toggle("warn", Boolean(notice) || (crossing && !page.done));
  $("given").hidden = page.given === null;
  $("given").textContent = page.given?.length
    ? "This case began with contours proposed by the AI. They may be wrong: keep, correct or delete them."
    : "The AI proposed no contour for this case.";
  desk.structures.forEach((structure, index) => showStructure(structure, index, drawing));
  const ready = !page.done && !obstacle(drawing, desk.structures.map(({ name }) => name));
  $("finish").innerHTML = page.done ? "Change this case <kbd>D</kbd>" : "Finish case <kbd>D</kbd>";
  $("finish").classList.toggle("ready", ready);
  $("after").classList.toggle("ready", page.done);
  $("before").disabled = page.number === 0;
  $("after").disabled = page.number + 1 === total;
  $("undo").disabled = page.done || !page.history.past.length;
  $("redo").disabled = page.done || !page.history.future.length;
  $("hide").setAttribute("aria-pressed", hidden);
  $("count").textContent = `${desk.cases.filter(({ state }) => state === "done").length} of ${total} finished`;
  desk.cases.forEach(({ state }, number) => {
    const button = $("cases").children[number];
    button.className = `${state} ${number === page.number ? "here" : ""}`;
    const words = { done: "finished", begun: "begun", "": "not begun" }[state];
    button.title = `Case ${number + 1}: ${words}`;
    button.textContent = `${number + 1}${{ done: " ✓", begun: " …", "": "" }[state]}`;
  });
  redraw();
}

function showStructure({ name }, index, drawing) {
  const item = $("structures").children[index];
  const own = drawing.contours.map((contour, i) => [contour, i]).filter(([contour]) => contour.structure === name);
  const crossed = own.some(([contour]) => view.crossed({ contours: [contour], draft: null }).length);
  const open = drawing.draft?.structure === name;
  const [state, silent, more] = item.querySelectorAll(".state, .silent, .more");
  item.classList.toggle("chosen", index === chosen);
  item.classList.toggle("several", index === chosen && !page.done && own.length > 1);
  item.querySelector(".name").setAttribute("aria-pressed", index === chosen);
  const dealt = dealtWith(drawing, name);
  const drawn = own.length > 1 ? `drawn (${own.length} contours)` : "drawn";
  state.textContent = open ? "line open" : crossed ? "crosses itself" : dealt === "drawn" ? drawn : dealt || "to do";
  state.className = `state ${open || crossed ? "warn" : dealt ? "dealt" : ""}`;
  silent.setAttribute("aria-pressed", dealt === "not seen");
  silent.hidden = page.done || dealt === "drawn" || open;
  more.replaceChildren();
  over = null;
  if (page.done || index !== chosen) return;
  own.forEach(([, i], piece) => {
    const button = document.createElement("button");
    button.className = "small";
    button.textContent = own.length > 1 ? `Delete ${piece + 1}` : "Delete";
    button.title = "Delete this contour; X deletes the one under the pointer";
    button.addEventListener("click", () => sheet.change(withoutContour(sheet.drawing, i)));
    for (const [kind, value] of [["pointerenter", i], ["focus", i], ["pointerleave", null], ["blur", null]]) {
      button.addEventListener(kind, () => {
        over = value;
        redraw();
      });
    }
    more.append(button);
  });
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

function lay() {
  document.title = $("title").textContent = desk.title;
  $("last").textContent = desk.structures.length;
  desk.structures.forEach(({ label: text, colour }, index) => {
    const item = document.createElement("li");
    item.innerHTML = `<button class="name"><span class="key"></span><span class="text"></span>
      <span class="state"></span></button><button class="small silent">Not seen <kbd>0</kbd></button>
      <span class="more"></span>`;
    item.querySelector(".key").textContent = index + 1;
    item.querySelector(".key").style.background = colour;
    item.querySelector(".text").textContent = text;
    item.querySelector(".name").addEventListener("click", () => choose(index));
    item.querySelector(".silent").addEventListener("click", () => {
      choose(index);
      if (chosen === index) notSeen(index);
    });
    $("structures").append(item);
  });
  desk.cases.forEach((_, number) => {
    const button = document.createElement("button");
    button.addEventListener("click", () => open(number));
    $("cases").append(button);
  });
  const buttons = {
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
  for (const [id, action] of Object.entries(buttons)) $(id).addEventListener("click", () => page && action());
  document.querySelector("aside").addEventListener("click", (event) => {
    if (event.detail && event.target.closest("button")) canvas.focus(); // clicked, not chosen by Tab
  });
}

async function start() {
  try {
    desk = await (await ask("/desk")).json();
  } catch (error) {
    $("advice").textContent = `This page cannot begin: ${error.message}`;
    return;
  }
  keeper = new Keeper(desk.title, told);
  lay();
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
  if (!desk.cases.length) $("advice").textContent = "There is no case to read.";
  const first = desk.cases.findIndex(({ state }) => state !== "done");
  await open(Math.max(first, 0));
  setTimeout(() => told({ unsaved: keeper.unsaved, sending: false, trouble: "" }), 0);
}

start();
