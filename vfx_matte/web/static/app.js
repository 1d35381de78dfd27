/** Starts the page and joins its parts. */

import { ApiError } from "./client.js";
import { Display } from "./display.js";
import { byId } from "./dom.js";
import { api, firstFrame, project } from "./early.js";
import { listen } from "./events.js";
import { Findings } from "./findings.js";
import { Frames } from "./frames.js";
import { gpuContext, GpuRenderer } from "./gpu_renderer.js";
import { language, setLanguage, t, translate } from "./i18n.js";
import { importMasks } from "./import.js";
import { Keys } from "./keys.js";
import { Overlay } from "./marks.js";
import { Masks } from "./masks.js";
import { Notices } from "./notices.js";
import { Objects } from "./objects.js";
import { endOpening, showOpening } from "./opening.js";
import { Player } from "./player.js";
import { Range } from "./range.js";
import { References } from "./references.js";
import { Session } from "./session.js";
import { SoftwareRenderer } from "./software_renderer.js";
import { Store } from "./state.js";
import { Tabs } from "./tabs.js";
import { Timeline } from "./timeline.js";
import { Toolbar } from "./toolbar.js";
import { Tools } from "./tools.js";
import { Viewport } from "./viewport.js";
import { Ways } from "./ways.js";
import { Work } from "./work.js";

const DIALOGS_AFTER_MS = 1000;

/**
 * What makes something the first time, and gives the same later; a failure is tried again.
 * @template T
 * @param {() => Promise<T>} make
 * @returns {() => Promise<T>}
 */
function once(make) {
  /** @type {Promise<T> | null} */
  let made = null;
  return () => {
    made ??= make().catch((error) => {
      made = null;
      throw error;
    });
    return made;
  };
}

/**
 * What draws the picture here: the graphics card, or the processor where there is none.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./types.js").Clip} clip
 * @param {Notices} notices
 */
function rendererOf(canvas, { width, height }, notices) {
  const gl = gpuContext(canvas);
  if (gl) {
    const say = (/** @type {string} */ text, /** @type {string} */ hint) =>
      notices.error(t(text), t(hint));
    return new GpuRenderer(canvas, gl, width, height, say);
  }
  // a canvas that was asked for WebGL may have no other context
  const fresh = /** @type {HTMLCanvasElement} */ (canvas.cloneNode());
  canvas.replaceWith(fresh);
  return new SoftwareRenderer(fresh, width, height);
}

/** All parts of the page, which know each other through this. */
export class App {
  /**
   * @param {import("./types.js").Project} project
   * @param {import("./early.js").EarlyFrame | null} early the first picture, on its way
   * @param {Notices} notices
   */
  constructor(project, early, notices) {
    const { width, height } = project.clip;
    this.api = api;
    this.notices = notices;
    this.stage = byId("stage");
    this.frame = byId("frame");
    this.store = new Store(project);
    this.frames = new Frames(api, project.clip, early);
    this.masks = new Masks(api, width, height);
    this.session = new Session(api, this.store, this.masks, notices);
    this.renderer = rendererOf(byId("picture"), project.clip, notices);
    this.viewport = new Viewport(this.stage, width, height, () => this.placed());
    this.overlay = new Overlay(
      byId("overlay"), this.store, this.viewport, byId("ring"),
    );
    this.display = new Display(
      this.store, this.frames, this.masks, this.renderer, this.viewport, api, notices, this.frame,
    );
    this.tools = new Tools(this);
    this.player = new Player(this);
    this.objects = new Objects(this);
    this.findings = new Findings(this);
    this.references = new References(this);
    this.timeline = new Timeline(byId("timeline"), this);
    this.range = new Range(this);
    this.work = new Work(this);
    /** @type {import("./export.js").Exporting | null} */
    this.exporting = null;
    this.keys = new Keys(this);
    this.toolbar = new Toolbar(this);
    this.tabs = new Tabs();
    this.ways = new Ways(this);
    importMasks(this);
    this.dialogs();

    const shown = this.masks.arrived;
    this.masks.arrived = (entry) => {
      shown(entry);
      this.timeline.seen(entry);
    };
    this.session.refreshed = () => this.display.layMask();
    this.renderer.restored = () => this.display.show(this.store.state.shown);
    this.placed();
    this.prepareAhead();
    listen(api, (event) => this.heard(event), (connected) => this.store.set({ connected }));
  }

