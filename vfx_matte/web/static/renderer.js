/** What a picture and its mask are drawn of, and when; how they are drawn is up to subclasses. */

import { around } from "./raster.js";

/** @typedef {import("./types.js").Rect} Rect */

/** Views that show the picture alone where there is no mask. */
const LINED = new Set(["overlay", "outline"]);

/** Zoom from which pixels get borders. */
export const GRID_FROM = 7;

/**
 * @typedef {Object} Look
 * @property {"source" | import("./state.js").ViewName} view
 * @property {[number, number, number]} behind
 * @property {number} opacity
 * @property {number} wipe
 * @property {number} onion share of the other frame, 0 … 1
 */

/**
 * @typedef {Object} Placement device pixels
 * @property {number} width of the canvas
 * @property {number} height
 * @property {number} x of the picture's upper left corner
 * @property {number} y
 * @property {number} scale device pixels per pixel of the picture
 */

export class Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} width of the clip
   * @param {number} height
   */
  constructor(canvas, width, height) {
    this.canvas = canvas;
    this.width = width;
    this.height = height;
    /** @type {ImageBitmap | null} */
    this.frame = null;
    /** @type {ImageBitmap | null} */
    this.onion = null;
    /** @type {{bitmap: ImageBitmap, rect: Rect} | null} */
    this.crop = null;
    /** @type {Uint8Array | null} */
    this.mask = null;
    /** What the mask is compared with. @type {Uint8Array | null} */
    this.other = null;
    /** @type {Uint8Array} */
    this.palette = new Uint8Array(1024);
    /** @type {Look} */
    this.look = {
      view: "overlay", behind: [64, 64, 64], opacity: 0.5, wipe: 0, onion: 0,
    };
    /** @type {Placement} */
    this.place = { width: 1, height: 1, x: 0, y: 0, scale: 1 };
    /** What is to be drawn anew, device pixels; null = all. @type {Rect | null} */
    this.dirty = null;
    this.asked = 0;
    /** Called after each drawing. @type {() => void} */
    this.drawn = () => {};
    /** The graphics context came back. @type {() => void} */
    this.restored = () => {};
  }

  /** @param {ImageBitmap | null} bitmap */
  setFrame(bitmap) {
    this.frame = bitmap;
    this.ask();
  }

  /** @param {{bitmap: ImageBitmap, rect: Rect} | null} crop the picture's own pixels in a part */
  setCrop(crop) {
    if (this.crop === crop) return;
    this.crop?.bitmap.close();
    this.crop = crop;
    this.ask();
  }

  /** @param {ImageBitmap | null} bitmap another frame that shines through */
  setOnion(bitmap) {
    if (this.onion === bitmap) return;
    this.onion = bitmap;
    this.ask();
  }

  /**
   * @param {Uint8Array | null} mask
   * @param {Rect | null} [part] only this changed
   */
  setMask(mask, part = null) {
    if (!mask && !this.mask) return;
    this.mask = mask;
    this.ask(part);
  }

  /** @param {Uint8Array | null} mask shown on the left of the wipe, in place of the source */
  setOther(mask) {
    if (this.other === mask) return;
    this.other = mask;
    this.ask();
  }

  /** @param {Uint8Array} palette see colors.js */
  setPalette(palette) {
    this.palette = palette;
    this.ask();
  }

  /** @param {Partial<Look>} look */
  setLook(look) {
    Object.assign(this.look, look);
    this.ask();
  }

  /** @param {Placement} place */
  setPlace(place) {
    this.place = place;
    this.ask();
  }

  /** The view; of one that has nothing to show without a mask, the picture alone. */
  get view() {
    const { view } = this.look;
    return this.mask || !LINED.has(view) ? view : /** @type {const} */ ("source");
  }

  /** What is on the left side. @returns {"no" | "source" | "other"} */
  get left() {
    return this.look.wipe === 0 ? "no" : this.other ? "other" : "source";
  }

  /** Whether the picture is as large as on screen: nothing has to be scaled. */
  get isExact() {
    return Math.abs((this.frame?.width ?? 0) - this.width * this.place.scale) < 1;
  }

  /**
   * Draw with the screen's next refresh.
   * @param {Rect | null} [part] only these pixels of the picture changed
   */
  ask(part = null) {
    if (!this.asked) {
      this.dirty = part && this.onCanvas(part);
      this.asked = requestAnimationFrame(() => this.draw());
    } else {
      this.dirty = part && this.dirty && around(this.dirty, this.onCanvas(part));
    }
  }

  /**
   * Where a part of the picture is on the canvas, with room for the line around it.
   * @param {Rect} part
   * @returns {Rect}
   */
  onCanvas({ x, y, w, h }) {
    const { scale, x: left, y: top } = this.place;
    const edge = Math.max(3, 2 * scale);
    const x0 = Math.floor(left + x * scale - edge), y0 = Math.floor(top + y * scale - edge);
    const x1 = Math.ceil(left + (x + w) * scale + edge);
    const y1 = Math.ceil(top + (y + h) * scale + edge);
    return { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
  }

  /** Draw now. */
  draw() {
    cancelAnimationFrame(this.asked);
    this.asked = 0;
    const { width, height } = this.place;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.dirty = null;
    }
    if (this.paint(this.dirty)) this.drawn();
  }

  /**
   * Put it on the canvas.
   * @param {Rect | null} _part only these pixels of the canvas; null = all
   * @returns {boolean} whether there is something to draw with
   */
  paint(_part) {
    return false;
  }
}
