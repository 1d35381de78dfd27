/** Marks of the frame and object at hand, and the layer above the picture that shows them. */

import { bright } from "./colors.js";

/** @typedef {import("./types.js").Marks} Marks */

/**
 * The marks to add to: those of this frame and object, or none.
 * @param {Marks | null} marks
 * @param {number} index
 * @param {number} object
 * @returns {Marks}
 */
export function marksFor(marks, index, object) {
  if (marks && marks.index === index && marks.object === object) {
    return { ...marks, clicks: [...(marks.clicks ?? [])], strokes: [...(marks.strokes ?? [])] };
  }
  return { index, object, clicks: [], strokes: [], box: null };
}

/**
 * A drawn line with few points: each lies within `most` pixels of the line without it.
 * @param {[number, number][]} points
 * @param {number} most
 * @returns {[number, number][]}
 */
export function simplified(points, most) {
  if (points.length < 3) return points;
  const [ax, ay] = points[0], [bx, by] = points[points.length - 1];
  const length = Math.hypot(bx - ax, by - ay);
  let worst = 0, at = 0;
  for (let i = 1; i < points.length - 1; i++) {
    const [x, y] = points[i];
    const away = length
      ? Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length
      : Math.hypot(x - ax, y - ay);
    if (away > worst) [worst, at] = [away, i];
  }
  if (worst <= most) return [points[0], points[points.length - 1]];
  return [
    ...simplified(points.slice(0, at + 1), most).slice(0, -1),
    ...simplified(points.slice(at), most),
  ];
}

/** What is drawn above the picture: marks, what is being drawn, the brush's outline. */
export class Overlay {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./state.js").Store} store
   * @param {import("./viewport.js").Viewport} viewport
   * @param {HTMLElement} ring
   */
  constructor(canvas, store, viewport, ring) {
    this.canvas = canvas;
    this.ring = ring;
    this.store = store;
    this.viewport = viewport;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {{points: [number, number][], object: boolean} | null} */
    this.stroke = null;
    /** @type {[number, number, number, number] | null} */
    this.box = null;
    /** Where a brush would paint. @type {[number, number] | null} */
    this.pointer = null;
    /** @type {[number, number] | null} */
    this.keyboard = null;
    this.asked = 0;
    store.on(["marks", "shown", "object", "tool", "size", "project"], () => this.ask());
  }

  ask() {
    this.moveRing();
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  draw() {
    const { canvas, context, viewport } = this;
    const { ratio, covered } = viewport;
    const { marks, shown, object, tool } = this.store.state;
    const hasMarks = marks?.index === shown && marks.object === object && tool !== "brush";
    // a layer that shows nothing costs nothing
    canvas.hidden = !hasMarks && !this.stroke && !this.box && !this.keyboard;
    if (canvas.hidden) return;
    const w = Math.round(covered.w * ratio), h = Math.round(covered.h * ratio);
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, w, h);
    context.scale(ratio, ratio);
    context.translate(viewport.x - covered.x, viewport.y - covered.y);
    const color = bright(this.store.active?.color ?? "#ffffff");
    if (marks && hasMarks) {
      for (const stroke of marks.strokes ?? []) this.line(stroke.points, stroke.object);
      if (marks.box) this.frame(marks.box, color);
      for (const click of marks.clicks ?? []) this.dot(click.x, click.y, click.object);
    }
    if (this.stroke) this.line(this.stroke.points, this.stroke.object);
    if (this.box) this.frame(this.box, color);
    if (this.keyboard) this.cross(this.keyboard);
  }

  /** The brush's outline: an element of its own, so that nothing is drawn anew as it moves. */
  moveRing() {
    const { ring, viewport } = this;
    const { tool, size } = this.store.state;
    const at = this.pointer ?? this.keyboard;
    ring.hidden = !at || (tool !== "brush" && tool !== "eraser");
    if (!at || ring.hidden) return;
    const wide = Math.max(3, size * viewport.scale);
    const x = viewport.x + (at[0] + 0.5) * viewport.scale - wide / 2;
    const y = viewport.y + (at[1] + 0.5) * viewport.scale - wide / 2;
    Object.assign(ring.style, {
      width: `${wide}px`, height: `${wide}px`, transform: `translate(${x}px, ${y}px)`,
    });
  }

  /** @param {number} pixel of the picture; its middle */
  at(pixel) {
    return (pixel + 0.5) * this.viewport.scale;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {boolean} object
   */
  dot(x, y, object) {
    const { context: c } = this;
    const [cx, cy] = [this.at(x), this.at(y)];
    c.beginPath();
    c.arc(cx, cy, 7, 0, 2 * Math.PI);
    c.fillStyle = object ? "#1f9d55" : "#d33a2c";
    c.fill();
    c.lineWidth = 1.5;
    c.strokeStyle = "#fff";
    c.stroke();
    c.beginPath();
    c.moveTo(cx - 3.5, cy);
    c.lineTo(cx + 3.5, cy);
    if (object) {
      c.moveTo(cx, cy - 3.5);
      c.lineTo(cx, cy + 3.5);
    }
    c.stroke();
  }

  /**
   * @param {[number, number][]} points
   * @param {boolean} object
   */
  line(points, object) {
    const { context: c } = this;
    c.beginPath();
    for (const [x, y] of points) c.lineTo(this.at(x), this.at(y));
    if (points.length === 1) c.lineTo(this.at(points[0][0]) + 0.1, this.at(points[0][1]));
    c.lineCap = c.lineJoin = "round";
    for (const [width, color] of /** @type {const} */ ([
      [6, "#000000a0"],
      [4, object ? "#35c878" : "#ff5a49"],
    ])) {
      c.lineWidth = width;
      c.strokeStyle = color;
      c.stroke();
    }
  }

  /**
   * @param {[number, number, number, number]} box
   * @param {string} color
   */
  frame([x, y, w, h], color) {
    const { context: c } = this;
    const s = this.viewport.scale;
    c.setLineDash([]);
    c.lineWidth = 3;
    c.strokeStyle = "#000000a0";
    c.strokeRect(x * s, y * s, w * s, h * s);
    c.setLineDash([6, 4]);
    c.lineWidth = 1.5;
    c.strokeStyle = color;
    c.strokeRect(x * s, y * s, w * s, h * s);
    c.setLineDash([]);
  }

  /** @param {[number, number]} at */
  cross([x, y]) {
    const { context: c } = this;
    const [cx, cy] = [this.at(x), this.at(y)];
    for (const [width, color] of /** @type {const} */ ([[3, "#000"], [1.25, "#fff"]])) {
      c.lineWidth = width;
      c.strokeStyle = color;
      c.beginPath();
      c.moveTo(cx - 12, cy);
      c.lineTo(cx + 12, cy);
      c.moveTo(cx, cy - 12);
      c.lineTo(cx, cy + 12);
      c.stroke();
    }
  }
}
