"""Draw the pictures of docs/studio.md: a browser works on a clip, from a click to an export.

    pip install playwright
    python bench/pictures/studio.py 05_default_juggle.mp4 --click 700,200 --network u2netp.onnx docs

CLICK is a point of the subject on the first frame, in pixels of the clip.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from bench.studio import BROWSER, page_of, serving

WAIT_SECONDS = 240


def wait_until_idle(served: Any) -> dict[str, Any]:  # noqa: ANN401  bench.studio.Served
    """The project, once no job runs."""
    for _ in range(WAIT_SECONDS * 5):
        project: dict[str, Any] = served.ask("project")
        if all(job["state"] not in ("waiting", "running") for job in project["jobs"]):
            return project
        time.sleep(0.2)
    raise TimeoutError("the job does not end")


def work(page: Any, served: Any, click: tuple[int, int], folder: Path, name: str) -> None:  # noqa: ANN401
    """Click, propagate a second, look at it, and export."""
    clip = served.ask("project")["clip"]
    box = page.get_by_role("application", name="Frame").bounding_box()
    scale = box["width"] / clip["width"]
    # 1. a click, and what comes of it
    page.get_by_role("button", name="Click", exact=True).click()
    with page.expect_response(lambda answer: "/marks" in answer.url, timeout=60_000):
        page.mouse.click(box["x"] + click[0] * scale, box["y"] + click[1] * scale)
    time.sleep(1)
    page.screenshot(path=folder / f"{name}-click.png")
    # 2. half a second of masks, then the picture stands
    page.keyboard.press("Home")
    page.get_by_role("button", name="Forward", exact=True).click()
    time.sleep(0.5)
    while served.ask("project")["masks"]["done"] in ([], None):
        time.sleep(0.2)
    for _ in range(WAIT_SECONDS):
        done = served.ask("project")["masks"]["done"]
        if done and done[0][1] >= min(48, clip["frames"]):
            break
        time.sleep(0.5)
    page.screenshot(path=folder / f"{name}.png")
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_idle(served)
    # 3. the dialog of exports, with its preview
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_text("Green screen at frame").wait_for(timeout=60_000)
    time.sleep(1)
    page.screenshot(path=folder / f"{name}-export.png")
    page.keyboard.press("Escape")


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("folder", type=Path, help="where pictures go")
    parser.add_argument("--click", required=True, help="x,y")
    parser.add_argument("--network", type=Path, help="weights of U²-Netp")
    parser.add_argument("--size", default="1280x720", help="of the window")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    chosen = parser.parse_args()
    from playwright.sync_api import sync_playwright

    x, y = (int(part) for part in chosen.click.split(","))
    width, height = (int(part) for part in chosen.size.split("x"))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "model").mkdir()
        if chosen.network is not None:
            shutil.copy(chosen.network, folder / "model")
        browser = playwright.chromium.launch(executable_path=chosen.browser, args=list(BROWSER))
        with serving(chosen.clip.resolve(), folder) as served, page_of(browser, served) as page:
            page.set_viewport_size({"width": width, "height": height})
            time.sleep(1)
            suffix = "" if width == 1280 else f"-{width}"
            work(page, served, (x, y), chosen.folder, f"studio{suffix}")
        browser.close()


if __name__ == "__main__":
    main()
