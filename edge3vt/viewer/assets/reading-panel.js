// What stands beside the picture: the case, its structures and what is still to do, buttons, and one line of advice.

import { crossed, crossings, dealtWith, obstacle } from "/reading-lines.js";

const $ = (id) => document.getElementById(id);
const WORDS = { done: ["finished", " ✓"], begun: ["begun", " …"], "": ["not begun", ""] };

export class Panel {
  // does: {choose(index), notSeen(index), remove(contour), point(contour or null), open(number)} and, by the ids of their
  // buttons, what these do.
  constructor(desk, does) {
    this.desk = desk;
    this.does = does;
    this.names = desk.structures.map(({ name }) => name);
    document.title = $("title").textContent = desk.title;
    $("last").textContent = desk.structures.length;
    desk.structures.forEach((structure, index) => this.#lay(structure, index));
    desk.cases.forEach((_, number) => {
      const button = document.createElement("button");
      button.addEventListener("click", () => does.open(number));
      $("cases").append(button);
    });
    for (const button of document.querySelectorAll("aside button[id]")) {
      button.addEventListener("click", () => does[button.id]());
    }
    document.querySelector("aside").addEventListener("click", (event) => {
      if (event.detail && event.target.closest("button")) $("picture").focus(); // clicked, not chosen by Tab
    });
  }

  label(name) {
    return this.desk.structures[this.names.indexOf(name)].label;
  }

  // page: {number, id, given, history, done}. notice: told instead of the advice.
  show(page, chosen, notice, hidden) {
    const { desk } = this;
    const { now: drawing, past, future } = page.history;
    const total = desk.cases.length;
    $("where").textContent = `Case ${page.number + 1} of ${total}`;
    $("id").textContent = page.id;
    $("advice").textContent = notice || this.#advice(page, drawing, chosen);
    $("advice").classList.toggle("warn", Boolean(notice) || (!page.done && crossed(drawing).length > 0));
    $("given").hidden = page.given === null;
    $("given").textContent = page.given?.length
      ? "This case began with contours proposed by the AI. They may be wrong: keep, correct or delete them."
      : "The AI proposed no contour for this case.";
    this.names.forEach((name, index) => this.#structure(name, index, page, index === chosen));
    $("finish").innerHTML = page.done ? "Change this case <kbd>D</kbd>" : "Finish case <kbd>D</kbd>";
    $("finish").classList.toggle("ready", !page.done && !obstacle(drawing, this.names));
    $("after").classList.toggle("ready", page.done);
    $("before").disabled = page.number === 0;
    $("after").disabled = page.number + 1 === total;
    $("undo").disabled = page.done || !past.length;
    $("redo").disabled = page.done || !future.length;
    $("hide").setAttribute("aria-pressed", hidden);
    $("count").textContent = `${desk.cases.filter(({ state }) => state === "done").length} of ${total} finished`;
    desk.cases.forEach(({ state }, number) => {
      const button = $("cases").children[number];
      const [words, sign] = WORDS[state];
      button.className = `${state} ${number === page.number ? "here" : ""}`;
      button.title = `Case ${number + 1}: ${words}`;
      button.textContent = `${number + 1}${sign}`;
    });
  }

  kept({ unsaved, sending, trouble }) {
    const reasons = {
      away: "the program that keeps it does not answer. It stays here and is sent again: leave this page open.",
      folder: "the study's folder cannot be written; tell whoever runs the study. It stays here and is sent again.",
      elsewhere: "this case was opened in another window. Go on there, or load this page anew to go on here.",
      link: "the program was started anew. Open its new link in this tab: what is not saved stays here.",
    };
    const waits = sending ? "Saving…" : "Not saved yet";
    const text = trouble
      ? `NOT SAVED: ${reasons[trouble] ?? `refused (${trouble}).`}`
      : unsaved ? waits : "✓ Saved";
    if ($("kept").textContent !== text) $("kept").textContent = text;
    $("kept").className = trouble ? "warn" : unsaved ? "" : "good";
  }

  // What to do next, in one line.
  #advice(page, drawing, chosen) {
    const { cases, structures } = this.desk;
    const name = this.names[chosen];
    if (page.done) {
      const left = cases.findIndex(({ state }) => state !== "done");
      if (left < 0) return "Finished, and so are all cases. Thank you; you can close this page.";
      return page.number + 1 < cases.length
        ? "This case is finished. N for the next one; D if you want to change it."
        : `This case is finished. Case ${left + 1} is not yet: P goes back. D if you want to change this one.`;
    }
    const { draft } = drawing;
    if (draft && crossings(draft.points, false).length) {
      return "The line crosses itself at the red mark. Backspace takes the last point back.";
    }
    const wrong = drawing.contours.find((contour) => crossings(contour.points).length);
    if (wrong) return `${this.label(wrong.structure)}: the contour crosses itself at the red mark. Move a point, or undo.`;
    if (draft) {
      return draft.points.length < 3
        ? `${this.label(name)}: click on along its edge, or drag.`
        : `${this.label(name)}: click on; Enter, or a click on the first point, closes the line. Esc drops it.`;
    }
    if (!obstacle(drawing, this.names)) {
      return "Every structure is dealt with. Look once more, then finish the case with D.";
    }
    const state = dealtWith(drawing, name);
    if (!state) return `${this.label(name)}: click around its edge, or drag along it. If you cannot see it, press 0.`;
    const next = this.names.findIndex((other) => !dealtWith(drawing, other));
    const said = state === "drawn" ? "is drawn" : "is said not to be seen";
    return `${this.label(name)} ${said}. Next: ${structures[next].label}, ${next + 1} at the right or on the keyboard.`;
  }

  #lay({ label, colour }, index) {
    const item = document.createElement("li");
    item.innerHTML = `<button class="name"><span class="key"></span><span class="text"></span>
      <span class="state"></span></button><button class="small silent">Not seen <kbd>0</kbd></button>
      <span class="more"></span>`;
    item.querySelector(".key").textContent = index + 1;
    item.querySelector(".key").style.background = colour;
    item.querySelector(".text").textContent = label;
    item.querySelector(".name").addEventListener("click", () => this.does.choose(index));
    item.querySelector(".silent").addEventListener("click", () => this.does.notSeen(index));
    $("structures").append(item);
  }

