/** Pictures of the clip: fetched newest first, kept while there is room. */

import { ApiError } from "./client.js";

const MOST_FRAMES = 120;
const MOST_BYTES = 300e6;
const IDLE_AHEAD = 15;
const PLAY_AHEAD = 24;
/** The server takes the newest of those that wait first: a third one would have it go back. */
const PLAY_AT_ONCE = 2;
/** A request that takes longer than this makes way for a newer one. */
const PATIENCE_MS = 250;

const LARGEST_PROXY = 2560;

/**
 * How wide a picture is fetched: exactly as on screen, so that nothing has to be scaled.
 * @param {number} width of the clip
 * @param {number} zoom device pixels per pixel of the clip
 */
export function pictureWidth(width, zoom) {
  return Math.max(64, Math.min(width, LARGEST_PROXY, Math.round(width * zoom)));
}

/** @typedef {{index: number, bitmap: ImageBitmap, pts: number, bytes: number}} Frame */

export class Frames {
  /**
   * @param {import("./client.js").Api} api
   * @param {import("./types.js").Clip} clip
   * @param {import("./early.js").EarlyFrame | null} early a picture that was asked for before
   */
  constructor(api, clip, early) {
    this.api = api;
    // times that had to be mended may begin with another frame than it seemed
    const { opening } = early ?? {};
    this.early = !opening || opening.pts === clip.pts[0] ? early : null;
    this.count = clip.frames;
    this.clip = clip.id;
    this.width = 1280;
    /** @type {Map<number, Frame>} in the order of their last use */
    this.kept = new Map();
    this.bytes = 0;
    this.wanted = -1;
    this.direction = 1;
    this.playing = false;
    /** Nothing else needs the machine: frames nearby may be fetched ahead. */
    this.idle = true;
    /** How long a request takes, ms. */
    this.latency = 30;
    /** Requests on their way, by frame.
     * @type {Map<number, {since: number, abort: AbortController, urgent: boolean}>} */
    this.flying = new Map();
    /** @type {Set<number>} frames that failed; not tried again ahead of time */
    this.failed = new Set();
    /** @type {(frame: Frame) => void} */
    this.arrived = () => {};
    /** @type {(error: ApiError, index: number) => void} */
    this.refused = () => {};
  }

  /**
   * Ask for pictures of this width from now on.
   * @param {number} width
   */
  setWidth(width) {
    if (width === this.width) return;
    this.width = width;
    for (const { abort } of this.flying.values()) abort.abort();
    this.flying.clear();
    for (const frame of this.kept.values()) frame.bitmap.close();
    this.kept.clear();
    this.bytes = 0;
    if (this.wanted >= 0) this.pump();
  }

  /**
   * A frame that was seen already.
   * @param {number} index
   */
  get(index) {
    const frame = this.kept.get(index);
    if (frame) {
      this.kept.delete(index);
      this.kept.set(index, frame);
    }
    return frame;
  }

  /**
   * This frame is wanted before all others.
   * @param {number} index
   */
  want(index) {
    if (index !== this.wanted) this.direction = index > this.wanted ? 1 : -1;
    this.wanted = index;
    this.failed.delete(index);
    if (!this.kept.has(index) && !this.flying.has(index)) {
      for (const [other, { since, abort, urgent }] of this.flying) {
        // a frame on the way there may still come, so that scrubbing shows something
        if (urgent && performance.now() - since < PATIENCE_MS) continue;
        abort.abort();
        this.flying.delete(other);
      }
    }
    this.pump();
  }

  /** Fetch the next frames of use: one after another, or a few at a time while playing. */
  pump() {
    while (this.flying.size < (this.playing ? PLAY_AT_ONCE : 1)) {
      const index = this.next();
      if (index === null) return;
      this.start(index);
    }
  }

  /** @param {number} index */
  start(index) {
    const abort = new AbortController();
    const flight = { since: performance.now(), abort, urgent: index === this.wanted };
    this.flying.set(index, flight);
    this.fetch(index, abort.signal)
      .then((frame) => frame && this.arrived(frame))
      .catch((error) => {
        if (!(error instanceof ApiError) || error.superseded) return;
        this.failed.add(index);
        if (index === this.wanted) this.refused(error, index);
      })
      .finally(() => {
        if (this.flying.get(index) !== flight) return;
        this.flying.delete(index);
        // a short rest keeps a server that refuses from being asked without end
        window.setTimeout(() => this.pump(), this.failed.has(index) ? 200 : 0);
      });
  }

  next() {
    const useful = (/** @type {number} */ index) =>
      !this.kept.has(index) && !this.failed.has(index) && !this.flying.has(index);
    if (useful(this.wanted)) return this.wanted;
    if (!this.idle && !this.playing) return null;
    const ahead = this.playing ? PLAY_AHEAD : IDLE_AHEAD;
    const steps = [];
    for (let step = 1; step <= ahead; step++) {
      steps.push(this.direction * step);
      if (!this.playing && step <= 5) steps.push(-this.direction * step);
    }
    for (const step of steps) {
      const index = this.wanted + step;
      if (index < 0 || index >= this.count) continue;
      if (useful(index)) return index;
    }
    return null;
  }

  /**
   * @param {number} index
   * @param {AbortSignal} signal
   * @returns {Promise<Frame | null>}
   */
  async fetch(index, signal) {
    const width = this.width;
    const since = performance.now();
    const early = this.early;
    this.early = null;
    const response = await (early?.index === index && early.width === width
      ? early.response
      : this.api.send("GET", `frames/${index}`, {
        // with the clip in the address the browser may keep it too
        query: { width, clip: this.clip },
        cache: "default",
        signal,
      }));
    const told = response.headers.get("X-Frame-Index");
    const pts = Number(response.headers.get("X-Frame-Pts"));
    const bitmap = await createImageBitmap(await response.blob(), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    this.latency += 0.2 * (performance.now() - since - this.latency);
    if (width !== this.width || signal.aborted) {
      bitmap.close();
      return null;
    }
    // the server's word on which frame this is counts
    const frame = {
      index: told === null ? index : Number(told),
      bitmap,
      pts,
      bytes: bitmap.width * bitmap.height * 4,
    };
    this.keep(frame);
    return frame;
  }

  /** @param {Frame} frame */
  keep(frame) {
    const old = this.kept.get(frame.index);
    if (old) {
      this.bytes -= old.bytes;
      old.bitmap.close();
      this.kept.delete(frame.index);
    }
    this.kept.set(frame.index, frame);
    this.bytes += frame.bytes;
    for (const [index, { bitmap, bytes }] of this.kept) {
      if (this.kept.size <= MOST_FRAMES && this.bytes <= MOST_BYTES) break;
      if (index === this.wanted || index === frame.index) continue;
      this.kept.delete(index);
      this.bytes -= bytes;
      bitmap.close();
    }
  }
}
