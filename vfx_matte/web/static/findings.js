/** The tabs "Suggested" and "Problems": frames worth a look, with the reason. */

import { byId, el, markHere, refill } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./types.js").Finding} Finding */
/** @typedef {"suggested" | "problems"} Kind */

const KINDS = /** @type {Kind[]} */ (["suggested", "problems"]);

export class Findings {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** The masks' revision that each list was found in. */
    this.foundIn = { suggested: 0, problems: 0 };
    for (const kind of KINDS) {
      byId(`tab-${kind}`).addEventListener("chosen", () => this.load(kind));
      byId(`${kind}-again`).addEventListener("click", () => this.load(kind, true));
      app.store.on([kind], () => this.render(kind));
      app.store.on(["shown"], ({ shown }) => markHere(byId(`${kind}-list`), shown));
    }
    app.store.on(["project", ...KINDS], () => KINDS.forEach((kind) => this.age(kind)));
  }

  /**
   * Say of a list that was found in other masks that it may no longer be so.
   * @param {Kind} kind
   */
  age(kind) {
    const { state } = this.app.store;
    const isOld = Boolean(state[kind]) && this.foundIn[kind] !== state.project.masks_revision;
    byId(`panel-${kind}`).dataset.old = String(isOld);
    byId(`${kind}-old`).hidden = !isOld;
  }

  /** What is known was found in older masks. */
  outdated() {
    this.app.store.set({ suggested: null, problems: null });
    for (const kind of KINDS) {
      if (!byId(`panel-${kind}`).hidden) this.load(kind);
    }
  }

  /**
   * @param {Kind} kind
   * @param {boolean} [again] even when there is an answer
   * @returns {Promise<Finding[]>}
   */
  async load(kind, again = false) {
    const { store, api, notices } = this.app;
    const known = store.state[kind];
    if (known && !again) return known;
    const note = byId(`${kind}-note`);
    note.hidden = false;
    note.textContent = t("Looking through the clip…");
    // who asks by a key has another list before them, or none
    notices.status(note.textContent);
    try {
      const answer = await api.send("GET", kind);
      const found = await answer.json();
      this.foundIn[kind] = Number(answer.headers.get("X-Masks-Revision"));
      store.set(/** @type {any} */ ({ [kind]: found }));
      const { length } = found;
      notices.status(length ? t("{n} frames are listed", { n: length }) : t("None so far."));
      return found;
    } catch (error) {
      note.textContent = t("None so far.");
      notices.status("");
      notices.failed(error);
      return [];
    }
  }

  /**
   * Go to the next one; problems the worst first.
   * @param {Kind} kind
   */
  async next(kind) {
    const { store, player, notices } = this.app;
    const found = await this.load(kind);
    if (!found.length) {
      notices.tell(kind === "problems" ? t("No problems are known.") : t("No frame is suggested."));
      return;
    }
    const at = found.findIndex(({ index }) => index === store.state.index);
    const next = found[(at + 1) % found.length];
    player.goto(next.index);
    const object = store.objects.find(({ id }) => id === next.object);
    if (object) this.app.objects.choose(object.id);
    notices.status(`${this.app.timeline.text(next.index)}: ${reasonOf(next, object?.name)}`);
  }

  /** @param {Kind} kind */
  render(kind) {
    const { store, player, objects, timeline } = this.app;
    if (!timeline) return;
    const found = store.state[kind];
    const note = byId(`${kind}-note`);
    if (found) {
      note.hidden = found.length > 0;
      note.textContent = t("None so far.");
    }
    refill(
      byId(`${kind}-list`),
      (found ?? []).map((one) => {
        const object = store.objects.find(({ id }) => id === one.object);
        return el(
          "li",
          { "data-index": one.index },
          el(
            "button",
            {
              type: "button",
              class: "finding",
              "data-focus": String(one.index),
              title: t(one.do ?? ""),
              click: () => {
                player.goto(one.index);
                if (object) objects.choose(object.id);
              },
            },
            el("strong", {}, timeline.text(one.index)),
            el("span", {}, reasonOf(one, object?.name)),
          ),
        );
      }),
    );
    markHere(byId(`${kind}-list`), store.state.shown);
  }
}

/**
 * Why a frame is listed, with the object's own name.
 * @param {{reason?: string}} one
 * @param {string | undefined} name
 */
function reasonOf({ reason = "" }, name) {
  return name ? `${name} ${t(reason.replace(/^object \d+:? ?/i, ""))}` : t(reason);
}
