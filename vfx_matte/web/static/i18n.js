/** The page's words in English and Chinese. English texts are the keys. */

/** A text that is longer is no sentence. */
const LONGEST = 600;
const KEY = "vfx-matte-language";

/** @returns {"en" | "zh"} */
export function language() {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** @param {"en" | "zh"} chosen */
export function setLanguage(chosen) {
  localStorage.setItem(KEY, chosen);
  location.reload();
}

/** What the page says, and what the engine says. @type {Record<string, string>[]} */
const [page, engine] = language() === "zh"
  ? await Promise.all([
    import("./chinese.js").then(({ CHINESE }) => CHINESE),
    import("./engine_chinese.js").then(({ ENGINE_CHINESE }) => ENGINE_CHINESE),
  ])
  : [{}, {}];
const words = { ...engine, ...page };

/** Texts with blanks that the server fills, the one with the most words of its own first.
 * @type {{pattern: RegExp, names: string[], said: string}[]} */
let filled = [];

/**
 * What a blank takes: anything, or where its name says so a number alone.
 * @param {string} _
 * @param {string} name
 */
function blank(_, name) {
  return /^(n|first|last|number)$/.test(name) ? "([\\d.,]+)" : "(.*?)";
}

/**
 * A text that the server has filled, by the table's text with blanks.
 * @param {string} text
 * @returns {string | null}
 */
function matched(text) {
  if (text.length > LONGEST) return null;
  if (!filled.length) {
    const own = (/** @type {string} */ key) => key.replace(/\{\w+\}/g, "").length;
    filled = Object.entries(engine)
      .filter(([key]) => /\{\w+\}/.test(key))
      .sort(([one], [other]) => own(other) - own(one))
      .map(([key, said]) => ({
        names: [...key.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        pattern: new RegExp(
          `^${key.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, blank)}$`, "s",
        ),
        said,
      }));
  }
  const list = listed(text);
  if (list) return list;
  for (const { pattern, names, said } of filled) {
    const found = pattern.exec(text);
    if (!found) continue;
    // what fills a blank may be a name or a text of its own
    const values = Object.fromEntries(names.map((name, at) => [name, t(found[at + 1])]));
    return said.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }
  return null;
}

/**
 * A list of texts, all of which are known: of names that users gave, commas are left alone.
 * @param {string} text
 * @returns {string | null}
 */
function listed(text) {
  const parts = text.split(", ");
  if (parts.length < 2 || parts.some((part) => !(part in words))) return null;
  return parts.map((part) => words[part]).join("、");
}

/**
 * A text in the language of the page.
 * @param {string} text in English, of the page or as the server filled it
 * @param {Record<string, string | number>} [values] for what stands in braces
 */
export function t(text, values = {}) {
  const known = words[text];
  const isFilled = known === undefined && language() === "zh" && /[a-z]/i.test(text);
  const said = known ?? ((isFilled && matched(text)) || text);
  return said.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Translate what stands in the document: texts, labels and titles.
 * @param {ParentNode} root
 */
export function translate(root) {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  if (language() === "en") return;
  for (const item of root.querySelectorAll("[data-t]")) {
    item.textContent = t((item.textContent ?? "").trim());
  }
  for (const name of ["aria-label", "title", "placeholder"]) {
    for (const item of root.querySelectorAll(`[${name}]`)) {
      item.setAttribute(name, t(item.getAttribute(name) ?? ""));
    }
  }
}
