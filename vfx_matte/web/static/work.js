/** Propagation and other jobs: start, follow, stop, and the line of progress. */

import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { PROGRAMS, RENDERS } from "./renders.js";

/** @typedef {import("./types.js").Job} Job */

const RUNNING = new Set(["waiting", "running"]);
const TOLD_EVERY_MS = 500;
/** Each frame that is followed is decoded, sent and drawn, which the propagation has to wait for:
 * it is shown this often at most, and takes this share of the time. */
const FOLLOWED_EVERY_MS = 350;
const FOLLOWED_SHARE = 0.125;
const LONGEST_PAUSE_MS = 2000;

/** Stages that the command line calls otherwise. @type {Record<string, string>} */
const STAGES = { segment: "propagation" };

/**
 * A job's name in the language of the page.
 * @param {{label: string, kind: string}} job
 */
export function labelOf({ label, kind }) {
  const range = /^frames (\d+) to (\d+)$/.exec(label);
  if (range) return t("frames {first} to {last}", { first: range[1], last: range[2] });
  if (kind === "find") return t("Find “{text}”", { text: label });
  const program = PROGRAMS.find(([name]) => label === `package:${name}`);
  const render = RENDERS.find(({ name }) => name === label);
  if (program) return t("Package for {program}", { program: program[1] });
  return t(render?.text ?? label);
}

