/** Server-sent events, read through fetch so that the token goes along. */

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;

/**
 * Listen until the page is left; connects again when the stream ends.
 * @param {import("./client.js").Api} api
 * @param {(event: any) => void} heard
 * @param {(connected: boolean) => void} changed
 */
export async function listen(api, heard, changed) {
  let last = "";
  let wait = FIRST_WAIT_MS;
  for (;;) {
    try {
      /** @type {Record<string, string>} */
      const headers = { Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const response = await api.send("GET", "events", { headers });
      changed(true);
      wait = FIRST_WAIT_MS;
      for await (const event of parsed(response)) {
        if (event.id) last = event.id;
        heard(event.data);
      }
    } catch {
      // the same as an end: try again
    }
    changed(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/**
 * @param {Response} response
 * @returns {AsyncGenerator<{id: string, data: any}>}
 */
async function* parsed(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = (text + value).replace(/\r\n?/g, "\n");
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = { id: "", data: "", name: "" };
      for (const line of block.split("\n")) {
        const [field, ...rest] = line.split(":");
        const content = rest.join(":").replace(/^ /, "");
        if (field === "id") event.id = content;
        if (field === "event") event.name = content;
        if (field === "data") event.data += content;
      }
      if (!event.data && !event.name) continue;
      const data = event.data ? JSON.parse(event.data) : {};
      if (event.name && !data.type) data.type = event.name;
      yield { id: event.id, data };
    }
  }
}
