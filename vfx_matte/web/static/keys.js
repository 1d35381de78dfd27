/** Keys: what each does, and which the user gave it. */

import { takesText } from "./dom.js";

const STORED = "vfx-matte-keys";

/**
 * @typedef {Object} Action
 * @property {string} id
 * @property {string} group for the list of keys
 * @property {string} label
 * @property {string[]} keys by default
 * @property {() => void} run
 * @property {() => void} [release] when the key is let go
 */

/**
 * How a key press is written: "Ctrl+Shift+Z", "ArrowLeft", "?".
 * @param {KeyboardEvent} event
 */
export function combination(event) {
  let { key } = event;
  // while a Chinese input method is on, only the place of the key is told
  if (key === "Process" || key === "Unidentified") key = event.code.replace(/^(Key|Digit)/, "");
  if (key === " ") key = "Space";
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  if (letter) key = key.toUpperCase();
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  // the sign that Shift makes, such as ?, stands for itself
  if (event.shiftKey && (letter || key.length > 1)) parts.push("Shift");
  return [...parts, key].join("+");
}

export class Keys {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.actions = actionsOf(app);
    /** @type {Record<string, string[]>} */
    this.own = readOwn();
    /** Actions whose key is held. @type {Map<string, Action>} */
    this.held = new Map();
    /** Takes the next key press, when set. @type {((pressed: string) => void) | null} */
    this.capture = null;
    /** @type {Map<string, Action>} */
    this.byKey = new Map();
    this.index();
    window.addEventListener("keydown", (event) => this.down(event));
    window.addEventListener("keyup", (event) => this.up(event));
    window.addEventListener("blur", () => this.releaseAll());
  }

  /** @param {Action} action */
  keysOf(action) {
    return this.own[action.id] ?? action.keys;
  }

  index() {
    this.byKey.clear();
    for (const action of this.actions) {
      for (const key of this.keysOf(action)) this.byKey.set(key, action);
    }
  }

  /**
   * Give an action another key, which no other action keeps.
   * @param {Action} action
   * @param {string} key
   */
  bind(action, key) {
    for (const other of this.actions) {
      const keys = this.keysOf(other);
      if (keys.includes(key)) this.own[other.id] = keys.filter((one) => one !== key);
    }
    this.own[action.id] = [key];
    this.store();
  }

  reset() {
    this.own = {};
    this.store();
  }

  store() {
    localStorage.setItem(STORED, JSON.stringify(this.own));
    this.index();
  }

  /** @param {KeyboardEvent} event */
  down(event) {
    if (event.defaultPrevented) return;
    const pressed = combination(event);
    if (this.capture) {
      if (["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      this.capture(pressed);
      return;
    }
    if (takesText(event.target)) {
      if (event.key === "Escape") /** @type {HTMLElement} */ (event.target).blur();
      return;
    }
    // an open dialog has its own keys, and so has a button in focus
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement | null} */ (event.target);
    const onButton = target?.closest?.("button, summary, input, [role=tab]");
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    if (target instanceof HTMLInputElement && target.type === "range" && /^Arrow/.test(event.key)) {
      return;
    }
    const action = this.byKey.get(pressed);
    if (!action) return;
    event.preventDefault();
    if (action.release) {
      if (this.held.has(event.code)) return;
      this.held.set(event.code, action);
    }
    action.run();
  }

  /** @param {KeyboardEvent} event */
  up(event) {
    const action = this.held.get(event.code);
    this.held.delete(event.code);
    action?.release?.();
  }

  releaseAll() {
    for (const action of this.held.values()) action.release?.();
    this.held.clear();
  }
}

/** @returns {Record<string, string[]>} */
function readOwn() {
  try {
    const read = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return read && typeof read === "object" && !Array.isArray(read) ? read : {};
  } catch {
    return {};
  }
}

/**
 * @param {import("./app.js").App} app
 * @returns {Action[]}
 */
