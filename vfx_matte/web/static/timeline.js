/** The timeline: lanes of what is known about each frame, and the playhead. */

import { bright } from "./colors.js";
import { Coverage } from "./coverage.js";
import { byId, paced } from "./dom.js";
import { t } from "./i18n.js";
import { timeText } from "./state.js";

const RULER = 18;
const LANE = 9;
const MOST_LANES = 4;
const CONFIDENCE = 26;
/** Masks come many at a time while playing. */
const COUNTED_AFTER_MS = 800;

export class Timeline {
  /**
   * @param {HTMLElement} slider
   * @param {import("./app.js").App} app
   */
  constructor(slider, app) {
    this.slider = slider;
    this.app = app;
    this.canvas = /** @type {HTMLCanvasElement} */ (slider.querySelector("canvas"));
    // drawn seldom and with many small lines, which a graphics card is slower at
    this.context = /** @type {CanvasRenderingContext2D} */ (
      this.canvas.getContext("2d", { willReadFrequently: true })
    );
    this.width = this.height = 0;
    this.asked = 0;
    this.counted = paced(() => this.ask(), COUNTED_AFTER_MS);
    this.coverage = new Coverage(app, this.counted);
    const { store } = app;
    const { frames, first_number: number } = store.clip;
    slider.setAttribute("aria-valuemin", String(number));
    slider.setAttribute("aria-valuemax", String(number + frames - 1));
    store.on(["index", "speed"], ({ index, speed }) => {
      this.movePlayhead();
      if (speed) return;
      slider.setAttribute("aria-valuenow", String(store.number(index)));
      slider.setAttribute("aria-valuetext", this.text(index));
    });
    store.on(["project", "problems", "suggested", "object", "solo", "trim"], () => this.ask());
    new ResizeObserver(() => this.resized()).observe(slider);
    slider.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      slider.setPointerCapture(event.pointerId);
      app.player.goto(this.indexAt(event));
    });
    slider.addEventListener("pointermove", (event) => {
      if (slider.hasPointerCapture(event.pointerId)) app.player.goto(this.indexAt(event));
    });
  }

  /** @param {number} index */
  text(index) {
    const { store } = this.app;
    const values = { number: store.number(index), time: timeText(store.seconds(index)) };
    return t("frame {number}, {time}", values);
  }

  /** @param {PointerEvent} event */
  indexAt(event) {
    const box = this.slider.getBoundingClientRect();
    const { frames } = this.app.store.clip;
    const index = Math.floor(((event.clientX - box.left) / box.width) * frames);
    return Math.min(Math.max(index, 0), frames - 1);
  }

  /**
   * A mask came by.
   * @param {import("./masks.js").Entry} entry
   */
  seen({ index, mask, kind }) {
    if (kind === "none") this.coverage.shares.delete(index);
    else this.coverage.count(index, mask);
  }

  /** Draw with the screen's next refresh. */
  ask() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  resized() {
    this.width = this.slider.clientWidth;
    this.height = this.slider.clientHeight;
    this.ask();
    this.movePlayhead();
  }

  draw() {
    const { canvas, width: w, height: h, context } = this;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(w * ratio), high = Math.round(h * ratio);
    if (!wide || !high) return;
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawLanes(w, h);
  }

  /** An element of its own, so that nothing is drawn anew as it moves. */
  movePlayhead() {
    const { width: w } = this;
    const { index } = this.app.store.state;
    const wide = this.x(1, w);
    byId("playhead").style.transform = `translateX(${Math.round(this.x(index + 0.5, w))}px)`;
    Object.assign(byId("present").style, {
      width: `${wide > 3 ? wide : 0}px`, transform: `translateX(${this.x(index, w)}px)`,
    });
  }

  /**
   * @param {number} w
   * @param {number} h
   */
  drawLanes(w, h) {
    const { context: c } = this;
    c.fillStyle = "#17181b";
    c.fillRect(0, 0, w, h);
    this.ruler(w, h);
    const bottom = this.lanes(w, RULER + 6);
    this.confidence(w, bottom + 3, Math.max(10, h - bottom - 7));
    this.findings(w, h);
    this.cuts(w, h);
    this.references(w);
    this.range(w, h);
  }

  /**
   * The left border of a frame.
   * @param {number} index
   * @param {number} w
   */
  x(index, w) {
    return (index / this.app.store.clip.frames) * w;
  }

  /**
   * @param {number} w
   * @param {number} h
   */
  ruler(w, h) {
    const { context: c } = this;
    const { store } = this.app;
    const { frames } = store.clip;
    c.fillStyle = "#232529";
    c.fillRect(0, 0, w, RULER);
    const room = (frames * 78) / w;
    const power = 10 ** Math.floor(Math.log10(Math.max(room, 1)));
    const step = Math.max(1, ([1, 2, 5, 10].find((one) => one * power >= room) ?? 10) * power);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    const first = Math.ceil(store.number(0) / step) * step;
    for (let number = first; number < store.number(frames); number += step) {
      const x = Math.round(this.x(number - store.number(0), w)) + 0.5;
      c.fillStyle = "#3a3d43";
      c.fillRect(x, RULER - 6, 1, h);
      c.fillStyle = "#b4b8bf";
      if (x < w - 30) c.fillText(String(number), x + 4, RULER / 2);
    }
  }

  /**
   * Where masks are, and how much each object covers.
   * @param {number} w
   * @param {number} top
   * @returns {number} where the lanes end
   */
  lanes(w, top) {
    const { context: c } = this;
    const { store } = this.app;
    const { done, coverage: told } = store.state.project.masks;
    c.fillStyle = "#5b8a72";
    for (const [start, stop] of done) {
      c.fillRect(this.x(start, w), RULER, Math.max(1, this.x(stop - start, w)), 3);
    }
    const objects = store.objects.slice(0, MOST_LANES);
    for (const [lane, { id, color, hidden }] of objects.entries()) {
      const y = top + lane * (LANE + 2);
      c.fillStyle = "#1f2125";
      c.fillRect(0, y, w, LANE);
      c.fillStyle = bright(color);
      c.globalAlpha = hidden ? 0.35 : 1;
      const shares = told?.[String(id)] ? series(told[String(id)]) : this.coverage.of(id);
      this.bars(shares, w, y, LANE);
      c.globalAlpha = 1;
    }
    return top + Math.max(1, objects.length) * (LANE + 2);
  }

  /**
   * Bars as high as the share is of the largest one.
   * @param {[number, number][]} shares
   * @param {number} w
   * @param {number} y
   * @param {number} height
   */
  bars(shares, w, y, height) {
    let most = 0;
    for (const [, share] of shares) most = Math.max(most, share);
    const { store } = this.app;
    const one = w / store.clip.frames;
    for (const [at, [index, share]] of shares.entries()) {
      // not every frame was counted; a bar reaches to the next one that was near it, as far as masks go
      const next = shares[at + 1]?.[0] ?? store.clip.frames;
      const run = store.state.project.masks.done.find(([from, to]) => from <= index && index < to);
      const known = Math.min(next, run ? run[1] : index + 1, index + this.coverage.reach);
      const gap = Math.max(1, known - index);
      const wide = Math.max(1, one * gap + 0.3);
      const high = Math.max(1, (share / most) * height);
      if (share > 0) this.context.fillRect(this.x(index, w), y + height - high, wide, high);
    }
  }

  /**
   * @param {number} w
   * @param {number} top
   * @param {number} height
   */
  confidence(w, top, height) {
    const { context: c } = this;
    const { store } = this.app;
    const high = Math.min(height, CONFIDENCE + 16);
    c.fillStyle = "#1f2125";
    c.fillRect(0, top, w, high);
    c.font = "10px system-ui, sans-serif";
    c.fillStyle = "#7e848d";
    if (high > 24) c.fillText(t("confidence"), 5, top + high - 7);
    for (const { id, color } of store.objects) {
      const runs = store.state.project.masks.confidence?.[String(id)];
      if (!runs) continue;
      c.strokeStyle = bright(color);
      c.lineWidth = id === store.state.object ? 1.75 : 1;
      for (const [start, values] of runs) {
        c.beginPath();
        let drawing = false;
        for (const [offset, value] of values.entries()) {
          const x = this.x(start + offset + 0.5, w);
          const y = top + (1 - value / 100) * (high - 3) + 1.5;
          // -1 = nothing is known of this frame
          if (value >= 0 && drawing) c.lineTo(x, y);
          else if (value >= 0) c.moveTo(x, y);
          drawing = value >= 0;
        }
        c.stroke();
      }
    }
  }

  /**
   * @param {number} w
   * @param {number} h
   */
  findings(w, h) {
    const { context: c } = this;
    const { problems, suggested } = this.app.store.state;
    for (const [found, color] of /** @type {const} */ ([
      [problems, "#ff6b57"],
      [suggested, "#63a9ff"],
    ])) {
      c.fillStyle = color;
      for (const { index } of found ?? []) {
        const x = this.x(index + 0.5, w);
        c.beginPath();
        c.moveTo(x - 4, h);
        c.lineTo(x + 4, h);
        c.lineTo(x, h - 7);
        c.fill();
      }
    }
  }

  /**
   * @param {number} w
   * @param {number} h
   */
  cuts(w, h) {
    const { context: c } = this;
    c.fillStyle = "#e9b34a";
    for (const cut of this.app.store.state.project.cuts ?? []) {
      const x = Math.round(this.x(cut, w));
      for (let y = RULER; y < h; y += 6) c.fillRect(x, y, 1.5, 4);
    }
  }

  /** @param {number} w */
  references(w) {
    const { context: c } = this;
    for (const { index, enabled } of this.app.store.state.project.state.references) {
      const x = this.x(index + 0.5, w), y = RULER + 1;
      c.beginPath();
      c.moveTo(x, y - 6);
      c.lineTo(x + 6, y);
      c.lineTo(x, y + 6);
      c.lineTo(x - 6, y);
      c.closePath();
      c.fillStyle = enabled ? "#ffffff" : "#17181b";
      c.fill();
      c.lineWidth = 1.5;
      c.strokeStyle = enabled ? "#17181b" : "#9da2aa";
      c.stroke();
    }
  }

  /**
   * @param {number} w
   * @param {number} h
   */
  range(w, h) {
    const { context: c } = this;
    const { first, last } = this.app.store.range;
    c.fillStyle = "#0b0c0ea8";
    c.fillRect(0, 0, this.x(first, w), h);
    c.fillRect(this.x(last + 1, w), 0, w, h);
    c.fillStyle = "#d7dae0";
    const left = this.x(first, w), right = this.x(last + 1, w);
    const ends = this.app.range.ends;
    if (ends.first !== null) {
      c.fillRect(left, 0, 2, h);
      c.fillRect(left, 0, 7, 2);
      c.fillRect(left, h - 2, 7, 2);
    }
    if (ends.last !== null) {
      c.fillRect(right - 2, 0, 2, h);
      c.fillRect(right - 7, 0, 7, 2);
      c.fillRect(right - 7, h - 2, 7, 2);
    }
  }
}

/**
 * Runs of values as pairs of frame and value.
 * @param {[number, number[]][]} runs
 * @returns {[number, number][]}
 */
function series(runs) {
  return runs.flatMap(([start, values]) =>
    values.map((value, offset) => /** @type {[number, number]} */ ([start + offset, value])),
  );
}
