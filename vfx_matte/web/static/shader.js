/** The shader of the picture: frame, mask and view in one pass. */

// one triangle that covers the canvas
export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
uniform sampler2D uFrame, uCrop, uPalette, uOnion;
uniform usampler2D uMask;
uniform vec2 uSize, uCanvas, uOrigin;
uniform vec4 uCropRect;
uniform vec3 uBehind;
uniform float uScale, uOpacity, uWipe, uOnionShare;
uniform int uMode, uActive, uStep, uHasMask, uHasFrame;
out vec4 shown;

int idAt(vec2 point) {
  if (uHasMask == 0) return 0;
  ivec2 pixel = clamp(ivec2(floor(point)), ivec2(0), ivec2(uSize) - 1);
  return int(texelFetch(uMask, pixel / uStep, 0).r);
}

// colour of an id; a = 1 where it is shown
vec4 colorOf(int id) {
  return id == 0 ? vec4(0.0) : texelFetch(uPalette, ivec2(id, 0), 0);
}

vec4 maskAt(vec2 point) { return colorOf(idAt(point)); }

vec3 picture(vec2 point) {
  vec2 inside = point - uCropRect.xy;
  if (uCropRect.z > 0.0 && all(greaterThanEqual(inside, vec2(0.0)))
      && all(lessThan(inside, uCropRect.zw))) {
    return texelFetch(uCrop, ivec2(floor(inside)), 0).rgb;
  }
  vec3 color = texture(uFrame, point / uSize).rgb;
  if (uOnionShare > 0.0) color = mix(color, texture(uOnion, point / uSize).rgb, uOnionShare);
  return color;
}

vec3 bright(vec3 color) { return color / max(0.25, max(color.r, max(color.g, color.b))); }

// weight of the edge of what is shown, and its colour, about one screen pixel wide on each side
vec4 edgeAt(vec2 point) {
  int id = idAt(point);
  float reach = max(1.2 / uScale, uScale >= 1.0 ? 1.2 / uScale : 1.0);
  vec4 own = colorOf(id);
  for (int i = 0; i < 4; i++) {
    vec2 step = i == 0 ? vec2(reach, 0.0) : i == 1 ? vec2(-reach, 0.0)
      : i == 2 ? vec2(0.0, reach) : vec2(0.0, -reach);
    int other = idAt(point + step);
    if (other == id) continue;
    vec4 beside = colorOf(other);
    // dark colours are hard to see as a line
    if (own.a > 0.5) return vec4(bright(own.rgb), 1.0);
    if (beside.a > 0.5) return vec4(bright(beside.rgb), 1.0);
  }
  return vec4(0.0);
}

void main() {
  vec2 device = vec2(gl_FragCoord.x, uCanvas.y - gl_FragCoord.y);
  vec2 point = (device - uOrigin) / uScale;
  if (uHasFrame == 0 || any(lessThan(point, vec2(0.0)))
      || any(greaterThanEqual(point, uSize))) {
    shown = vec4(0.055, 0.058, 0.062, 1.0);
    return;
  }
  vec3 color = picture(point);
  int mode = uMode;
  if (uWipe > 0.0 && point.x < uWipe * uSize.x) mode = 0;
  if (mode != 0) {
    // four samples of a screen pixel that covers several of the mask's
    vec4 tint = vec4(0.0);
    if (uScale < 1.0) {
      float d = 0.25 / uScale;
      vec4 s0 = maskAt(point + vec2(-d, -d)), s1 = maskAt(point + vec2(d, -d));
      vec4 s2 = maskAt(point + vec2(-d, d)), s3 = maskAt(point + vec2(d, d));
      float a = (s0.a + s1.a + s2.a + s3.a) / 4.0;
      vec3 sum = s0.rgb * s0.a + s1.rgb * s1.a + s2.rgb * s2.a + s3.rgb * s3.a;
      tint = vec4(a > 0.0 ? sum / (4.0 * a) : vec3(0.0), a);
    } else {
      tint = maskAt(point);
    }
    if (mode == 1) {
      color = mix(color, tint.rgb, tint.a * uOpacity);
      vec4 edge = edgeAt(point);
      color = mix(color, edge.rgb, edge.a * 0.9);
    } else if (mode == 2) {
      vec4 edge = edgeAt(point);
      color = mix(color, edge.rgb, edge.a);
    } else if (mode == 3) {
      color = vec3(tint.a);
    } else {
      vec2 square = floor(device / 10.0);
      float light = mod(square.x + square.y, 2.0) > 0.5 ? 0.42 : 0.3;
      vec3 behind = mode == 4 ? vec3(light) : mode == 5 ? vec3(0.0, 1.0, 0.0) : uBehind;
      color = mix(behind, color, tint.a);
    }
  }
  if (uWipe > 0.0 && abs(point.x - uWipe * uSize.x) * uScale < 1.0) color = vec3(1.0);
  // borders of pixels, where each is large enough
  if (uScale >= 7.0) {
    vec2 border = fract(point) * uScale;
    if (border.x < 1.0 || border.y < 1.0) color = mix(color, vec3(0.5), 0.25);
  }
  shown = vec4(color, 1.0);
}`;