  #structure(name, index, { done, history: { now: drawing } }, chosen) {
    const item = $("structures").children[index];
    const own = drawing.contours.map((contour, i) => [contour, i]).filter(([contour]) => contour.structure === name);
    const wrong = own.some(([contour]) => crossings(contour.points).length);
    const open = drawing.draft?.structure === name;
    const [state, silent, more] = item.querySelectorAll(".state, .silent, .more");
    item.classList.toggle("chosen", chosen);
    item.classList.toggle("several", chosen && !done && own.length > 1);
    item.querySelector(".name").setAttribute("aria-pressed", chosen);
    const dealt = dealtWith(drawing, name);
    const drawn = own.length > 1 ? `drawn (${own.length} contours)` : "drawn";
    state.textContent = open ? "line open" : wrong ? "crosses itself" : dealt === "drawn" ? drawn : dealt || "to do";
    state.className = `state ${open || wrong ? "warn" : dealt ? "dealt" : ""}`;
    silent.setAttribute("aria-pressed", dealt === "not seen");
    silent.hidden = done || dealt === "drawn" || open;
    more.replaceChildren();
    this.does.point(null);
    if (!done && chosen) own.forEach(([, i], piece) => more.append(this.#remover(i, own.length > 1 ? piece + 1 : "")));
  }

  #remover(contour, number) {
    const button = document.createElement("button");
    button.className = "small";
    button.textContent = `Delete ${number}`;
    button.title = "Delete this contour; X deletes the one under the pointer";
    button.addEventListener("click", () => this.does.remove(contour));
    for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => this.does.point(contour));
    for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, () => this.does.point(null));
    return button;
  }
}