  /** Dialogs are fetched when the first picture is there, or somebody opens one. */
  dialogs() {
    const { notices, keys } = this;
    const help = once(async () => new (await import("./help.js")).Help(keys));
    const exporting = once(async () => {
      this.exporting = new (await import("./export.js")).Exporting(this);
      return this.exporting;
    });
    for (const [id, dialog] of /** @type {const} */ ([["help", help], ["export", exporting]])) {
      byId(id).addEventListener("click", () =>
        dialog().then((one) => one.open()).catch((error) => notices.failed(error)),
      );
    }
    let asked = false;
    this.store.on(["shown"], ({ shown }) => {
      if (asked || shown < 0) return;
      asked = true;
      window.setTimeout(() => Promise.all([help(), exporting()]).catch(() => null), DIALOGS_AFTER_MS);
    });
  }

  placed() {
    // the stage is measured before everything is there
    if (!this.display) return;
    this.display.place();
    this.overlay.ask();
    this.toolbar?.zoomed();
  }

  /** Have the frame that one stays at encoded before the first click on it. */
  prepareAhead() {
    let timer = 0;
    this.store.on(["shown", "speed", "tool"], ({ shown, speed, tool }) => {
      clearTimeout(timer);
      if (shown < 0 || speed || tool === "brush" || tool === "eraser") return;
      timer = window.setTimeout(() => {
        if (this.work.running.length) return;
        this.api.send("POST", `frames/${shown}/prepare`).catch(() => null);
      }, 250);
    });
  }

  /** @param {any} event of the server */
  heard(event) {
    const { session, work, notices, store } = this;
    if (event.type === "saved") work.saved(event.index);
    if (event.type === "progress") work.progress(event);
    if (event.type === "job") work.take(event.job);
    if (event.type === "ways") this.ways.load();
    if (event.type === "found") work.found(event);
    if (event.type === "notice") notices.tell(event.text);
    if (event.type === "masks") {
      const { project } = store.state;
      const masks = { ...project.masks, done: event.done };
      store.set({ project: { ...project, masks } });
    }
    if (event.type === "project") session.heard(event.revision).catch((e) => notices.failed(e));
    if (event.type === "reload") session.reload().catch((e) => notices.failed(e));
  }
}

/**
 * Say why the page cannot be used.
 * @param {string} text
 * @param {string} hint
 */
function refuse(text, hint) {
  byId("refused").hidden = false;
  byId("refused-text").textContent = text;
  byId("refused-hint").textContent = hint;
  byId("app").hidden = true;
}

async function start() {
  translate(document);
  const languages = byId("language");
  languages.value = language();
  languages.addEventListener("change", () => setLanguage(languages.value));
  if (!project) {
    refuse(
      t("This page needs the address that the studio printed."),
      t("Open the whole address from the terminal, with everything after the # sign."),
    );
    return;
  }
  let isOpen = false;
  firstFrame
    ?.then((early) => showOpening(early, () => isOpen))
    .catch(() => null);
  try {
    const known = await project;
    isOpen = true;
    endOpening();
    const app = new App(known, await firstFrame, new Notices());
    app.store.on(["shown"], ({ shown }) => {
      // it is drawn with the same refresh of the screen
      if (shown >= 0) requestAnimationFrame(() => (byId("first-picture").hidden = true));
    });
    // for tests and for those who look under the hood
    Object.assign(window, { studio: app });
    byId("app").dataset.ready = "true";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const old = error.status === 401 || error.status === 403;
    refuse(
      old ? t("This address is from an earlier start of the studio.") : t(error.message),
      old
        ? t("Open the whole address from the terminal, with everything after the # sign.")
        : t(error.hint),
    );
  }
}

start();
