/** Which frame is shown: steps, jumps, and playing by the frames' own times. */

const FASTEST = 8;

export class Player {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.since = 0;
    this.from = 0;
    this.tick = this.tick.bind(this);
    app.store.on(["speed"], ({ speed }) => {
      app.frames.playing = speed !== 0;
    });
  }

  /**
   * Go to a frame because the user wants to.
   * @param {number} index
   */
  goto(index) {
    if (this.app.tools.busy) return;
    this.app.store.set({ following: false });
    this.pause();
    this.set(index);
  }

  /** @param {number} index */
  set(index) {
    const last = this.app.store.clip.frames - 1;
    this.app.store.set({ index: Math.min(Math.max(Math.round(index), 0), last) });
  }

  /** @param {number} by */
  step(by) {
    this.goto(this.app.store.state.index + by);
  }

  toggle() {
    if (this.app.store.state.speed) this.pause();
    else this.play(1);
  }

  pause() {
    const { store, display, frames } = this.app;
    if (!store.state.speed) return;
    store.set({ speed: 0 });
    const { shown } = store.state;
    if (shown >= 0) this.set(shown);
    frames.pump();
    display.sharpen();
    display.layMask();
  }

  /**
   * J, K and L: faster with each press in the same direction.
   * @param {number} direction
   */
  shuttle(direction) {
    const { speed } = this.app.store.state;
    const next = Math.sign(speed) === direction ? speed * 2 : direction;
    this.play(Math.max(-FASTEST, Math.min(FASTEST, next)));
  }

  /** @param {number} speed negative = backwards */
  play(speed) {
    const { store, tools } = this.app;
    if (tools.busy) return;
    const { first, last } = store.range;
    let index = Math.max(0, store.state.index);
    if (speed > 0 && (index >= last || index < first)) index = first;
    if (speed < 0 && (index <= first || index > last)) index = last;
    const running = store.state.speed !== 0;
    store.set({ speed, following: false });
    this.begin(index);
    if (!running) requestAnimationFrame(this.tick);
  }

  /** @param {number} index */
  begin(index) {
    this.from = this.app.store.seconds(index);
    this.since = performance.now();
    this.app.frames.direction = Math.sign(this.app.store.state.speed) || 1;
    this.set(index);
  }

  tick() {
    const { app } = this;
    const { store, frames, display, renderer } = app;
    const { speed, shown, loop } = store.state;
    if (!speed) return;
    requestAnimationFrame(this.tick);
    const { first, last } = store.range;
    const now = this.from + (speed * (performance.now() - this.since)) / 1000;
    const index = this.at(now);
    const over = speed > 0
      ? index >= last && now > store.seconds(last) + 0.9 / (store.clip.fps || 25)
      : index < first || now < store.seconds(first);
    if (over) {
      if (loop) this.begin(speed > 0 ? first : last);
      else this.pause();
      return;
    }
    // frames that come too late are left out; the newest that is there is shown
    const direction = Math.sign(speed);
    const next = index + direction;
    // where frames take longer to fetch than to show, those that would come too late are not asked
    const lead = frames.kept.has(next) ? 0 : frames.latency * 0.001 * (store.clip.fps || 25);
    const wanted = index + Math.round(lead * speed);
    frames.wanted = Math.min(Math.max(wanted, first), last);
    frames.direction = direction;
    frames.pump();
    const there = this.nearest(index, speed > 0 ? -1 : 1, shown);
    if (there !== null && there !== shown) {
      store.set({ index: there });
      display.show(there);
      // with the next refresh another frame would take its place, and every second one is not seen
      renderer.draw();
    }
    this.fetchMasks(index, Math.sign(speed));
  }

  /**
   * The frame that is on screen at this time.
   * @param {number} seconds
   */
  at(seconds) {
    const { store } = this.app;
    let low = 0, high = store.clip.frames - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (store.seconds(middle) <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * The frame to show: this, or the one nearest to it on the way from the last shown.
   * @param {number} index
   * @param {number} step
   * @param {number} shown
   */
  nearest(index, step, shown) {
    for (let at = index; at !== shown && Math.abs(at - index) < 12; at += step) {
      if (this.app.frames.kept.has(at)) return at;
    }
    return null;
  }

  /**
   * Masks of the frames that come next, one request at a time.
   * @param {number} index
   * @param {number} direction
   */
  fetchMasks(index, direction) {
    const { masks, store } = this.app;
    if (masks.loading.size > 1) return;
    for (let ahead = 0; ahead < 10; ahead++) {
      const at = index + ahead * direction;
      if (at < 0 || at >= store.clip.frames || !store.hasMask(at)) continue;
      const known = masks.kept.get(at);
      if (known && !known.stale) continue;
      masks.load(at).catch(() => null);
      return;
    }
  }
}
