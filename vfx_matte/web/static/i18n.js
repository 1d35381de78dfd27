/** The page's words in English and Chinese. English texts are the keys. */

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

const words = language() === "zh" ? (await import("./chinese.js")).CHINESE : {};

/**
 * A text in the language of the page.
 * @param {string} text in English
 * @param {Record<string, string | number>} [values] for what stands in braces
 */
export function t(text, values = {}) {
  const said = /** @type {Record<string, string>} */ (words)[text] ?? text;
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
