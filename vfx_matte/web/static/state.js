/** What the page knows and shows, in one place that tells who listens. */

/**
 * @typedef {"click" | "box" | "brush" | "eraser" | "stroke" | "fill"} ToolName
 * @typedef {"overlay" | "outline" | "alpha" | "checker" | "green" | "color"} ViewName
 *
 * @typedef {Object} State
 * @property {import("./types.js").Project} project
 * @property {number} index the frame that is wanted
 * @property {number} shown the frame on screen; -1 = none yet
 * @property {ToolName} tool
 * @property {number} object the one that is worked on
 * @property {number} size of the brush, pixels across
 * @property {boolean} over painting takes pixels of other objects
 * @property {ViewName} view
 * @property {string} behind #rrggbb
 * @property {number} opacity of the overlay, 0 … 1
 * @property {number} solo the only object shown; 0 = all
 * @property {boolean} source the picture without any overlay
 * @property {boolean} onion the frame before shines through
 * @property {boolean} kept masks were kept, for the left side of the wipe
 * @property {number} wipe share of the picture that shows the source, or the masks that were kept; 0 = no wipe
 * @property {number} speed of playing; 0 = not
 * @property {boolean} loop
 * @property {boolean} following the propagation decides which frame is shown
 * @property {import("./types.js").Marks | null} marks
 * @property {import("./types.js").Answer | null} answer
 * @property {import("./types.js").Finding[] | null} suggested
 * @property {import("./types.js").Finding[] | null} problems
 * @property {{first: number | null, last: number | null} | null} trim in and out while they are dragged
 * @property {boolean} connected
 */

/** @type {ViewName[]} */
export const VIEWS = ["overlay", "outline", "alpha", "checker", "green", "color"];

export class Store {
  /** @param {import("./types.js").Project} project */
  constructor(project) {
    /** @type {State} */
    this.state = {
      project,
      index: 0,
      shown: -1,
      tool: "click",
      object: project.state.objects[0]?.id ?? 1,
      size: Math.max(5, Math.round(project.clip.height / 36)),
      over: false,
      view: "overlay",
      behind: "#404040",
      opacity: 0.5,
      solo: 0,
      source: false,
      onion: false,
      kept: false,
      wipe: 0,
      speed: 0,
      loop: true,
      following: false,
      marks: project.state.marks,
      answer: null,
      suggested: null,
      problems: null,
      trim: null,
      connected: true,
    };
    /** @type {{keys: (keyof State)[], heard: (state: State) => void}[]} */
    this.listeners = [];
  }

  /** @param {Partial<State>} changes */
  set(changes) {
    const state = /** @type {any} */ (this.state);
    const changed = new Set();
    for (const [key, value] of Object.entries(changes)) {
      if (!Object.is(state[key], value)) {
        state[key] = value;
        changed.add(key);
      }
    }
    if (!changed.size) return;
    for (const { keys, heard } of this.listeners) {
      if (keys.some((key) => changed.has(key))) heard(this.state);
    }
  }

  /**
   * Call now, and whenever one of these changes.
   * @param {(keyof State)[]} keys
   * @param {(state: State) => void} heard
   */
  on(keys, heard) {
    this.listeners.push({ keys, heard });
    heard(this.state);
  }

  get clip() {
    return this.state.project.clip;
  }

  get objects() {
    return this.state.project.state.objects;
  }

  /** The object that is worked on, if it is there. */
  get active() {
    return this.objects.find((object) => object.id === this.state.object);
  }

  /**
   * The number that people know a frame by.
   * @param {number} index
   */
  number(index) {
    return this.clip.first_number + index;
  }

  /**
   * Seconds since the first frame.
   * @param {number} index
   */
  seconds(index) {
    const { pts, time_base: base, fps } = this.clip;
    if (!pts?.length) return index / (fps || 25);
    return ((pts[index] - pts[0]) * base[0]) / base[1];
  }

  /** In and out, as indices, both included. */
  get range() {
    const { first, last } = this.state.trim ?? this.state.project.state;
    return { first: first ?? 0, last: last ?? this.clip.frames - 1 };
  }

  /**
   * Whether a frame has a mask.
   * @param {number} index
   */
  hasMask(index) {
    const { masks, state } = this.state.project;
    return (
      masks.done.some(([start, stop]) => start <= index && index < stop) ||
      state.references.some((reference) => reference.index === index)
    );
  }
}

/**
 * m:ss.mmm
 * @param {number} seconds
 */
export function timeText(seconds) {
  const whole = Math.round(seconds * 1000);
  const minutes = Math.floor(whole / 60000);
  const rest = ((whole % 60000) / 1000).toFixed(3).padStart(6, "0");
  return `${minutes}:${rest}`;
}
