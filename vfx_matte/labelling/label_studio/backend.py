"""Answers Label Studio as a machine-learning backend: masks of marked pictures, tracked boxes of
videos.

`/predict` is synchronous, and Label Studio waits 100 seconds at most: what takes longer is sent to
it afterwards, as a prediction of the task. Nothing that is sent here is ever loaded as code or as a
network.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte._version import __version__
from vfx_matte.annotations.json_files import Entry
from vfx_matte.errors import MaskError, NothingFoundError, VfxMatteError
from vfx_matte.labelling.label_studio.client import LabelStudioClient, TaskFiles
from vfx_matte.labelling.label_studio.config import (
    Control,
    LabelConfig,
    frame_rate,
    read_config,
)
from vfx_matte.labelling.label_studio.forms import (
    BoxedObject,
    FrameGrid,
    boxed_objects,
    brush,
    prompts,
    video_region,
)
from vfx_matte.labelling.label_studio.tracks import Track, Tracks
from vfx_matte.pipeline.clip import SourceClip, open_source
from vfx_matte.pipeline.first_mask import Box, Marking, marking_of
from vfx_matte.pipeline.first_mask.salient_network import salient_network
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import TrackedBoxes, track_boxes

ANSWER_SECONDS = 25.0
"""How long a request waits for a video: a quarter of what Label Studio waits."""

BATCH_SECONDS = 60.0
"""How long a request for many tasks may take."""

MODEL_VERSION = f"vfx-matte-{__version__}"
"""Label Studio asks once per version for a task's prediction."""

# a 4K picture with what its method computes takes some 300 MB
_OPEN_PICTURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudioOptions:
    """How the backend works."""

    propagator: PropagatorOptions
    model: Path
    """The folder of network weights."""

    fetch: bool = True
    """Whether the salient network may be fetched into it."""

    answer_seconds: float = ANSWER_SECONDS
    batch_seconds: float = BATCH_SECONDS


def _refuse_what_json_lacks(body: object) -> None:
    """Raise MaskError for Infinity and NaN, which Python reads: what a person drew is sent back as
    it came, and no browser would read that.
    """
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        raise MaskError(
            "the request holds Infinity or NaN", hint="JSON has none: send finite numbers"
        ) from None


