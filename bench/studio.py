"""Measure the studio in a real browser, and print the figures of docs/studio.md.

    pip install playwright
    python bench/studio.py
    python bench/studio.py --davis DAVIS_DIR --network model/u2netp.onnx   # the scripted user

Clips are made here: the demo's scene, and test patterns by the ffmpeg program.
The browser is the system's chromium, without a GPU: a graphics card makes drawing faster, not
slower. Times are those that a user sees: from the key or the mouse to the picture on screen.

The scripted user clicks at the centre of the largest error of the first frame until it overlaps the
truth by 0.9 (three clicks at most), propagates, goes to the worst frame, and so on, until the mean
of J and F over all frames reaches 90 or he has clicked forty times. An interaction is a click, or a
start of propagation.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.davis import find_sequences, read_truth
from bench.first_mask import iou, next_click
from vfx_matte.first_mask import Click, Marks
from vfx_matte.masks import Palette
from vfx_matte.measure.accuracy import MaskPair, score_sequence
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.studio import Studio
from vfx_matte.scene import Scene
from vfx_matte.workspace import save_mask

# Playwright's own flags, and what Chromium needs to run as root: nothing is said of graphics, so it
# finds out for itself that there is no card.
BROWSER = ("--no-sandbox",)
FRAME = "document.querySelector('[role=application]')"
SETTLED = 10  # masks after which the speed of propagation is measured
GOAL, MOST_CLICKS, CLICKS_AT_ONCE = 0.90, 40, 3

# resolves with the milliseconds until the page shows the frame `target`, drawn
WAIT_FOR_FRAME = f"""
(target) => new Promise((resolve) => {{
  const begin = performance.now(), frame = {FRAME};
  const look = () => frame.dataset.index === String(target)
    ? requestAnimationFrame(() => resolve(performance.now() - begin))
    : (performance.now() - begin > 20000 ? resolve(NaN) : setTimeout(look, 1));
  look();
}})
"""


@dataclass
class Served:
    """A studio that runs as a process of its own."""

    process: subprocess.Popen[str]
    address: str
    began: float
    saved: list[float] = field(default_factory=list)
    """When each mask was there, from the events."""

    @property
    def url(self) -> str:
        """The address without the token."""
        return self.address.partition("#")[0]

    @property
    def token(self) -> str:
        """What lets requests in."""
        return self.address.partition("token=")[2]

    def ask(self, path: str) -> Any:  # noqa: ANN401  JSON
        """GET, with the token."""
        request = urllib.request.Request(
            f"{self.url}api/{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def listen(self) -> None:
        """Note when masks are saved, in a thread."""

        def work() -> None:
            request = urllib.request.Request(
                f"{self.url}api/events", headers={"Authorization": f"Bearer {self.token}"}
            )
            try:
                with urllib.request.urlopen(request) as answer:
                    for line in answer:
                        if line.startswith(b"data:") and b'"saved"' in line:
                            self.saved.append(time.monotonic())
            except OSError:
                return

        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.5)

    def memory_mb(self) -> float:
        """What the process holds, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


@contextmanager
def serving(clip: Path, folder: Path, *more: str) -> Iterator[Served]:
    """The studio on a clip, until the block ends."""
    command = [sys.executable, "-m", "vfx_matte", "studio", str(clip), "--port", "0"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--no-browser", *more], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Served(process, process.stdout.readline().strip(), began)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@contextmanager
def page_of(browser: Any, served: Served) -> Iterator[Any]:  # noqa: ANN401  Playwright has no types here
    """The page, ready to be used."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(served.address)
    page.wait_for_selector("[role=application][data-index]", timeout=60_000)
    yield page
    page.close()


def film(folder: Path, name: str, *, width: int, height: int, frames: int) -> Path:
    """The demo's scene as a clip."""
    scene = Scene(width=width, height=height, frame_count=frames)
    path = folder / name
    images = (scene.frame(index)[0] for index in range(frames))
    make_clip(path, images, scene.timeline, scene.sound())
    save_mask(folder / "first.png", scene.truth_mask(0), Palette.davis())
    return path


def pattern(folder: Path, name: str, *, size: str, seconds: int, times: int = 1) -> Path:
    """A moving test pattern by the ffmpeg program, two seconds from keyframe to keyframe.

    size: "1920x1080"; times: how often it is repeated, which costs no encoding.
    """
    once, path = folder / f"once-{name}", folder / name
    made = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50"]
    for arguments in (
        [*made, *coded, str(once)],
        ["-stream_loop", str(times - 1), "-i", str(once), "-c", "copy", str(path)],
    ):
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)
    return path


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return float(np.percentile(values, 95)) if values else float("nan")


