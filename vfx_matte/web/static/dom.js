/** Small helpers for the document. */

/**
 * The element with this id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * A new element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] a function is a listener, true an empty attribute
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, String(value));
    }
  }
  for (const child of children) if (child !== null) made.append(child);
  return made;
}

/**
 * An icon of the page's sheet of icons.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Whether keys typed at this element are text for it.
 * @param {EventTarget | null} target
 */
export function takesText(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  if (target instanceof HTMLInputElement) {
    return !["checkbox", "radio", "range", "button", "color", "file"].includes(target.type);
  }
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/**
 * A function that runs `work` once, `delay` ms after it was last called.
 * @param {() => void} work
 * @param {number} delay
 */
export function debounced(work, delay) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(work, delay);
  };
}

/**
 * A function that runs `work` within `pause` ms of a call, and once in that time at most.
 * @param {() => void} work
 * @param {number} pause
 */
export function paced(work, pause) {
  let timer = 0;
  return () => {
    timer ||= window.setTimeout(() => {
      timer = 0;
      work();
    }, pause);
  };
}

/**
 * Give a list new children; the focus stays on the one with the same `data-focus`.
 * @param {HTMLElement} list
 * @param {Node[]} children
 */
export function refill(list, children) {
  const focused = document.activeElement;
  const name =
    focused instanceof HTMLElement && list.contains(focused) ? focused.dataset.focus : undefined;
  list.replaceChildren(...children);
  if (name === undefined) return;
  const again = [...list.querySelectorAll("[data-focus]")].find(
    (item) => item instanceof HTMLElement && item.dataset.focus === name,
  );
  if (again instanceof HTMLElement) again.focus();
}

/**
 * Show which rows are of the frame on screen.
 * @param {HTMLElement} list of rows with `data-index`
 * @param {number} index
 */
export function markHere(list, index) {
  for (const row of list.children) {
    row.classList.toggle("here", row.getAttribute("data-index") === String(index));
  }
}