class LabelStudioBackend:
    """What Label Studio asks; safe to use from several threads.

    Args:
        client: the Label Studio whose tasks are worked on.
        options: how.
        reporter: is told what nobody waits for: notices, and what was sent later.
    """

    def __init__(
        self, client: LabelStudioClient, options: LabelStudioOptions, *, reporter: Reporter
    ) -> None:
        self._client, self._options, self._reporter = client, options, reporter
        self._files = TaskFiles(client)
        self._tracks = Tracks()
        # one video is tracked at a time, as two would only share the processor; a click on a
        # picture does not wait for videos
        self._turn = threading.Semaphore(1)
        self._pictures: OrderedDict[str, Marking] = OrderedDict()
        self._picture_lock = threading.Lock()

    def close(self) -> None:
        """Stop what is worked on, and delete what was fetched."""
        self._tracks.close()
        self._files.close()
        self._client.close()

    def health(self) -> dict[str, object]:
        """That it is up."""
        return {"status": "UP", "model_class": "vfx-matte", "model_version": MODEL_VERSION}

    def setup(self, body: object) -> dict[str, object]:
        """Hear what a project is labelled with. The key that Label Studio sends along is not used.

        Raises:
            MaskError: there is nothing to help with in its configuration.
        """
        text = Entry.of(body, "request").text("schema")
        # a project begins with an empty configuration
        if text.strip() not in ("", "<View></View>", "<View/>"):
            read_config(text)
        return {"model_version": MODEL_VERSION}

    def webhook(self, body: object) -> dict[str, object]:
        """Hear that something was annotated. Nothing is learned from it here.

        Raises:
            MaskError: it is something else.
        """
        return {"status": "ok", "action": Entry.of(body, "request").text("action")}

    def predict(self, body: object) -> dict[str, object]:
        """Predict tasks.

        Args:
            body: the request: `tasks`, `label_config`, and `params.context` where somebody marks
                something just now.

        Returns:
            `results`, one per task: `result`, `score` and `model_version`; an empty list for a
            task on which nothing is marked.

        Raises:
            VfxMatteError: the request is damaged; one task alone cannot be predicted.
        """
        _refuse_what_json_lacks(body)
        request = Entry.of(body, "request")
        config = read_config(request.text("label_config"))
        tasks = request.entries("tasks")
        context = None
        if request.has("params") and request.entry("params").has("context"):
            context = request.entry("params").entry("context")
        results: list[object] = []
        deadline = time.monotonic() + self._options.batch_seconds
        for task in tasks:
            left = deadline - time.monotonic()
            # a whole answer that comes too late is none; these are asked for again
            if results and left <= 0:
                self._reporter.notify(
                    f"{len(tasks) - len(results)} of {len(tasks)} tasks take too long for one"
                    " request: retrieve their predictions again"
                )
                results += [[] for _ in range(len(tasks) - len(results))]
                break
            try:
                results.append(self._predicted(task, config, context, seconds=max(left, 0.0)))
            except VfxMatteError as error:
                # one task that cannot be helped is no reason to leave the others
                if len(tasks) == 1:
                    raise
                self._reporter.notify(f"task {_id(task)}: {error.message}")
                results.append([])
        return {"results": results}

    def _predicted(
        self, task: Entry, config: LabelConfig, context: Entry | None, *, seconds: float
    ) -> object:
        marked = _marked(task, context)
        data = task.entry("data")
        found: tuple[list[dict[str, object]], float] | None = None
        if config.boxes is not None and data.has(config.boxes.variable):
            found = self._video(task, config.boxes, boxed_objects(marked), seconds=seconds)
        elif config.brushes is not None:
            found = self._picture(
                data.text(config.brushes.variable), config.brushes, marked, context is not None
            )
        if found is None:
            return [] if context is None else _prediction([], 0.0)
        return _prediction(*found)

    # ------------------------------------------------------------ pictures

    def _picture(
        self, link: str, control: Control, marked: Sequence[Entry], is_interactive: bool
    ) -> tuple[list[dict[str, object]], float] | None:
        with self._picture_lock:
            marking = self._opened_picture(link)
            height, width = marking.image.shape[:2]
            regions, scores = [], []
            for prompt in prompts(marked, (height, width), together=is_interactive):
                nothing = np.zeros((height, width), np.uint8)
                try:
                    mask, answers, _ = marking.placed(nothing, prompt.marks, object_id=1)
                except NothingFoundError:
                    if is_interactive:
                        raise
                    continue
                scores.append(answers[1].confidence)
                regions.append(brush(control, mask, label=prompt.label, score=scores[-1]))
        return (regions, float(np.mean(scores))) if regions else None

    def _opened_picture(self, link: str) -> Marking:
        """A picture that is open for marks; it stays so for the next click."""
        if link not in self._pictures:
            with self._files.lent(link) as path:
                image = open_source(path, reporter=self._reporter).reader.frame(0).image
            network = salient_network(
                self._options.model, reporter=self._reporter, fetch=self._options.fetch
            )
            self._pictures[link] = marking_of(image, network)
            while len(self._pictures) > _OPEN_PICTURES:
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(link)
        return self._pictures[link]

    # ------------------------------------------------------------ videos

    def _video(
        self, task: Entry, control: Control, objects: list[BoxedObject], *, seconds: float
    ) -> tuple[list[dict[str, object]], float] | None:
        if not objects:
            return None
        task_id = _id(task)
        data = task.entry("data")
        # until the track is done, which may be long after the answer
        file = ExitStack()
        try:
            path = file.enter_context(self._files.lent(data.text(control.variable)))
            clip = open_source(path, reporter=self._reporter)
            grid = FrameGrid(frame_rate(control.rate, data.data), clip.info.timeline)
            boxes = _boxes(objects, grid, clip.info.shape)

            def regions(tracked: Mapping[int, TrackedBoxes]) -> list[dict[str, object]]:
                return [
                    video_region(
                        one, object_id, tracked, control=control, grid=grid, shape=clip.info.shape
                    )
                    for object_id, one in enumerate(objects, start=1)
                ]

            def send(tracked: dict[int, TrackedBoxes]) -> None:
                result = regions(tracked)
                number = self._client.add_prediction(
                    task_id, result=result, score=_score(result), version=MODEL_VERSION
                )
                self._reporter.notify(
                    f"task {task_id}: {len(tracked)} frames are sent to Label Studio as prediction"
                    f" {number}"
                )

            track = self._tracks.begin(
                task_id,
                lambda: Track(
                    lambda: self._frames(clip, boxes),
                    turn=self._turn,
                    late=send,
                    failed=lambda error: self._reporter.notify(f"task {task_id}: {error}"),
                    ended=file.close,
                ),
            )
        except BaseException:
            file.close()
            raise
        result = regions(track.answer(min(seconds, self._options.answer_seconds)))
        return result, _score(result)

    def _frames(
        self, clip: SourceClip, boxes: Mapping[int, Mapping[int, Box]]
    ) -> Generator[TrackedBoxes, None, None]:
        return track_boxes(
            clip,
            boxes,
            start=min(boxes),
            stop=len(clip.info.timeline),
            propagator=self._options.propagator,
            model=self._options.model,
            fetch=self._options.fetch,
            reporter=self._reporter,
        )


def _boxes(
    objects: Sequence[BoxedObject], grid: FrameGrid, shape: tuple[int, int]
) -> dict[int, dict[int, Box]]:
    """Frame index → object id, from 1 → box."""
    found: dict[int, dict[int, Box]] = {}
    for object_id, one in enumerate(objects, start=1):
        for index, box in one.boxes(grid, shape).items():
            found.setdefault(index, {})[object_id] = box
    return found


def _marked(task: Entry, context: Entry | None) -> list[Entry]:
    """What people marked: just now, or else in the task's last draft or annotation."""
    if context is not None:
        return context.entries("result") if context.has("result") else []
    for name in ("drafts", "annotations"):
        done = task.entries(name) if task.has(name) else []
        for one in reversed(done):
            if not one.data.get("was_cancelled") and one.has("result"):
                return one.entries("result")
    return []


def _prediction(result: list[dict[str, object]], score: float) -> dict[str, object]:
    return {"result": result, "score": score, "model_version": MODEL_VERSION}


def _score(result: Sequence[Mapping[str, object]]) -> float:
    scores = [float(str(one.get("score", 0.0))) for one in result]
    return float(np.mean(scores)) if scores else 0.0


def _id(task: Entry) -> int:
    number = task.whole("id")
    if number < 0:
        raise MaskError(
            f"{task.where}.id is {number}, expected 0 or more", hint="send the id of the task"
        )
    return number