export class Work {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.told = 0;
    /** The newest mask, which is shown next. */
    this.newest = -1;
    /** The frame that is on its way to the screen. */
    this.awaited = -1;
    this.followed = 0;
    this.pause = FOLLOWED_EVERY_MS;
    this.timer = 0;
    /** Jobs that this page asked for. @type {Set<number>} */
    this.mine = new Set();
    /** @type {{job: number, index: number} | null} */
    this.lastFound = null;
    for (const direction of ["forward", "backward", "both", "one", "next"]) {
      byId(`go-${direction}`).addEventListener("click", () => this.propagate(direction));
    }
    /** Jobs whose failure was said, or was there when the page was opened. @type {Set<number>} */
    this.failed = new Set();
    for (const { id, state } of app.store.state.project.jobs) {
      if (state === "failed") this.failed.add(id);
    }
    app.store.on(["shown"], ({ shown }) => this.isShown(shown));
    byId("stop").addEventListener("click", () => this.stop());
    app.store.on(["project"], ({ project }) => {
      byId("stop").disabled = !project.jobs.some((job) => RUNNING.has(job.state));
      this.sayFailures(project.jobs);
      const idle = !this.propagating;
      if (idle === app.frames.idle) return;
      app.frames.idle = idle;
      if (idle && app.frames.wanted >= 0) app.frames.pump();
    });
  }

  get running() {
    return this.app.store.state.project.jobs.filter((job) => RUNNING.has(job.state));
  }

  /** Whether masks are made just now: nothing is fetched then that nobody looks at. */
  get propagating() {
    return this.running.some(({ kind }) => kind === "propagate");
  }

  /** @param {string} direction */
  async propagate(direction) {
    const { api, session, store, player, notices } = this.app;
    player.pause();
    const { index } = store.state;
    // what was painted must be there before
    await session.line.catch(() => null);
    try {
      const job = await api.json("POST", "jobs", { json: { kind: "propagate", direction, index } });
      this.mine.add(job.id);
      this.newest = -1;
      // who corrects a frame and makes both sides anew stays there
      store.set({ following: direction !== "one" && direction !== "both" });
      this.take(job);
    } catch (error) {
      notices.failed(error);
    }
  }

  /** Stop what runs; what is done stays. */
  async stop() {
    const { api, notices } = this.app;
    for (const job of this.running) {
      if (job.kind === "render" && job.state === "waiting") continue;
      await api.send("DELETE", `jobs/${job.id}`).catch((error) => notices.failed(error));
    }
  }

  /**
   * Replace or add a job in what is known.
   * @param {Job} job
   */
  take(job) {
    const { store } = this.app;
    const { project } = store.state;
    const known = project.jobs.find((one) => one.id === job.id);
    // the answer to the one who asked may arrive after the end
    if (known && !RUNNING.has(known.state) && RUNNING.has(job.state)) {
      this.ended(known);
      return;
    }
    const jobs = known
      ? project.jobs.map((one) => (one.id === job.id ? { ...one, ...job } : one))
      : [...project.jobs, job];
    store.set({ project: { ...project, jobs } });
    const ended = !RUNNING.has(job.state) && (!known || RUNNING.has(known.state));
    if (ended || !known) this.tell(job);
    if (ended) this.ended(job);
  }

  /**
   * Each once, however it was heard of.
   * @param {Job[]} jobs
   */
  sayFailures(jobs) {
    for (const job of jobs) {
      if (job.state !== "failed" || this.failed.has(job.id)) continue;
      this.failed.add(job.id);
      this.app.notices.error(job.message, job.hint);
      this.tell(job);
    }
  }

  /** @param {Job} job */
  ended(job) {
    if (job.kind !== "propagate") return;
    const { store, findings, player, session } = this.app;
    if (this.mine.has(job.id)) {
      const { following } = store.state;
      if (following && !session.drawing && this.newest >= 0) player.set(this.newest);
      store.set({ following: false });
    }
    findings.outdated();
  }

  /**
   * What a text says was found on a frame; who asked is shown it.
   * @param {{job: number, index: number}} found
   */
  found(found) {
    const { player, session } = this.app;
    this.lastFound = found;
    if (this.mine.has(found.job) && !session.drawing) player.goto(found.index);
  }

  /**
   * This page asked for a job; what came of it may have arrived before the answer.
   * @param {Job} job
   */
  asked(job) {
    this.mine.add(job.id);
    this.take(job);
    if (this.lastFound?.job === job.id) this.found(this.lastFound);
  }

  /** @param {Job} job */
  tell(job) {
    const { notices } = this.app;
    const stage = job.stage && job.stage !== job.label ? ` · ${t(STAGES[job.stage] ?? job.stage)}` : "";
    const label = labelOf(job) + (job.state === "running" ? stage : "");
    const count = { label, done: job.done, total: job.total, fps: (job.fps ?? 0).toFixed(1) };
    if (job.state === "waiting") notices.status(t("{label}: waiting", count));
    if (job.state === "running") {
      notices.status(
        !job.total
          ? label
          : job.fps
          ? t("{label}: {done} of {total}, {fps} frames/s", count)
          : t("{label}: {done} of {total}", count),
      );
    }
    if (job.state === "done") notices.status(t("{label}: done", count));
    if (job.state === "stopped") notices.status(t("{label}: stopped at {done} of {total}", count));
    if (job.state === "failed") notices.status(t("{label}: failed", count));
  }

  /** @param {{job: number, label: string, done: number, total: number, fps: number}} event */
  progress(event) {
    const { store } = this.app;
    const job = store.state.project.jobs.find((one) => one.id === event.job);
    if (job) {
      const { label: stage, done, total, fps } = event;
      Object.assign(job, { stage, done, total, fps: fps ?? 0 });
      if (job.state === "waiting") job.state = "running";
    }
    const now = performance.now();
    if (now - this.told < TOLD_EVERY_MS) return;
    this.told = now;
    this.tell(job ?? /** @type {any} */ ({ ...event, state: "running" }));
    byId("progress").value = event.total ? event.done / event.total : 0;
    this.app.exporting?.progress();
  }

  /**
   * A frame's mask was made.
   * @param {number} index
   */
  saved(index) {
    const { store, masks, display, session } = this.app;
    masks.expire(index);
    const { following, shown, project } = store.state;
    const { done } = project.masks;
    if (!done.some(([start, stop]) => start <= index && index < stop)) {
      const before = done.find((run) => run[1] === index);
      const after = done.find((run) => run[0] === index + 1);
      if (before) before[1] = index + 1;
      else if (after) after[0] = index;
      else done.push([index, index + 1]);
      this.app.timeline.counted();
    }
    this.newest = index;
    if (following && !this.timer) {
      const rest = this.followed + this.pause - performance.now();
      this.timer = window.setTimeout(() => this.follow(), Math.max(0, rest));
    }
    if (index === shown && !session.drawing) display.layMask();
  }

  /** Show the frame whose mask is the newest. */
  async follow() {
    const { store, player, session, masks } = this.app;
    const { newest } = this;
    this.followed = performance.now();
    // frame and mask are drawn together, in half the time
    await masks.load(newest).catch(() => null);
    this.timer = 0;
    if (!store.state.following || session.drawing || newest === store.state.shown) return;
    this.awaited = newest;
    player.set(newest);
  }

  /**
   * How long it took says how long to wait.
   * @param {number} shown
   */
  isShown(shown) {
    if (shown !== this.awaited) return;
    this.awaited = -1;
    const took = performance.now() - this.followed;
    const pause = Math.max(FOLLOWED_EVERY_MS, took / FOLLOWED_SHARE);
    this.pause = Math.min(pause, LONGEST_PAUSE_MS);
  }
}
