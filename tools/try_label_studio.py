"""Tries `vfx-matte serve --label-studio` against a real Label Studio, and prints what was seen.

    python tools/try_label_studio.py

Installs Label Studio in an environment of its own (some 160 packages, two minutes), starts it with
a database of its own, and speaks to it as its page does: projects, uploads, the model, requests for
predictions, annotations, exports. Everything but the environment is thrown away at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import httpx  # noqa: TID253  nothing here works without it
import numpy as np
import numpy.typing as npt
from PIL import Image

RATE = 10
PACKAGE = "label-studio"
IMAGES = """<View><Image name="image" value="$image"/>
<BrushLabels name="tag" toName="image"><Label value="ball"/></BrushLabels>
<KeyPointLabels name="point" toName="image" smart="true"><Label value="ball"/></KeyPointLabels>
<RectangleLabels name="rect" toName="image" smart="true"><Label value="ball"/></RectangleLabels>
</View>"""
VIDEOS = f"""<View><Labels name="what" toName="video"><Label value="ball"/></Labels>
<Video name="video" value="$video" framerate="{RATE}"/>
<VideoRectangle name="box" toName="video" smart="true"/></View>"""

Picture = npt.NDArray[np.uint8]


class Film:
    """A ball that rolls over a textured ground, with its true masks."""

    def __init__(self, width: int, height: int, frames: int) -> None:
        self.width, self.height, self.frames = width, height, frames
        self.radius = height // 8
        noise = np.random.default_rng(5).integers(60, 190, (height // 8, width // 8, 3), np.uint8)
        self._ground = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)

    def _centre(self, index: int) -> tuple[int, int]:
        share = index / max(self.frames - 1, 1)
        x = self.radius * 2 + share * (self.width - 4 * self.radius)
        return round(x), round(self.height * (0.45 + 0.1 * np.sin(6 * share)))

    def picture(self, index: int) -> Picture:
        """A frame: uint8 (H, W, 3)."""
        image: Picture = self._ground.copy().astype(np.uint8)
        cv2.circle(image, self._centre(index), self.radius, (235, 40, 40), -1)
        return image

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """The ball: bool (H, W)."""
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.circle(mask, self._centre(index), self.radius, 1, -1)
        return mask > 0

    def box(self, index: int, margin: int = 2) -> dict[str, float]:
        """Around the ball, in per cent."""
        (x, y), side = self._centre(index), self.radius + margin
        return {
            "x": 100 * (x - side) / self.width,
            "y": 100 * (y - side) / self.height,
            "width": 100 * (2 * side + 1) / self.width,
            "height": 100 * (2 * side + 1) / self.height,
            "rotation": 0,
        }

    def save(self, path: Path) -> Path:
        """Write it as H.264."""
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=RATE, options={"crf": "12"})
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            for index in range(self.frames):
                frame = av.VideoFrame.from_ndarray(self.picture(index), format="rgb24")
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path


def overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def box_overlap(film: Film, index: int, keyframe: dict[str, Any]) -> float:
    """Intersection over union of a box with the true one."""
    regions = []
    for box in (film.box(index, margin=0), keyframe):
        region = np.zeros((film.height, film.width), bool)
        left, top = box["x"] * film.width / 100, box["y"] * film.height / 100
        right = left + box["width"] * film.width / 100
        bottom = top + box["height"] * film.height / 100
        region[round(top) : round(bottom), round(left) : round(right)] = True
        regions.append(region)
    return overlap(regions[0], regions[1])


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended at the end."""
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | environment,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def installed(folder: Path) -> Path:
    """The environment with Label Studio, made where it is missing."""
    program = folder / "bin" / "label-studio"
    if not program.is_file():
        print(f"installing {PACKAGE} into {folder} …", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "-q", PACKAGE], check=True
        )
    return program


