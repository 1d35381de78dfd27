/** Export. */
export class Exporting {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
  }

  progress() {}
}
