/** Brings the wanted frame and its mask to the screen. */

import { paletteOf, rgb } from "./colors.js";
import { debounced } from "./dom.js";
import { pictureWidth } from "./frames.js";

/** While a window is being resized, pictures of the size before are shown. */
const RESIZED_AFTER_MS = 250;
const MOST_KEPT_BYTES = 80e6;
const SHARP_AFTER_MS = 120;

/**
 * The mask to draw; none where it is known to be empty, which is quicker.
 * @param {import("./masks.js").Entry | undefined} entry
 */
function visible(entry) {
  return entry && (entry.kind !== "none" || entry.unsaved) ? entry.mask : null;
}

export class Display {
  /**
   * @param {import("./state.js").Store} store
   * @param {import("./frames.js").Frames} frames
   * @param {import("./masks.js").Masks} masks
   * @param {import("./renderer.js").Renderer} renderer
   * @param {import("./viewport.js").Viewport} viewport
   * @param {import("./client.js").Api} api
   * @param {import("./notices.js").Notices} notices
   * @param {HTMLElement} frame the element named "Frame"
   */
  constructor(store, frames, masks, renderer, viewport, api, notices, frame) {
    this.store = store;
    this.frames = frames;
    this.masks = masks;
    this.renderer = renderer;
    this.viewport = viewport;
    this.api = api;
    this.notices = notices;
    this.frame = frame;
    this.sharpTimer = 0;
    this.resized = debounced(() => this.chooseWidth(), RESIZED_AFTER_MS);
    /** @type {AbortController | null} */
    this.sharpening = null;
    /** A mask that is only looked at, in place of the frame's own. @type {Uint8Array | null} */
    this.preview = null;
    /** Masks as they were when they were kept, by frame. @type {Map<number, Uint8Array>} */
    this.versions = new Map();
    /** Called after each new frame or place. @type {() => void} */
    this.moved = () => {};

    this.chooseWidth();
    frames.arrived = (arrived) => {
      const { index, speed } = store.state;
      if (speed) return;
      // while scrubbing, frames on the way there are shown too
      const urgent = arrived.index === index || !frames.kept.has(index);
      if (urgent && Math.abs(arrived.index - index) <= Math.abs(store.state.shown - index)) {
        this.show(arrived.index);
      }
    };
    frames.refused = (error) => notices.failed(error);
    masks.arrived = (entry) => {
      if (entry.index === store.state.shown && !this.preview) renderer.setMask(visible(entry));
    };
    store.on(["index"], ({ index, speed }) => {
      if (speed) return;
      frames.want(index);
      if (frames.kept.has(index)) this.show(index);
    });
    store.on(["project", "solo"], ({ project, solo }) => {
      renderer.setPalette(paletteOf(project.state.objects, solo));
    });
    store.on(
      ["view", "behind", "opacity", "source", "wipe", "onion"],
      ({ view, behind, opacity, source, wipe, onion }) => {
        renderer.setLook({
          view: source ? "source" : view,
          behind: rgb(behind),
          opacity,
          wipe: source ? 0 : wipe,
          onion: onion && !source ? 0.5 : 0,
        });
        this.layOnion();
      },
    );
  }

  /**
   * Put a frame that is there on screen.
   * @param {number} index
   */
  show(index) {
    const frame = this.frames.get(index);
    if (!frame) return;
    this.preview = null;
    this.renderer.setCrop(null);
    this.renderer.setFrame(frame.bitmap);
    const { answer, shown } = this.store.state;
    this.store.set({ shown: index, answer: shown === index ? answer : null });
    this.frame.dataset.index = String(index);
    this.frame.dataset.pts = String(frame.pts);
    this.layMask();
    this.layOnion();
    this.sharpen();
    this.moved();
  }

  /** The shown frame's mask: what is known at once, then what the server has. */
  layMask() {
    const { shown, speed } = this.store.state;
    if (shown < 0) return;
    const known = this.masks.get(shown);
    this.renderer.setMask(visible(known));
    this.renderer.setOther(this.versions.get(shown) ?? null);
    // nothing is asked about frames that are known to have none
    if (!this.store.hasMask(shown) && (speed || !known)) return;
    this.masks.load(shown).catch((error) => this.notices.failed(error));
  }

