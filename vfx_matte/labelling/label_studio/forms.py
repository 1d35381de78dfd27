"""Forms of Label Studio: marks and boxes that people make, masks and boxes that they get.

Everything is in per cent of the picture, from its upper left corner; frames count from 1.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vfx_matte.annotations.json_files import Entry
from vfx_matte.annotations.label_studio import pack
from vfx_matte.errors import MaskError
from vfx_matte.labelling.label_studio.config import Control, label_of
from vfx_matte.masks import Mask
from vfx_matte.pipeline.first_mask import Box, Click, Marks
from vfx_matte.pipeline.tracking import TrackedBoxes
from vfx_matte.timeline import Timeline

MOST_REGIONS = 255
"""Objects of one task, as masks have bytes."""

MOST_KEYFRAMES = 32
"""Frames that people drew a box on and that are used, of one object; of more, so many that lie
evenly among them.
"""

_DIGITS = 4
# a box of ours that nobody moved: what stands in the keyframe beside its place
_TRACKED = "tracked"
_SIDES = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a person marked for one object of a picture."""

    marks: Marks
    label: str


def prompts(results: Sequence[Entry], shape: tuple[int, int], *, together: bool) -> list[Prompt]:
    """Marks of a picture.

    Args:
        results: regions, of which points and rectangles count.
        shape: (H, W) of the picture.
        together: whether all are of one object, as those of an interactive request are; else each
            rectangle is one, and so are all points of one label.

    Raises:
        MaskError: they are damaged, or outside of the picture.
    """
    # a control without labels of its own gives a region twice: once with its label alone
    labels = {
        one.text("id"): _first(one.entry("value").data.get("labels"))
        for one in results
        if one.text("type") == "labels"
    }
    boxes: list[tuple[Box, str]] = []
    clicks: list[tuple[Click, str]] = []
    for one in results:
        kind, value = one.text("type"), one.entry("value")
        label = _first(value.data.get(kind)) or _first(value.data.get("labels"))
        label = label or labels.get(one.text("id"), "")
        if kind in ("rectangle", "rectanglelabels"):
            boxes.append((_box(value, shape), label))
        elif kind in ("keypoint", "keypointlabels"):
            positive = one.data.get("is_positive", value.data.get("positive", True))
            x, y = (_pixel(value, name, size) for name, size in zip("xy", shape[::-1], strict=True))
            clicks.append((Click(x, y, bool(positive)), label))
    if together:
        marks = Marks(boxes[-1][0] if boxes else None, tuple(click for click, _ in clicks))
        named = [label for _, label in (*boxes, *clicks) if label]
        return [] if marks.is_empty else [Prompt(marks, named[-1] if named else "")]
    found = [Prompt(Marks(box), label) for box, label in boxes]
    for label in dict.fromkeys(label for _, label in clicks):
        mine = tuple(click for click, other in clicks if other == label)
        found.append(Prompt(Marks(None, mine), label))
    return found[:MOST_REGIONS]


def brush(control: Control, region: Mask, *, label: str, score: float) -> dict[str, object]:
    """A mask as Label Studio has it.

    Args:
        control: whose region it is.
        region: uint8 (H, W), not 0 inside.
        label: of what a person marked.
        score: 0 … 1.

    Raises:
        MaskError: the control has not that label.
    """
    name = label_of(control, label)
    return {
        "id": secrets.token_hex(5),
        "type": "brushlabels",
        "from_name": control.name,
        "to_name": control.to_name,
        "origin": "prediction",
        "original_width": region.shape[1],
        "original_height": region.shape[0],
        "image_rotation": 0,
        "score": round(score, _DIGITS),
        "value": {
            "format": "rle",
            "rle": pack(region > 0),
            "brushlabels": [name] if name else [],
        },
    }


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """Frames as Label Studio counts them: evenly, whatever the video does, from 1."""

    rate: Fraction
    """Frames per second."""

    timeline: Timeline
    """Of the clip."""

    @property
    def count(self) -> int:
        """How many there are."""
        seconds = self.timeline.end - self.timeline.start
        return max(1, round(seconds * self.rate))

    def index(self, frame: int) -> int:
        """The index of the clip's frame that is shown."""
        # a little later than its beginning, as a rate such as 29.97 is written shorter than it is
        later = 1 / (4 * max(self.rate, self.timeline.average_fps))
        return self.timeline.index_at(self.timeline.start + (frame - 1) / self.rate + later)


@dataclass(frozen=True, slots=True)
class BoxedObject:
    """An object that a person drew boxes around, in a video."""

    region: Entry
    """As it came."""

    keyframes: Mapping[int, Entry]
    """Frame → box, of those that a person drew."""

    def boxes(self, grid: FrameGrid, shape: tuple[int, int]) -> dict[int, Box]:
        """Frame index of the clip → box in pixels.

        Raises:
            MaskError: one lies outside of the picture, or of the clip.
        """
        frames = sorted(self.keyframes)
        if len(frames) > MOST_KEYFRAMES:
            places = np.linspace(0, len(frames) - 1, MOST_KEYFRAMES).round().astype(int)
            frames = [frames[place] for place in places]
        if frames[-1] > grid.count:
            raise MaskError(
                f"there is a box on frame {frames[-1]}, the video has {grid.count} at"
                f" {float(grid.rate):g} frames per second",
                hint="the framerate of the Video tag has to be that of the video",
            )
        return {grid.index(frame): _box(self.keyframes[frame], shape) for frame in frames}


