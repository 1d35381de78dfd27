/** In and out: two handles on the timeline, for mouse and keyboard, and what sets them. */

import { byId, debounced } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{first: number | null, last: number | null}} Ends null = the clip's own */

/** After the last key: each saved range is a step of undo. */
const SAVED_AFTER_MS = 500;
const STEPS = /** @type {Record<string, number>} */ ({
  ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: -10, PageDown: 10,
});

export class Range {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.save = debounced(() => this.keep(), SAVED_AFTER_MS);
    for (const end of /** @type {const} */ (["first", "last"])) {
      const handle = byId(`handle-${end}`);
      handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
        if (event.button) return;
        event.preventDefault();
        handle.focus();
        handle.setPointerCapture(event.pointerId);
      });
      handle.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
        if (handle.hasPointerCapture(event.pointerId)) this.drag(end, app.timeline.indexAt(event));
      });
      handle.addEventListener("pointerup", () => this.keep());
      handle.addEventListener("pointercancel", () => app.store.set({ trim: null }));
      handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        this.press(end, event);
      });
      handle.addEventListener("blur", () => this.keep());
    }
    app.store.on(["project", "trim"], () => this.place());
    new ResizeObserver(() => this.place()).observe(byId("timeline"));
  }

  /** What is set, or being dragged. @returns {Ends} */
  get ends() {
    const { trim, project } = this.app.store.state;
    const { first, last } = trim ?? project.state;
    return { first, last };
  }

  /**
   * Save in and out, as one step of undo.
   * @param {number | null} first
   * @param {number | null} last
   */
  async set(first, last) {
    const { store, api, session } = this.app;
    store.set({ trim: { first, last } });
    const done = await session.edit((revision) =>
      api.json("PATCH", "range", { json: { first, last, revision } }),
    );
    const { project } = store.state;
    const state = { ...project.state, first, last };
    store.set(done ? { trim: null, project: { ...project, state } } : { trim: null });
  }

  /** Save what was dragged. */
  keep() {
    const { trim, project } = this.app.store.state;
    if (!trim) return;
    const { first, last } = project.state;
    if (trim.first === first && trim.last === last) this.app.store.set({ trim: null });
    else this.set(trim.first, trim.last);
  }

  /**
   * Show what one end would be at a frame, which is shown, too.
   * @param {"first" | "last"} end
   * @param {number} index
   */
  drag(end, index) {
    const { store, player } = this.app;
    const { first, last } = store.range;
    const most = store.clip.frames - 1;
    const at = end === "first" ? Math.min(Math.max(index, 0), last) : Math.max(Math.min(index, most), first);
    // the clip's own end is no choice
    const isOwn = at === (end === "first" ? 0 : most);
    store.set({ trim: { ...this.ends, [end]: isOwn ? null : at } });
    player.goto(at);
  }

  /**
   * @param {"first" | "last"} end
   * @param {KeyboardEvent} event
   */
  press(end, event) {
    const { store } = this.app;
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const { frames } = store.clip;
    const here = store.range[end];
    if (key in STEPS) this.drag(end, here + STEPS[key] * (shiftKey ? 10 : 1));
    else if (key === "Home") this.drag(end, 0);
    else if (key === "End") this.drag(end, frames - 1);
    else if (key === "Delete" || key === "Backspace") store.set({ trim: { ...this.ends, [end]: null } });
    else return;
    event.preventDefault();
    this.save();
  }

  place() {
    const { store, timeline } = this.app;
    const { first, last } = store.range;
    const { first: own, last: ownLast } = this.ends;
    const number = store.clip.first_number;
    for (const [end, index, edge, isSet] of /** @type {const} */ ([
      ["first", first, first, own !== null], ["last", last, last + 1, ownLast !== null],
    ])) {
      const handle = byId(`handle-${end}`);
      handle.style.transform = `translateX(${timeline.x(edge, timeline.slider.clientWidth)}px)`;
      handle.dataset.set = String(isSet);
      handle.setAttribute("aria-valuemin", String(number));
      handle.setAttribute("aria-valuemax", String(number + store.clip.frames - 1));
      handle.setAttribute("aria-valuenow", String(number + index));
      handle.setAttribute("aria-valuetext", timeline.text(index));
      handle.title = `${end === "first" ? t("In") : t("Out")}: ${timeline.text(index)}`;
    }
  }
}