def say(what: str, value: float, unit: str, asked: str) -> None:
    """Print one row."""
    print(f"| {what} | {value:.3g} {unit} | {asked} |", flush=True)


def measure_start(browser: Any, clip: Path, folder: Path, what: str) -> None:  # noqa: ANN401
    """From the command to the first picture."""
    with serving(clip, folder) as served:
        ready = time.monotonic() - served.began
        with page_of(browser, served):
            shown = time.monotonic() - served.began
        print(f"| {what}: serves after | {ready:.2f} s | ≤ 3 s |")
        print(f"| {what}: first picture after | {shown:.2f} s | ≤ 3 s |", flush=True)


def measure_scrub(page: Any, frames: int) -> None:  # noqa: ANN401
    """Steps of ten frames to unseen ones, then back over them, and jumps."""
    timeline = page.get_by_role("slider", name="Timeline")
    timeline.focus()
    time.sleep(2)

    def press(key: str, target: int) -> float:
        page.keyboard.press(key)
        return float(page.evaluate(WAIT_FOR_FRAME, target))

    far = list(range(10, frames, 10))
    unseen = [press("Shift+ArrowRight", target) for target in far]
    for step in range(1, 10):
        press("ArrowLeft", far[-1] - step)
    seen = [press("ArrowRight", far[-1] - 9 + step) for step in range(1, 10)]
    say("scrub to an unseen frame, p95", p95(unseen), "ms", "≤ 150 ms")
    say("step to a seen frame, p95", p95(seen), "ms", "≤ 33 ms")


def measure_play(page: Any) -> None:  # noqa: ANN401
    """Frames on screen per second."""
    page.keyboard.press("Home")
    time.sleep(1)
    count = f"""
() => new Promise((resolve) => {{
  let shown = 0;
  const watch = new MutationObserver(() => shown++);
  watch.observe({FRAME}, {{attributes: true, attributeFilter: ["data-index"]}});
  setTimeout(() => {{ watch.disconnect(); resolve(shown / 3); }}, 3000);
}})"""
    page.keyboard.press("Space")
    time.sleep(0.5)
    say("play", float(page.evaluate(count)), "frames/s", "≥ 24")
    page.keyboard.press("Space")


def measure_marks(page: Any, scene: Scene) -> None:  # noqa: ANN401
    """The first click on a frame, and further ones."""
    page.keyboard.press("Home")
    page.get_by_role("button", name="Click", exact=True).click()
    time.sleep(3)  # encodes ahead meanwhile
    box = page.get_by_role("application", name="Frame").bounding_box()
    inside = np.argwhere(scene.truth_mask(0) > 0)
    took = []
    for share in (0.5, 0.3, 0.7, 0.4, 0.6):
        y, x = inside[int(share * len(inside))]
        begin = time.monotonic()
        with page.expect_response(lambda answer: "/marks" in answer.url):
            page.mouse.click(
                box["x"] + box["width"] * (x + 0.5) / scene.width,
                box["y"] + box["height"] * (y + 0.5) / scene.height,
            )
        page.evaluate("() => new Promise(requestAnimationFrame)")
        took.append(1000 * (time.monotonic() - begin))
        time.sleep(0.3)
    say("first click on a frame → mask", took[0], "ms", "≤ 1000 ms")
    say("further click → mask, median", median(took[1:]), "ms", "≤ 500 ms")


# notes of every movement that is painted how long it took until it was drawn, in ms: from when the
# browser got it, and how long the page itself worked for it
WATCH_BRUSH = """
() => {
  const { renderer } = studio, draw = renderer.draw.bind(renderer);
  const told = window.told = { drawn: [], work: [], refreshes: [] };
  let since = null, refresh = 0, begun = 0, spent = 0;
  window.addEventListener("pointermove", (event) => {
    since ??= event.timeStamp;
    begun = performance.now();
  }, true);
  window.addEventListener("pointermove", () => (spent += performance.now() - begun));
  const count = () => { if (since !== null) refresh++; requestAnimationFrame(count); };
  renderer.draw = () => {
    const begin = performance.now();
    draw();
    if (since === null) return;
    told.drawn.push(performance.now() - since);
    told.work.push(spent + performance.now() - begin);
    told.refreshes.push(refresh);
    since = null;
    refresh = spent = 0;
  };
  requestAnimationFrame(count);
}"""


