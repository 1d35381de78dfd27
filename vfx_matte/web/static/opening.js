/** What is shown while the frames of a long clip are counted: its first picture, and nothing to do. */

import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { Viewport } from "./viewport.js";

/** Of the page; all that works on frames. */
const PARTS = ["top", "tools", "side", "bottom"];

/**
 * @param {import("./early.js").EarlyFrame} early
 * @param {() => boolean} isOpen whether there is more to show by now
 */
export async function showOpening({ response, opening }, isOpen) {
  if (!opening || isOpen()) return;
  const { name, width, height } = opening;
  const frame = byId("frame");
  for (const part of PARTS) byId(part).inert = true;
  byId("clip-name").textContent = name;
  byId("advice").textContent = t("The frames are being counted…");
  byId("progress").removeAttribute("value");
  const answer = await response;
  // who shows the frames has taken it
  if (isOpen() || answer.bodyUsed) return;
  const address = URL.createObjectURL(await answer.clone().blob());
  const picture = byId("first-picture");
  picture.src = address;
  await picture.decode();
  URL.revokeObjectURL(address);
  if (isOpen()) return;
  const { x, y, scale } = new Viewport(byId("stage"), width, height, () => {});
  Object.assign(frame.style, {
    left: `${x}px`, top: `${y}px`, width: `${width * scale}px`, height: `${height * scale}px`,
  });
  picture.hidden = false;
  frame.dataset.index = "0";
  frame.dataset.pts = String(opening.pts);
}

/** The clip is open; the picture stays until it is shown as any other. */
export function endOpening() {
  for (const part of PARTS) byId(part).inert = false;
  byId("progress").value = 0;
  byId("advice").textContent = "";
}
