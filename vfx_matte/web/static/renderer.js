/** Draws the picture and its mask with one WebGL2 shader. */

import { around } from "./raster.js";
import { fragment, VERTEX } from "./shader.js";

/** @typedef {import("./types.js").Rect} Rect */
/** @typedef {{program: WebGLProgram, at: Record<string, WebGLUniformLocation | null>}} Version */

/** Views that show the picture alone where there is no mask. */
const LINED = new Set(["overlay", "outline"]);
/** Zoom from which pixels get borders. */
const GRID_FROM = 7;
/** Drivers that have no graphics card. */
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

const UNITS = { uFrame: 0, uCrop: 1, uMask: 2, uPalette: 3, uOnion: 4, uOther: 5 };

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
   * @param {(text: string, hint: string) => HTMLElement | null} say gives the message
   */
  constructor(canvas, width, height, say) {
    this.canvas = canvas;
    this.width = width;
    this.height = height;
    this.say = say;
    /** @type {ImageBitmap | null} */
    this.frame = null;
    /** @type {ImageBitmap | null} */
    this.onion = null;
    /** @type {{bitmap: ImageBitmap, rect: Rect} | null} */
    this.crop = null;
    /** @type {Uint8Array | null} */
    this.mask = null;
    this.empty = new Uint8Array(width * height);
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
    /** The shader's versions, by what they can do. @type {Map<string, Version>} */
    this.versions = new Map();
    /** Masks have every n-th pixel only, where the driver's textures are too small. */
    this.step = 1;
    this.isSoftware = false;
    /** The texture of the mask holds nothing yet. */
    this.isNew = true;
    /** What is to be drawn anew, device pixels; null = all. @type {Rect | null} */
    this.dirty = null;
    this.asked = 0;
    /** Called after each drawing. @type {() => void} */
    this.drawn = () => {};
    /** @type {HTMLElement | null} */
    let lost = null;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.gl = null;
      lost = say("The graphics driver took the picture away.", "It comes back by itself; nothing is lost.");
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.start();
      this.restored();
      lost?.remove();
    });
    this.start();
  }

  /** The graphics context came back. */
  restored() {}

  /** Everything that lives in the graphics context; once more after it was lost. */
  start() {
    const gl = this.canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true,
    });
    /** @type {WebGL2RenderingContext | null} */
    this.gl = gl;
    if (!gl) {
      this.say(
        "This browser gives the page no WebGL2, so no picture can be shown.",
        "Turn on hardware acceleration, or use a current Chrome, Edge, Firefox or Safari.",
      );
      return;
    }
    this.versions.clear();
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    this.isSoftware = Boolean(
      names && SOFTWARE.test(String(gl.getParameter(names.UNMASKED_RENDERER_WEBGL))),
    );
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    for (const [name, unit] of Object.entries(UNITS)) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      const smooth = name === "uFrame" || name === "uOnion" ? gl.LINEAR : gl.NEAREST;
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, smooth);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, smooth);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      if (name !== "uMask" && name !== "uOther") {
        gl.texImage2D(
          gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4),
        );
      }
    }
    // a mask larger than the largest texture is shown by every n-th pixel; the mask itself is whole
    const largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.step = Math.ceil(Math.max(this.width, this.height) / largest);
    if (this.step > 1) {
      this.say(
        `The clip is larger than this graphics driver's ${largest} px: masks look coarser here.`,
        "Masks are painted and saved at full size all the same.",
      );
    }
    const wide = Math.ceil(this.width / this.step), high = Math.ceil(this.height / this.step);
    for (const unit of [UNITS.uMask, UNITS.uOther]) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R8UI, wide, high);
    }
    this.setPalette(this.palette);
    this.setFrame(this.frame);
    this.setCrop(this.crop);
    this.setOnion(this.onion);
    this.isNew = true;
    this.setMask(this.mask);
    this.setOther(this.other);
  }

  /**
   * @param {number} unit
   * @param {ImageBitmap | null} bitmap
   */
  upload(unit, bitmap) {
    const gl = this.gl;
    // a bitmap that its owner closed has no size
    if (!gl || !bitmap || !bitmap.width) return;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  }

  /** @param {ImageBitmap | null} bitmap */
  setFrame(bitmap) {
    this.frame = bitmap;
    this.upload(UNITS.uFrame, bitmap);
    this.ask();
  }

  /** @param {{bitmap: ImageBitmap, rect: Rect} | null} crop the picture's own pixels in a part */
  setCrop(crop) {
    if (this.crop && this.crop !== crop) this.crop.bitmap.close();
    this.crop = crop;
    if (crop) this.upload(UNITS.uCrop, crop.bitmap);
    this.ask();
  }

  /** @param {ImageBitmap | null} bitmap another frame that shines through */
  setOnion(bitmap) {
    this.onion = bitmap;
    this.upload(UNITS.uOnion, bitmap);
    this.ask();
  }

  /**
   * @param {Uint8Array | null} mask
   * @param {Rect | null} [part] only this changed
   */
  setMask(mask, part = null) {
    if (!mask && !this.mask && !this.isNew) return;
    this.mask = mask;
    const gl = this.gl;
    if (!gl) return;
    this.isNew = false;
    gl.activeTexture(gl.TEXTURE0 + UNITS.uMask);
    const ids = mask ?? this.empty;
    if (this.step === 1) this.uploadMask(gl, ids, part);
    else this.uploadCoarse(gl, ids);
    this.ask(part);
  }

  /** @param {Uint8Array | null} mask shown on the left of the wipe, in place of the source */
  setOther(mask) {
    this.other = mask;
    const gl = this.gl;
    if (!gl || !mask) return;
    gl.activeTexture(gl.TEXTURE0 + UNITS.uOther);
    if (this.step === 1) this.uploadMask(gl, mask, null);
    else this.uploadCoarse(gl, mask);
    this.ask();
  }

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {Uint8Array} mask
   * @param {Rect | null} part
   */
  uploadMask(gl, mask, part) {
    const { x, y, w, h } = part ?? { x: 0, y: 0, w: this.width, h: this.height };
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, this.width);
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, x);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, y);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, x, y, w, h, gl.RED_INTEGER, gl.UNSIGNED_BYTE, mask);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, 0);
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, 0);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, 0);
  }

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {Uint8Array} mask
   */
  uploadCoarse(gl, mask) {
    const w = Math.ceil(this.width / this.step), h = Math.ceil(this.height / this.step);
    const coarse = new Uint8Array(w * h);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) coarse[y * w + x] = mask[(y * this.width + x) * this.step];
    }
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, w, h, gl.RED_INTEGER, gl.UNSIGNED_BYTE, coarse);
  }

  /** @param {Uint8Array} palette see colors.js */
  setPalette(palette) {
    this.palette = palette;
    const gl = this.gl;
    if (!gl) return;
    gl.activeTexture(gl.TEXTURE0 + UNITS.uPalette);
    const { TEXTURE_2D, RGBA, UNSIGNED_BYTE } = gl;
    const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (palette);
    gl.texImage2D(TEXTURE_2D, 0, RGBA, 256, 1, 0, RGBA, UNSIGNED_BYTE, bytes);
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

  /**
   * The shader for what is shown now, ready to draw.
   * @param {WebGL2RenderingContext} gl
   */
  version(gl) {
    const { view, wipe, onion } = this.look;
    const { scale } = this.place;
    const features = {
      view: this.mask || !LINED.has(view) ? view : /** @type {const} */ ("source"),
      crop: Boolean(this.crop),
      onion: Boolean(this.onion) && onion > 0,
      wipe: /** @type {import("./shader.js").Features["wipe"]} */ (
        wipe === 0 ? "no" : this.other ? "other" : "source"
      ),
      grid: scale >= GRID_FROM,
      smooth: scale < 1 && !this.isSoftware,
    };
    const key = JSON.stringify(features);
    let made = this.versions.get(key);
    if (!made) {
      made = build(gl, fragment(features));
      this.versions.set(key, made);
    }
    gl.useProgram(made.program);
    return made;
  }

  draw() {
    cancelAnimationFrame(this.asked);
    this.asked = 0;
    const gl = this.gl;
    if (!gl) return;
    const { width, height, x, y, scale } = this.place;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.dirty = null;
    }
    gl.viewport(0, 0, width, height);
    const part = this.dirty;
    if (part) {
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(part.x, height - part.y - part.h, part.w, part.h);
    }
    if (this.frame) {
      const { at } = this.version(gl);
      const { behind, opacity, wipe, onion } = this.look;
      // a picture that is as large as on screen needs no scaling
      const exact = Math.abs(this.frame.width - this.width * scale) < 1;
      const filter = exact ? gl.NEAREST : gl.LINEAR;
      gl.activeTexture(gl.TEXTURE0 + UNITS.uFrame);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
      gl.uniform2f(at.uSize, this.width, this.height);
      gl.uniform2f(at.uCanvas, width, height);
      gl.uniform2f(at.uOrigin, x, y);
      gl.uniform1f(at.uScale, scale);
      gl.uniform3f(at.uBehind, behind[0] / 255, behind[1] / 255, behind[2] / 255);
      gl.uniform1f(at.uOpacity, opacity);
      gl.uniform1f(at.uWipe, wipe);
      gl.uniform1f(at.uOnionShare, onion);
      const rect = this.crop?.rect ?? { x: 0, y: 0, w: 0, h: 0 };
      gl.uniform4f(at.uCropRect, rect.x, rect.y, rect.w, rect.h);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    } else {
      gl.clearColor(0.055, 0.058, 0.062, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
    }
    if (part) gl.disable(gl.SCISSOR_TEST);
    this.drawn();
  }
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {string} text of the fragment shader
 * @returns {Version}
 */
function build(gl, text) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {const} */ ([
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, text],
  ])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getShaderInfoLog(shader) ?? "the shader does not compile");
    }
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  /** @type {Record<string, WebGLUniformLocation | null>} */
  const at = {};
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
  for (let i = 0; i < count; i++) {
    const info = gl.getActiveUniform(program, i);
    if (info) at[info.name] = gl.getUniformLocation(program, info.name);
  }
  for (const [name, unit] of Object.entries(UNITS)) if (at[name]) gl.uniform1i(at[name], unit);
  return { program, at };
}
