"""Chooses the frames to annotate next.

Bekuzarov et al., "XMem++: Production-level Video Segmentation From Few Annotated Frames", ICCV
2023, section 3.3: the best next reference is the frame that is least like all frames chosen so far,
looking mostly at the objects. How a frame is described, and how unlike two of them are, is a
describer's business; the choice is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from vfx_matte.choices import unknown_choice
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.registry import load, offered_names, registered

Description = TypeVar("Description")


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen frame."""

    index: int

    distance: float
    """To the most alike of the frames that were known or chosen before it; at least 0."""


class Describer(Protocol[Description]):
    """Sees frames as its propagator does, and says how unlike two of them are.

    All frames have one size.
    """

    @property
    def usual_candidates(self) -> int:
        """How many frames are worth describing here, at most, when nobody says: 200 on a CPU, 1000
        on a GPU.
        """

    def describe(self, image: Image, mask: Mask) -> Description:
        """Describe a frame, in far less memory than its picture.

        image: uint8 (H, W, 3); mask: uint8 (H, W), any object counts.

        Raises ValueError for other shapes or dtypes.
        """

    def distance(self, frame: Description, known: Description, *, alpha: float) -> float:
        """How much a frame shows that a known one does not: at least 0, and 0 for a frame and
        itself.

        alpha: 0 looks at the whole picture, 1 only at objects.
        """


def choose_next(
    candidates: Iterable[int],
    *,
    known: Collection[int],
    count: int,
    distance: Callable[[int, int], float],
) -> list[Choice]:
    """Choose frames to annotate, the most useful one first: k times the frame whose nearest known
    frame is farthest.

    Equally far frames go by their index; no frame is chosen twice, even when all distances are 0.
    One number is kept per candidate.

    Args:
        candidates: frames to choose from, in any order; those that are known are left out.
        known: frames that have a reference, at least one.
        count: how many to choose, at least 1; fewer come back when there are not enough candidates.
        distance: of a candidate to a known or chosen frame, asked once for each such pair,
            `count_distances` in all.

    Raises:
        ValueError: `known` is empty, or `count` below 1.
    """
    if not known or count < 1:
        raise ValueError(
            f"count is {count} and {len(known)} frames are known, expected at least 1 of each"
        )
    nearest = dict.fromkeys(sorted(set(candidates).difference(known)), float("inf"))
    chosen: list[Choice] = []
    newest = sorted(set(known))
    # distances to earlier choices are not asked again: only the newest one can be nearer
    while nearest and len(chosen) < count:
        for other in newest:
            for index, so_far in nearest.items():
                nearest[index] = min(so_far, distance(index, other))
        best = max(nearest, key=lambda index: (nearest[index], -index))
        chosen.append(Choice(best, nearest.pop(best)))
        newest = [best]
    return chosen


def count_distances(candidates: int, known: int, count: int) -> int:
    """How many distances `choose_next` asks for among that many candidates, none of them known."""
    # each known frame to every candidate, then each choice but the last to those that are left
    rounds = min(count, candidates)
    return known * candidates + sum(candidates - done for done in range(1, rounds)) if rounds else 0


def open_describer(name: str, **options: object) -> Describer[Any]:
    """Make a describer that sees as a propagator does.

    Args:
        name: of a propagator.
        options: passed to the class as they are.

    Raises:
        UsageError: there is no such propagator, or it has no describer.
        PropagatorError: a package is missing.
    """
    entry = registered(name)
    if not entry.describer:
        raise unknown_choice("propagator", name, offered_names())
    describer: Describer[Any] = load(entry, entry.describer)(**options)
    return describer
