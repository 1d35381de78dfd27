/** Edits of the project: one after another, with the revision they were made for. */

import { ApiError } from "./client.js";
import { t } from "./i18n.js";

/** @typedef {import("./types.js").EditResult} EditResult */

export class Session {
  /**
   * @param {import("./client.js").Api} api
   * @param {import("./state.js").Store} store
   * @param {import("./masks.js").Masks} masks
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, store, masks, notices) {
    this.api = api;
    this.store = store;
    this.masks = masks;
    this.notices = notices;
    this.revision = store.state.project.revision;
    this.waiting = 0;
    this.count(0);
    /** @type {Promise<any>} */
    this.line = Promise.resolve();
    /** A stroke is being drawn: nothing may replace the mask below it. */
    this.drawing = false;
    this.behind = false;
    /** How many edits were made that are no painting: each may have changed every mask. */
    this.others = 0;
    /** How often the project was found changed elsewhere. */
    this.conflicts = 0;
    /** Show the present frame's mask anew. @type {() => void} */
    this.refreshed = () => {};
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting) event.preventDefault();
    });
  }

  /**
   * Send an edit when those before it are answered.
   * @template {EditResult} R
   * @param {(revision: number) => Promise<R>} send
   * @param {number | null} [painted] the frame whose mask was already changed here
   * @param {boolean} [quiet] what it tells is for the line of status only
   * @returns {Promise<R | null>} null when it was refused; that was said
   */
  edit(send, painted = null, quiet = false) {
    this.count(1);
    const { conflicts } = this;
    const work = this.line.then(async () => {
      try {
        // made for a project that is no more
        if (conflicts !== this.conflicts) return null;
        const result = await send(this.revision);
        if (painted === null) this.others += 1;
        if (typeof result.revision === "number") this.revision = result.revision;
        this.notices.forget();
        for (const text of result.notices ?? []) {
          if (quiet) this.notices.statusOfEdit(text);
          else this.notices.tell(text);
        }
        return result;
      } catch (error) {
        // what is shown was not saved: take the server's mask again
        if (painted !== null) this.masks.drop(painted);
        this.masks.expire();
        this.behind = true;
        if (error instanceof ApiError && error.status === 409) {
          this.conflicts += 1;
          this.notices.error(
            t("The project was changed elsewhere; it was loaded again."), error.message,
          );
          await this.reload();
        } else this.notices.failed(error);
        return null;
      } finally {
        this.count(-1);
        if (!this.waiting) this.reload().catch((error) => this.notices.failed(error));
      }
    });
    this.line = work;
    return work;
  }

  /**
   * How many edits are on their way; stands in the document too, for those who look from outside.
   * @param {number} by
   */
  count(by) {
    this.waiting += by;
    document.body.dataset.unsaved = String(this.waiting);
  }

  /** Take the project and the shown mask as the server has them. */
  async reload() {
    const project = await this.api.project(this.store.clip);
    if (this.waiting) {
      // later edits are on their way with this revision
      this.revision = Math.max(this.revision, project.revision);
      return;
    }
    this.revision = project.revision;
    this.masks.expire();
    const marks = project.state.marks;
    this.store.set({ project, marks });
    this.refreshed();
  }

  /**
   * The server says that the project has this revision.
   * @param {number} revision
   */
  async heard(revision) {
    await this.line.catch(() => null);
    if (this.waiting || this.drawing || revision <= this.revision) {
      if (this.drawing) this.behind = true;
      return;
    }
    await this.reload();
  }

  /** A stroke ended: what happened meanwhile is taken over. */
  drawn() {
    this.drawing = false;
    if (this.behind && !this.waiting) {
      this.behind = false;
      this.reload().catch((error) => this.notices.failed(error));
    }
  }
}
