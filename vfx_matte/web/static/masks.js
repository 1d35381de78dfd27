/** Masks of frames: bytes of ids at full size, fetched once and asked again when they may differ. */

const MOST_BYTES = 160e6;

/**
 * @typedef {Object} Entry
 * @property {number} index
 * @property {Uint8Array} mask
 * @property {string} kind "reference", "propagated" or "none"
 * @property {string} etag
 * @property {boolean} stale the server may have another one
 * @property {number} unsaved edits that are on their way
 * @property {((mask: Uint8Array) => void)[]} pending what was painted and is not saved, in order
 * @property {Uint8Array | null} saved the server's mask below what is pending
 * @property {number} seen how many other edits `saved` takes in, see `Session.others`
 */

export class Masks {
  /**
   * @param {import("./client.js").Api} api
   * @param {number} width
   * @param {number} height
   */
  constructor(api, width, height) {
    this.api = api;
    this.width = width;
    this.height = height;
    /** @type {Map<number, Entry>} in the order of their last use */
    this.kept = new Map();
    /** @type {Map<number, Promise<Entry>>} */
    this.loading = new Map();
    /** How often each frame's mask was said to be another one; -1 = all. */
    this.ages = new Map([[-1, 0]]);
    /** @type {(entry: Entry) => void} */
    this.arrived = () => {};
  }

  /**
   * What is known now, perhaps stale.
   * @param {number} index
   */
  get(index) {
    const entry = this.kept.get(index);
    if (entry) {
      this.kept.delete(index);
      this.kept.set(index, entry);
    }
    return entry;
  }

  /**
   * The frame's mask, from the server where needed.
   * @param {number} index
   * @returns {Promise<Entry>}
   */
  async load(index) {
    const known = this.kept.get(index);
    if (known && (!known.stale || known.unsaved)) return known;
    const running = this.loading.get(index);
    if (running) return running;
    const work = this.fetch(index, known).finally(() => this.loading.delete(index));
    this.loading.set(index, work);
    return work;
  }

  /**
   * @param {number} index
   * @param {Entry | undefined} known
   * @returns {Promise<Entry>}
   */
  async fetch(index, known) {
    /** @type {Record<string, string>} */
    const headers = known?.etag ? { "If-None-Match": known.etag } : {};
    const age = this.age(index);
    if (known) known.stale = false;
    try {
      const response = await this.api.send("GET", `frames/${index}/mask`, { headers });
      const same = response.status === 304;
      const mask = same && known ? known.mask : new Uint8Array(await response.arrayBuffer());
      // another one was made while this one was on its way
      if (age !== this.age(index)) return this.fetch(index, this.kept.get(index));
      if (same && known) return known;
      if (mask.length !== this.width * this.height) throw new Error("a mask of another size");
      // what was painted in the meantime is newer
      const now = this.kept.get(index);
      if (now?.unsaved) return now;
      return this.put(index, mask, {
        kind: response.headers.get("X-Mask-Kind") ?? "none",
        etag: response.headers.get("ETag") ?? "",
      });
    } catch (error) {
      if (known) known.stale = true;
      throw error;
    }
  }

  /** @param {number} index */
  age(index) {
    return `${this.ages.get(index) ?? 0} ${this.ages.get(-1)}`;
  }

  /**
   * Keep a mask and tell who shows it.
   * @param {number} index
   * @param {Uint8Array} mask
   * @param {{kind: string, etag?: string, stale?: boolean}} facts
   * @returns {Entry}
   */
  put(index, mask, { kind, etag = "", stale = false }) {
    const known = this.kept.get(index);
    /** @type {Entry} */
    const entry = known ?? {
      index, mask, kind, etag, stale, unsaved: 0, pending: [], saved: null, seen: 0,
    };
    Object.assign(entry, { mask, kind, etag, stale });
    this.kept.delete(index);
    this.kept.set(index, entry);
    const room = Math.max(4, Math.floor(MOST_BYTES / mask.length));
    for (const [other, { unsaved }] of this.kept) {
      if (this.kept.size <= room) break;
      if (!unsaved && other !== index) this.kept.delete(other);
    }
    this.arrived(entry);
    return entry;
  }

  /**
   * Something is about to be painted: keep what the server has.
   * @param {Entry} entry
   * @param {number} others see `Session.others`
   * @param {(mask: Uint8Array) => void} paint repeats all that was painted so far
   */
  begin(entry, others, paint) {
    entry.unsaved += 1;
    if (!entry.saved) {
      entry.saved = entry.mask.slice();
      entry.seen = others;
    }
    entry.pending.push(paint);
  }

  /**
   * It is saved, or was refused.
   * @param {Entry} entry
   * @param {(mask: Uint8Array) => void} paint
   */
  end(entry, paint) {
    entry.unsaved -= 1;
    entry.pending = entry.pending.filter((one) => one !== paint);
    if (!entry.unsaved) entry.saved = null;
  }

  /**
   * The server made a mask; what was painted meanwhile goes on top.
   * @param {number} index
   * @param {Uint8Array} mask
   */
  answered(index, mask) {
    const entry = this.kept.get(index);
    if (!entry?.unsaved) {
      this.put(index, mask, { kind: "reference" });
      return;
    }
    entry.saved = mask;
    const painted = mask.slice();
    for (const paint of entry.pending) paint(painted);
    this.put(index, painted, { kind: "reference" });
  }

  /**
   * Ask the server again before showing it next time.
   * @param {number} [index] all, when left out
   */
  expire(index) {
    const key = index ?? -1;
    this.ages.set(key, (this.ages.get(key) ?? 0) + 1);
    for (const entry of this.kept.values()) {
      if (index === undefined || entry.index === index) entry.stale = true;
    }
  }

  /**
   * Forget what was painted and not saved.
   * @param {number} index
   */
  drop(index) {
    this.kept.delete(index);
  }
}