def boxed_objects(results: Iterable[Entry]) -> list[BoxedObject]:
    """The objects of a video that have a box by a person's hand.

    Raises:
        MaskError: regions are damaged.
    """
    found = []
    for one in results:
        if one.text("type") != "videorectangle":
            continue
        keyframes = {}
        for keyframe in one.entry("value").entries("sequence"):
            frame = keyframe.whole("frame")
            if frame < 1:
                raise MaskError(
                    f"{keyframe.where}.frame is {frame}, expected 1 or more",
                    hint="frames of a video count from 1",
                )
            # what was tracked before is no proof of where the object is, unless it was moved
            if keyframe.data.get(_TRACKED) != [keyframe.data.get(side) for side in _SIDES]:
                keyframes[frame] = keyframe
        if keyframes:
            found.append(BoxedObject(one, keyframes))
    return found[:MOST_REGIONS]


def video_region(
    boxed: BoxedObject,
    object_id: int,
    tracked: Mapping[int, TrackedBoxes],
    *,
    control: Control,
    grid: FrameGrid,
    shape: tuple[int, int],
) -> dict[str, object]:
    """An object with its boxes on all frames that are tracked.

    Args:
        boxed: what a person drew; this stays as it is.
        object_id: the object in `tracked`.
        tracked: frame index of the clip → boxes.
        control: whose region it is.
        grid: the frames of Label Studio.
        shape: (H, W) of the picture.
    """
    sequence: list[dict[str, object]] = []
    scores = []
    ended = False
    last = max(*boxed.keyframes, _last_frame(grid, tracked))
    for frame in range(min(boxed.keyframes), last + 1):
        drawn = boxed.keyframes.get(frame)
        if drawn is not None:
            # a person may end what is seen of the object on a frame
            ended = drawn.data.get("enabled") is False
            sequence.append(dict(drawn.data))
            continue
        found = tracked.get(grid.index(frame))
        box = None if found is None else found.boxes.get(object_id)
        if ended or found is None or box is None:
            _end(sequence)
            continue
        scores.append(found.confidence.get(object_id, 0.0))
        sequence.append(_keyframe(frame, box, grid, shape))
    # what is not known is not shown: the last box would stand still to the end
    if last < grid.count:
        _end(sequence)
    value = boxed.region.entry("value").data
    seconds = grid.timeline.end - grid.timeline.start
    return {
        "id": boxed.region.text("id") or secrets.token_hex(5),
        "type": "videorectangle",
        "from_name": control.name,
        "to_name": control.to_name,
        "origin": "prediction",
        "score": round(float(np.mean(scores)), _DIGITS) if scores else 1.0,
        "value": {
            **{key: value[key] for key in ("labels",) if key in value},
            "framesCount": grid.count,
            "duration": float(seconds),
            "sequence": sequence,
        },
    }


def _last_frame(grid: FrameGrid, tracked: Mapping[int, TrackedBoxes]) -> int:
    """The last frame of Label Studio that is tracked, 0 where none is."""
    if not tracked:
        return 0
    last = max(tracked)
    return next((frame for frame in range(grid.count, 0, -1) if grid.index(frame) <= last), 0)


def _keyframe(frame: int, box: Box, grid: FrameGrid, shape: tuple[int, int]) -> dict[str, object]:
    height, width = shape
    place = [
        round(100 * pixels / size, _DIGITS)
        for pixels, size in zip(box, (width, height, width, height), strict=True)
    ]
    return {
        "frame": frame,
        "enabled": True,
        "rotation": 0,
        **dict(zip(_SIDES, place, strict=True)),
        # as Label Studio itself writes it, one frame late
        "time": round(float(frame / grid.rate), 6),
        _TRACKED: place,
    }


def _end(sequence: list[dict[str, object]]) -> None:
    """Say that the object is not seen after the last keyframe."""
    if sequence:
        sequence[-1] = {**sequence[-1], "enabled": False}


def _box(value: Entry, shape: tuple[int, int]) -> Box:
    """A box in per cent as whole pixels, within the picture; of a turned one that around it."""
    height, width = shape
    x, y = value.number("x") * width / 100, value.number("y") * height / 100
    w, h = value.number("width") * width / 100, value.number("height") * height / 100
    turn = math.radians(value.number("rotation")) if value.has("rotation") else 0.0
    # turned around its upper left corner
    sin, cos = math.sin(turn), math.cos(turn)
    corners = np.array(
        [
            (x + a * cos - b * sin, y + a * sin + b * cos)
            for a, b in ((0, 0), (w, 0), (0, h), (w, h))
        ]
    )
    # thousandths of a pixel are the rounding of per cents
    low = np.floor(corners.min(axis=0) + 1e-3).clip(0, (width, height)).astype(int)
    high = np.ceil(corners.max(axis=0) - 1e-3).clip(0, (width, height)).astype(int)
    if (high <= low).any():
        raise MaskError(
            f"{value.where}: the box is empty or outside of the picture",
            hint="draw it around the object",
        )
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _pixel(value: Entry, name: str, size: int) -> int:
    place = value.number(name)
    if not 0 <= place <= 100:
        raise MaskError(
            f"{value.where}.{name} is {place:g}, expected 0 to 100 per cent",
            hint="click inside of the picture",
        )
    return min(int(place * size / 100), size - 1)


def _first(labels: object) -> str:
    return str(labels[0]) if isinstance(labels, list) and labels else ""
