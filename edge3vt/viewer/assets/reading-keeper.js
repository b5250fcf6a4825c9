// Sends every change to the program that keeps it, and says what is not kept yet. What is not kept stays here, also
// over a reload of the page, and is sent again until it is.

const HOLD_MS = 150; // changes this close together are sent as one
const AGAIN_MS = [500, 1000, 2000, 4000];
const ANSWER_MS = 12000;

export class Keeper {
  // said(state): {unsaved: number of cases, sending, trouble: "", "away", "folder", "elsewhere", "link", or what the
  // server refused}
  constructor(title, said) {
    this.title = title;
    this.said = said;
    this.pen = crypto.randomUUID();
    this.waiting = new Map(); // number of the case -> {id, drawing, quiet}
    this.stuck = new Map(); // number of the case -> why sending it again would not help
    this.failures = 0;
    this.failure = ""; // "away" or "folder": sending it again may help
    this.timer = null;
    this.sending = false;
    this.#say();
  }

  // Keep the drawing of a case. quiet: only its time has changed.
  put(number, id, drawing, quiet = false) {
    const before = this.waiting.get(number);
    this.waiting.set(number, { id, drawing, quiet: quiet && (!before || before.quiet) });
    this.stuck.delete(number);
    this.#beside(id, JSON.stringify(drawing));
    if (this.failures === 0) this.#in(HOLD_MS);
    this.#say();
  }

  // What is not kept yet of a case, by this page or one before it; null for nothing. To be asked before the server is:
  // while the answer comes, it may be kept.
  left(number, id) {
    if (this.waiting.has(number)) return this.waiting.get(number).drawing;
    try {
      return JSON.parse(sessionStorage.getItem(this.#name(id)));
    } catch {
      return null;
    }
  }

  // The drawing to go on from: what was left, unless what was saved is newer, which another window has seen to.
  newest(number, id, left, saved) {
    if (left && (!saved || left.seconds >= saved.seconds)) return left;
    this.waiting.delete(number);
    this.stuck.delete(number);
    this.#beside(id, null);
    this.#say();
    return saved;
  }

  // The numbers of the cases of which something was left over.
  leftOver(cases) {
    try {
      return cases.flatMap(({ id }, number) => (sessionStorage.getItem(this.#name(id)) === null ? [] : [number]));
    } catch {
      return [];
    }
  }

  // Send what waits without waiting for more.
  flush() {
    if (this.waiting.size) this.#in(0);
  }

  get unsaved() {
    return [...this.waiting.values()].filter((kept) => !kept.quiet).length;
  }

  #in(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#send(), ms);
  }

  async #send() {
    const next = [...this.waiting].find(([number]) => !this.stuck.has(number));
    if (this.sending || !next) return;
    const [number, kept] = next;
    this.sending = true;
    this.#say();
    const status = await this.#post(number, kept.drawing);
    this.sending = false;
    if (status === "kept") {
      this.failures = 0;
      if (this.waiting.get(number) === kept) {
        this.waiting.delete(number);
        this.#beside(kept.id, null);
      }
    } else if (status === "away" || status === "folder") {
      this.failures += 1;
      this.failure = status;
    } else {
      this.failures = 0;
      if (this.waiting.get(number) === kept) this.stuck.set(number, status);
    }
    this.#in(this.failures ? AGAIN_MS[Math.min(this.failures, AGAIN_MS.length) - 1] : 0);
    this.#say();
  }

  async #post(number, drawing) {
    try {
      const answer = await fetch(`/case/${number}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Edge3vt": "1" },
        body: JSON.stringify({ pen: this.pen, drawing }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      if (answer.ok) return "kept";
      if (answer.status === 409) return "elsewhere";
      if (answer.status === 403) return "link";
      if (answer.status === 400) return (await answer.json()).error;
      if (answer.status === 413) return "the drawing is too large";
      return answer.status === 503 ? "folder" : "away";
    } catch {
      return "away";
    }
  }

  #say() {
    const trouble = this.failures ? this.failure : [...this.stuck.values()][0] || "";
    this.said({ unsaved: this.unsaved, sending: this.sending, trouble });
  }

  #beside(id, text) {
    try {
      if (text === null) sessionStorage.removeItem(this.#name(id));
      else sessionStorage.setItem(this.#name(id), text);
    } catch {
      // no place beside the page: what waits is still in memory
    }
  }

  #name(id) {
    return `edge3vt reading ${this.title} ${id}`;
  }
}
