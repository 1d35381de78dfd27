/** Asks for the project and the first picture while the rest of the page still loads. */

import { Api } from "./client.js";
import { pictureWidth } from "./frames.js";
import { takeToken } from "./token.js";
import { fittedScale } from "./viewport.js";

export const api = new Api(takeToken());

/** The project, or why there is none; null without a token. */
export const project = api.token ? api.project() : null;

/** @typedef {{name: string, width: number, height: number, pts: number}} FirstFacts */

/** What is known while the frames of a long clip are counted; null once they are. */
const opening = api.token ? api.json("GET", "opening").then(({ clip }) => clip ?? null) : null;
// who waits for the project hears what is wrong
opening?.catch(() => null);

/**
 * @typedef {Object} EarlyFrame
 * @property {number} index
 * @property {number} width
 * @property {Promise<Response>} response
 * @property {FirstFacts | null} opening
 */

/**
 * The first picture, at the size it will have on screen.
 * @returns {Promise<EarlyFrame>}
 */
async function ask() {
  const first = /** @type {FirstFacts | null} */ (await opening);
  const clip = first ?? (await /** @type {Promise<import("./types.js").Project>} */ (project)).clip;
  const stage = /** @type {HTMLElement} */ (document.getElementById("stage"));
  const zoom = fittedScale(stage, clip) * (window.devicePixelRatio || 1);
  const width = pictureWidth(clip.width, zoom);
  // as `Frames` asks for it
  const query = { width, clip: "id" in clip ? clip.id : null };
  const response = api.send("GET", "frames/0", { query, cache: "default" });
  response.catch(() => null);
  return { index: 0, width, response, opening: first };
}

export const firstFrame = project ? ask() : null;
// who starts the page says what is wrong
firstFrame?.catch(() => null);
