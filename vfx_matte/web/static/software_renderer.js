/** Draws the picture and its mask on the processor, where there is no graphics card. */

import { GRID_FROM, Renderer } from "./renderer.js";

/** @typedef {import("./types.js").Rect} Rect */

const LINED = new Set(["overlay", "outline"]);
const EMPTY = [14, 15, 16];
/** Side of a square of the checkerboard, and its two greys. */
const SQUARE = 10;
const GREYS = [76.5, 107.1];
const GRID_SHARE = 0.25;

/**
 * Every pixel's look is that of the shader in shader.js; only masks that are shown smaller than
 * they are have no smooth borders, as four samples would take four times as long.
 */
export class SoftwareRenderer extends Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} width of the clip
   * @param {number} height
   */
  constructor(canvas, width, height) {
    super(canvas, width, height);
    // kept by the processor, which writes it: no other copy of it has to be made
    this.context = /** @type {CanvasRenderingContext2D} */ (
      canvas.getContext("2d", { alpha: false, willReadFrequently: true })
    );
    // a copy, as bitmaps are closed by their owner
    this.source = /** @type {OffscreenCanvasRenderingContext2D} */ (
      new OffscreenCanvas(1, 1).getContext("2d", { alpha: false, willReadFrequently: true })
    );
    /** What masks are where there is none: one row that stands for all. */
    this.nothing = new Uint8Array(width);
    /** Of the rows at hand, by column of the canvas: the id there, to the right and below. */
    this.ids = new Uint8Array(0);
    this.right = new Uint8Array(0);
    this.below = new Uint8Array(0);
  }

  /** @param {ImageBitmap | null} bitmap */
  setFrame(bitmap) {
    super.setFrame(bitmap);
    if (!bitmap?.width) return;
    const { canvas } = this.source;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    this.source.drawImage(bitmap, 0, 0);
  }

  get isExact() {
    return Math.abs(this.source.canvas.width - this.width * this.place.scale) < 1;
  }

  /** @param {Rect | null} part */
  paint(part) {
    const { context: c, place } = this;
    const x0 = Math.max(0, part?.x ?? 0), y0 = Math.max(0, part?.y ?? 0);
    const x1 = part ? Math.min(place.width, part.x + part.w) : place.width;
    const y1 = part ? Math.min(place.height, part.y + part.h) : place.height;
    const area = { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
    if (area.w <= 0 || area.h <= 0) return true;
    if (!this.frame) {
      c.fillStyle = `rgb(${EMPTY})`;
      c.fillRect(x0, y0, area.w, area.h);
      return true;
    }
    c.save();
    c.beginPath();
    c.rect(x0, y0, area.w, area.h);
    c.clip();
    this.drawPicture();
    c.restore();
    const { view, left } = this;
    if (view === "source" && left === "no" && place.scale < GRID_FROM) return true;
    const image = c.getImageData(x0, y0, area.w, area.h);
    this.lay(image.data, area);
    c.putImageData(image, x0, y0);
    return true;
  }

  /** The picture without its mask. */
  drawPicture() {
    const { context: c, crop, onion } = this;
    const { x, y, scale } = this.place;
    this.drawFitted(this.source.canvas);
    if (onion?.width && this.look.onion > 0) {
      c.globalAlpha = this.look.onion;
      this.drawFitted(onion);
      c.globalAlpha = 1;
    }
    if (crop) {
      const { rect, bitmap } = crop;
      c.imageSmoothingEnabled = false;
      c.drawImage(bitmap, x + rect.x * scale, y + rect.y * scale, rect.w * scale, rect.h * scale);
    }
  }

  /**
   * Draw a picture of the whole frame to its place.
   * @param {OffscreenCanvas | ImageBitmap} picture
   */
  drawFitted(picture) {
    const { context: c } = this;
    const { width, height, scale } = this.place;
    const { width: w, height: h } = picture;
    const isExact = Math.abs(w - this.width * scale) < 1;
    const x = isExact ? Math.round(this.place.x) : this.place.x;
    const y = isExact ? Math.round(this.place.y) : this.place.y;
    c.imageSmoothingEnabled = !isExact;
    if (!isExact) {
      // up to whole pixels of the screen, as half a pixel at the border would be half black
      const right = Math.ceil(x + this.width * scale), bottom = Math.ceil(y + this.height * scale);
      c.drawImage(picture, x, y, right - x, bottom - y);
      return;
    }
    // what lacks of the last column or row by rounding looks as the one before
    if (x + w < width) c.drawImage(picture, w - 1, 0, 1, h, x + w, y, 1, h);
    if (y + h < height) c.drawImage(picture, 0, h - 1, w, 1, x, y + h, w, 1);
    c.drawImage(picture, x, y);
  }

  /**
   * Lay mask, wipe and grid over the picture.
   * @param {Uint8ClampedArray} data RGBA of the area
   * @param {Rect} area of the canvas
   */
  lay(data, area) {
    const { view, left, look } = this;
    const { x: originX, y: originY, scale } = this.place;
    const { w, h } = area;
    if (this.ids.length < w) {
      this.ids = new Uint8Array(w);
      this.right = new Uint8Array(w);
      this.below = new Uint8Array(w);
    }
    // 1. the picture's column of each column of the canvas, and how many lie left of the wipe
    const reach = Math.max(1.6 / scale, 1);
    const points = Float64Array.from({ length: w }, (_, at) => (area.x + at + 0.5 - originX) / scale);
    const column = (/** @type {number} */ point) =>
      Math.min(this.width - 1, Math.max(0, Math.floor(point)));
    const columns = Int32Array.from(points, column);
    const columnsRight = Int32Array.from(points, (point) => column(point + reach));
    const wipe = look.wipe * this.width;
    const wiped = points.findLastIndex((point) => point < wipe) + 1;
    const wipedRight = points.findLastIndex((point) => point + reach < wipe) + 1;
    const begin = left === "source" ? wiped : 0;
    const colors = colorsOf(this.palette);
    const mask = this.mask ?? this.nothing;
    for (let row = 0; row < h; row++) {
      const point = (area.y + row + 0.5 - originY) / scale;
      const at = this.rowOf(point), atBelow = this.rowOf(point + reach);
      const pixels = data.subarray(4 * row * w, 4 * (row + 1) * w);
      // 2. the ids of this row
      if (view !== "source") {
        const from = this.mask ? at * this.width : 0;
        const fromBelow = this.mask ? atBelow * this.width : 0;
        const isLined = LINED.has(view);
        gather(this.ids, mask, from, columns, begin, w);
        if (isLined) {
          gather(this.right, mask, from, columnsRight, begin, w);
          gather(this.below, mask, fromBelow, columns, begin, w);
        }
        if (left === "other" && this.other) {
          gather(this.ids, this.other, at * this.width, columns, 0, wiped);
          if (isLined) {
            gather(this.right, this.other, at * this.width, columnsRight, 0, wipedRight);
            gather(this.below, this.other, atBelow * this.width, columns, 0, wiped);
          }
        }
        // 3. their look
        if (view === "overlay") this.line(pixels, colors, look.opacity, 0.9, begin, w);
        else if (view === "outline") this.line(pixels, colors, 0, 1, begin, w);
        else if (view === "alpha") this.matte(pixels, colors, begin, w);
        else this.ground(pixels, colors, area.x, area.y + row, begin, w);
      }
      // 4. what lies above all
      if (left !== "no") border(pixels, points, wipe, scale);
      if (scale >= GRID_FROM) grid(pixels, points, point, scale);
    }
  }

  /** @param {number} point of the picture, down */
  rowOf(point) {
    return Math.min(this.height - 1, Math.max(0, Math.floor(point)));
  }

  /**
   * Objects in their colour, with a line round them.
   * @param {Uint8ClampedArray} pixels of one row
   * @param {Float32Array} colors as of `colorsOf`
   * @param {number} opacity
   * @param {number} lineOpacity
   * @param {number} begin
   * @param {number} end
   */
  line(pixels, colors, opacity, lineOpacity, begin, end) {
    const { ids, right, below } = this;
    for (let x = begin, p = 4 * begin; x < end; x++, p += 4) {
      const id = ids[x], beside = right[x], under = below[x];
      if (!(id | beside | under)) continue;
      const most = 8 * Math.max(id, beside, under);
      const shown = colors[most + 3];
      let r = pixels[p], g = pixels[p + 1], b = pixels[p + 2];
      if (id) {
        const share = shown * opacity;
        r += (colors[most] - r) * share;
        g += (colors[most + 1] - g) * share;
        b += (colors[most + 2] - b) * share;
      }
      if (id !== beside || id !== under) {
        const share = shown * lineOpacity;
        r += (colors[most + 4] - r) * share;
        g += (colors[most + 5] - g) * share;
        b += (colors[most + 6] - b) * share;
      }
      pixels[p] = r;
      pixels[p + 1] = g;
      pixels[p + 2] = b;
    }
  }

  /**
   * White where an object is shown.
   * @param {Uint8ClampedArray} pixels of one row
   * @param {Float32Array} colors as of `colorsOf`
   * @param {number} begin
   * @param {number} end
   */
  matte(pixels, colors, begin, end) {
    for (let x = begin, p = 4 * begin; x < end; x++, p += 4) {
      pixels[p] = pixels[p + 1] = pixels[p + 2] = 255 * colors[8 * this.ids[x] + 3];
    }
  }

  /**
   * Objects before something else.
   * @param {Uint8ClampedArray} pixels of one row
   * @param {Float32Array} colors as of `colorsOf`
   * @param {number} left the row's first column on the canvas
   * @param {number} y
   * @param {number} begin
   * @param {number} end
   */
  ground(pixels, colors, left, y, begin, end) {
    const { view } = this;
    const isChecker = view === "checker";
    let [r, g, b] = view === "green" ? [0, 255, 0] : this.look.behind;
    const down = Math.floor((y + 0.5) / SQUARE);
    for (let x = begin, p = 4 * begin; x < end; x++, p += 4) {
      const shown = colors[8 * this.ids[x] + 3];
      if (shown === 1) continue;
      if (isChecker) r = g = b = GREYS[(Math.floor((left + x + 0.5) / SQUARE) + down) & 1];
      pixels[p] = r + (pixels[p] - r) * shown;
      pixels[p + 1] = g + (pixels[p + 1] - g) * shown;
      pixels[p + 2] = b + (pixels[p + 2] - b) * shown;
    }
  }
}

