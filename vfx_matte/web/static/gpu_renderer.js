/** Draws the picture and its mask on the graphics card, with one WebGL2 shader. */

import { GRID_FROM, Renderer } from "./renderer.js";
import { fragment, VERTEX } from "./shader.js";

/** @typedef {import("./types.js").Rect} Rect */
/** @typedef {{program: WebGLProgram, at: Record<string, WebGLUniformLocation | null>}} Version */

const UNITS = { uFrame: 0, uCrop: 1, uMask: 2, uPalette: 3, uOnion: 4, uOther: 5 };

/** Drivers that have no graphics card; the processor is faster on its own than by playing one. */
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

/**
 * A context of a canvas for `GpuRenderer`; null where there is no graphics card.
 * @param {HTMLCanvasElement} canvas can have no other context after this
 */
export function gpuContext(canvas) {
  const gl = canvas.getContext("webgl2", {
    alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true,
    failIfMajorPerformanceCaveat: true,
  });
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  // some browsers give what they were asked not to give
  const isSoftware = names && SOFTWARE.test(String(gl?.getParameter(names.UNMASKED_RENDERER_WEBGL)));
  return isSoftware ? null : gl;
}

export class GpuRenderer extends Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {WebGL2RenderingContext} gl its context
   * @param {number} width of the clip
   * @param {number} height
   * @param {(text: string, hint: string) => HTMLElement | null} say gives the message
   */
  constructor(canvas, gl, width, height, say) {
    super(canvas, width, height);
    /** Null while it is lost. @type {WebGL2RenderingContext | null} */
    this.gl = gl;
    this.say = say;
    this.empty = new Uint8Array(width * height);
    /** The shader's versions, by what they can do. @type {Map<string, Version>} */
    this.versions = new Map();
    /** Masks have every n-th pixel only, where the driver's textures are too small. */
    this.step = 1;
    /** The texture of the mask holds nothing yet. */
    this.isNew = true;
    /** @type {HTMLElement | null} */
    let lost = null;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.gl = null;
      lost = say("The graphics driver took the picture away.", "It comes back by itself; nothing is lost.");
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.gl = gl;
      this.start(gl);
      this.restored();
      lost?.remove();
    });
    this.start(gl);
  }

  /**
   * Everything that lives in the graphics context; once more after it was lost.
   * @param {WebGL2RenderingContext} gl
   */
  start(gl) {
    this.versions.clear();
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
    super.setFrame(bitmap);
    this.upload(UNITS.uFrame, bitmap);
  }

  /** @param {{bitmap: ImageBitmap, rect: Rect} | null} crop */
  setCrop(crop) {
    super.setCrop(crop);
    if (crop) this.upload(UNITS.uCrop, crop.bitmap);
  }

  /** @param {ImageBitmap | null} bitmap */
  setOnion(bitmap) {
    super.setOnion(bitmap);
    this.upload(UNITS.uOnion, bitmap);
  }

  /**
   * @param {Uint8Array | null} mask
   * @param {Rect | null} [part]
   */
  setMask(mask, part = null) {
    if (!mask && !this.mask && !this.isNew) return;
    super.setMask(mask, part);
    if (!this.gl) return;
    this.isNew = false;
    this.uploadMask(this.gl, UNITS.uMask, mask ?? this.empty, part);
  }

  /** @param {Uint8Array | null} mask */
  setOther(mask) {
    super.setOther(mask);
    if (this.gl && mask) this.uploadMask(this.gl, UNITS.uOther, mask, null);
  }

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {number} unit
   * @param {Uint8Array} mask
   * @param {Rect | null} part
   */
  uploadMask(gl, unit, mask, part) {
    gl.activeTexture(gl.TEXTURE0 + unit);
    if (this.step > 1) {
      this.uploadCoarse(gl, mask);
      return;
    }
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
    super.setPalette(palette);
    const gl = this.gl;
    if (!gl) return;
    gl.activeTexture(gl.TEXTURE0 + UNITS.uPalette);
    const { TEXTURE_2D, RGBA, UNSIGNED_BYTE } = gl;
    const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (palette);
    gl.texImage2D(TEXTURE_2D, 0, RGBA, 256, 1, 0, RGBA, UNSIGNED_BYTE, bytes);
  }

  /**
   * The shader for what is shown now, ready to draw.
   * @param {WebGL2RenderingContext} gl
   */
  version(gl) {
    const { scale } = this.place;
    const features = {
      view: this.view,
      crop: Boolean(this.crop),
      onion: Boolean(this.onion) && this.look.onion > 0,
      wipe: this.left,
      grid: scale >= GRID_FROM,
      smooth: scale < 1,
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

  /** @param {Rect | null} part */
  paint(part) {
    const { gl } = this;
    if (!gl) return false;
    const { width, height, x, y, scale } = this.place;
    gl.viewport(0, 0, width, height);
    if (part) {
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(part.x, height - part.y - part.h, part.w, part.h);
    }
    if (this.frame) {
      const { at } = this.version(gl);
      const { behind, opacity, wipe, onion } = this.look;
      // a picture that is as large as on screen needs no scaling
      const filter = this.isExact ? gl.NEAREST : gl.LINEAR;
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
    return true;
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
