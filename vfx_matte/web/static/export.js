/** The export dialog: what to make, with which options, a preview, and the queue. */

import { byId, debounced, el, icon, refill } from "./dom.js";
import { t } from "./i18n.js";
import { PROGRAMS, RENDERS } from "./renders.js";
import { labelOf } from "./work.js";

/** @typedef {import("./types.js").Option} Option */
/** @typedef {import("./types.js").Job} Job */

const PREVIEW_AFTER_MS = 150;

/** Groups as people read them. */
const TITLES = /** @type {Record<string, string>} */ ({
  edges: "Edges", greenback: "Green screen", alpha: "Cut-out", maskvideo: "Mask video",
  overlay: "Overlay", package: "Package", render: "Sound and files",
});

export class Exporting {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.dialog = byId("export-dialog");
    /** @type {Option[]} */
    this.options = [];
    /** What was changed from its default, by name. @type {Record<string, any>} */
    this.chosen = {};
    this.render = "greenback";
    this.program = PROGRAMS[0][0];
    this.address = "";
    /** @type {AbortController | null} */
    this.asking = null;
    /** @type {AbortController | null} */
    this.checking = null;
    /** @type {AbortController | null} */
    this.listing = null;
    this.check = debounced(() => this.askWhether(), PREVIEW_AFTER_MS);
    this.listCommands = debounced(() => this.showCommands(), PREVIEW_AFTER_MS);
    this.preview = debounced(() => this.fetchPreview(), PREVIEW_AFTER_MS);
    byId("export-close").addEventListener("click", () => this.dialog.close());
    byId("export-form").addEventListener("submit", (/** @type {Event} */ event) =>
      event.preventDefault(),
    );
    byId("start-render").addEventListener("click", () => this.start());
    byId("commands-part").addEventListener("toggle", () => this.showCommands());
    byId("copy-commands").addEventListener("click", () => this.copyCommands());
    app.store.on(["project"], () => this.renderQueue());
  }

  async open() {
    const { api, notices, player } = this.app;
    player.pause();
    try {
      if (!this.options.length) this.options = await api.json("GET", "options");
    } catch (error) {
      notices.failed(error);
      return;
    }
    this.renderChoices();
    this.renderOptions();
    this.renderQueue();
    this.showCommands();
    this.dialog.showModal();
    this.fetchPreview();
    this.askWhether();
  }

  renderChoices() {
    const fields = byId("renders");
    const choices = RENDERS.map(({ name, text }) => {
      const radio = el("input", { type: "radio", name: "render", value: name });
      radio.checked = name === this.render;
      radio.autofocus = radio.checked;
      radio.addEventListener("change", () => {
        this.render = name;
        programs.disabled = name !== "package";
        this.renderOptions();
        this.preview();
        this.changed();
      });
      return el("label", { class: "choice" }, radio, t(text));
    });
    const programs = el(
      "select",
      { "aria-label": t("Program") },
      ...PROGRAMS.map(([name, text]) => el("option", { value: name }, text)),
    );
    programs.value = this.program;
    programs.disabled = this.render !== "package";
    programs.addEventListener("change", () => {
      this.program = programs.value;
      this.changed();
    });
    fields.replaceChildren(fields.firstElementChild, ...choices, programs);
  }

  /** The options of the present choice: own ones first, rarer ones folded. */
  renderOptions() {
    const { groups, without = [] } = this.kind;
    const seen = new Set(without);
    const made = [];
    const rare = [];
    for (const group of [...groups, "render"]) {
      // an option that two groups share is asked once
      const fields = this.options.filter(
        (option) => option.group === group && !seen.has(option.name),
      );
      for (const { name } of fields) seen.add(name);
      rare.push(...fields.filter(({ name }) => ENCODING.has(name)));
      const usual = fields.filter(({ name }) => !ENCODING.has(name));
      if (!usual.length) continue;
      made.push(
        el(
          "fieldset",
          { class: "options" },
          el("legend", {}, t(TITLES[group] ?? group)),
          ...usual.map((option) => this.field(option)),
        ),
      );
    }
    const fields = rare.map((option) => this.field(option));
    made.push(
      el(
        "details", {},
        el("summary", {}, t("Encoding")),
        el("fieldset", { class: "options" }, ...fields),
      ),
    );
    byId("options").replaceChildren(...made);
  }

  /** The names that the present choice knows. */
  known() {
    const { groups, without = [] } = this.kind;
    const all = new Set([...groups, "render"]);
    return new Set(
      this.options
        .filter(({ group, name }) => all.has(group) && !without.includes(name))
        .map(({ name }) => name),
    );
  }

  /** What is chosen, of what the present choice knows. */
  given() {
    const known = this.known();
    return Object.fromEntries(Object.entries(this.chosen).filter(([name]) => known.has(name)));
  }

  /** @param {Option} option */
  field(option) {
    const { name, type, choices, unit, short, explanation } = option;
    const label = t(name.replaceAll("_", " "));
    const value = name in this.chosen ? this.chosen[name] : option.default;
    const title = t(short || explanation);
    /** @type {any} */
    let input;
    if (type === "bool" && option.default !== null) {
      input = el("input", { type: "checkbox" });
      input.checked = Boolean(value);
      input.addEventListener("change", () => this.choose(option, input.checked));
    } else if (type === "bool" || choices.length) {
      const words = type === "bool" ? ["yes", "no"] : choices;
      const all = option.default === null || option.default === "" ? ["", ...words] : words;
      input = el(
        "select", {},
        ...all.map((word) => el("option", { value: word }, word ? t(word) : t("automatic"))),
      );
      input.value = type === "bool" ? { true: "yes", false: "no" }[String(value)] ?? "" : value ?? "";
      input.addEventListener("change", () =>
        this.choose(option, type === "bool" && input.value ? input.value === "yes" : input.value),
      );
    } else if (type === "int" || type === "float") {
      input = el("input", {
        type: "number", min: option.least, max: option.most, value: value ?? "",
        step: type === "int" ? 1 : "any", placeholder: option.default === null ? t("automatic") : "",
      });
      input.addEventListener("input", () => {
        if (!input.checkValidity()) return;
        this.choose(option, input.value === "" ? null : Number(input.value));
      });
    } else {
      input = el("input", {
        type: "text", value: value ?? "", maxlength: 200, autocomplete: "off",
        // an empty text is nothing, and no value at all is left to the program
        placeholder: option.default === "" ? t("none") : option.default ? "" : t("automatic"),
      });
      input.addEventListener("input", () => this.choose(option, input.value.trim()));
    }
    return el(
      "label", { class: "option", title },
      el("span", {}, label, unit ? el("span", { class: "unit" }, ` ${unit}`) : null),
      input,
    );
  }

  /**
   * @param {Option} option
   * @param {any} value "" and null = its default
   */
  choose(option, value) {
    if (value === "" || value === null || value === option.default) delete this.chosen[option.name];
    else this.chosen[option.name] = value;
    this.preview();
    this.changed();
  }

  /** What is to be made, or how, is another. */
  changed() {
    this.check();
    this.listCommands();
  }

  /** As wide as the picture is on screen, in its pixels. */
  get previewWidth() {
    const { clientWidth, clientHeight } = byId("preview");
    const { width, height } = this.app.store.clip;
    const shown = Math.min(clientWidth, (clientHeight * width) / height);
    return Math.max(64, Math.min(width, Math.round(shown * (window.devicePixelRatio || 1))));
  }

  async fetchPreview() {
    const { api, store } = this.app;
    this.asking?.abort();
    const abort = new AbortController();
    this.asking = abort;
    const note = byId("preview-note");
    const { shown } = store.state;
    note.textContent = t("Making the preview…");
    // the preview is of a green screen, which knows these
    const known = new Set(
      this.options
        .filter(({ group }) => ["edges", "greenback", "render"].includes(group))
        .map(({ name }) => name),
    );
    const options = Object.fromEntries(
      Object.entries(this.chosen).filter(([name]) => known.has(name) && !NO_PREVIEW.has(name)),
    );
    try {
      const response = await api.send("POST", `frames/${shown}/preview`, {
        query: { width: this.previewWidth }, json: { options }, signal: abort.signal,
      });
      const address = URL.createObjectURL(await response.blob());
      byId("preview").src = address;
      URL.revokeObjectURL(this.address);
      this.address = address;
      const { number } = { number: store.number(shown) };
      note.textContent = t("Green screen at frame {number} with these edges", { number });
    } catch (error) {
      if (error instanceof DOMException) return;
      const { message, hint } = /** @type {any} */ (error);
      note.textContent = [t(message), t(hint)].filter(Boolean).join(" — ");
    }
  }

  /** What is chosen, and its options. */
  get kind() {
    return RENDERS.find(({ name }) => name === this.render) ?? RENDERS[0];
  }

  /** The server's name of what is chosen. */
  get name() {
    return this.render === "package" ? `package:${this.program}` : this.render;
  }

  /** Say now what could not be made, and what would be remarked. */
  async askWhether() {
    const { api } = this.app;
    this.checking?.abort();
    const abort = new AbortController();
    this.checking = abort;
    const start = byId("start-render");
    try {
      const { notices } = await api.json("POST", "check", {
        json: { name: this.name, options: this.given() }, signal: abort.signal,
      });
      this.say("", "");
      byId("export-notes").replaceChildren(
        ...notices.map((/** @type {string} */ line) => el("li", {}, t(line))),
      );
      start.disabled = false;
    } catch (error) {
      if (error instanceof DOMException) return;
      const { message, hint, status } = /** @type {any} */ (error);
      this.say(message, hint);
      byId("export-notes").replaceChildren();
      // a server that does not answer now may do so when it is asked
      start.disabled = status !== 0;
    }
  }

  async start() {
    const { api, work, session } = this.app;
    const { name } = this;
    const invalid = byId("options").querySelector(":invalid");
    if (invalid) {
      invalid.reportValidity();
      return;
    }
    await session.line.catch(() => null);
    try {
      work.take(await api.json("POST", "jobs", {
        json: { kind: "render", name, options: this.given() },
      }));
      this.showCommands();
    } catch (error) {
      const { message, hint } = /** @type {any} */ (error);
      this.say(message, hint);
    }
  }

  /**
   * In the dialog, which covers the page's own messages.
   * @param {string} message
   * @param {string} hint
   */
  say(message, hint) {
    byId("export-error").hidden = !message;
    byId("export-error").textContent = [t(message), t(hint)].filter(Boolean).join(" — ");
  }

  async showCommands() {
    if (!byId("commands-part").open) return;
    this.listing?.abort();
    const abort = new AbortController();
    this.listing = abort;
    let lines = [];
    try {
      lines = await this.app.api.json("POST", "commands", {
        json: { name: this.name, options: this.given() }, signal: abort.signal,
      });
    } catch (error) {
      // what is wrong with the options stands above
      if (error instanceof DOMException) return;
    }
    byId("commands").textContent = lines.join("\n");
    byId("copy-commands").textContent = t("Copy");
  }

  async copyCommands() {
    const text = byId("commands");
    try {
      await navigator.clipboard.writeText(`${text.textContent}\n`);
      byId("copy-commands").textContent = t("Copied");
    } catch {
      // where the browser has no clipboard for this page, its own keys copy what is selected
      getSelection()?.selectAllChildren(text);
    }
  }

  /** How far the running job is, without making the list anew. */
  progress() {
    for (const job of this.app.store.state.project.jobs) {
      const bar = byId("queue").querySelector(`[data-job="${job.id}"] progress`);
      if (bar && job.total) bar.value = job.done / job.total;
      const count = byId("queue").querySelector(`[data-job="${job.id}"] .count`);
      if (count) count.textContent = saysOf(job);
    }
  }

  renderQueue() {
    const jobs = this.app.store.state.project.jobs.filter(
      ({ kind, state }) => kind === "render" || state === "running" || state === "waiting",
    );
    refill(byId("queue"), [...jobs].reverse().map((job) => this.row(job)));
    byId("queue-empty").hidden = jobs.length > 0;
  }

  /**
   * Opens the folder of an output, on the machine that the studio runs on.
   * @param {import("./types.js").Output} output
   * @param {Job} job
   */
  shower({ id, name }, job) {
    const { api } = this.app;
    return el(
      "button",
      {
        type: "button", class: "link", "data-focus": `show-${job.id}-${id}`,
        "aria-label": t("Show {name} in its folder", { name }),
        click: () =>
          api.send("POST", `outputs/${id}/show`)
            .then(() => this.say("", ""))
            .catch(({ message, hint }) => this.say(message, hint)),
      },
      t("Open folder"),
    );
  }

  /** @param {Job} job */
  row(job) {
    const { api, notices } = this.app;
    const runs = job.state === "running" || job.state === "waiting";
    const cancel = () =>
      api.send("DELETE", `jobs/${job.id}`).catch((error) => notices.failed(error));
    return el(
      "li",
      { class: "job", "data-job": job.id },
      el("strong", {}, labelOf(job)),
      runs
        ? el(
            "button",
            {
              type: "button", class: "bare", "data-focus": `job-${job.id}`, click: cancel,
              "aria-label": t("Cancel {label}", { label: labelOf(job) }), title: t("Cancel"),
            },
            icon("close"),
          )
        : el("span", { class: job.state === "done" ? "good" : "quiet" }, t(job.state)),
      runs ? el("span", { class: "count" }, saysOf(job)) : null,
      runs ? el("progress", { max: 1, value: job.total ? job.done / job.total : 0 }) : null,
      ...job.outputs.map((output) =>
        el(
          "span",
          { class: "result" },
          el("span", { title: output.path }, output.path ?? output.name),
          output.verified ? el("span", { class: "good" }, ` ✓ ${t(output.verified)}`) : null,
          this.app.store.state.project.shows_files ? this.shower(output, job) : null,
        ),
      ),
      job.message
        ? el("span", { class: "result bad" }, [t(job.message), t(job.hint)].filter(Boolean).join(" — "))
        : null,
    );
  }
}

/**
 * How far a job is, in a few characters.
 * @param {import("./types.js").Job} job
 */
function saysOf(job) {
  if (job.stage === "stopping") return t("stopping");
  if (job.state === "waiting") return t("waiting");
  return job.total ? `${job.done} / ${job.total}` : "";
}

/** Seldom changed. */
const ENCODING = new Set(["codec", "preset", "quality", "pixel_format"]);
/** Of the file, not of the picture. */
const NO_PREVIEW = new Set([...ENCODING, "sound"]);
