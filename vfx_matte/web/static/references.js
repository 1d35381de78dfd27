/** The tab "References": the frames whose masks were given, as small pictures. */

import { byId, el, icon, markHere, refill } from "./dom.js";
import { paletteOf } from "./colors.js";
import { t } from "./i18n.js";

const WIDE = 112;

export class References {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.list = byId("references");
    /** @type {Map<number, {canvas: HTMLCanvasElement, mask: Uint8Array | null}>} */
    this.small = new Map();
    this.drawing = false;
    /** Small pictures wait until there is time for them. */
    this.isLate = false;
    app.store.on(["project"], () => this.render());
    app.store.on(["shown"], ({ shown }) => {
      markHere(this.list, shown);
      if (this.isLate) this.draw();
    });
  }

  render() {
    const { store } = this.app;
    const { references } = store.state.project.state;
    byId("references-note").hidden = references.length > 0;
    refill(this.list, references.map((reference) => this.row(reference)));
    markHere(this.list, store.state.shown);
    this.draw();
  }

  /** @param {import("./types.js").Reference} reference */
  row({ index, enabled, objects }) {
    const { store, player, api, session } = this.app;
    const number = store.number(index);
    const names = objects.map((id) => store.objects.find((one) => one.id === id)?.name ?? `${id}`);
    const toggle = () =>
      session.edit((revision) =>
        api.json("PATCH", `references/${index}`, { json: { enabled: !enabled, revision } }),
      );
    const remove = () =>
      session.edit((revision) =>
        api.json("DELETE", `references/${index}`, { query: { revision } }),
      );
    return el(
      "li",
      { class: `reference${enabled ? "" : " off"}`, "data-index": index },
      el(
        "button",
        {
          type: "button", class: "jump", "data-focus": `jump-${index}`,
          click: () => player.goto(index),
        },
        this.picture(index),
        el(
          "span",
          { class: "words" },
          el("strong", {}, t("frame {number}", { number })),
          el("span", {}, names.join(", ") || t("nothing")),
        ),
      ),
      el(
        "button",
        {
          type: "button", class: "bare", "data-focus": `use-${index}`, "aria-pressed": enabled,
          "aria-label": t("Use the reference at {number}", { number }),
          title: enabled ? t("In use") : t("Not in use"), click: toggle,
        },
        icon(enabled ? "on" : "off"),
      ),
      el(
        "button",
        {
          type: "button", class: "bare", "data-focus": `drop-${index}`,
          "aria-label": t("Remove the reference at {number}", { number }),
          title: t("Remove"), click: remove,
        },
        icon("close"),
      ),
    );
  }

  /** @param {number} index */
  picture(index) {
    const { width, height } = this.app.store.clip;
    let small = this.small.get(index);
    if (!small) {
      const canvas = el("canvas", {
        width: WIDE, height: Math.round((WIDE * height) / width), "aria-hidden": "true",
      });
      small = { canvas, mask: null };
      this.small.set(index, small);
    }
    return small.canvas;
  }

  /** Draw the small pictures whose masks changed, one after another. */
  async draw() {
    const { store, work } = this.app;
    // the first picture comes first, and so does a propagation
    this.isLate = store.state.shown < 0 || Boolean(work?.propagating);
    if (this.drawing || this.isLate) return;
    this.drawing = true;
    try {
      for (const { index } of this.app.store.state.project.state.references) {
        const small = this.small.get(index);
        if (!small) continue;
        const entry = await this.app.masks.load(index);
        if (small.mask === entry.mask) continue;
        small.mask = entry.mask;
        await this.paint(small.canvas, index, entry.mask);
      }
    } catch {
      // a small picture is left out; it is tried again with the next change
    } finally {
      this.drawing = false;
    }
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} index
   * @param {Uint8Array} mask
   */
  async paint(canvas, index, mask) {
    const { api, store, frames } = this.app;
    const { width, height } = store.clip;
    let bitmap = frames.kept.get(index)?.bitmap;
    const own = !bitmap;
    if (!bitmap) {
      const response = await api.send("GET", `frames/${index}`, { query: { width: 160 } });
      bitmap = await createImageBitmap(await response.blob());
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    if (own) bitmap.close();
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const palette = paletteOf(store.objects, 0);
    for (let y = 0; y < canvas.height; y++) {
      const line = Math.floor(((y + 0.5) * height) / canvas.height) * width;
      for (let x = 0; x < canvas.width; x++) {
        const id = mask[line + Math.floor(((x + 0.5) * width) / canvas.width)];
        if (!id) continue;
        const at = (y * canvas.width + x) * 4;
        for (let part = 0; part < 3; part++) {
          pixels.data[at + part] = (pixels.data[at + part] + palette[id * 4 + part]) / 2;
        }
      }
    }
    context.putImageData(pixels, 0, 0);
  }
}