/**
 * Eight numbers for each id: its colour and whether it is shown, 0 or 1; and the colour of its
 * line, which is bright, because dark colours are hard to see as a line.
 * @param {Uint8Array} palette
 */
function colorsOf(palette) {
  const colors = new Float32Array(256 * 8);
  for (let id = 0; id < 256; id++) {
    const [r, g, b, shown] = palette.subarray(4 * id, 4 * id + 4);
    const brightest = Math.max(0.25, Math.max(r, g, b) / 255);
    colors.set([r, g, b, shown / 255, r / brightest, g / brightest, b / brightest], 8 * id);
  }
  return colors;
}

/**
 * @param {Uint8Array} into
 * @param {Uint8Array} mask
 * @param {number} row where the row begins in the mask
 * @param {Int32Array} columns
 * @param {number} begin
 * @param {number} end
 */
function gather(into, mask, row, columns, begin, end) {
  for (let x = begin; x < end; x++) into[x] = mask[row + columns[x]];
}

/**
 * A white line at the wipe.
 * @param {Uint8ClampedArray} pixels of one row
 * @param {Float64Array} points of the picture, across
 * @param {number} wipe
 * @param {number} scale
 */
function border(pixels, points, wipe, scale) {
  const at = points.findIndex((point) => point > wipe - 1 / scale);
  for (let x = at; x >= 0 && x < points.length && points[x] < wipe + 1 / scale; x++) {
    pixels.fill(255, 4 * x, 4 * x + 4);
  }
}

/**
 * Borders of pixels.
 * @param {Uint8ClampedArray} pixels of one row
 * @param {Float64Array} points of the picture, across
 * @param {number} down point of the picture
 * @param {number} scale
 */
function grid(pixels, points, down, scale) {
  const isRow = (down - Math.floor(down)) * scale < 1;
  for (let x = 0, p = 0; x < points.length; x++, p += 4) {
    if (!isRow && (points[x] - Math.floor(points[x])) * scale >= 1) continue;
    for (let part = p; part < p + 3; part++) pixels[part] += (127.5 - pixels[part]) * GRID_SHARE;
  }
}
