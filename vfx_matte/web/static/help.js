/** The list of keys, in which each can be given another. */

import { byId, el } from "./dom.js";
import { t } from "./i18n.js";

/**
 * A combination as people read it.
 * @param {string} key
 */
function readable(key) {
  return key.replace(/Arrow(Left|Right|Up|Down)/, (_, way) => ARROWS[way]).replace("Escape", "Esc");
}

/** @type {Record<string, string>} */
const ARROWS = { Left: "←", Right: "→", Up: "↑", Down: "↓" };

export class Help {
  /** @param {import("./keys.js").Keys} keys */
  constructor(keys) {
    this.keys = keys;
    this.dialog = byId("help-dialog");
    byId("keys-reset").addEventListener("click", () => {
      keys.reset();
      this.render();
    });
    byId("help-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => (keys.capture = null));
  }

  open() {
    this.render();
    this.dialog.showModal();
  }

  render() {
    const { keys } = this;
    /** @type {Map<string, any[]>} */
    const groups = new Map();
    for (const action of keys.actions) {
      const rows = groups.get(action.group) ?? [];
      groups.set(action.group, rows);
      const shown = keys.keysOf(action).map(readable).join(t(" or ")) || "—";
      const button = el(
        "button",
        {
          type: "button",
          class: "key-button",
          title: t("Press to give another key"),
          click: () => {
            button.textContent = t("Press a key…");
            keys.capture = (pressed) => {
              keys.capture = null;
              if (pressed !== "Escape" || action.id === "stop") keys.bind(action, pressed);
              this.render();
              const again = this.dialog.querySelector(`[data-action="${action.id}"]`);
              again?.focus();
            };
          },
          "data-action": action.id,
        },
        shown,
      );
      rows.push(el("div", { class: "key-row" }, el("dt", {}, t(action.label)), el("dd", {}, button)));
    }
    byId("keys").replaceChildren(
      ...[...groups].map(([group, rows]) =>
        el("section", {}, el("h3", {}, t(group)), el("dl", {}, ...rows)),
      ),
    );
  }
}
