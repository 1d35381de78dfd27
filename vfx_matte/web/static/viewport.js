/** Where the picture is in its stage: zoom, pan, and the way between both kinds of pixels. */

const MARGIN = 12;
const LARGEST = 16;
/** The pixel scale that counts as "800 %" and its like. */
const STEPS = [0.05, 0.1, 0.125, 0.25, 0.333, 0.5, 0.667, 1, 1.5, 2, 3, 4, 6, 8, 12, 16];

/**
 * The scale at which a whole picture fits into its stage.
 * @param {HTMLElement} stage
 * @param {{width: number, height: number}} picture
 */
export function fittedScale({ clientWidth, clientHeight }, { width, height }) {
  const room = Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height);
  return Math.max(0.01, room);
}

export class Viewport {
  /**
   * @param {HTMLElement} stage
   * @param {number} width of the clip
   * @param {number} height
   * @param {() => void} changed
   */
  constructor(stage, width, height, changed) {
    this.stage = stage;
    this.width = width;
    this.height = height;
    this.changed = changed;
    this.fitted = true;
    /** CSS pixels. */
    this.stageSize = { w: 0, h: 0 };
    /** CSS pixels per pixel of the picture. */
    this.scale = 1;
    /** CSS pixels of the picture's corner in the stage. */
    this.x = 0;
    this.y = 0;
    new ResizeObserver(() => this.resized()).observe(stage);
    this.resized();
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  /** Device pixels per pixel of the picture; 1 = 100 %. */
  get zoom() {
    return this.scale * this.ratio;
  }

  resized() {
    // kept, as asking the document for it lays out the page each time
    this.stageSize = { w: this.stage.clientWidth, h: this.stage.clientHeight };
    if (this.fitted) this.fit();
    else this.settle();
  }

  /** The whole picture, as large as the stage allows. */
  fit() {
    const { w, h } = this.stageSize;
    this.fitted = true;
    this.scale = fittedScale(this.stage, this);
    this.x = Math.round((w - this.width * this.scale) / 2);
    this.y = Math.round((h - this.height * this.scale) / 2);
    this.changed();
  }

  /**
   * Change the zoom and keep the point under the pointer.
   * @param {number} zoom device pixels per pixel
   * @param {number} [x] CSS pixels in the stage
   * @param {number} [y]
   */
  zoomTo(zoom, x = this.stageSize.w / 2, y = this.stageSize.h / 2) {
    const scale = Math.min(Math.max(zoom, 0.02), LARGEST) / this.ratio;
    const [px, py] = [(x - this.x) / this.scale, (y - this.y) / this.scale];
    this.fitted = false;
    this.scale = scale;
    this.x = x - px * scale;
    this.y = y - py * scale;
    this.settle();
  }

  /**
   * The next larger or smaller round zoom.
   * @param {number} direction
   */
  step(direction) {
    const zoom = this.zoom;
    const next =
      direction > 0
        ? STEPS.find((step) => step > zoom * 1.01)
        : STEPS.findLast((step) => step < zoom * 0.99);
    if (next) this.zoomTo(next);
  }

  /**
   * @param {number} dx CSS pixels
   * @param {number} dy
   */
  pan(dx, dy) {
    this.fitted = false;
    this.x += dx;
    this.y += dy;
    this.settle();
  }

  /** Keep some of the picture in sight, and its pixels on the screen's. */
  settle() {
    const { w, h } = this.stageSize;
    const keep = 60;
    this.x = Math.min(Math.max(this.x, keep - this.width * this.scale), w - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height * this.scale), h - keep);
    this.x = Math.round(this.x * this.ratio) / this.ratio;
    this.y = Math.round(this.y * this.ratio) / this.ratio;
    this.changed();
  }

  /** The part of the stage that the picture covers, CSS pixels. */
  get covered() {
    const { w, h } = this.stageSize;
    const x = Math.max(0, Math.floor(this.x)), y = Math.max(0, Math.floor(this.y));
    const right = Math.min(w, Math.ceil(this.x + this.width * this.scale));
    const bottom = Math.min(h, Math.ceil(this.y + this.height * this.scale));
    return { x, y, w: Math.max(1, right - x), h: Math.max(1, bottom - y) };
  }

  /** The part of the picture that is in sight, whole pixels. */
  get visible() {
    const { w, h } = this.stageSize;
    const x = Math.max(0, Math.floor(-this.x / this.scale));
    const y = Math.max(0, Math.floor(-this.y / this.scale));
    const right = Math.min(this.width, Math.ceil((w - this.x) / this.scale));
    const bottom = Math.min(this.height, Math.ceil((h - this.y) / this.scale));
    return { x, y, w: Math.max(0, right - x), h: Math.max(0, bottom - y) };
  }

  /**
   * The picture's pixel under a pointer; may lie outside of the picture.
   * @param {{clientX: number, clientY: number}} event
   * @returns {[number, number]}
   */
  pixel(event) {
    const box = this.stage.getBoundingClientRect();
    return [
      Math.floor((event.clientX - box.left - this.x) / this.scale),
      Math.floor((event.clientY - box.top - this.y) / this.scale),
    ];
  }
}
