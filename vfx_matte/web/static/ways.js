/** How masks are made: the method of first masks, the propagator, and finding by text. */

import { byId, el } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./types.js").Way} Way */
/** @typedef {import("./types.js").Ways} Choices */

const OPEN = "vfx-matte-ways";

export class Ways {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {HTMLDetailsElement} */
    this.part = byId("ways");
    this.part.open = localStorage.getItem(OPEN) === "true";
    this.part.addEventListener("toggle", () =>
      localStorage.setItem(OPEN, String(this.part.open)),
    );
    for (const kind of /** @type {const} */ (["method", "propagator"])) {
      const select = byId(kind);
      select.addEventListener("change", () => this.choose({ [kind]: select.value }));
    }
    byId("find-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.find();
    });
    // the first picture comes first
    let isAsked = false;
    app.store.on(["shown"], ({ shown }) => {
      if (isAsked || shown < 0) return;
      isAsked = true;
      this.load();
    });
  }

  async load() {
    const { api, notices } = this.app;
    try {
      this.render(await api.json("GET", "ways"));
    } catch (error) {
      notices.failed(error);
    }
  }

  /** @param {{method?: string, propagator?: string}} changes */
  async choose(changes) {
    const { api, notices, session, store } = this.app;
    await session.line.catch(() => null);
    try {
      this.render(await api.json("PATCH", "ways", { json: changes }));
      // so that the first click with another method is answered soon, too
      if (changes.method) {
        api.send("POST", `frames/${store.state.index}/prepare`).catch(() => null);
      }
    } catch (error) {
      notices.failed(error);
      this.load();
    }
  }

  /** Look for what the field says. */
  async find() {
    const { api, notices, session, work } = this.app;
    const text = byId("find-text").value.trim();
    if (!text) {
      byId("find-text").focus();
      return;
    }
    await session.line.catch(() => null);
    try {
      const job = await api.json("POST", "jobs", { json: { kind: "find", text } });
      work.asked(job);
    } catch (error) {
      notices.failed(error);
    }
  }

  /** @param {Choices} ways */
  render({ methods, method, propagators, propagator, text, words }) {
    fill(byId("method"), methods, method);
    fill(byId("propagator"), propagators, propagator);
    const chosen = [
      methods.find(({ name }) => name === method), propagators.find(({ name }) => name === propagator),
    ];
    byId("ways-chosen").textContent = chosen
      .filter((way) => way && way.name !== "auto")
      .map((way) => t(way?.title ?? ""))
      .join(" · ");
    const cannot = Boolean(text.lack);
    const field = byId("find-text");
    field.disabled = cannot;
    if (!field.value) field.value = words;
    byId("find").disabled = cannot;
    byId("find-note").textContent = cannot
      ? sentence(text)
      : t("Looks for it from the first frame on; the frame that shows it becomes a reference.");
    byId("ways-lacks").replaceChildren(
      ...[...methods, ...propagators]
        .filter(({ lack }) => lack)
        .map(sentence)
        // SAM 2 makes first masks, and propagates them
        .filter((line, at, all) => all.indexOf(line) === at)
        .map((line) => el("li", {}, line)),
    );
  }
}

/** @param {Way} way */
function sentence({ lack, hint }) {
  return [t(lack), t(hint)].filter(Boolean).join(" — ");
}

/**
 * @param {HTMLSelectElement} select
 * @param {Way[]} ways
 * @param {string} chosen
 */
function fill(select, ways, chosen) {
  select.replaceChildren(
    ...ways.map(({ name, title, lack, hint }) => {
      const shown = name !== "auto"
        ? t(title)
        : [t("automatic"), title && t(title)].filter(Boolean).join(" · ");
      return el(
        "option",
        { value: name, disabled: Boolean(lack), title: lack ? sentence({ name, title, lack, hint }) : null },
        lack ? t("{title}: not here", { title: shown }) : shown,
      );
    }),
  );
  select.value = chosen;
}