class Refreshed(httpx.Auth):
    """Exchanges a personal access token for one that lasts five minutes, whenever it is over."""

    requires_response_body = True

    def __init__(self, address: str, key: str) -> None:
        self._address, self._key, self._access = address, key, ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, and once more with a new token."""
        for _ in range(2):
            if not self._access:
                body = {"refresh": self._key}
                answer = yield httpx.Request(
                    "POST", f"{self._address}/api/token/refresh", json=body
                )
                self._access = str(answer.json()["access"])
            request.headers["Authorization"] = f"Bearer {self._access}"
            answer = yield request
            if answer.status_code != 401:
                return
            self._access = ""


def signed_in(address: str, user: str, password: str) -> tuple[httpx.Client, str]:
    """A client with a personal access token, made as a user makes it, and the token."""
    with httpx.Client(base_url=address, follow_redirects=True, timeout=60) as page:
        page.get("/user/login/")
        form = {"email": user, "password": password}
        form["csrfmiddlewaretoken"] = page.cookies["csrftoken"]
        page.post("/user/login/", data=form, headers={"Referer": f"{address}/"})
        headers = {"X-CSRFToken": page.cookies["csrftoken"], "Referer": f"{address}/"}
        key = str(page.post("/api/token/", headers=headers).raise_for_status().json()["token"])
    return httpx.Client(base_url=address, auth=Refreshed(address, key), timeout=150), key


class Trial:
    """One run: what it speaks to, and what it has seen."""

    def __init__(self, studio: httpx.Client, model: dict[str, str], folder: Path) -> None:
        self._studio, self._model, self._folder = studio, model, folder
        self.rows: list[tuple[str, str]] = []

    def project(self, title: str, config: str, *files: Path) -> tuple[int, str, list[Any]]:
        """Make a project with tasks, and connect the model.

        Returns:
            Its id, the model's id, the tasks.
        """
        made = self._json("POST", "/api/projects", json={"title": title, "label_config": config})
        number = int(made["id"])
        for path in files:
            with path.open("rb") as file:
                self._json("POST", f"/api/projects/{number}/import", files={path.name: file})
        body = {"project": number, "title": "vfx-matte", "is_interactive": True, **self._model}
        model = self._json("POST", "/api/ml", json=body)
        self.rows.append((f"{title}: model connected", str(model["readable_state"])))
        tasks = self._json("GET", "/api/tasks", params={"project": number})["tasks"]
        return number, str(model["id"]), sorted(tasks, key=lambda task: int(task["id"]))

    def asked(self, model: str, task: int, result: list[Any]) -> list[Any]:
        """What the model answers to marks, as in the page with "auto-annotation" on."""
        body = {"task": task, "context": {"result": result}}
        answer = self._json("POST", f"/api/ml/{model}/interactive-annotating", json=body)
        found: list[Any] = answer["data"]["result"]
        return found

    def pictures(self, film: Film, clip: Path, decoder: Path) -> None:
        """Mark pictures, save the brushes, export them, and carry them through the clip."""
        indices = (0, film.frames // 2)
        files = []
        for index in indices:
            files.append(self._folder / f"frame_{index:04d}.png")
            Image.fromarray(film.picture(index)).save(files[-1])
        number, model, tasks = self.project("pictures", IMAGES, *files)
        scores = []
        for index, task in zip(indices, tasks, strict=True):
            mark = {
                "id": "r", "type": "rectanglelabels", "from_name": "rect", "to_name": "image",
                "value": {**film.box(index), "rectanglelabels": ["ball"]},
            }  # fmt: skip
            (region,) = self.asked(model, task["id"], [mark])
            mask = self._decoded(region, decoder)
            scores.append(overlap(mask, film.mask(index)))
            saved = {"result": [region]}
            self._json("POST", f"/api/tasks/{task['id']}/annotations", json=saved)
        name = "pictures: rectangle → brush, read by its SDK, overlap"
        self.rows.append((name, _figures(scores)))
        # 2. out of Label Studio, and into a clip
        export = self._folder / "export.json"
        form = {"exportType": "JSON"}
        answer = self._studio.get(f"/api/projects/{number}/export", params=form).raise_for_status()
        export.write_bytes(answer.content)
        run = vfx_matte("import", clip, export, "--segment", "--json", folder=self._folder)
        found = json.loads(run)
        masks = Path(self._folder / found["segmented"]["masks"])
        carried = [
            overlap(np.array(Image.open(masks / f"{index:07d}.png")) > 0, film.mask(index))
            for index in range(film.frames)
        ]
        self.rows.append(("export JSON → import: frames, objects", _found(found)))
        self.rows.append(("… --segment: overlap with the truth, all frames", _figures(carried)))

    def videos(self, film: Film, clip: Path, *, title: str) -> None:
        """Box an object on the first frame, and see where its boxes come out."""
        number, model, tasks = self.project(title, VIDEOS, clip)
        task = int(tasks[0]["id"])
        drawn = {
            "id": "ball1", "type": "videorectangle", "from_name": "box", "to_name": "video",
            "origin": "manual",
            "value": {
                "framesCount": film.frames, "duration": film.frames / RATE, "labels": ["ball"],
                "sequence": [{"frame": 1, "enabled": True, "time": 1 / RATE, **film.box(0)}],
            },
        }  # fmt: skip
        began = time.monotonic()
        (region,) = self.asked(model, task, [drawn])
        seconds = time.monotonic() - began
        sequence = region["value"]["sequence"]
        self.rows.append(
            (
                f"{title}: frames answered at once",
                f"{len(sequence)} of {film.frames}, {seconds:.0f} s",
            )
        )
        if len(sequence) == film.frames:
            # asked for all tasks of a project, as in its data manager
            body = {"result": [drawn]}
            self._json("POST", f"/api/tasks/{task}/annotations", json=body)
            self._json(
                "POST", "/api/dm/actions",
                params={"id": "retrieve_tasks_predictions", "project": number},
                json={"selectedItems": {"all": True, "excluded": []}, "project": number},
            )  # fmt: skip
        predictions = self._predictions(task)
        (result,) = predictions[0]["result"]
        sequence = result["value"]["sequence"]
        scores = [box_overlap(film, one["frame"] - 1, one) for one in sequence[1:]]
        late = "retrieved" if seconds < 25 else "sent later"
        self.rows.append((f"{title}: prediction {late}, frames", f"{len(sequence)}"))
        self.rows.append((f"{title}: boxes, overlap with the truth", _figures(scores)))

    def _predictions(self, task: int) -> list[Any]:
        deadline = time.monotonic() + 400
        while time.monotonic() < deadline:
            found: list[Any] = self._json("GET", "/api/predictions", params={"task": task})
            if found:
                return found
            time.sleep(1)
        raise SystemExit("no prediction came")

    def _decoded(self, region: dict[str, Any], python: Path) -> npt.NDArray[np.bool_]:
        """A brush as Label Studio's own SDK reads it."""
        program = (
            "import json,sys; from label_studio_sdk.converter.brush import decode_rle;"
            " sys.stdout.buffer.write(decode_rle(json.load(sys.stdin)).tobytes())"
        )
        run = subprocess.run(
            [python, "-c", program],
            input=json.dumps(region["value"]["rle"]).encode(),
            capture_output=True,
            check=True,
        )
        shape = (region["original_height"], region["original_width"], 4)
        return np.frombuffer(run.stdout, np.uint8).reshape(shape)[..., 3] > 127

    def _json(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401  what it says
        answer = self._studio.request(method, path, **options)
        if not answer.is_success:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()


def _found(found: dict[str, Any]) -> str:
    names = [one["name"] for one in found["objects"].values()]
    return f"{', '.join(map(str, found['frames']))}; {', '.join(names)}"


def _figures(scores: list[float]) -> str:
    return f"mean {np.mean(scores):.3f}, least {min(scores):.3f}"


def vfx_matte(*arguments: str | Path, folder: Path) -> str:
    """Run the program, and return what it prints."""
    command = [sys.executable, "-m", "vfx_matte", *map(str, arguments)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)}\n{run.stderr}")
    return run.stdout