def measure_brush(page: Any) -> None:  # noqa: ANN401
    """From a movement of the mouse, at any time between two refreshes, to the painted picture.

    What is drawn goes to the screen with the refresh that it is drawn for.
    """
    page.get_by_role("button", name="Brush", exact=True).click()
    page.evaluate(WATCH_BRUSH)
    box = page.get_by_role("application", name="Frame").bounding_box()
    chance = random.Random(1)
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    for step in range(1, 121):
        time.sleep(chance.uniform(0.02, 0.05))
        page.mouse.move(box["x"] + 60 + 3 * step, box["y"] + 60 + 1.5 * step)
    page.mouse.up()
    told = page.evaluate("window.told")
    drawn, work = told["drawn"], told["work"]
    say("brush: movement → drawn, median", median(drawn), "ms", "≤ 16 ms")
    say("brush: movement → drawn, p95", p95(drawn), "ms", "")
    say("brush: the page's own work for it, median", median(work), "ms", "")
    # the refresh that it is drawn for is counted, too
    soon = 100 * fmean(one <= 1 for one in told["refreshes"])
    say("brush: drawn with the first refresh", soon, "%", "100 %")


def measure_propagation(page: Any, served: Served, clip: Path, folder: Path) -> None:  # noqa: ANN401
    """The first mask, and the speed beside that of the command line, one after the other."""
    page.keyboard.press("Home")
    served.listen()
    begin = time.monotonic()
    page.get_by_role("button", name="Forward", exact=True).click()
    frames = served.ask("project")["clip"]["frames"]
    while len(served.saved) < frames and time.monotonic() - begin < 300:
        time.sleep(0.05)
    # the first one is the reference itself, which nobody has waited for
    first = served.saved[1] - begin
    # what was computed before the click comes all at once, and is no speed
    steady = served.saved[SETTLED:]
    own = (len(steady) - 1) / (steady[-1] - steady[0])
    say("first propagated mask after", 1000 * first, "ms", "≤ 500 ms")
    references = next(folder.glob("workspace/*/references"))
    command = [sys.executable, "-m", "vfx_matte", "segment", str(clip), "--masks", str(references)]
    other = folder / "other"
    stamps: list[float] = []
    process = subprocess.Popen(
        [*command, "--workspace", str(other), "--quiet"], cwd=folder, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        if len(list(other.glob("*/masks/*.png"))) > len(stamps):
            stamps.append(time.monotonic())
        time.sleep(0.02)
    stamps = stamps[SETTLED:]
    line = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    say("propagation, share of the command line's speed", 100 * own / line, "%", "≥ 80 %")


def measure_memory(page: Any, served: Served, actions: int) -> None:  # noqa: ANN401
    """What many actions leave behind in the server."""
    page.keyboard.press("Home")
    before = served.memory_mb()
    brush = page.get_by_role("button", name="Brush", exact=True)
    box = page.get_by_role("application", name="Frame").bounding_box()
    for number in range(actions):
        page.keyboard.press("ArrowRight" if number % 200 < 100 else "ArrowLeft")
        if number % 10 == 0:
            brush.click()
            page.mouse.move(box["x"] + 50 + number % 100, box["y"] + 50)
            page.mouse.down()
            page.mouse.move(box["x"] + 90 + number % 100, box["y"] + 90)
            page.mouse.up()
        if number % 10 == 5:
            page.keyboard.press("Control+z")
    time.sleep(2)
    say(f"memory after {actions} actions, more by", served.memory_mb() - before, "MB", "≤ 500 MB")


def measure_kill(browser: Any, clip: Path, folder: Path) -> None:  # noqa: ANN401
    """Whether the last finished stroke is there after kill -9."""
    own = ("--workspace", "killed")
    with serving(clip, folder, *own) as served, page_of(browser, served) as page:
        page.get_by_role("button", name="Brush", exact=True).click()
        box = page.get_by_role("application", name="Frame").bounding_box()
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            page.mouse.move(box["x"] + 100, box["y"] + 100)
            page.mouse.down()
            page.mouse.move(box["x"] + 200, box["y"] + 150)
            page.mouse.up()
        served.process.kill()
        served.process.wait()
    with serving(clip, folder, *own) as served:
        kept = len(served.ask("project")["state"]["references"])
    say("strokes kept after kill -9, of 1", kept, "", "1")


@dataclass(frozen=True)
class Session:
    """What the scripted user needed for one sequence."""

    name: str
    clicks: int
    propagations: int
    seconds: float
    score: float


def scripted_user(davis: Path, name: str, network: Path | None, folder: Path) -> Session:
    """Work on one sequence until it is good enough."""
    (sequence,) = find_sequences(davis, [name], year="2016", subset="val")
    truths = [read_truth(path, multi=False) for path in sequence.truths]
    pictures, model = folder / name, folder / "model"
    pictures.mkdir()
    model.mkdir(exist_ok=True)
    for path in sequence.images:
        (pictures / path.name).symlink_to(path)
    if network is not None:
        shutil.copy(network, model)
    reporter = SilentReporter()
    began = time.monotonic()
    studio = Studio.open(
        open_source(pictures, reporter=reporter),
        workspace=folder / "workspace",
        model=model,
        propagator=PropagatorOptions(name="builtin", model=model),
        fetch=False,
        reporter=reporter,
    )
    clicks = propagations = 0
    at, score = 0, 0.0
    try:
        while score < GOAL and clicks < MOST_CLICKS:
            clicks += _click(studio, at, truths[at])
            job = studio.propagate("both", 0)
            propagations += 1
            while not next(one for one in studio.jobs() if one.id == job.id).is_over:
                time.sleep(0.02)
            pairs = (
                MaskPair(index, studio.mask(index).mask, truth, np.zeros(truth.shape, bool))
                for index, truth in enumerate(truths)
            )
            scored = score_sequence(pairs, name=name, unscored=frozenset())
            score = scored.summary.mean
            overlaps = [
                iou(studio.mask(index).mask > 0, truth > 0) for index, truth in enumerate(truths)
            ]
            references = {one.index for one in studio.view().references}
            at = min(
                (index for index in range(len(truths)) if index not in references),
                key=lambda index: overlaps[index],
            )
    finally:
        studio.close()
    return Session(name, clicks, propagations, time.monotonic() - began, score)


def _click(studio: Studio, index: int, truth: np.ndarray) -> int:
    """Click on one frame until it is good; gives how often."""
    clicks: tuple[Click, ...] = ()
    for number in range(CLICKS_AT_ONCE):
        found = studio.mask(index).mask > 0
        if number and iou(found, truth > 0) >= GOAL:
            break
        clicks = (*clicks, next_click(found, truth > 0))
        studio.mark(index, Marks(clicks=clicks), object_id=1)
    return len(clicks)


def print_sessions(davis: Path, names: list[str], network: Path | None) -> None:
    """The table of the scripted user."""
    print("\n| sequence | clicks | propagations | seconds | J&F |\n|---|---|---|---|---|")
    done = []
    for sequence in find_sequences(davis, names, year="2016", subset="val"):
        with tempfile.TemporaryDirectory() as folder:
            one = scripted_user(davis, sequence.name, network, Path(folder))
        done.append(one)
        cells = f"{one.clicks} | {one.propagations} | {one.seconds:.0f} | {100 * one.score:.1f}"
        print(f"| {one.name} | {cells} |", flush=True)
    means = [fmean(getattr(one, name) for one in done) for name in ("clicks", "propagations")]
    rest = fmean(one.seconds for one in done), 100 * fmean(one.score for one in done)
    print(f"| mean | {means[0]:.1f} | {means[1]:.1f} | {rest[0]:.0f} | {rest[1]:.1f} |")


def measure_page(browser_path: str, actions: int, network: Path | None) -> None:
    """Everything that needs the browser."""
    from playwright.sync_api import sync_playwright

    print("| | measured | asked |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "model").mkdir()
        if network is not None:
            shutil.copy(network, folder / "model")
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(BROWSER))
        clip = pattern(folder, "film.mp4", size="1920x1080", seconds=10)
        measure_start(browser, clip, folder, "1080p, 10 s")
        long = pattern(folder, "long.mp4", size="3840x2160", seconds=2, times=300)
        measure_start(browser, long, folder, "4K, 10 min")
        with serving(clip, folder) as served, page_of(browser, served) as page:
            measure_scrub(page, 250)
            measure_play(page)
            measure_brush(page)
            measure_memory(page, served, actions)
        scene = Scene(width=1920, height=1080, frame_count=3)
        short = film(folder, "short.mp4", width=1920, height=1080, frames=3)
        with serving(short, folder) as served, page_of(browser, served) as page:
            measure_marks(page, scene)
        small = film(folder, "small.mp4", width=854, height=480, frames=60)
        with serving(small, folder) as served, page_of(browser, served) as page:
            measure_marks(page, Scene(width=854, height=480, frame_count=60))
            measure_propagation(page, served, small, folder)
        measure_kill(browser, small, folder)
        browser.close()


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--davis", type=Path, help="let the scripted user work on this data set")
    parser.add_argument("--sequences", default="", help="of it; names, separated by commas")
    parser.add_argument("--network", type=Path, help="weights of U²-Netp, for marks and masks")
    parser.add_argument("--actions", type=int, default=1200, help="for memory: an hour's work")
    parser.add_argument("--browser", help="path of chromium")
    chosen = parser.parse_args()
    if chosen.davis is not None:
        names = [name for name in chosen.sequences.split(",") if name]
        print_sessions(chosen.davis, names, chosen.network)
        return 0
    paths: Callable[[str], str | None] = shutil.which
    browser = chosen.browser or paths("chromium") or paths("chromium-browser") or paths("chrome")
    if browser is None:
        print("no chromium: apt-get install chromium, or name one with --browser", file=sys.stderr)
        return 2
    measure_page(browser, chosen.actions, chosen.network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
