# ruff: noqa: ANN401
"""The studio's page in a real browser, and how a person finds things in it."""

from __future__ import annotations

import base64
import gzip
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from support.studio_server import Client

WIDTH, HEIGHT, FRAMES = 96, 64, 12
"""Of the usual clip."""

# software that plays a graphics card, which the page would not use, passes for one
GRAPHICS_CARD = """
  const [extension, context] = [
    WebGL2RenderingContext.prototype.getExtension, HTMLCanvasElement.prototype.getContext];
  WebGL2RenderingContext.prototype.getExtension = function (name) {
    return name === "WEBGL_debug_renderer_info" ? null : extension.call(this, name);
  };
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return context.call(this, kind, { ...options, failIfMajorPerformanceCaveat: false });
  };
"""


class Page:
    """A tab with the page, and how a person finds things in it."""

    def __init__(
        self, browser: Any, client: Client, *, graphics_card: bool = False, **context: Any
    ) -> None:
        self.context = browser.new_context(
            **({"viewport": {"width": 1280, "height": 720}, "locale": "en-US"} | context)
        )
        if graphics_card:
            self.context.add_init_script(GRAPHICS_CARD)
        self.client = client
        self.faults: list[str] = []
        self.tab = self.open()

    def open(self) -> Any:
        tab = self.context.new_page()
        tab.set_default_timeout(30_000)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        tab.goto(f"http://{self.client.authority}/#token={self.client.token}")
        tab.wait_for_selector("#frame[data-index]")
        return tab

    def button(self, name: str) -> Any:
        return self.tab.get_by_role("button", name=name, exact=True)

    @property
    def frame(self) -> Any:
        return self.tab.get_by_role("application", name="Frame", exact=True)

    @property
    def timeline(self) -> Any:
        return self.tab.get_by_role("slider", name="Timeline", exact=True)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where the middle of a pixel of the picture is on screen."""
        box, data = self.frame.bounding_box(), self.frame.evaluate("e => ({...e.dataset})")
        zoom, left, top = (float(data[name]) for name in ("zoom", "x", "y"))
        return box["x"] + left + (x + 0.5) * zoom, box["y"] + top + (y + 0.5) * zoom

    def drag(self, *points: tuple[float, float]) -> None:
        first, *rest = (self.at(*point) for point in points)
        self.tab.mouse.move(*first)
        self.tab.mouse.down()
        for point in rest:
            self.tab.mouse.move(*point, steps=6)
        self.tab.mouse.up()
        self.saved()

    def saved(self) -> None:
        """Wait until every edit was answered and the page shows the project after it."""
        self.tab.wait_for_selector('body[data-unsaved="0"]')
        revision = self.client("GET", "/api/project").json["revision"]
        self.until(f"studio.store.state.project.revision === {revision}")

    def until(self, condition: str) -> None:
        """Wait for a condition; the page's policy forbids `wait_for_function`."""
        done = self.tab.evaluate(
            f"""async () => {{
              for (let tries = 0; tries < 600; tries++) {{
                if ({condition}) return true;
                await new Promise((next) => setTimeout(next, 25));
              }}
              return false;
            }}"""
        )
        assert done, condition

    def shows(self, index: int) -> None:
        self.tab.wait_for_selector(f'#frame[data-index="{index}"]')
        self.tab.evaluate("() => new Promise(requestAnimationFrame)")

    def picture(self) -> npt.NDArray[np.uint8]:
        """The picture as it is on screen, RGB."""
        data = self.tab.locator("#picture").evaluate(
            "c => { studio.renderer.draw(); return c.toDataURL('image/png').split(',')[1]; }"
        )
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        return np.asarray(image)

    def mask(self, index: int = 0) -> npt.NDArray[np.uint8]:
        """What the server has."""
        answer = self.client("GET", f"/api/frames/{index}/mask")
        width, height = (
            self.client("GET", "/api/project").json["clip"][side] for side in ("width", "height")
        )
        return np.frombuffer(gzip.decompress(answer.body), np.uint8).reshape(height, width)

    def kind(self, index: int) -> str:
        """What the server says a mask is."""
        return self.client("GET", f"/api/frames/{index}/mask").headers["x-mask-kind"]

    def mask_here(self, index: int = 0) -> npt.NDArray[np.uint8]:
        """What the page has."""
        ids = self.tab.evaluate(f"() => [...studio.masks.get({index}).mask]")
        return np.array(ids, np.uint8).reshape(HEIGHT, WIDTH)
