/** The page's words in Chinese, by their English text. */

/** @type {Record<string, string>} */
export const CHINESE = {};
