// The live picture with its overlay, and a cover over it as soon as it is not live any more.

import { Link, parsed } from "/link.js";
import { drawMask, outlines } from "/overlay.js";
import { Figures, say, TONES, View } from "/panel.js";
import { composed, save } from "/snapshot.js";

const CHECK_MS = 20, SURE_MS = 200; // with a check and a frame of the screen, 250 ms
const BEATS = 24;
const $ = (id) => document.getElementById(id);
const picture = $("picture"), overlay = $("overlay"), cover = $("cover");
const pictureContext = picture.getContext("2d", { alpha: false }), overlayContext = overlay.getContext("2d");

let waiting = null, newest = -1, asked = false; // decoded and not drawn yet
let shown = null, lines = null; // facts of the picture that is seen, and its mask
let changed = -Infinity, gap = 0, seen = "", beat = 0; // when the picture was last another one
let cut = false, cuts = 0, why = "connecting"; // there is no way to the server, and what is known of it

const figures = new Figures();
const view = new View(() => redraw());
const link = new Link(arrived, (reason) => {
  why = reason;
  waiting?.bitmap.close();
  waiting = null;
  newest = -1;
  cut = true;
  cuts++;
  look();
});

async function arrived(buffer) {
  const message = parsed(buffer), { count } = message.facts, came = performance.now(), way = cuts;
  why = "";
  const bitmap = await createImageBitmap(message.jpeg).catch(() => null);
  if (way !== cuts) return bitmap?.close(); // it came by a way that is no more
  if (!bitmap || count <= newest) {
    bitmap?.close();
    link.drawn(count);
    return;
  }
  waiting?.bitmap.close();
  newest = count;
  waiting = { ...message, bitmap, came };
  if (!asked) requestAnimationFrame(draw);
  asked = true;
}

function draw() {
  asked = false;
  if (!waiting) return;
  const { facts, runs, bitmap, came } = waiting, now = performance.now();
  waiting = null;
  if (picture.width !== facts.width || picture.height !== facts.height) {
    for (const canvas of [picture, overlay]) [canvas.width, canvas.height] = [facts.width, facts.height];
  }
  pictureContext.drawImage(bitmap, 0, 0);
  bitmap.close();
  const key = `${facts.epoch}/${facts.index}`;
  if (key !== seen) {
    seen = key;
    cut = false;
    const at = came - Math.max(facts.waited_ms, 0);
    gap = gap ? gap + (Math.min(at - changed, 1000) - gap) / 4 : facts.period_ms;
    changed = at;
    beat = (beat + 1) % BEATS;
    $("beat").firstElementChild.style.transform = `translateX(${(beat * 68) / (BEATS - 1)}px)`;
  }
  shown = facts;
  lines = facts.mask && outlines(runs, facts.mask.size);
  picture.dataset.index = facts.index;
  figures.add(facts, now);
  view.name(facts.structures);
  redraw();
  tell();
  look();
  link.drawn(facts.count);
}

/** The overlay alone: the picture below it is never drawn on. */
function redraw() {
  overlayContext.clearRect(0, 0, overlay.width, overlay.height);
  const drawn = shown?.mask && view.shown ? drawMask(overlayContext, shown.mask, lines, shown.structures, view) : 0;
  overlay.dataset.drawn = drawn;
  say("detail", detail());
}

function detail() {
  if (!shown) return "";
  if (!shown.mask) return shown.withheld ? `no overlay: ${shown.withheld}` : "no overlay";
  if (!view.shown) return "overlay hidden";
  return [...view.off].sort().map((label) => `${shown.structures[label - 1]?.[0]} off`).join(", ");
}

function tell() {
  const { says, state, mask, mask_age_ms: age, notes, engine, training, statement, lan } = shown;
  mark(says, TONES[state] ?? "amber");
  say("age", mask && age !== null ? `mask age ${age.toFixed(0)} ms` : "no mask");
  say("notes", notes.join(" · "));
  say("engine", [engine || "no engine", training].filter(Boolean).join(" · "));
  say("statement", statement);
  $("lan").hidden = !lan;
}

/** The state, for who looks at the page and for who looks at its tab. */
function mark(says, tone) {
  say("state", says);
  $("state").dataset.tone = tone;
  document.title = `${says} · edge3vt`;
}

/** Longer than this without another picture, and the one that is seen is not live (rule R4). */
function limit() {
  const period = shown?.period_ms ?? 1000 / 60;
  return Math.max(loss(period), Math.min(loss(gap), SURE_MS));
}

function loss(period) {
  return Math.max(3 * period, Math.min(period + 150, SURE_MS));
}

/** Covers the picture when it is old, by this browser's own clock, whatever the server says. */
function look() {
  const now = performance.now(), age = now - changed, gone = shown?.state === "NO SIGNAL";
  const stale = !shown || gone || cut || age > limit();
  cover.hidden = !stale;
  if (stale) {
    say("cover-what", !shown ? "NO PICTURE YET" : gone ? "NO SIGNAL" : "NO NEW PICTURE");
    const since = shown && `last picture, not live · ${Math.min(age / 1000, 5999).toFixed(1)} s`;
    say("cover-why", [since, why || "no newer one has come"].filter(Boolean).join(" · "));
    if (shown && !gone) {
      mark("NO NEW PICTURE", "red");
      say("age", "");
    }
  }
  figures.write(now);
}

function keep() {
  if (!shown) return;
  const age = shown.mask ? `mask age ${shown.mask_age_ms.toFixed(0)} ms` : `no overlay${shown.withheld ? ": " + shown.withheld : ""}`;
  const live = cover.hidden ? shown.says : "NOT LIVE: no new picture";
  save(composed(picture, overlay, shown, [live, age, ...(view.shown ? [] : ["overlay hidden"])].join(" · ")));
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => {});
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typed = event.target.matches?.("input, button") && [" ", "Enter"].includes(event.key);
  if (typed) return; // that is for the switch itself
  if (event.key === "s") keep();
  else if (event.key === "f") fullScreen();
  else if (!view.press(event.key)) return;
  event.preventDefault();
});
$("snapshot").addEventListener("click", keep);
$("full").addEventListener("click", fullScreen);
setInterval(look, CHECK_MS);
look();
