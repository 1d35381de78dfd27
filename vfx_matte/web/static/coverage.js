/** How much of the picture each object covers, counted from masks that come by or are fetched. */

const SPARSE = 11;
const MOST_FETCHED = 200;
const SEEN_EVERY = 12;
const IDLE_AFTER_MS = 1500;
const REST_MS = 30;

export class Coverage {
  /**
   * @param {import("./app.js").App} app
   * @param {() => void} changed
   */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    /** Share of the picture, by object, by frame. @type {Map<number, Map<number, number>>} */
    this.shares = new Map();
    /** Frames that were counted since masks were made anew. @type {Set<number>} */
    this.fresh = new Set();
    /** Of a long clip only some frames are fetched. */
    this.stride = Math.ceil(app.store.clip.frames / MOST_FETCHED);
    /** For how many frames a count stands: while masks are made, some of them come by. */
    this.reach = Math.max(this.stride, SEEN_EVERY);
    this.made = "";
    this.timer = 0;
    app.store.on(["project", "speed"], () => this.later());
  }

  /**
   * Count what a mask covers; one pixel of some is enough.
   * @param {number} index
   * @param {Uint8Array} mask
   */
  count(index, mask) {
    const counts = new Uint32Array(256);
    for (let at = 0; at < mask.length; at += SPARSE) counts[mask[at]]++;
    const shares = new Map();
    for (let id = 1; id < 256; id++) {
      if (counts[id]) shares.set(id, (counts[id] * SPARSE) / mask.length);
    }
    this.shares.set(index, shares);
    this.fresh.add(index);
    this.changed();
  }

  /**
   * @param {number} id
   * @returns {[number, number][]} frame and share, 0 where it is not, in order
   */
  of(id) {
    /** @type {[number, number][]} */
    const found = [...this.shares].map(([index, shares]) => [index, shares.get(id) ?? 0]);
    return found.sort((a, b) => a[0] - b[0]);
  }

  /** Fetch what is missing when nothing else has been going on for a while. */
  later() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.fetchMissing(), IDLE_AFTER_MS);
  }

  async fetchMissing() {
    const { store, api } = this.app;
    const { masks, jobs } = store.state.project;
    const ended = jobs.filter(({ kind, state }) => kind === "propagate" && state !== "running");
    const made = JSON.stringify([masks.done, ended.length]);
    if (made !== this.made) {
      this.made = made;
      this.fresh.clear();
      for (const index of this.shares.keys()) if (!store.hasMask(index)) this.shares.delete(index);
      this.changed();
    }
    const { timer, stride } = this;
    for (const [start, stop] of masks.done) {
      for (let index = Math.ceil(start / stride) * stride; index < stop; index += stride) {
        // another change, or work that needs the machine
        if (timer !== this.timer || store.state.speed || this.app.work?.running.length) return;
        if (this.fresh.has(index)) continue;
        try {
          this.count(index, await api.mask(index));
        } catch {
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
      }
    }
  }
}
