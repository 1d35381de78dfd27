/** The list of objects: choose, name, colour, hide, solo, lock, remove, add. */

import { byId, el, icon, refill } from "./dom.js";
import { hex } from "./colors.js";
import { t } from "./i18n.js";

export class Objects {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.list = byId("objects");
    this.renaming = 0;
    byId("add-object").addEventListener("click", () => this.add());
    app.store.on(["project", "object", "solo", "answer"], () => this.render());
  }

  /** Add an object and choose it. */
  async add() {
    const { api, session, store } = this.app;
    const before = new Set(store.objects.map((object) => object.id));
    const done = await session.edit(() => api.json("POST", "objects", { json: {} }));
    if (!done) return;
    const project = await api.project(store.clip);
    store.set({ project });
    const made = project.state.objects.find((object) => !before.has(object.id));
    if (made) this.choose(made.id);
  }

  /** @param {number} id */
  choose(id) {
    this.app.store.set({ object: id, answer: null });
  }

  /**
   * The object at this place of the list, from 1.
   * @param {number} place
   */
  chooseAt(place) {
    const object = this.app.store.objects[place - 1];
    if (object) this.choose(object.id);
  }

  /**
   * @param {number} id
   * @param {Partial<import("./types.js").MatteObject>} changes
   */
  change(id, changes) {
    const { api, session } = this.app;
    return session.edit(() => api.json("PATCH", `objects/${id}`, { json: changes }));
  }

  /** @param {number} id */
  remove(id) {
    const { api, session } = this.app;
    return session.edit(() => api.json("DELETE", `objects/${id}`));
  }

  render() {
    const { store } = this.app;
    const { objects } = store;
    if (objects.length && !store.active) {
      this.choose(objects[0].id);
      return;
    }
    refill(this.list, objects.map((object, place) => this.row(object, place)));
    byId("no-objects").hidden = objects.length > 0;
  }

  /**
   * @param {import("./types.js").MatteObject} object
   * @param {number} place
   */
  row(object, place) {
    const { store } = this.app;
    const { id, name, color, hidden, locked } = object;
    const active = store.state.object === id;
    const { answer, solo } = store.state;
    const swatch = el("input", {
      type: "color",
      value: hex(color),
      "data-focus": `color-${id}`,
      "aria-label": t("Colour of {name}", { name }),
      change: (/** @type {any} */ event) => this.change(id, { color: event.target.value }),
    });
    const confidence =
      answer && answer.id === id && answer.confidence !== null && answer.confidence !== undefined
        ? el("span", { class: "confidence" }, `${Math.round(answer.confidence * 100)} %`)
        : null;
    return el(
      "li",
      { class: `object${active ? " active" : ""}${hidden ? " off" : ""}` },
      swatch,
      el("span", { class: "key", "aria-hidden": "true" }, place < 9 ? String(place + 1) : ""),
      this.renaming === id ? this.nameField(object) : this.nameButton(object, active),
      confidence,
      this.toggle(`solo-${id}`, "solo", t("Solo {name}", { name }), solo === id, () =>
        store.set({ solo: solo === id ? 0 : id }),
      ),
      this.toggle(`hide-${id}`, hidden ? "hidden" : "eye", t("Hide {name}", { name }), hidden, () =>
        this.change(id, { hidden: !hidden }),
      ),
      this.toggle(`lock-${id}`, locked ? "lock" : "unlock", t("Lock {name}", { name }), locked, () =>
        this.change(id, { locked: !locked }),
      ),
      el(
        "button",
        {
          type: "button",
          class: "bare",
          "data-focus": `remove-${id}`,
          "aria-label": t("Remove {name}", { name }),
          title: t("Remove"),
          click: () => this.remove(id),
        },
        icon("close"),
      ),
    );
  }

  /**
   * @param {import("./types.js").MatteObject} object
   * @param {boolean} active
   */
  nameButton({ id, name }, active) {
    const rename = () => {
      this.renaming = id;
      this.render();
      const field = this.list.querySelector("input.name");
      field?.focus();
      field?.select();
    };
    return el(
      "button",
      {
        type: "button",
        class: "name",
        "data-focus": `name-${id}`,
        "aria-pressed": active,
        title: t("Double-click or F2 to rename"),
        click: () => this.choose(id),
        dblclick: rename,
        keydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "F2") rename();
        },
      },
      name,
    );
  }

  /** @param {import("./types.js").MatteObject} object */
  nameField({ id, name }) {
    const leave = (/** @type {boolean} */ keep, /** @type {string} */ value) => {
      if (this.renaming !== id) return;
      this.renaming = 0;
      if (keep && value.trim() && value !== name) this.change(id, { name: value.trim() });
      this.render();
    };
    return el("input", {
      class: "name",
      value: name,
      maxlength: 60,
      "aria-label": t("Name"),
      blur: (/** @type {any} */ event) => leave(true, event.target.value),
      keydown: (/** @type {any} */ event) => {
        event.stopPropagation();
        if (event.key === "Enter") leave(true, event.target.value);
        if (event.key === "Escape") leave(false, "");
      },
    });
  }

  /**
   * @param {string} focus
   * @param {string} picture
   * @param {string} label
   * @param {boolean} on
   * @param {() => void} click
   */
  toggle(focus, picture, label, on, click) {
    return el(
      "button",
      {
        type: "button",
        class: "bare",
        "data-focus": focus,
        "aria-label": label,
        "aria-pressed": on,
        title: label,
        click,
      },
      icon(picture),
    );
  }
}