function actionsOf(app) {
  const { store, player, tools, work, viewport } = app;
  const press = (/** @type {string} */ id) => () => document.getElementById(id)?.click();
  const goto = (/** @type {number} */ by) => () => player.step(by);
  let spaceMoved = false;
  const space = {
    id: "play", group: "Playing", label: "Play or pause; hold and drag: pan", keys: ["Space"],
    run: () => {
      tools.spaceHeld = true;
      spaceMoved = false;
      app.stage.dataset.pan = "true";
      app.stage.addEventListener("pointerdown", () => (spaceMoved = true), { once: true });
    },
    release: () => {
      tools.spaceHeld = false;
      delete app.stage.dataset.pan;
      if (!spaceMoved) player.toggle();
    },
  };
  /** @type {Action[]} */
  const actions = [
    ...["click", "box", "brush", "eraser", "stroke", "fill"].map((tool, at) => ({
      id: tool,
      group: "Tools",
      label: ["Click", "Box", "Brush", "Eraser", "Stroke", "Fill"][at],
      keys: [["C"], ["R"], ["B"], ["E", "0"], ["S"], ["G"]][at],
      run: press(`tool-${tool}`),
    })),
    { id: "smaller", group: "Tools", label: "Smaller brush", keys: ["["], run: () => tools.resize(-1) },
    { id: "larger", group: "Tools", label: "Larger brush", keys: ["]"], run: () => tools.resize(1) },
    {
      id: "swap", group: "Tools", label: "Swap brush and eraser", keys: ["X"],
      run: () => store.set({ tool: store.state.tool === "brush" ? "eraser" : "brush" }),
    },
    {
      id: "over", group: "Tools", label: "Over others", keys: ["T"],
      run: () => store.set({ over: !store.state.over }),
    },
    {
      id: "preview", group: "Tools", label: "Hold: preview of a click", keys: ["P"],
      run: () => tools.setPreviewing(true), release: () => tools.setPreviewing(false),
    },
    { id: "undo", group: "Edit", label: "Undo", keys: ["Ctrl+Z"], run: press("undo") },
    { id: "redo", group: "Edit", label: "Redo", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], run: press("redo") },
    { id: "add", group: "Edit", label: "Add an object", keys: ["A"], run: press("add-object") },
    ...Array.from({ length: 9 }, (_, place) => ({
      id: `object-${place + 1}`, group: "Edit", label: `Object ${place + 1}`,
      keys: [String(place + 1)], run: () => app.objects.chooseAt(place + 1),
    })),
    space,
    { id: "back", group: "Playing", label: "Play backwards, faster", keys: ["J"], run: () => player.shuttle(-1) },
    { id: "pause", group: "Playing", label: "Pause", keys: ["K"], run: () => player.pause() },
    { id: "on", group: "Playing", label: "Play, faster", keys: ["L"], run: () => player.shuttle(1) },
    { id: "previous", group: "Playing", label: "One frame back", keys: ["ArrowLeft"], run: goto(-1) },
    { id: "next", group: "Playing", label: "One frame on", keys: ["ArrowRight"], run: goto(1) },
    { id: "previous10", group: "Playing", label: "Ten frames back", keys: ["Shift+ArrowLeft", "PageUp"], run: goto(-10) },
    { id: "next10", group: "Playing", label: "Ten frames on", keys: ["Shift+ArrowRight", "PageDown"], run: goto(10) },
    { id: "first", group: "Playing", label: "First frame", keys: ["Home"], run: () => player.goto(0) },
    { id: "last", group: "Playing", label: "Last frame", keys: ["End"], run: () => player.goto(store.clip.frames - 1) },
    { id: "in", group: "Playing", label: "In here", keys: ["I"], run: press("set-in") },
    { id: "out", group: "Playing", label: "Out here", keys: ["O"], run: press("set-out") },
    { id: "forward", group: "Propagation", label: "Forward", keys: ["F"], run: press("go-forward") },
    { id: "backward", group: "Propagation", label: "Backward", keys: ["Shift+F"], run: press("go-backward") },
    { id: "both", group: "Propagation", label: "Both", keys: ["Ctrl+F"], run: press("go-both") },
    {
      id: "stop", group: "Propagation", label: "Stop", keys: ["Escape"],
      run: () => {
        if (!tools.cancel()) work.stop();
      },
    },
    { id: "suggested", group: "Propagation", label: "Next suggested frame", keys: ["N"], run: () => app.findings.next("suggested") },
    { id: "worst", group: "Propagation", label: "Next worst problem", keys: ["W"], run: () => app.findings.next("problems") },
    { id: "view", group: "View", label: "Next view", keys: ["V"], run: () => app.toolbar.nextView(1) },
    { id: "view-back", group: "View", label: "View before", keys: ["Shift+V"], run: () => app.toolbar.nextView(-1) },
    {
      id: "source", group: "View", label: "Hold: source without overlay", keys: ["Q"],
      run: () => store.set({ source: true }), release: () => store.set({ source: false }),
    },
    { id: "fit", group: "View", label: "Fit the picture", keys: ["Z"], run: () => viewport.fit() },
    { id: "closer", group: "View", label: "Zoom in", keys: ["+", "="], run: () => viewport.step(1) },
    { id: "away", group: "View", label: "Zoom out", keys: ["-"], run: () => viewport.step(-1) },
    { id: "solo", group: "View", label: "Solo", keys: ["Shift+S"], run: () => store.set({ solo: store.state.solo ? 0 : store.state.object }) },
    { id: "onion", group: "View", label: "Onion skin: the frame before", keys: ["Shift+O"], run: () => store.set({ onion: !store.state.onion }) },
    { id: "wipe", group: "View", label: "Wipe between source and view", keys: ["Shift+W"], run: () => store.set({ wipe: store.state.wipe ? 0 : 0.5 }) },
    { id: "keep", group: "View", label: "Keep these masks to compare", keys: ["Shift+A"], run: press("keep") },
    ...[["Left", -10, 0], ["Right", 10, 0], ["Up", 0, -10], ["Down", 0, 10]].map(([name, dx, dy]) => ({
      id: `cross-${name}`.toLowerCase(), group: "Picture by keyboard", label: `Cross hair: ${name}`.toLowerCase(),
      keys: [`Alt+Arrow${name}`], run: () => tools.nudge(Number(dx), Number(dy)),
    })),
    ...[["Left", -1, 0], ["Right", 1, 0], ["Up", 0, -1], ["Down", 0, 1]].map(([name, dx, dy]) => ({
      id: `fine-${name}`.toLowerCase(), group: "Picture by keyboard", label: `Cross hair, one pixel: ${name}`.toLowerCase(),
      keys: [`Alt+Shift+Arrow${name}`], run: () => tools.nudge(Number(dx), Number(dy)),
    })),
    { id: "press", group: "Picture by keyboard", label: "Use the tool at the cross hair", keys: ["Enter"], run: () => tools.enter(false, false) },
    { id: "press-against", group: "Picture by keyboard", label: "The same, against the object", keys: ["Alt+Enter"], run: () => tools.enter(true, false) },
    { id: "press-line", group: "Picture by keyboard", label: "Straight line from the last point", keys: ["Shift+Enter"], run: () => tools.enter(false, true) },
    { id: "export", group: "Other", label: "Export", keys: ["Ctrl+E"], run: press("export") },
    { id: "help", group: "Other", label: "This list of keys", keys: ["?", "F1"], run: press("help") },
  ];
  return actions;
}
