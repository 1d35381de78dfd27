/** Asks for the project and the first picture while the rest of the page still loads. */

import { Api } from "./client.js";
import { pictureWidth } from "./frames.js";
import { takeToken } from "./token.js";
import { fittedScale } from "./viewport.js";

export const api = new Api(takeToken());

/** The project, or why there is none; null without a token. */
export const project = api.token ? api.project() : null;

/** @typedef {{index: number, width: number, response: Promise<Response>}} EarlyFrame */

/**
 * The first picture, at the size it will have on screen.
 * @param {import("./types.js").Clip} clip
 * @returns {EarlyFrame}
 */
function ask(clip) {
  const stage = /** @type {HTMLElement} */ (document.getElementById("stage"));
  const zoom = fittedScale(stage, clip) * (window.devicePixelRatio || 1);
  const width = pictureWidth(clip.width, zoom);
  // as `Frames` asks for it
  const query = { width, clip: clip.id };
  const response = api.send("GET", "frames/0", { query, cache: "default" });
  response.catch(() => null);
  return { index: 0, width, response };
}

export const firstFrame = project?.then(({ clip }) => ask(clip)) ?? null;
// who starts the page says what is wrong
firstFrame?.catch(() => null);
