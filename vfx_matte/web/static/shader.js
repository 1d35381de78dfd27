/**
 * The shader of the picture: frame, mask and view in one pass.
 *
 * It is compiled for what is shown just now, because drivers without a graphics card run every
 * branch of it: a version that could show everything takes ten times as long there.
 */

// one triangle that covers the canvas
export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

/**
 * What a version of the shader can do.
 * @typedef {Object} Features
 * @property {"source" | import("./state.js").ViewName} view
 * @property {boolean} crop a part of the picture has pixels of its own
 * @property {boolean} onion another frame shines through
 * @property {"no" | "source" | "other"} wipe what is on the left side
 * @property {boolean} grid borders of pixels
 * @property {boolean} smooth several samples of the mask for one pixel of the screen
 */

/**
 * @param {Features} features
 * @returns {string}
 */
export function fragment({ view, crop, onion, wipe, grid, smooth }) {
  return `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform sampler2D uFrame, uCrop, uPalette, uOnion;
uniform usampler2D uMask, uOther;
uniform vec2 uSize, uCanvas, uOrigin;
uniform vec4 uCropRect;
uniform vec3 uBehind;
uniform float uScale, uOpacity, uWipe, uOnionShare;
out vec4 shown;

int idAt(vec2 place) {
  int id = int(texture(uMask, place).r);
  ${wipe === "other" ? "if (place.x < uWipe) id = int(texture(uOther, place).r);" : ""}
  return id;
}

// colour of an id; a = 1 where it is shown
vec4 colorOf(int id) { return texelFetch(uPalette, ivec2(id, 0), 0); }

vec3 picture(vec2 point, vec2 place) {
  vec3 color = texture(uFrame, place).rgb;
  ${onion ? "color = mix(color, texture(uOnion, place).rgb, uOnionShare);" : ""}
  ${crop ? CROP : ""}
  return color;
}

${EDGES.has(view) ? EDGE : smooth ? SMOOTH : SINGLE}

void main() {
  vec2 device = vec2(gl_FragCoord.x, uCanvas.y - gl_FragCoord.y);
  vec2 point = (device - uOrigin) / uScale;
  vec2 place = point / uSize;
  vec3 color = picture(point, place);
  ${wipe === "source" ? "vec3 source = color;" : ""}
  ${LOOKS[view]}
  ${wipe === "source" ? "if (place.x < uWipe) color = source;" : ""}
  ${wipe === "no" ? "" : BORDER}
  ${grid ? GRID : ""}
  shown = vec4(color, 1.0);
}`;
}

const EDGES = new Set(["overlay", "outline"]);

const CROP = `vec2 inside = point - uCropRect.xy;
  if (all(greaterThanEqual(inside, vec2(0.0))) && all(lessThan(inside, uCropRect.zw))) {
    color = texelFetch(uCrop, ivec2(inside), 0).rgb;
  }`;

// an edge is where the id to the right or below is another one; the line is about two pixels of
// the screen wide, and bright, because dark colours are hard to see as a line
const EDGE = `vec4 edge;
vec4 maskAt(vec2 place) {
  vec2 reach = max(1.6 / uScale, 1.0) / uSize;
  int id = idAt(place);
  int right = idAt(place + vec2(reach.x, 0.0)), below = idAt(place + vec2(0.0, reach.y));
  vec4 color = colorOf(max(id, max(right, below)));
  bool between = id != right || id != below;
  vec3 bright = color.rgb / max(0.25, max(color.r, max(color.g, color.b)));
  edge = vec4(bright, between ? color.a : 0.0);
  return vec4(color.rgb, id == 0 ? 0.0 : color.a);
}`;

const SINGLE = `vec4 maskAt(vec2 place) { return colorOf(idAt(place)); }`;

// four samples of a pixel that covers several of the mask's
const SMOOTH = `vec4 maskAt(vec2 place) {
  vec2 d = 0.25 / uScale / uSize;
  return (colorOf(idAt(place - d)) + colorOf(idAt(place + d))
    + colorOf(idAt(place + vec2(d.x, -d.y))) + colorOf(idAt(place + vec2(-d.x, d.y)))) / 4.0;
}`;

const LOOKS = {
  source: "",
  overlay: `vec4 tint = maskAt(place);
  color = mix(color, tint.rgb, tint.a * uOpacity);
  color = mix(color, edge.rgb, edge.a * 0.9);`,
  outline: `maskAt(place);
  color = mix(color, edge.rgb, edge.a);`,
  alpha: "color = vec3(maskAt(place).a);",
  checker: `vec2 square = floor(device / 10.0);
  vec3 behind = vec3(mod(square.x + square.y, 2.0) > 0.5 ? 0.42 : 0.3);
  color = mix(behind, color, maskAt(place).a);`,
  green: "color = mix(vec3(0.0, 1.0, 0.0), color, maskAt(place).a);",
  color: "color = mix(uBehind, color, maskAt(place).a);",
};

const BORDER = `if (abs(point.x - uWipe * uSize.x) * uScale < 1.0) color = vec3(1.0);`;

const GRID = `vec2 border = fract(point) * uScale;
  if (border.x < 1.0 || border.y < 1.0) color = mix(color, vec3(0.5), 0.25);`;
