# ruff: noqa: ANN401, ARG002
"""A studio's engine that keeps everything in memory and computes nothing, for tests of the server
and for work on the page. By itself it serves the page: `python -m support.fake_studio [PORT]`,
started in tests/.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.first_mask import MaskedObject
from vfx_matte.pipeline.records import INTERNAL
from vfx_matte.pipeline.studio import ConflictError, JobOutput, Way, Ways

Ids = npt.NDArray[np.uint8]
WIDTH, HEIGHT, FRAMES = 96, 64, 24


@dataclass(frozen=True)
class FakeFacts:
    id: str = "f00d"
    name: str = "clip.mp4"
    width: int = WIDTH
    height: int = HEIGHT
    frames: int = FRAMES
    first_number: int = 0
    time_base: tuple[int, int] = (1, 25)
    pts: tuple[int, ...] = tuple(range(FRAMES))
    duration: float = FRAMES / 25
    fps: float = 25.0


@dataclass(frozen=True)
class FakeMask:
    mask: Ids = field(metadata=INTERNAL)
    kind: str
    digest: str


@dataclass(frozen=True)
class FakeEdit:
    revision: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FakeMarkResult:
    mask: Ids
    objects: tuple[MaskedObject, ...]
    notices: tuple[str, ...]
    revision: int


@dataclass(frozen=True)
class FakeObject:
    id: int
    name: str
    color: str
    hidden: bool = False
    locked: bool = False


@dataclass(frozen=True)
class FakeReference:
    index: int
    enabled: bool
    objects: tuple[int, ...]


@dataclass(frozen=True)
class FakeMasks:
    done: tuple[tuple[int, int], ...]
    start: int = 0
    confidence: dict[int, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class FakeView:
    clip: FakeFacts
    revision: int
    masks_revision: int
    objects: tuple[FakeObject, ...]
    references: tuple[FakeReference, ...]
    first: int | None
    last: int | None
    marks: dict[str, Any] | None
    masks: FakeMasks
    cuts: tuple[int, ...] | None
    undo: str | None
    redo: str | None
    jobs: tuple[FakeJob, ...]
    propagator: str = "fake"
    program_version: str = "0.1.0"


@dataclass(frozen=True)
class FakeJob:
    id: int
    kind: str
    label: str
    state: str
    done: int = 0
    total: int = FRAMES
    fps: float = 25.0
    message: str = ""
    hint: str = ""
    outputs: tuple[JobOutput, ...] = ()


class FakeStudio:
    """The interface of the engine, without one."""

    def __init__(self, facts: FakeFacts | None = None) -> None:
        self.info = facts or FakeFacts()
        self.calls: list[str] = []
        self.closed = False
        self.delay_seconds = 0.0
        """How long every call takes."""
        self.failure: BaseException | None = None
        """What every call raises."""
        self._lock = threading.RLock()
        self._revision = 1
        self._references: dict[int, Ids] = {}
        self._disabled: set[int] = set()
        self._propagated: dict[int, Ids] = {}
        self._objects = {1: FakeObject(1, "Object 1", "#ff0000")}
        self._range: tuple[int | None, int | None] = (None, None)
        self._ways = Ways(
            methods=(
                Way("auto", ""),
                Way(
                    "sam2",
                    "SAM 2",
                    "SAM 2 needs PyTorch and transformers",
                    "in the vfx-matte folder: pip install -e '.[sam]'",
                ),
                Way("graph", "colours and a graph cut"),
            ),
            method="auto",
            propagators=(
                Way("auto", "built-in"),
                Way("builtin", "built-in"),
                Way("xmem", "XMem", "XMem needs PyTorch", "install it"),
            ),
            propagator="auto",
            text=Way("text", ""),
            words="",
        )
        self._jobs: dict[int, FakeJob] = {}
        self._stopped: set[int] = set()
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self._numbers = itertools.count(1)
        self._undo: list[tuple[str, dict[int, Ids]]] = []
        self._redo: list[tuple[str, dict[int, Ids]]] = []

    # what every call begins with
    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.failure is not None:
            raise self.failure

    def _emit(self, event: dict[str, Any]) -> None:
        for listener in list(self._listeners):
            listener(event)

    def _edited(self, label: str, revision: int | None, change: Callable[[], None]) -> FakeEdit:
        with self._lock:
            if revision is not None and revision != self._revision:
                raise ConflictError("the project has changed meanwhile", hint="look at it again")
            before = dict(self._references)
            change()
            self._undo.append((label, before))
            self._redo.clear()
            self._revision += 1
            revision = self._revision
        self._emit({"type": "project", "revision": revision})
        return FakeEdit(revision)

    def close(self) -> None:
        self.closed = True
        self._stopped.update(self._jobs)

    @property
    def masks_revision(self) -> int:
        return self._revision

    def view(self) -> FakeView:
        self._called("view")
        with self._lock:
            done = sorted({*self._references, *self._propagated})
            return FakeView(
                clip=self.info,
                revision=self._revision,
                masks_revision=self._revision,
                objects=tuple(self._objects.values()),
                references=tuple(
                    FakeReference(
                        index,
                        index not in self._disabled,
                        tuple(int(one) for one in np.unique(mask) if one),
                    )
                    for index, mask in sorted(self._references.items())
                ),
                first=self._range[0],
                last=self._range[1],
                marks=None,
                masks=FakeMasks(
                    tuple((index, index + 1) for index in done),
                    confidence={1: (90,) * self.info.frames},
                ),
                cuts=(),
                undo=self._undo[-1][0] if self._undo else None,
                redo=self._redo[-1][0] if self._redo else None,
                jobs=tuple(self._jobs.values()),
            )

    def _picture(self, index: int) -> Image.Image:
        y, x = np.mgrid[: self.info.height, : self.info.width]
        picture = np.stack([x * 2 % 256, y * 3 % 256, 0 * x + index * 10 % 256], axis=2)
        return Image.fromarray(picture.astype(np.uint8))

    def frame_jpeg(self, index: int, width: int | None = None) -> bytes:
        self._called("frame_jpeg")
        picture, file = self._picture(index), io.BytesIO()
        if width is not None and width < self.info.width:
            picture = picture.resize((width, max(1, self.info.height * width // self.info.width)))
        picture.save(file, "JPEG", quality=85)
        return file.getvalue()

    def frame_crop(self, index: int, x: int, y: int, width: int, height: int) -> bytes:
        self._called("frame_crop")
        return _png(self._picture(index).crop((x, y, x + width, y + height)))

    def mask(self, index: int) -> FakeMask:
        self._called("mask")
        with self._lock:
            kind = "none"
            mask = np.zeros((self.info.height, self.info.width), np.uint8)
            for name, masks in (("propagated", self._propagated), ("reference", self._references)):
                if index in masks:
                    kind, mask = name, masks[index]
        return FakeMask(mask, kind, hashlib.sha256(mask.tobytes()).hexdigest()[:16])

    def save_mask(self, index: int, mask: Ids, *, label: str, revision: int | None) -> FakeEdit:
        self._called("save_mask")
        assert mask.shape == (self.info.height, self.info.width)
        assert mask.dtype == np.uint8
        return self._edited(label, revision, lambda: self._references.update({index: mask}))

    def mark(
        self,
        index: int,
        marks: Any,
        *,
        object_id: int,
        auto: bool = False,
        preview: bool = False,
        revision: int | None = None,
    ) -> FakeMarkResult:
        self._called("mark")
        if marks.is_empty and not auto:
            raise UsageError("nothing is marked")
        seen = revision
        y, x = np.mgrid[: self.info.height, : self.info.width]
        mask = self.mask(index).mask.copy()
        for click in marks.clicks:
            disc = (x - click.x) ** 2 + (y - click.y) ** 2 < (self.info.height / 6) ** 2
            mask[disc] = object_id if click.is_object else 0
        if marks.box is not None:
            left, top, wide, high = marks.box
            mask[top : top + high, left : left + wide] = object_id
        revision = self._revision
        if not preview:
            change = lambda: self._references.update({index: mask})  # noqa: E731
            revision = self._edited("mark", seen, change).revision
        pixels = int((mask == object_id).sum())
        marked = MaskedObject(object_id, pixels, pixels / mask.size, 0.9, "")
        return FakeMarkResult(mask, (marked,), ("a notice",), revision)

    def prepare(self, index: int) -> None:
        self._called("prepare")

    def import_mask(self, index: int, file: Path, *, revision: int | None = None) -> FakeEdit:
        self._called("import_mask")
        try:
            mask = np.array(Image.open(file).convert("L"))
        except Exception as error:
            raise UsageError(f"{str(file)!r} is damaged") from error
        if mask.shape != (self.info.height, self.info.width):
            raise UsageError("the mask has another size than the clip")
        return self._edited("import", revision, lambda: self._references.update({index: mask}))

    def set_reference(
        self, index: int, *, enabled: bool | None, revision: int | None = None
    ) -> FakeEdit:
        self._called("set_reference")

        def change() -> None:
            if enabled is None:
                del self._references[index]
            elif enabled:
                self._disabled.discard(index)
            else:
                self._disabled.add(index)

        return self._edited("reference", revision, change)

    def add_object(self, *, name: str | None = None, color: str | None = None) -> FakeEdit:
        self._called("add_object")
        number = next((one for one in range(1, 256) if one not in self._objects), None)
        if number is None:
            raise UsageError("there are 255 objects, and no more can be told apart")
        made = FakeObject(number, name or f"Object {number}", color or "#00ff00")
        return self._edited("object", None, lambda: self._objects.update({number: made}))

    def set_object(self, object_id: int, **changes: Any) -> FakeEdit:
        self._called("set_object")
        if object_id not in self._objects:
            raise UsageError(f"there is no object {object_id}")
        new = replace(self._objects[object_id], **changes)
        return self._edited("object", None, lambda: self._objects.update({object_id: new}))

    def remove_object(self, object_id: int) -> FakeEdit:
        self._called("remove_object")
        if object_id not in self._objects:
            raise UsageError(f"there is no object {object_id}")
        return self._edited("object", None, lambda: self._objects.pop(object_id) and None)

    def set_range(
        self, first: int | None, last: int | None, *, revision: int | None = None
    ) -> FakeEdit:
        self._called("set_range")
        if first is not None and last is not None and first > last:
            raise UsageError("the range is empty")

        def change() -> None:
            self._range = (first, last)

        return self._edited("range", revision, change)

    def undo(self) -> FakeEdit:
        self._called("undo")
        return self._moved(self._undo, self._redo, "undo")

    def redo(self) -> FakeEdit:
        self._called("redo")
        return self._moved(self._redo, self._undo, "redo")

    def _moved(self, source: list[Any], target: list[Any], name: str) -> FakeEdit:
        with self._lock:
            if not source:
                raise UsageError(f"there is nothing to {name}")
            label, references = source.pop()
            target.append((label, dict(self._references)))
            self._references = references
            self._revision += 1
        self._emit({"type": "project", "revision": self._revision})
        return FakeEdit(self._revision)

    def clear(self, what: str) -> FakeEdit:
        self._called("clear")

        def change() -> None:
            self._propagated.clear()
            if what == "all":
                self._references.clear()

        return self._edited("clear", None, change)

    def propagate(self, direction: str, index: int) -> FakeJob:
        self._called("propagate")
        frames = {
            "forward": range(index, self.info.frames),
            "backward": range(index, -1, -1),
            "both": range(self.info.frames),
        }.get(direction, range(index, index + 1))
        if not self._references:
            raise UsageError("there is no reference yet", hint="paint one")
        number = next(self._numbers)
        self._jobs[number] = FakeJob(
            number, "propagate", f"propagate {direction}", "running", total=len(frames)
        )
        threading.Thread(target=self._work, args=(number, frames), daemon=True).start()
        return self._jobs[number]

    def _work(self, number: int, frames: range) -> None:
        for done, index in enumerate(frames, start=1):
            if number in self._stopped:
                break
            time.sleep(0.02)
            nearest = min(self._references, key=lambda one: abs(one - index))
            self._propagated[index] = self._references[nearest]
            job = self._jobs[number] = replace(self._jobs[number], done=done)
            self._emit({"type": "saved", "index": index})
            self._emit(
                {
                    "type": "progress",
                    "job": number,
                    "label": job.label,
                    "done": done,
                    "total": job.total,
                    "fps": 50.0,
                }
            )
        state = "stopped" if number in self._stopped else "done"
        self._jobs[number] = replace(self._jobs[number], state=state)
        self._emit({"type": "job", "job": self._jobs[number]})

    def ways(self) -> Ways:
        self._called("ways")
        return self._ways

    def choose(self, *, method: str | None = None, propagator: str | None = None) -> Ways:
        self._called("choose")
        if method not in (None, "auto", "graph"):
            raise UsageError(f"unknown method {method!r}")
        if propagator not in (None, "auto", "builtin"):
            raise UsageError(f"unknown propagator {propagator!r}")
        self._ways = replace(
            self._ways,
            method=method or self._ways.method,
            propagator=propagator or self._ways.propagator,
        )
        self._emit({"type": "ways"})
        return self._ways

    def find(self, text: str) -> FakeJob:
        self._called("find")
        if self._ways.text.lack:
            raise UsageError(self._ways.text.lack, hint=self._ways.text.hint)
        number = next(self._numbers)
        self._jobs[number] = FakeJob(number, "find", text, "done")
        self._emit({"type": "found", "job": number, "index": 5})
        return self._jobs[number]

    def render(self, name: str, options: dict[str, Any]) -> FakeJob:
        self._called("render")
        if name.partition(":")[0] not in ("greenback", "maskvideo", "alpha", "overlay", "package"):
            raise UsageError(f"there is no render {name!r}")
        number = next(self._numbers)
        path = f"/nowhere/{name}.mp4"
        outputs = (JobOutput(1, f"{name}.mp4", path, "frames and times are equal"),)
        self._jobs[number] = FakeJob(number, "render", name, "done", outputs=outputs)
        return self._jobs[number]

    def check_render(self, name: str, options: dict[str, Any]) -> list[str]:
        self._called("check_render")
        return []

    def jobs(self) -> list[FakeJob]:
        self._called("jobs")
        return list(self._jobs.values())

    def output_path(self, output_id: int) -> Path:
        self._called("output_path")
        return Path("/nowhere/greenback.mp4")

    def stop(self, job_id: int) -> None:
        self._called("stop")
        self._stopped.add(job_id)

    def suggested(self) -> list[dict[str, Any]]:
        self._called("suggested")
        return [{"index": 7, "reason": "looks least like your references"}]

    def problems(self) -> list[dict[str, Any]]:
        self._called("problems")
        return [{"index": 9, "reason": "the mask is half as large as before"}]

    def preview(self, index: int, options: dict[str, Any], *, width: int | None = None) -> bytes:
        self._called("preview")
        return _png(self._picture(index))

    def commands(self, name: str, options: dict[str, Any]) -> list[str]:
        from vfx_matte.wording import command

        self._called("commands")
        return [command("segment", "clip.mp4", masks="workspace/clip/references", resume=True)]

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    from support.studio_server import make_server

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    made = make_server(FakeStudio(FakeFacts(width=640, height=360)), port=port)
    sys.stdout.write(f"{made.address.url}\n")
    sys.stdout.flush()
    made.run()