  /** Keep the masks that are at hand, to compare later ones with; or let them go. */
  keepVersion() {
    if (this.versions.size) this.versions.clear();
    else {
      const room = Math.max(1, Math.floor(MOST_KEPT_BYTES / (this.masks.width * this.masks.height)));
      for (const [index, { mask }] of [...this.masks.kept].slice(-room)) {
        this.versions.set(index, mask.slice());
      }
    }
    const kept = this.versions.size > 0;
    this.store.set({ kept, wipe: kept ? this.store.state.wipe || 0.5 : 0 });
    this.renderer.setOther(this.versions.get(this.store.state.shown) ?? null);
  }

  layOnion() {
    const { onion, shown } = this.store.state;
    const before = onion ? this.frames.get(shown - 1) : undefined;
    this.renderer.setOnion(before?.bitmap ?? null);
  }

  /** @param {Uint8Array | null} mask shown until the next frame, edit or null */
  setPreview(mask) {
    this.preview = mask;
    this.renderer.setMask(mask ?? visible(this.masks.get(this.store.state.shown)));
  }

  /** The stage or the zoom changed. */
  place() {
    const { viewport, frame } = this;
    const { ratio, covered } = viewport;
    Object.assign(frame.style, {
      left: `${covered.x}px`,
      top: `${covered.y}px`,
      width: `${covered.w}px`,
      height: `${covered.h}px`,
    });
    // for those who look from outside: where the picture's pixels are in the element
    frame.dataset.zoom = viewport.scale.toFixed(6);
    frame.dataset.x = (viewport.x - covered.x).toFixed(3);
    frame.dataset.y = (viewport.y - covered.y).toFixed(3);
    this.renderer.setPlace({
      width: Math.round(covered.w * ratio),
      height: Math.round(covered.h * ratio),
      x: (viewport.x - covered.x) * ratio,
      y: (viewport.y - covered.y) * ratio,
      scale: viewport.zoom,
    });
    this.resized();
    this.sharpen();
    this.moved();
  }

  /** Fetch pictures as large as the fitted picture is on screen, and no larger. */
  chooseWidth() {
    const { viewport, store } = this;
    if (!viewport.fitted) return;
    this.frames.setWidth(pictureWidth(store.clip.width, viewport.zoom));
  }

  /** Fetch the picture's own pixels where the proxy's are too few. */
  sharpen() {
    clearTimeout(this.sharpTimer);
    this.sharpening?.abort();
    const { speed } = this.store.state;
    const enough = this.frames.width >= this.viewport.width * this.viewport.zoom * 0.99;
    if (speed || (enough && this.viewport.zoom < 1)) return;
    this.sharpTimer = window.setTimeout(() => this.fetchCrop(), SHARP_AFTER_MS);
  }

  async fetchCrop() {
    const { shown } = this.store.state;
    const rect = this.viewport.visible;
    if (shown < 0 || !rect.w || !rect.h) return;
    const have = this.renderer.crop?.rect;
    if (have && have.x <= rect.x && have.y <= rect.y && have.x + have.w >= rect.x + rect.w &&
        have.y + have.h >= rect.y + rect.h) return;
    const abort = new AbortController();
    this.sharpening = abort;
    try {
      const { x, y, w, h } = rect;
      const response = await this.api.send("GET", `frames/${shown}/crop`, {
        query: { x, y, w, h }, signal: abort.signal,
      });
      const bitmap = await createImageBitmap(await response.blob(), {
        colorSpaceConversion: "none", premultiplyAlpha: "none",
      });
      if (abort.signal.aborted || this.store.state.shown !== shown) bitmap.close();
      else this.renderer.setCrop({ bitmap, rect });
    } catch (error) {
      this.notices.failed(error);
    }
  }
}
