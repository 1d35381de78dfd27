/** What the pointer does in the picture: mark, paint, erase, fill, zoom and pan. */

import { marksFor, simplified } from "./marks.js";
import { allowedIds, around, fill, paintLine } from "./raster.js";
import { t } from "./i18n.js";

/** @typedef {import("./types.js").Marks} Marks */
/** @typedef {import("./types.js").Rect} Rect */
/** @typedef {[number, number]} Pixel */
/** @typedef {{entry: import("./masks.js").Entry, label: string, last: Pixel, changed: boolean,
 *   lines: [Pixel, Pixel][], line: (mask: Uint8Array, from: Pixel, to: Pixel) => Rect | null,
 *   again: (mask: Uint8Array) => void}} Painting */

const MOST_SIZE = 800;

export class Tools {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {HTMLElement} */
    this.stage = app.stage;
    /** @type {Painting | null} */
    this.painting = null;
    /** What is dragged: a box, a stroke or the picture. @type {string} */
    this.drag = "";
    /** @type {[number, number]} */
    this.start = [0, 0];
    /** The last painted point, where a straight line begins. @type {[number, number] | null} */
    this.last = null;
    this.spaceHeld = false;
    this.previewing = false;
    /** @type {AbortController | null} */
    this.asking = null;
    /** @type {[number, number] | null} */
    this.nextPreview = null;

    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.up(event));
    stage.addEventListener("pointerleave", () => {
      app.overlay.pointer = null;
      app.overlay.moveRing();
    });
    // the middle button pans; it would scroll otherwise
    stage.addEventListener("mousedown", (event) => {
      if (event.button === 1) event.preventDefault();
    });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    app.store.on(["shown"], () => {
      this.last = null;
      app.overlay.keyboard = null;
    });
  }

  get busy() {
    return Boolean(this.painting || this.drag);
  }

  /** Whether marks and paint can be made now; says why not. */
  ready() {
    const { store, notices } = this.app;
    const { project, shown, index } = store.state;
    if (project.read_only) {
      notices.tell(t("This project is read-only here: it is open elsewhere."));
      return false;
    }
    if (shown !== index || shown < 0) return false;
    if (store.active?.locked) {
      notices.tell(t("{name} is locked.", { name: store.active.name }));
      return false;
    }
    return true;
  }

  /**
   * The mask to paint on, also where it has not arrived yet and is known to be empty.
   * @param {number} index
   */
  entry(index) {
    const { masks, store, notices } = this.app;
    const known = masks.get(index);
    if (known) return known;
    if (store.hasMask(index)) {
      notices.tell(t("The mask of this frame is still on its way; try again in a moment."));
      return null;
    }
    const { width, height } = store.clip;
    return masks.put(index, new Uint8Array(width * height), { kind: "none" });
  }

  /** @param {PointerEvent} event */
  down(event) {
    const { app } = this;
    if (this.busy) return;
    app.frame.focus({ preventScroll: true });
    app.overlay.keyboard = null;
    const pixel = app.viewport.pixel(event);
    this.capture(event);
    if (event.button === 1 || (event.button === 0 && this.spaceHeld)) {
      event.preventDefault();
      this.drag = "pan";
      return;
    }
    if (event.button > 2) return;
    app.player.pause();
    app.store.set({ following: false });
    const against = event.button === 2 || event.altKey;
    if (app.store.state.tool === "brush" || app.store.state.tool === "eraser") {
      if (event.button === 0) this.beginPaint(pixel, event.shiftKey);
      return;
    }
    this.press(pixel, against);
  }

  /**
   * Keep getting this pointer's events until it is released.
   * @param {PointerEvent} event
   */
  capture(event) {
    try {
      this.stage.setPointerCapture(event.pointerId);
    } catch {
      // a pointer that was made by a script cannot be captured
    }
  }

  /**
   * @param {[number, number]} pixel
   * @param {boolean} against
   */
  press(pixel, against) {
    const { app } = this;
    const { tool } = app.store.state;
    if (!this.ready()) return;
    if (tool === "click" && this.inside(pixel)) this.click(pixel, !against);
    if (tool === "fill" && this.inside(pixel)) this.fillAt(pixel, against);
    if (tool === "box") {
      this.drag = "box";
      this.start = this.clamped(pixel);
    }
    if (tool === "stroke") {
      this.drag = "stroke";
      app.overlay.stroke = { points: [this.clamped(pixel)], object: !against };
    }
    app.session.drawing = this.busy;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { app } = this;
    const { overlay, viewport } = app;
    const pixel = viewport.pixel(event);
    overlay.pointer = pixel;
    if (this.drag === "box" || this.drag === "stroke") overlay.ask();
    else overlay.moveRing();
    if (this.drag === "pan") {
      viewport.pan(event.movementX, event.movementY);
    } else if (this.painting) {
      const all = event.getCoalescedEvents?.() ?? [];
      this.paintTo((all.length ? all : [event]).map((one) => viewport.pixel(one)));
    } else if (this.drag === "box") {
      overlay.box = this.boxTo(pixel);
    } else if (this.drag === "stroke" && overlay.stroke) {
      const [x, y] = this.clamped(pixel);
      const [lx, ly] = overlay.stroke.points[overlay.stroke.points.length - 1];
      if (x !== lx || y !== ly) overlay.stroke.points.push([x, y]);
    } else if (this.previewing) {
      this.preview(pixel);
    }
  }

  /** @param {PointerEvent} event */
  up(event) {
    const { app } = this;
    const { overlay } = app;
    const drag = this.drag;
    this.drag = "";
    if (this.painting) this.endPaint();
    if (drag === "box") {
      const box = this.boxTo(app.viewport.pixel(event));
      overlay.box = null;
      if (event.type === "pointerup" && box[2] > 2 && box[3] > 2) this.box(box);
    }
    if (drag === "stroke" && overlay.stroke) {
      const { points, object } = overlay.stroke;
      overlay.stroke = null;
      if (event.type === "pointerup") this.stroke(points, object);
    }
    overlay.ask();
    if (app.session.drawing) app.session.drawn();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    const { app } = this;
    const delta = event.deltaY || event.deltaX;
    if (event.altKey) {
      this.resize(delta < 0 ? 1 : -1);
      return;
    }
    const box = this.stage.getBoundingClientRect();
    const amount = event.deltaMode === 1 ? delta * 33 : delta;
    app.viewport.zoomTo(
      app.viewport.zoom * Math.exp(-Math.max(-240, Math.min(240, amount)) * 0.0018),
      event.clientX - box.left,
      event.clientY - box.top,
    );
  }

  /**
   * A larger or smaller brush.
   * @param {number} direction
   */
  resize(direction) {
    const { size } = this.app.store.state;
    const next = Math.round(size * (direction > 0 ? 1.15 : 1 / 1.15));
    const changed = next === size ? size + direction : next;
    this.app.store.set({ size: Math.min(MOST_SIZE, Math.max(1, changed)) });
  }

  /** @param {[number, number]} pixel */
  inside([x, y]) {
    const { width, height } = this.app.store.clip;
    return x >= 0 && y >= 0 && x < width && y < height;
  }

  /**
   * @param {[number, number]} pixel
   * @returns {[number, number]}
   */
  clamped([x, y]) {
    const { width, height } = this.app.store.clip;
    return [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  }

  /**
   * @param {[number, number]} pixel
   * @returns {[number, number, number, number]}
   */
  boxTo(pixel) {
    const [x, y] = this.clamped(pixel);
    const [sx, sy] = this.start;
    return [Math.min(x, sx), Math.min(y, sy), Math.abs(x - sx) + 1, Math.abs(y - sy) + 1];
  }

  // painting

  /**
   * @param {[number, number]} pixel
   * @param {boolean} straight from the last point
   */
  beginPaint(pixel, straight) {
    const { app } = this;
    if (!this.ready()) return;
    const { store } = app;
    const { tool, object, over, shown } = store.state;
    const entry = this.entry(shown);
    if (!entry) return;
    if (tool === "brush" && !store.active) {
      app.objects.add().then(() => app.notices.tell(t("An object was added; paint again.")));
      return;
    }
    const erasing = tool === "eraser";
    app.display.setPreview(null);
    app.session.drawing = true;
    /** @type {[[number, number], [number, number]][]} */
    const lines = [];
    const { width, height } = store.clip;
    const { size } = store.state;
    const id = erasing ? 0 : object;
    const allowed = allowedIds(store.objects, object, over, erasing);
    const line = (
      /** @type {Uint8Array} */ mask,
      /** @type {[number, number]} */ from,
      /** @type {[number, number]} */ to,
    ) => paintLine(mask, width, height, from, to, size, id, allowed);
    const painting = {
      entry,
      label: erasing ? "eraser" : "brush",
      last: straight && this.last ? this.last : pixel,
      changed: false,
      lines,
      line,
      again: (/** @type {Uint8Array} */ mask) => {
        for (const [from, to] of lines) line(mask, from, to);
      },
    };
    app.masks.begin(entry, app.session.others, painting.again);
    this.painting = painting;
    this.paintTo([pixel]);
  }

  /** @param {[number, number][]} pixels */
  paintTo(pixels) {
    const painting = this.painting;
    if (!painting) return;
    let changed = null;
    for (const pixel of pixels) {
      changed = around(changed, painting.line(painting.entry.mask, painting.last, pixel));
      painting.lines.push([painting.last, pixel]);
      painting.last = pixel;
    }
    this.last = painting.last;
    if (changed) {
      painting.changed = true;
      this.app.renderer.setMask(painting.entry.mask, changed);
    }
  }

  endPaint() {
    const painting = this.painting;
    this.painting = null;
    if (!painting) return;
    if (painting.changed) this.save(painting.entry, painting.again, painting.label);
    else this.app.masks.end(painting.entry, painting.again);
  }

  /**
   * Send what was painted, on top of what the server has by then.
   * @param {import("./masks.js").Entry} entry
   * @param {(mask: Uint8Array) => void} paint
   * @param {string} label
   */
  save(entry, paint, label) {
    const { api, masks, session } = this.app;
    const { index } = entry;
    entry.kind = "reference";
    session
      .edit(async (revision) => {
        if (entry.seen !== session.others || !entry.saved) {
          entry.saved = await api.mask(index);
          entry.seen = session.others;
        }
        const painted = entry.saved.slice();
        paint(painted);
        const result = await api.putMask(index, painted, label, revision);
        entry.saved = painted;
        return result;
      }, index)
      .finally(() => masks.end(entry, paint));
  }

  /**
   * @param {[number, number]} pixel
   * @param {boolean} erasing
   */
  fillAt(pixel, erasing) {
    const { app } = this;
    const { store } = app;
    const { object, over, shown } = store.state;
    const entry = this.entry(shown);
    if (!entry) return;
    const { width, height } = store.clip;
    const old = entry.mask[pixel[1] * width + pixel[0]];
    const allowed = allowedIds(store.objects, object, over, erasing);
    if (!allowed[old]) {
      app.notices.tell(t("That belongs to another object. Turn on “Over others” to take it."));
      return;
    }
    const filled = entry.mask.slice();
    const part = fill(filled, width, height, pixel, erasing ? 0 : object);
    if (!part) return;
    if (old === 0 && part.w === width && part.h === height) {
      app.notices.tell(t("That is the whole background, no hole. Close its outline first."));
      return;
    }
    const again = (/** @type {Uint8Array} */ mask) => {
      fill(mask, width, height, pixel, erasing ? 0 : object);
    };
    app.masks.begin(entry, app.session.others, again);
    entry.mask.set(filled);
    app.renderer.setMask(entry.mask, part);
    this.save(entry, again, "fill");
  }

  // marks

  /** @returns {Marks} */
  marks() {
    const { marks, shown, object } = this.app.store.state;
    return marksFor(marks, shown, object);
  }

  /**
   * @param {[number, number]} pixel
   * @param {boolean} object
   */
  click([x, y], object) {
    const marks = this.marks();
    marks.clicks.push({ x, y, object });
    return this.send(marks);
  }

  /** @param {[number, number, number, number]} box */
  box(box) {
    const marks = this.marks();
    const [x, y, w, h] = box;
    const within = (/** @type {number} */ px, /** @type {number} */ py) =>
      px >= x && py >= y && px < x + w && py < y + h;
    // an object mark outside of the box would contradict it
    marks.clicks = marks.clicks.filter((click) => within(click.x, click.y));
    marks.strokes = marks.strokes.filter((stroke) =>
      stroke.points.every(([px, py]) => within(px, py)),
    );
    return this.send({ ...marks, box });
  }

  /**
   * @param {[number, number][]} points
   * @param {boolean} object
   */
  stroke(points, object) {
    const marks = this.marks();
    const few = simplified(points, Math.max(1, 1.5 / this.app.viewport.scale));
    marks.strokes.push({ points: few, object });
    return this.send(marks);
  }

  /**
   * Send all marks so far; their mask takes the place of the frame's.
   * @param {Marks} marks
   */
  async send(marks) {
    const { app } = this;
    const { index } = marks;
    if (!app.store.active) {
      await app.objects.add();
      marks.object = app.store.state.object;
    }
    app.display.setPreview(null);
    app.store.set({ marks });
    const { object, clicks, strokes, box } = marks;
    await app.session.edit(async (revision) => {
      const asked = { object, clicks, strokes, box, auto: false, preview: false, revision };
      const { mask, result } = await app.api.postMarks(index, asked);
      app.masks.answered(index, mask);
      const answer = (result.objects ?? []).find(
        (/** @type {{id: number}} */ one) => one.id === object,
      );
      app.store.set({ answer: answer ?? null });
      return result;
    }, index);
  }

  /**
   * Show what a click would give, while a key is held.
   * @param {[number, number] | null} pixel
   */
  async preview(pixel) {
    const { app } = this;
    const { store } = app;
    this.nextPreview = pixel && this.inside(pixel) ? pixel : null;
    if (this.asking || !this.nextPreview || !store.active || store.state.shown < 0) return;
    while (this.nextPreview && this.previewing) {
      const [x, y] = this.nextPreview;
      this.nextPreview = null;
      const { index, object, clicks, strokes, box } = this.marks();
      const asked = {
        object, clicks: [...clicks, { x, y, object: true }], strokes, box, auto: false,
        preview: true, revision: null,
      };
      this.asking = new AbortController();
      try {
        const { mask } = await app.api.postMarks(index, asked, this.asking.signal);
        if (this.previewing && store.state.shown === index) app.display.setPreview(mask);
      } catch (error) {
        this.nextPreview = null;
        app.notices.failed(error);
      } finally {
        this.asking = null;
      }
    }
  }

  /** @param {boolean} on */
  setPreviewing(on) {
    if (on === this.previewing) return;
    this.previewing = on;
    if (on) this.preview(this.app.overlay.pointer);
    else {
      this.asking?.abort();
      this.app.display.setPreview(null);
    }
  }

  // by keyboard

  /**
   * Move the keyboard's cross hair.
   * @param {number} dx screen pixels
   * @param {number} dy
   */
  nudge(dx, dy) {
    const { overlay, viewport, store } = this.app;
    const { width, height } = store.clip;
    const [x, y] = overlay.keyboard ?? [width >> 1, height >> 1];
    const step = 1 / viewport.scale;
    const far = (/** @type {number} */ by) => Math.sign(by) * Math.max(Math.abs(by) * step, 1);
    overlay.keyboard = this.clamped([Math.round(x + (dx && far(dx))), Math.round(y + (dy && far(dy)))]);
    overlay.pointer = null;
    if (this.drag === "box") overlay.box = this.boxTo(overlay.keyboard);
    if (this.drag === "stroke") overlay.stroke?.points.push(overlay.keyboard);
    if (this.painting) this.paintTo([overlay.keyboard]);
    overlay.ask();
  }

  /**
   * Press, or release what is being dragged, at the keyboard's cross hair.
   * @param {boolean} against
   * @param {boolean} straight
   */
  enter(against, straight) {
    const { app } = this;
    const { overlay } = app;
    const at = overlay.keyboard;
    if (!at) {
      this.nudge(0, 0);
      return;
    }
    if (this.drag === "box") {
      this.drag = "";
      const box = this.boxTo(at);
      overlay.box = null;
      if (box[2] > 2 && box[3] > 2) this.box(box);
    } else if (this.drag === "stroke" && overlay.stroke) {
      this.drag = "";
      const { points, object } = overlay.stroke;
      overlay.stroke = null;
      this.stroke(points, object);
    } else if (app.store.state.tool === "brush" || app.store.state.tool === "eraser") {
      this.beginPaint(at, straight);
      this.endPaint();
    } else {
      this.press(at, against);
      return;
    }
    overlay.ask();
    app.session.drawn();
  }

  /** Leave what is being dragged undone. @returns {boolean} whether there was something */
  cancel() {
    const { overlay, session } = this.app;
    if (!this.drag || this.drag === "pan") return false;
    this.drag = "";
    overlay.box = overlay.stroke = null;
    overlay.ask();
    session.drawn();
    return true;
  }
}
