/** Requests to the server. */

/** What the server refused, in its words. */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP; 0 = the server was not reached
   * @param {string} message
   * @param {string} hint
   * @param {boolean} superseded a newer request for a frame took its place
   */
  constructor(status, message, hint = "", superseded = false) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.superseded = superseded;
  }
}

/**
 * @typedef {Object} RequestOptions
 * @property {Record<string, string | number | boolean | null | undefined>} [query]
 * @property {any} [json]
 * @property {BodyInit} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {RequestCache} [cache]
 */

/** The server's API; every request carries the token. */
export class Api {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /**
   * @param {string} method
   * @param {string} path below /api/
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>} also for 304
   * @throws {ApiError} on every other status that is no success
   */
  async send(method, path, { query = {}, json, body, headers = {}, signal, cache } = {}) {
    const asked = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const search = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
    const address = `/api/${path}${asked.length ? `?${search}` : ""}`;
    /** @type {Record<string, string>} */
    const sent = { Authorization: `Bearer ${this.token}`, ...headers };
    if (json !== undefined) {
      sent["Content-Type"] = "application/json";
      body = JSON.stringify(json);
    }
    let response;
    try {
      const init = { method, headers: sent, body, signal, cache: cache ?? "no-store" };
      response = await fetch(address, init);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ApiError(0, "The studio's server does not answer.", "Is its terminal still open?");
    }
    if (response.ok || response.status === 304) return response;
    const said = await response.json().catch(() => ({}));
    throw new ApiError(
      response.status,
      said.message || `The server answered ${response.status}.`,
      said.hint || "",
      Boolean(said.superseded),
    );
  }

  /**
   * As `send`, with the JSON that is answered.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async json(method, path, options) {
    const response = await this.send(method, path, options);
    const text = await response.text();
    return text ? JSON.parse(text) : {};
  }

  /**
   * @param {import("./types.js").Clip | null} [known] with the times of all frames, which of a long
   *   clip are most of what would be sent
   * @returns {Promise<import("./types.js").Project>}
   */
  async project(known = null) {
    if (!known) return this.json("GET", "project");
    const project = await this.json("GET", "project", { query: { times: false } });
    return { ...project, clip: { ...project.clip, pts: known.pts } };
  }

  /**
   * A frame's mask as the server has it.
   * @param {number} index
   */
  async mask(index) {
    const response = await this.send("GET", `frames/${index}/mask`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /**
   * Save a frame's mask, which makes it a reference.
   * @param {number} index
   * @param {Uint8Array} mask
   * @param {string} label for undo
   * @param {number} revision
   * @returns {Promise<import("./types.js").EditResult>}
   */
  async putMask(index, mask, label, revision) {
    return this.json("PUT", `frames/${index}/mask`, {
      query: { label, revision },
      body: await gzip(mask),
      headers: { "Content-Type": "application/octet-stream", "Content-Encoding": "gzip" },
    });
  }

  /**
   * The mask that answers marks.
   * @param {number} index
   * @param {any} marks
   * @param {AbortSignal} [signal]
   */
  async postMarks(index, marks, signal) {
    const response = await this.send("POST", `frames/${index}/marks`, { json: marks, signal });
    const mask = new Uint8Array(await response.arrayBuffer());
    const told = response.headers.get("X-Result");
    return { mask, result: told ? JSON.parse(decodeURIComponent(told)) : {} };
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<ArrayBuffer>}
 */
async function gzip(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)]).stream();
  return new Response(stream.pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}
