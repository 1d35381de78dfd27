/**
 * Integer painting in masks: every pixel is one id and no other.
 *
 * A 2D canvas smooths edges, which would make ids that no object has.
 */

/** @typedef {import("./types.js").Rect} Rect */

/**
 * Half the width of each row of a disc, from its middle outwards.
 * @param {number} size pixels across, at least 1
 */
function halfWidths(size) {
  const square = (size * size) / 4;
  const rows = [];
  for (let dy = 0; dy * dy <= square; dy++) rows.push(Math.floor(Math.sqrt(square - dy * dy)));
  return rows;
}

/**
 * Paint a line of discs between two pixels.
 * @param {Uint8Array} mask
 * @param {number} width of the mask
 * @param {number} height
 * @param {[number, number]} from
 * @param {[number, number]} to
 * @param {number} size pixels across
 * @param {number} id to paint
 * @param {Uint8Array} allowed 256 times whether a pixel of this id may change
 * @returns {Rect | null} what may have changed; null = nothing
 */
export function paintLine(mask, width, height, from, to, size, id, allowed) {
  const rows = halfWidths(size);
  const reach = rows.length - 1;
  const top = Math.min(from[1], to[1]) - reach;
  const count = Math.abs(from[1] - to[1]) + 2 * reach + 1;
  // discs along a line cover one run in each row, so its two ends are all there is to keep
  const left = new Int32Array(count).fill(0x7fffffff);
  const right = new Int32Array(count).fill(-0x7fffffff);
  for (const [x, y] of pixelsOfLine(from, to)) {
    for (let dy = -reach; dy <= reach; dy++) {
      const row = y + dy - top;
      const half = rows[Math.abs(dy)];
      if (x - half < left[row]) left[row] = x - half;
      if (x + half > right[row]) right[row] = x + half;
    }
  }
  let x0 = width, x1 = -1, y0 = height, y1 = -1;
  for (let row = Math.max(0, -top); row < count && top + row < height; row++) {
    const start = Math.max(0, left[row]);
    const stop = Math.min(width - 1, right[row]);
    if (start > stop) continue;
    const line = (top + row) * width;
    for (let at = line + start; at <= line + stop; at++) if (allowed[mask[at]]) mask[at] = id;
    x0 = Math.min(x0, start);
    x1 = Math.max(x1, stop);
    y0 = Math.min(y0, top + row);
    y1 = top + row;
  }
  return x1 < x0 ? null : { x: x0, y: y0, w: x1 - x0 + 1, h: y1 - y0 + 1 };
}

/**
 * Bresenham's line, both ends included.
 * @param {[number, number]} from
 * @param {[number, number]} to
 * @returns {Generator<[number, number]>}
 */
export function* pixelsOfLine([x, y], [x1, y1]) {
  const dx = Math.abs(x1 - x), dy = -Math.abs(y1 - y);
  const sx = x < x1 ? 1 : -1, sy = y < y1 ? 1 : -1;
  let error = dx + dy;
  for (;;) {
    yield [x, y];
    if (x === x1 && y === y1) return;
    const twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      x += sx;
    }
    if (twice <= dx) {
      error += dx;
      y += sy;
    }
  }
}

/**
 * Give all pixels of one id that hang together, side by side, another id.
 * @param {Uint8Array} mask
 * @param {number} width
 * @param {number} height
 * @param {[number, number]} start
 * @param {number} id
 * @returns {Rect | null}
 */
export function fill(mask, width, height, [startX, startY], id) {
  const old = mask[startY * width + startX];
  if (old === id) return null;
  let x0 = startX, x1 = startX, y0 = startY, y1 = startY;
  const open = [startY * width + startX];
  while (open.length) {
    const at = /** @type {number} */ (open.pop());
    if (mask[at] !== old) continue;
    const line = at - (at % width);
    let left = at, right = at;
    while (left > line && mask[left - 1] === old) left--;
    while (right < line + width - 1 && mask[right + 1] === old) right++;
    mask.fill(id, left, right + 1);
    // one seed for each run above and below
    for (const next of [line - width, line + width]) {
      if (next < 0 || next >= width * height) continue;
      for (let x = next + left - line; x <= next + right - line; x++) {
        if (mask[x] === old && (x === next + left - line || mask[x - 1] !== old)) open.push(x);
      }
    }
    const y = line / width;
    x0 = Math.min(x0, left - line);
    x1 = Math.max(x1, right - line);
    y0 = Math.min(y0, y);
    y1 = Math.max(y1, y);
  }
  return { x: x0, y: y0, w: x1 - x0 + 1, h: y1 - y0 + 1 };
}

/**
 * The smallest rectangle around two.
 * @param {Rect | null} a
 * @param {Rect | null} b
 * @returns {Rect | null}
 */
export function around(a, b) {
  if (!a || !b) return a || b;
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return {
    x,
    y,
    w: Math.max(a.x + a.w, b.x + b.w) - x,
    h: Math.max(a.y + a.h, b.y + b.h) - y,
  };
}

/**
 * Which ids painting may change.
 * @param {import("./types.js").MatteObject[]} objects
 * @param {number} id that is painted or erased
 * @param {boolean} over others too
 * @param {boolean} erasing
 */
export function allowedIds(objects, id, over, erasing) {
  const allowed = new Uint8Array(256);
  if (over) allowed.fill(1);
  allowed[0] = erasing ? 0 : 1;
  allowed[id] = 1;
  for (const object of objects) if (object.locked) allowed[object.id] = 0;
  return allowed;
}
