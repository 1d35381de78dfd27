/** Takes a mask from a picture file: by the file chooser, or dropped on the picture. */

import { byId } from "./dom.js";
import { t } from "./i18n.js";

/** @param {import("./app.js").App} app */
export function importMasks(app) {
  const field = byId("mask-file");
  byId("import-mask").addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    if (field.files?.[0]) take(app, field.files[0]);
    field.value = "";
  });
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(app, file);
  });
}

/**
 * @param {import("./app.js").App} app
 * @param {File} file
 */
async function take(app, file) {
  const { session, api, store, notices } = app;
  const index = store.state.shown;
  if (index < 0) return;
  if (file.type !== "image/png") {
    notices.error(
      t("{name} is no PNG picture.", { name: file.name }),
      t("Save the mask as PNG: black and white, or one colour for each object."),
    );
    return;
  }
  const done = await session.edit((revision) =>
    api.json("POST", `frames/${index}/import`, {
      query: { revision }, body: file, headers: { "Content-Type": "image/png" },
    }),
  );
  if (done) notices.tell(t("The mask of {name} is at this frame now.", { name: file.name }));
}
