"""A detector that knows what is in a made clip, and errs where it is told to.

    clip = [draw(index) for index in range(16)]          # (picture, mask of object ids) per frame
    script = Script.of_clip(clip, {1: "dog", 2: "person"})
    script.miss(2, frames=[0]).flip(1, frames=[8], class_name="cat").invent(frames=[4])
    entry = register(script, tmp_path, monkeypatch)      # now detector="scripted" is there
    ...
    assert script.asked == [0, 4, 8, 12]

A detector is shown pictures and not told their frame. This one finds the frame whose picture is
most like the one it is shown, so a clip may have been encoded or scaled in between; of equal
pictures it takes the first. A picture that is in no frame is a mistake of the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vfx_matte.detect import registry
from vfx_matte.detect import text as text_detectors
from vfx_matte.detect.base import Detection, Region
from vfx_matte.detect.registry import DetectorEntry
from vfx_matte.masks import Image, Mask, resize_nearest

NAME = "scripted"

# mean difference of two small pictures, 0 … 255, up to which they are the same frame: what a
# strong compression leaves is below 3
_MOST_DIFFERENCE = 12.0
_SMALL = (32, 32)

_scripts: dict[Path, Script] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """What is found on one frame."""

    object_id: int
    """Of the truth; 0 for what is invented."""
    found: Detection


@dataclass(eq=False)
class Script:
    """What is found on every frame of a clip; the methods change it in place and return it."""

    pictures: Sequence[Image]
    frames: list[list[Instance]]
    classes: tuple[str, ...]
    """All that the detector says it knows."""
    asked: list[int] = field(default_factory=list)
    """The frames that were shown, in the order of the questions."""

    @classmethod
    def of_clip(
        cls,
        clip: Iterable[tuple[Image, Mask]],
        class_names: Mapping[int, str] | None = None,
        *,
        score: float = 0.9,
        also_known: Sequence[str] = (),
    ) -> Script:
        """The truth of a clip: every object of its masks is found, exactly.

        Args:
            clip: (picture, mask) of every frame; the masks hold object ids.
            class_names: object id → class; "subject" where it has none.
            score: of the first object; each further one has 0.01 less, so that their order is
                known.
            also_known: further classes that the detector says it knows.
        """
        names = class_names or {}
        pictures, frames = [], []
        for picture, mask in clip:
            pictures.append(picture)
            frames.append(
                [
                    Instance(
                        number,
                        Detection(
                            names.get(number, "subject"),
                            max(score - 0.01 * (number - 1), 0.01),
                            mask == number,
                        ),
                    )
                    for number in map(int, np.unique(mask))
                    if number
                ]
            )
        known = {*names.values(), *also_known} or {"subject"}
        return cls(pictures, frames, tuple(sorted(known)))

    def miss(self, object_id: int, *, frames: Iterable[int]) -> Script:
        """It does not see this object on these frames."""
        for index in frames:
            self.frames[index] = [one for one in self.frames[index] if one.object_id != object_id]
        return self

    def invent(
        self,
        *,
        frames: Iterable[int],
        class_name: str = "",
        score: float = 0.8,
        mask: Region | None = None,
    ) -> Script:
        """It sees what is not there: `mask`, or a rectangle in the upper right corner."""
        name = class_name or self.classes[0]
        for index in frames:
            height, width = self.pictures[index].shape[:2]
            corner = np.zeros((height, width), bool)
            corner[: max(height // 4, 1), width - max(width // 4, 1) :] = True
            found = Detection(name, score, corner if mask is None else mask)
            self.frames[index].append(Instance(0, found))
        return self

    def flip(self, object_id: int, *, frames: Iterable[int], class_name: str) -> Script:
        """It takes this object for one of another class on these frames."""
        self.classes = tuple(sorted({*self.classes, class_name}))
        return self._change(
            object_id, frames, lambda found: [replace(found, class_name=class_name)]
        )

    def doubt(self, object_id: int, *, frames: Iterable[int], score: float) -> Script:
        """It is so sure of this object on these frames."""
        return self._change(object_id, frames, lambda found: [replace(found, score=score)])

    def split(self, object_id: int, *, frames: Iterable[int]) -> Script:
        """It sees the left and the right half of this object as two."""

        def halves(found: Detection) -> list[Detection]:
            columns = np.flatnonzero(found.mask.any(axis=0))
            middle = int(columns[len(columns) // 2])
            left, right = found.mask.copy(), found.mask.copy()
            left[:, middle:], right[:, :middle] = False, False
            pieces = [replace(found, mask=half) for half in (left, right) if half.any()]
            return [
                replace(piece, score=piece.score - 0.001 * order)
                for order, piece in enumerate(pieces)
            ]

        return self._change(object_id, frames, halves)

    def grow(self, object_id: int, *, frames: Iterable[int], margin_px: int) -> Script:
        """It sees this object larger by a margin, so that it lies over its neighbours; smaller
        with a negative one.
        """
        kernel = np.ones((2 * abs(margin_px) + 1,) * 2, np.uint8)
        change = cv2.dilate if margin_px > 0 else cv2.erode

        def larger(found: Detection) -> list[Detection]:
            mask = change(found.mask.astype(np.uint8), kernel) > 0
            return [replace(found, mask=mask)] if mask.any() else []

        return self._change(object_id, frames, larger)

    def double(self, object_id: int, *, frames: Iterable[int], score: float = 0.6) -> Script:
        """It sees this object twice: the second mask is the same, with this score."""
        return self._change(object_id, frames, lambda found: [found, replace(found, score=score)])

    def crowd(self, count: int = 300, *, frames: Iterable[int], class_name: str = "") -> Script:
        """It sees so many instances besides: neighbouring cells of a grid, scores falling from
        0.79 to 0.51.
        """
        name = class_name or self.classes[0]
        for index in frames:
            height, width = self.pictures[index].shape[:2]
            columns = int(np.ceil(np.sqrt(count * width / height)))
            rows = -(-count // columns)
            assert rows <= height, f"{count} instances do not fit {width}×{height} pixels"
            assert columns <= width, f"{count} instances do not fit {width}×{height} pixels"
            cells = (np.arange(height) * rows // height)[:, None] * columns + (
                np.arange(width) * columns // width
            )
            for number in range(count):
                score = 0.79 - 0.28 * number / max(count - 1, 1)
                self.frames[index].append(Instance(0, Detection(name, score, cells == number)))
        return self

    def nothing(self, *, frames: Iterable[int]) -> Script:
        """It sees nothing on these frames."""
        for index in frames:
            self.frames[index] = []
        return self

    def _change(self, object_id, frames, change) -> Script:  # type: ignore[no-untyped-def]  # noqa: ANN001
        for index in frames:
            self.frames[index] = [
                Instance(one.object_id, found)
                for one in self.frames[index]
                for found in (change(one.found) if one.object_id == object_id else [one.found])
            ]
        return self


class ScriptedDetector:
    """Opened by the registry like any other; its weights are the file that `register` made."""

    def __init__(self, *, weights: Path, device: str) -> None:
        self._script, self.device = _scripts[weights.resolve()], device
        self._small = np.stack([_small(picture) for picture in self._script.pictures])
        # another script is another network, as to whoever compares the files of weights
        digest = hashlib.sha256(repr(self._script.classes).encode())
        for instances in self._script.frames:
            for one in instances:
                digest.update(f"{one.found.class_name} {one.found.score}".encode())
                digest.update(one.found.mask.tobytes())
        weights.write_text(digest.hexdigest())

    @property
    def classes(self) -> tuple[str, ...]:
        return self._script.classes

    def detect(self, image: Image) -> list[Detection]:
        differences = np.abs(self._small - _small(image)).mean(axis=(1, 2, 3))
        index = int(differences.argmin())
        assert differences[index] <= _MOST_DIFFERENCE, "the picture is in no frame of the script"
        self._script.asked.append(index)
        found = [
            replace(
                one.found,
                mask=resize_nearest(one.found.mask.astype(np.uint8), image.shape[:2]) > 0,
            )
            for one in self._script.frames[index]
        ]
        # an object of a few pixels may be gone in a smaller picture
        return sorted((one for one in found if one.mask.any()), key=lambda one: -one.score)


def register(
    script: Script, folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str = NAME
) -> DetectorEntry:
    """Put a detector with this script into the registry, for one test.

    Args:
        script: what it finds; may be changed later on.
        folder: a file that stands for its weights is made there.
        monkeypatch: takes it out again.
        name: what it is chosen by.

    Returns:
        Its entry; `weights` is the whole path, so a model folder before it does not matter.
    """
    weights = folder / f"{name}.script"
    weights.touch()
    _scripts[weights.resolve()] = script
    entry = DetectorEntry(
        name=name,
        title="A scripted detector",
        implementation=f"{__name__}:ScriptedDetector",
        weights=str(weights),
        is_offered=False,
        preference=-1,
    )
    monkeypatch.setattr(registry, "REGISTRY", (*registry.REGISTRY, entry))
    return entry


class ScriptedTextDetector:
    """Finds those instances of a script whose class is a word of the text."""

    def __init__(self, *, weights: Path, device: str) -> None:
        self._detector = ScriptedDetector(weights=weights, device=device)

    def detect(self, image: Image, text: str) -> list[Detection]:
        found = self._detector.detect(image)
        return [replace(one, class_name=text) for one in found if one.class_name in text.split()]


def register_text(script: Script, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a text detector with this script into the registry, for one test.

    Returns:
        The file that stands for its weights.
    """
    weights = folder / "scripted_text.script"
    weights.touch()
    _scripts[weights.resolve()] = script
    entry = text_detectors.TextDetectorEntry(
        name="scripted",
        title="A scripted text detector",
        implementation=f"{__name__}:ScriptedTextDetector",
        weights=str(weights),
        source="nowhere",
    )
    monkeypatch.setattr(text_detectors, "REGISTRY", (entry, *text_detectors.REGISTRY))
    return weights


def _small(picture: Image) -> np.ndarray:
    return cv2.resize(picture, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
