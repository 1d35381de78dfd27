/** What is said to the user: a line of status, and messages that stay until they are dismissed. */

import { ApiError } from "./client.js";
import { byId, el, icon } from "./dom.js";
import { t } from "./i18n.js";

const MOST = 4;
const LEAVES_AFTER_MS = 7000;

export class Notices {
  constructor() {
    this.list = byId("messages");
    this.line = byId("status");
    /** What the line says about the last edit. */
    this.edited = "";
  }

  /**
   * The line of status, read out by screen readers.
   * @param {string} text
   */
  status(text) {
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  /** What was said about the edit before is no longer so. */
  forget() {
    for (const note of this.list.querySelectorAll(".note")) note.remove();
    if (this.edited && this.line.textContent === this.edited) this.line.textContent = "";
    this.edited = "";
  }

  /**
   * The line of status about an edit, until the next one.
   * @param {string} text
   */
  statusOfEdit(text) {
    this.edited = t(text);
    this.status(this.edited);
  }

  /**
   * Good to know; leaves by itself.
   * @param {string} text
   */
  tell(text) {
    const made = this.add("note", text, "");
    if (made) window.setTimeout(() => made.remove(), LEAVES_AFTER_MS);
  }

  /**
   * Something went wrong; stays until dismissed.
   * @param {string} text
   * @param {string} [hint]
   */
  error(text, hint = "") {
    return this.add("error", text, hint);
  }

  /** @param {unknown} error */
  failed(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (error instanceof ApiError) {
      if (!error.superseded) this.error(t(error.message), t(error.hint));
      return;
    }
    console.error(error);
    this.error(t("The page met a fault of its own."), String(error));
  }

  /**
   * @param {"note" | "error"} kind
   * @param {string} text
   * @param {string} hint
   * @returns {HTMLElement | null} null when it stands there already
   */
  add(kind, text, hint) {
    // of the server it may still be English
    [text, hint] = [t(text), t(hint)];
    const same = [...this.list.children].find((item) => item.dataset.text === text);
    if (same) return null;
    const made = el(
      "div",
      { class: `message ${kind}`, "data-text": text, role: kind === "error" ? "alert" : null },
      el("p", {}, el("strong", {}, text), hint ? el("span", {}, ` ${hint}`) : null),
      el(
        "button",
        { type: "button", class: "bare", "aria-label": t("Dismiss"), click: () => made.remove() },
        icon("close"),
      ),
    );
    this.list.append(made);
    while (this.list.children.length > MOST) this.list.firstElementChild.remove();
    return made;
  }
}
