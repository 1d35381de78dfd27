/** The three tabs: one is shown, arrow keys go from one to the next. */

import { byId } from "./dom.js";

export class Tabs {
  constructor() {
    /** @type {HTMLElement[]} */
    this.tabs = [...byId("tabs").querySelectorAll("[role=tab]")];
    for (const [place, tab] of this.tabs.entries()) {
      tab.addEventListener("click", () => this.choose(place));
      tab.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.stopPropagation();
        event.preventDefault();
        const next = (place + by + this.tabs.length) % this.tabs.length;
        this.choose(next);
        this.tabs[next].focus();
      });
    }
  }

  /** @param {number} place */
  choose(place) {
    for (const [other, tab] of this.tabs.entries()) {
      const chosen = other === place;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls") ?? "").hidden = !chosen;
    }
    this.tabs[place].dispatchEvent(new CustomEvent("chosen"));
  }
}
