/** Colours of objects. */

/**
 * R, G, B of "#rrggbb" or of a list.
 * @param {string | number[]} color
 * @returns {[number, number, number]}
 */
export function rgb(color) {
  if (typeof color !== "string") return [color[0], color[1], color[2]];
  const whole = Number.parseInt(color.replace("#", ""), 16) || 0;
  return [(whole >> 16) & 255, (whole >> 8) & 255, whole & 255];
}

/**
 * #rrggbb
 * @param {string | number[]} color
 */
export function hex(color) {
  return `#${rgb(color).map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * The same colour, bright enough for thin lines on a dark ground.
 * @param {string | number[]} color
 */
export function bright(color) {
  const parts = rgb(color);
  const most = Math.max(64, ...parts);
  return hex(parts.map((part) => Math.round(70 + (part * 185) / most)));
}

/**
 * The palette as the picture's shader takes it: 256 times R, G, B and whether it is shown.
 * @param {import("./types.js").MatteObject[]} objects
 * @param {number} solo
 */
export function paletteOf(objects, solo) {
  const palette = new Uint8Array(256 * 4);
  // an id without an object is shown too, so that nothing hides in a mask
  for (let id = 1; id < 256; id++) palette.set([255, 0, 255, solo ? 0 : 255], id * 4);
  for (const { id, color, hidden } of objects) {
    const shown = solo ? solo === id : !hidden;
    palette.set([...rgb(color), shown ? 255 : 0], id * 4);
  }
  return palette;
}
