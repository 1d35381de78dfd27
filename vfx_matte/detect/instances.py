"""What a network says of its candidates, as detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vfx_matte.detect.base import Detection, Region
from vfx_matte.errors import WeightsError

LEAST_SCORE = 0.05
"""Candidates below are not looked at: networks have hundreds, nearly all of them nothing. It is the
threshold that torchvision's Mask R-CNN has itself.
"""

MOST_INSTANCES = 100
"""How many are given for a picture at most, as in COCO's rules. Masks of a 4K picture take 8 MB
each.
"""

# networks of COCO's 91 numbers have names for 80 of them
_NO_CLASSES = ("N/A", "__background__", "")


def class_names(id2label: dict[int, str], count: int) -> list[str]:
    """The name of every number that a network gives.

    Args:
        id2label: number → name, as config.json has it.
        count: how many numbers there are.
    """
    return [str(id2label.get(number, f"class {number}")) for number in range(count)]


def known_classes(names: Sequence[str]) -> tuple[str, ...]:
    """The names that stand for a class, each once."""
    return tuple(dict.fromkeys(name for name in names if name not in _NO_CLASSES))


def surest(scores: npt.NDArray[np.float32], classes: Sequence[str]) -> list[int]:
    """The candidates that are worth their mask, the surest first.

    Args:
        scores: float32 (N,), 0 … 1.
        classes: the class of each candidate.

    Returns:
        Their indices, at most MOST_INSTANCES.

    Raises:
        WeightsError: a score is no number.
    """
    if not np.isfinite(scores).all():
        raise WeightsError("the network gives scores that are no numbers", hint="fetch it again")
    # stable, so that equal scores stay in the network's order
    order = np.argsort(-scores, kind="stable")
    worth = [
        int(index)
        for index in order
        if scores[index] >= LEAST_SCORE and classes[index] not in _NO_CLASSES
    ]
    return worth[:MOST_INSTANCES]


def detections(
    candidates: Sequence[int],
    classes: Sequence[str],
    judged: Callable[[int], tuple[float, Region]],
) -> list[Detection]:
    """Detections of candidates.

    Args:
        candidates: their indices, as `surest` gives them.
        classes: the class of each candidate.
        judged: gives a candidate's score and its mask, bool (H, W) of the picture's size; called
            once for each, so that no more than one unfinished mask is in memory.

    Returns:
        Those with a mask that is not empty and a score of at least LEAST_SCORE, the surest first.
    """
    found = []
    for index in candidates:
        score, mask = judged(index)
        if score >= LEAST_SCORE and mask.any():
            found.append(Detection(classes[index], min(score, 1.0), mask))
    found.sort(key=lambda one: -one.score)
    return found
