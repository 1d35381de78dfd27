/**
 * The shapes of what the server answers. Types only; nothing runs here.
 *
 * Frames are 0-based indices everywhere; people are shown `first_number + index`.
 *
 * @typedef {[number, number]} Run first index, and the one after the last
 *
 * @typedef {Object} Clip
 * @property {string} id
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {number} frames
 * @property {number} first_number
 * @property {[number, number]} time_base
 * @property {number[]} pts one for each frame, in units of time_base
 * @property {number} duration seconds
 * @property {number} fps
 *
 * @typedef {Object} MatteObject
 * @property {number} id 1 … 255
 * @property {string} name
 * @property {string | [number, number, number]} color
 * @property {boolean} hidden
 * @property {boolean} locked
 *
 * @typedef {Object} Reference
 * @property {number} index
 * @property {boolean} enabled
 * @property {number[]} objects
 *
 * @typedef {Object} Click
 * @property {number} x
 * @property {number} y
 * @property {boolean} object false: background
 *
 * @typedef {Object} Stroke
 * @property {[number, number][]} points
 * @property {boolean} object false: background
 *
 * @typedef {Object} Marks what was marked for one object at one frame
 * @property {number} index
 * @property {number} object
 * @property {Click[]} clicks
 * @property {Stroke[]} strokes
 * @property {[number, number, number, number] | null} box x, y, width, height
 *
 * @typedef {Object} Output
 * @property {string | number} id
 * @property {string} name
 * @property {string} path where it lies, for people
 * @property {string} verified
 *
 * @typedef {Object} Job
 * @property {number} id
 * @property {string} kind
 * @property {string} label
 * @property {string} [stage] what it does just now
 * @property {"waiting" | "running" | "done" | "stopped" | "failed"} state
 * @property {number} done
 * @property {number} total
 * @property {number} fps
 * @property {string} message
 * @property {string} hint
 * @property {Output[]} outputs
 *
 * @typedef {Object} Project
 * @property {Clip} clip
 * @property {number} revision
 * @property {number} masks_revision the one that changed a mask last
 * @property {{objects: MatteObject[], references: Reference[], first: number | null,
 *   last: number | null, marks: Marks | null}} state
 * @property {{done: Run[], confidence: Record<string, [number, number[]][]>,
 *   coverage?: Record<string, [number, number[]][]>}} masks confidence in per cent, -1 = unknown
 * @property {number[] | null} cuts
 * @property {string | null} undo
 * @property {string | null} redo
 * @property {Job[]} jobs
 * @property {string} propagator
 * @property {boolean} read_only
 * @property {boolean} [shows_files] outputs can be shown in a file manager
 * @property {string} program_version
 *
 * @typedef {Object} EditResult
 * @property {number} revision
 * @property {number[]} [frames] whose reference undo or redo changed
 * @property {Record<string, number>} [taken] pixels taken from other objects
 * @property {string[]} [notices]
 *
 * @typedef {Object} Answer of an object to marks
 * @property {number} id
 * @property {number} pixels
 * @property {number} share
 * @property {number} confidence
 * @property {string} advice
 *
 * @typedef {Object} Way one thing to choose
 * @property {string} name
 * @property {string} title
 * @property {string} lack why it cannot be used here; empty where it can
 * @property {string} hint
 *
 * @typedef {Object} Ways how masks can be made, and how they are
 * @property {Way[]} methods
 * @property {string} method
 * @property {Way[]} propagators
 * @property {string} propagator
 * @property {Way} text
 * @property {string} words what was looked for last
 *
 * @typedef {Object} Option
 * @property {string} group
 * @property {string} name
 * @property {string} explanation
 * @property {string} short
 * @property {any} default
 * @property {string} unit
 * @property {number | null} least
 * @property {number | null} most
 * @property {string[]} choices
 * @property {string} type
 *
 * @typedef {{index: number, reason: string, object?: number, severity?: number,
 *   [more: string]: any}} Finding a suggested frame or a problem
 *
 * @typedef {Object} Rect
 * @property {number} x
 * @property {number} y
 * @property {number} w
 * @property {number} h
 */

export {};
