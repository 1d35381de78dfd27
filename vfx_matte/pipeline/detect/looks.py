"""Keeps what a detector saw in the frames that it was shown, so that a stopped search goes on where
it stopped, with the same result.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfx_matte.detect.base import Detection, Region
from vfx_matte.workspace.walk_states import State, WalkStateFolder

_END = "end"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a detector was shown, what it saw, and what was known by then."""

    frame: int
    """The frame's index."""
    found: Sequence[Detection]
    """Those that count, the surest first."""
    passed_over: int
    """How many more there were than count."""
    carried: Mapping[int, Region]
    """Where what was seen before had been carried to: name → bool (h, w)."""
    opened: tuple[int, int | None] | None
    """For how many objects, and at which working size, the propagator was open that carries on from
    this frame; None where nothing was ever carried.
    """


class LookLog:
    """The looks of one search, one file each.

    Args:
        folder: where the files are.
        work: a digest of everything that the search depends on; looks of another one do not count.
    """

    def __init__(self, folder: Path, work: str) -> None:
        self._states = WalkStateFolder(folder, work)
        self._count = 0
        self.is_finished = False

    def earlier(self) -> Iterator[Look]:
        """The looks that were kept before, in their order, one at a time: masks of all of them
        would fill the memory. To be gone through once, before `add`.
        """
        while (saved := self._states.load(_name(self._count))) is not None:
            self._count += 1
            yield _from_state(*saved)
        # not where one of them was damaged
        ended = self._states.load(_END)
        self.is_finished = ended is not None and ended[1]["looks"] == self._count
        # of another search, or damaged
        if not self._count:
            self._states.clear()

    def add(self, look: Look) -> None:
        """Keep a look. Raises OutputError where it cannot be written."""
        self._states.save(_name(self._count), look.frame, _to_state(look))
        self._count += 1

    def finish(self) -> None:
        """Note that there are no more looks. Raises OutputError where that cannot be written."""
        self._states.save(_END, 0, {"looks": self._count})
        self.is_finished = True


def _name(number: int) -> str:
    return f"{number:06d}"


def _to_state(look: Look) -> State:
    return {
        "found": [[one.class_name, one.score, *_packed(one.mask)] for one in look.found],
        "passed over": look.passed_over,
        "carried": [[name, *_packed(region)] for name, region in look.carried.items()],
        "opened": look.opened,
    }


def _from_state(frame: int, state: State) -> Look:
    opened = state["opened"]
    return Look(
        frame,
        [Detection(name, score, _unpacked(*packed)) for name, score, *packed in state["found"]],
        state["passed over"],
        {name: _unpacked(*packed) for name, *packed in state["carried"]},
        None if opened is None else (opened[0], opened[1]),
    )


def _packed(region: Region) -> tuple[npt.NDArray[np.uint8], int, int]:
    # compressed: a look at a crowd would have megabytes
    height, width = region.shape
    return (
        np.frombuffer(zlib.compress(np.packbits(region).tobytes(), 1), np.uint8),
        height,
        width,
    )


def _unpacked(packed: npt.NDArray[Any], height: int, width: int) -> Region:
    bits = np.frombuffer(zlib.decompress(packed.tobytes()), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)
