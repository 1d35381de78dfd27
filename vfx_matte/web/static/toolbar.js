/** Buttons and fields around the picture. */

import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { VIEWS, timeText } from "./state.js";

/** While playing. */
const NUMBERS_EVERY_MS = 200;

export class Toolbar {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.tools();
    this.edits();
    this.transport();
    this.views();
    this.facts();
    // a click on a button leaves the focus, and with it Space and Enter, where it was
    document.addEventListener("mousedown", (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (target.closest?.("#app button:not(.name)")) event.preventDefault();
    });
    this.returnFocus();
  }

  /** After a list, slider or box was used with the mouse, keys are the picture's again. */
  returnFocus() {
    let byPointer = false;
    window.addEventListener("pointerdown", () => (byPointer = true), true);
    window.addEventListener("keydown", () => (byPointer = false), true);
    byId("app").addEventListener("change", (/** @type {Event} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      const isField = target.matches("select, [type=range], [type=checkbox], [type=color]");
      if (byPointer && isField) this.app.frame.focus({ preventScroll: true });
    });
  }

  tools() {
    const { store } = this.app;
    /** @type {NodeListOf<HTMLElement>} */
    const buttons = document.querySelectorAll("[data-tool]");
    for (const button of buttons) {
      const tool = /** @type {any} */ (button.dataset.tool);
      button.addEventListener("click", () => store.set({ tool }));
    }
    store.on(["tool"], ({ tool }) => {
      for (const button of buttons) {
        button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
      }
      this.app.stage.dataset.tool = tool;
      byId("paint-options").dataset.on = String(tool === "brush" || tool === "eraser");
      byId("tool-hint").textContent = t(HINTS[tool]);
    });
    const size = byId("size");
    size.addEventListener("input", () => store.set({ size: Number(size.value) }));
    store.on(["size"], (state) => {
      size.value = String(state.size);
      byId("size-value").textContent = `${state.size} px`;
    });
    const over = byId("over");
    over.addEventListener("change", () => store.set({ over: over.checked }));
    store.on(["over"], (state) => (over.checked = state.over));
  }

  edits() {
    const { store, api, session } = this.app;
    for (const way of /** @type {const} */ (["undo", "redo"])) {
      const button = byId(way);
      button.addEventListener("click", () => {
        if (this.app.tools.busy) return;
        this.travel(way);
      });
      store.on(["project"], ({ project }) => {
        button.disabled = project[way] === null;
        button.title = project[way] ? `${t(way === "undo" ? "Undo" : "Redo")}: ${t(project[way])}` : "";
      });
    }
    const menu = byId("clear-menu");
    const opener = byId("clear");
    const open = (/** @type {boolean} */ on) => {
      menu.hidden = !on;
      opener.setAttribute("aria-expanded", String(on));
    };
    opener.addEventListener("click", () => {
      open(menu.hidden);
      if (!menu.hidden) menu.querySelector("button").focus();
    });
    menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        open(false);
        opener.focus();
      }
    });
    document.addEventListener("pointerdown", (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!target.closest("#clear-menu, #clear")) open(false);
    });
    for (const what of ["propagated", "all"]) {
      byId(`clear-${what}`).addEventListener("click", () => {
        open(false);
        session.edit(() => api.json("POST", "clear", { json: { what } }));
      });
    }
  }

  /**
   * Undo or redo, and go to the frame that it changed.
   * @param {"undo" | "redo"} way
   */
  async travel(way) {
    const { store, api, session, player } = this.app;
    const done = await session.edit(() => api.json("POST", way), null, true);
    /** @type {number[]} */
    const frames = done?.frames ?? [];
    const { index } = store.state;
    if (!frames.length || frames.includes(index)) return;
    const far = (/** @type {number} */ frame) => Math.abs(frame - index);
    player.goto(frames.reduce((best, frame) => (far(frame) < far(best) ? frame : best)));
  }

  transport() {
    const { store, player, range } = this.app;
    byId("to-start").addEventListener("click", () => player.goto(0));
    byId("step-back").addEventListener("click", () => player.step(-1));
    byId("play").addEventListener("click", () => player.toggle());
    byId("step-on").addEventListener("click", () => player.step(1));
    byId("to-end").addEventListener("click", () => player.goto(store.clip.frames - 1));
    const loop = byId("loop");
    loop.addEventListener("click", () => store.set({ loop: !store.state.loop }));
    store.on(["loop"], (state) => loop.setAttribute("aria-pressed", String(state.loop)));
    store.on(["speed"], ({ speed }) => {
      const play = byId("play");
      play.dataset.on = String(speed !== 0);
      play.setAttribute("aria-label", speed ? t("Pause") : t("Play"));
      byId("speed").textContent = Math.abs(speed) > 1 || speed < 0 ? `${speed}×` : "";
    });
    byId("set-in").addEventListener("click", () => {
      const { index, project } = store.state;
      const { last } = project.state;
      range.set(index, last !== null && last < index ? null : last);
    });
    byId("set-out").addEventListener("click", () => {
      const { index, project } = store.state;
      const { first } = project.state;
      range.set(first !== null && first > index ? null : first, index);
    });
    byId("no-range").addEventListener("click", () => range.set(null, null));
    store.on(["project"], ({ project }) => {
      byId("no-range").disabled = project.state.first === null && project.state.last === null;
    });
    const field = byId("frame-number");
    field.addEventListener("change", () => {
      const number = Number.parseInt(field.value, 10);
      if (Number.isFinite(number)) player.goto(number - store.clip.first_number);
      field.value = String(store.number(store.state.index));
      field.blur();
    });
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      // the same number again is no change, and the next key is meant for the picture
      if (event.key === "Enter" || event.key === "Escape") field.blur();
    });
    let told = 0;
    store.on(["index", "speed"], ({ index, speed }) => {
      // numbers that nobody could read are not drawn
      if (speed && performance.now() - told < NUMBERS_EVERY_MS) return;
      told = performance.now();
      if (document.activeElement !== field) field.value = String(store.number(index));
      byId("time").textContent = timeText(store.seconds(index));
    });
  }

  views() {
    const { store, viewport } = this.app;
    const view = byId("view");
    view.addEventListener("change", () => store.set({ view: view.value }));
    store.on(["view"], (state) => {
      view.value = state.view;
      byId("behind").disabled = state.view !== "color";
      byId("opacity").disabled = state.view !== "overlay";
    });
    const behind = byId("behind");
    behind.addEventListener("input", () => store.set({ behind: behind.value, view: "color" }));
    const opacity = byId("opacity");
    opacity.addEventListener("input", () => store.set({ opacity: Number(opacity.value) / 100 }));
    byId("fit").addEventListener("click", () => viewport.fit());
    byId("full").addEventListener("click", () => viewport.zoomTo(1));
    const wipe = byId("wipe");
    wipe.addEventListener("input", () => store.set({ wipe: Number(wipe.value) / 100 }));
    store.on(["wipe"], (state) => (wipe.value = String(Math.round(state.wipe * 100))));
    const keep = byId("keep");
    keep.addEventListener("click", () => this.app.display.keepVersion());
    store.on(["kept"], (state) => keep.setAttribute("aria-pressed", String(state.kept)));
    const onion = byId("onion");
    onion.addEventListener("change", () => store.set({ onion: onion.checked }));
    store.on(["onion"], (state) => (onion.checked = state.onion));
  }

  /** @param {number} by */
  nextView(by) {
    const { store } = this.app;
    const at = VIEWS.indexOf(store.state.view);
    store.set({ view: VIEWS[(at + by + VIEWS.length) % VIEWS.length] });
  }

  zoomed() {
    byId("zoom").textContent = `${Math.round(this.app.viewport.zoom * 100)} %`;
  }

  facts() {
    const { store, notices } = this.app;
    const { clip } = store.state.project;
    byId("clip-name").textContent = clip.name;
    const rate = clip.fps ? `${Number(clip.fps.toFixed(3))} fps · ` : "";
    byId("clip-facts").textContent =
      `${clip.width}×${clip.height} · ${rate}${t("{n} frames", { n: clip.frames })}`;
    document.title = `${clip.name} · vfx-matte`;
    store.on(["project"], ({ project }) => {
      byId("app").dataset.readonly = String(project.read_only);
      byId("read-only").hidden = !project.read_only;
    });
    store.on(["connected"], ({ connected }) => {
      byId("lost").hidden = connected;
    });
    store.on(["answer"], ({ answer }) => {
      const advice = byId("advice");
      if (!answer) {
        advice.textContent = "";
        return;
      }
      const sure = answer.confidence === null || answer.confidence === undefined
        ? "" : t("Confidence {percent} %", { percent: Math.round(answer.confidence * 100) });
      advice.textContent = [sure, t(answer.advice ?? "")].filter(Boolean).join(" · ");
      advice.title = advice.textContent;
    });
    notices.status(t("Ready"));
    this.zoomed();
  }
}

/** @type {Record<import("./state.js").ToolName, string>} */
const HINTS = {
  click: "Click on the object; right or Alt: on what it is not. Hold P for a preview.",
  box: "Drag a box around the object.",
  brush: "Paint. Shift: straight line from the last point. Alt+wheel or [ ]: size.",
  eraser: "Erase the object. Shift: straight line. Alt+wheel or [ ]: size.",
  stroke: "Scribble over the object; right or Alt: over what it is not.",
  fill: "Click into a hole to fill it; Alt: empty a piece.",
};
