// The way to the server: binary messages in, and for each one drawn its number back.

const RETRY_MS = [300, 700, 1500, 2000];

/** Facts, JPEG and runs of one message. */
export function parsed(buffer) {
  const view = new DataView(buffer);
  const facts = view.getUint32(0, true), jpeg = view.getUint32(4, true);
  return {
    facts: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, facts))),
    jpeg: new Blob([new Uint8Array(buffer, 8 + facts, jpeg)], { type: "image/jpeg" }),
    runs: new Uint32Array(buffer.slice(8 + facts + jpeg)),
  };
}

/** Keeps a socket open while the page can be seen; `take` gets each message, `lost` a reason when there is none. */
export class Link {
  constructor(take, lost) {
    this.take = take;
    this.lost = lost;
    this.tries = 0;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.look());
    this.look();
  }

  /** Its picture, and all before, have been drawn. */
  drawn(number) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(String(number));
  }

  look() {
    if (document.hidden) {
      this.drop();
      this.lost("this page was in the background");
    } else if (!this.socket && !this.timer) {
      this.open();
    }
  }

  drop() {
    clearTimeout(this.timer);
    this.timer = 0;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  open() {
    this.timer = 0;
    const socket = new WebSocket(`ws://${location.host}/feed`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = (event) => {
      this.tries = 0;
      if (socket === this.socket) this.take(event.data);
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.lost("the viewer's server is gone; trying again");
      this.timer = setTimeout(() => this.open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
      this.why();
    };
  }

  /** A server that answers but lets nobody in has a reason. */
  async why() {
    const answer = await fetch("/", { cache: "no-store" }).catch(() => null);
    if (!answer || this.socket?.readyState === WebSocket.OPEN) return;
    if (answer.status === 403) this.lost("this session has ended; open the link that was printed last");
    else if (answer.ok && this.tries > 1) this.lost("all places are taken; trying again");
  }
}
