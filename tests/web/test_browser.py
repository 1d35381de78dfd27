# ruff: noqa: ANN401
"""What a browser does: it opens the page from the file, and keeps other pages out."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_studio import HEIGHT, WIDTH
from support.studio_server import Client

from vfx_matte.web import server

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")

HOSTILE = """<!doctype html><title>hostile</title><script>
const studio = "http://ADDRESS", rebound = "http://REBOUND";
const told = {};
async function attempt(name, what) {
  try { told[name] = await what(); } catch (error) { told[name] = "error"; }
}
const read = async (answer) => `${answer.type} ${answer.status} ${(await answer.text()).length}`;
async function attack() {
  for (const base of [studio, rebound]) {
    await attempt(`get ${base}`, async () => read(await fetch(`${base}/api/project`)));
    await attempt(`page ${base}`, async () => read(await fetch(`${base}/`)));
    await attempt(`blind ${base}`, async () =>
      read(await fetch(`${base}/api/clear`, {
        method: "POST", mode: "no-cors", body: '{"what": "all"}' })));
    await attempt(`token ${base}`, async () =>
      read(await fetch(`${base}/api/undo`, {
        method: "POST", headers: { Authorization: "Bearer TOKEN" } })));
    await attempt(`events ${base}`, () => new Promise((resolve) => {
      const source = new EventSource(`${base}/api/events`);
      source.onopen = () => resolve("open");
      source.onerror = () => { source.close(); resolve("error"); };
    }));
    for (const kind of ["img", "script"]) {
      await attempt(`${kind} ${base}`, () => new Promise((resolve) => {
        const element = document.createElement(kind);
        element.onload = () => resolve("loaded");
        element.onerror = () => resolve("error");
        element.src = `${base}${kind === "img" ? "/api/frames/0" : "/app.js"}`;
        document.head.append(element);
      }));
    }
  }
  await attempt("form", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "target";
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: `${studio}/api/undo`, target: "target",
      enctype: "text/plain" });
    document.body.append(form);
    frame.onload = () => resolve("sent");
    form.submit();
    setTimeout(() => resolve("nothing"), 2000);
  }));
  await attempt("frame", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = `${studio}/`;
    frame.onload = () => { try { resolve(frame.contentDocument ? "read" : "shut"); }
      catch { resolve("shut"); } };
    document.body.append(frame);
  }));
  return told;
}
</script><body>"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        # whoever has a domain can let it lead to 127.0.0.1 after the page was loaded
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        browser = running.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", rules]
        )
        yield browser
        browser.close()


@pytest.fixture
def hostile(page: Client) -> Iterator[str]:
    """The address of a hostile page that knows even the token."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = HOSTILE.replace("ADDRESS", page.authority).replace("TOKEN", page.token)
            body = text.replace("REBOUND", f"evil.example:{page.port}").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://evil.example:{other.server_port}/"
        other.shutdown()
        thread.join()


def test_a_hostile_page_reads_and_changes_nothing(
    page: Client, hostile: str, chromium: Any
) -> None:
    page.put_mask(1, bytes([1]) * (WIDTH * HEIGHT))
    before = page("GET", "/api/project").body
    page.studio.calls.clear()
    tab = chromium.new_page()
    tab.goto(hostile)
    told = tab.evaluate("attack()")
    tab.close()
    assert page.studio.calls == []
    assert page("GET", "/api/project").body == before
    # an opaque answer is one that the page cannot read
    allowed = {"error", "nothing", "sent", "shut", "opaque 0 0"}
    assert len(told) == 16
    assert {name: what for name, what in told.items() if what not in allowed} == {}


def test_the_file_opens_the_page(
    page: Client, chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although browsers call that a visit from another site."""
    opened: list[str] = []
    ready = threading.Event()

    def open_browser(address: str) -> bool:
        opened.append(address)
        ready.set()
        return True

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(server.webbrowser, "open", open_browser)
    url = f"http://{page.authority}/#token={page.token}"
    with server.browser() as open_page:
        open_page(url)
        assert ready.wait(10)
        tab = chromium.new_page()
        answers: list[tuple[str, int]] = []
        tab.on("response", lambda answer: answers.append((answer.url, answer.status)))
        tab.goto(opened[0])
        tab.wait_for_url(f"http://{page.authority}/**")
        tab.wait_for_load_state()
        tab.close()
    assert page.token not in opened[0]
    (status,) = {status for address, status in answers if address == f"http://{page.authority}/"}
    assert status == 200
