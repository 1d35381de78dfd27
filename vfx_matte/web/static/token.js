/** The secret that lets this page in: it comes in the address and leaves it at once. */

const KEY = "vfx-matte-token";

/**
 * The token, from the address (`#token=…` or `#…`) or from an earlier load of this tab.
 * @returns {string} empty when there is none
 */
export function takeToken() {
  const fragment = location.hash.slice(1);
  if (fragment) {
    const named = new URLSearchParams(fragment).get("token");
    sessionStorage.setItem(KEY, named || decodeURIComponent(fragment));
    // no copy stays in the address bar, the history or a bookmark
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) || "";
}