def wait_for(address: str, seconds: float) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise SystemExit(f"{address} does not answer after {seconds:.0f} s")


def main() -> None:
    """Try it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "lsenv")
    parser.add_argument("--long", type=int, default=200, help="frames of the long video; 0 = none")
    options = parser.parse_args()
    program = installed(options.venv)
    with ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="try-label-studio-")))
        user, password = "try@example.com", secrets.token_urlsafe(12)
        port = free_port()
        address = f"http://localhost:{port}"
        print("starting Label Studio …", flush=True)
        kept.enter_context(
            running(
                [
                    str(program), "start", "--no-browser", "--port", str(port),
                    "--data-dir", str(folder / "data"), "--username", user, "--password", password,
                ],
                folder / "label-studio.log",
                # what docs/serve.md tells a user: models on this machine are refused otherwise
                ML_BLOCK_LOCAL_IP="false", SSRF_PROTECTION_ENABLED="false",
                COLLECT_ANALYTICS="false", LATEST_VERSION_CHECK="false",
            )
        )  # fmt: skip
        wait_for(address, 900)
        studio, key = signed_in(address, user, password)
        kept.enter_context(studio)
        command = [sys.executable, "-m", "vfx_matte", "serve", "--port", "0", "--json"]
        command += ["--label-studio", address, "--workspace", str(folder / "workspace")]
        log = folder / "serve.log"
        server = kept.enter_context(running(command, log, LABEL_STUDIO_API_KEY=key))
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise SystemExit(log.read_text(encoding="utf-8"))
        served = json.loads(line)
        model = {
            "url": served["label_studio"],
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": "vfx-matte",
            "basic_auth_pass": served["token"],
        }
        version = re.search(r'"release": "([^"]+)"', studio.get("/version").text)
        trial = Trial(studio, model, folder)
        trial.rows.append(("Label Studio", version[1] if version else "?"))
        short = Film(320, 240, 24)
        clip = short.save(folder / "ball.mp4")
        trial.pictures(short, clip, options.venv / "bin" / "python")
        trial.videos(short, clip, title="video")
        if options.long:
            film = Film(854, 480, options.long)
            trial.videos(film, film.save(folder / "long.mp4"), title="long video")
    width = max(len(name) for name, _ in trial.rows)
    for name, value in trial.rows:
        print(f"| {name:{width}} | {value}")


if __name__ == "__main__":
    main()
