"""Accuracy of masks against the truth.

The measures of DAVIS (Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation, CVPR 2016, section 4; for several objects Pont-Tuset et al., The 2017 DAVIS
Challenge, arXiv:1704.00675, section 3): region similarity J, which is the intersection over union,
and boundary accuracy F. Of each the mean, the recall (share of frames above 0.5) and the decay
(mean of the first quarter of the frames minus that of the last).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, object_ids, overlap

AnyMask = npt.NDArray[Any]
"""(H, W), bool or integer; not zero is foreground."""

Bools = npt.NDArray[np.bool_]

ProtocolName = Literal["all", "davis"]
"""Which frames are scored: all but the references, or, as DAVIS does, all but these and the first
and last one.
"""

BOUNDARY_TOLERANCE = 0.008
"""How far apart matching boundary pixels may be, as a share of the picture's diagonal (DAVIS 2016).
"""

RECALL_ABOVE = 0.5
"""The score above which a frame counts for the recall (DAVIS 2016)."""


@dataclass(frozen=True, slots=True)
class MaskScore:
    """Agreement of one mask with the truth; 0 … 1, 1 is perfect."""

    region: float
    """J, intersection over union."""
    boundary: float
    """F, of the boundaries."""

    @property
    def mean(self) -> float:
        """J&F, the mean of both."""
        return (self.region + self.boundary) / 2


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure over the frames of an object."""

    mean: float
    """0 … 1."""
    recall: float
    """The share of frames above RECALL_ABOVE, 0 … 1."""
    decay: float
    """-1 … 1, above 0 when it gets worse."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistics:
        """The statistics of at least one value, in the order of the frames.

        The quarters of the decay are those of DAVIS: their edges are five evenly spaced frames,
        rounded, and a frame on an edge belongs to both sides.
        """
        # as the evaluation's round(): halves up, where Python rounds them to even
        edges = [math.floor(edge + 0.5 + 1e-10) for edge in np.linspace(0, len(values) - 1, 5)]
        first, last = values[: edges[1] + 1], values[edges[3] :]
        recall = sum(value > RECALL_ABOVE for value in values) / len(values)
        return cls(fmean(values), recall, fmean(first) - fmean(last))

    @classmethod
    def mean_of(cls, many: Sequence[Statistics]) -> Statistics:
        """The mean of each number."""
        means = (fmean(getattr(one, name) for one in many) for name in ("mean", "recall", "decay"))
        return cls(*means)


@dataclass(frozen=True, slots=True)
class Summary:
    """J (region) and F (boundary) over frames, or over objects."""

    region: Statistics
    """Of J."""
    boundary: Statistics
    """Of F."""

    @property
    def mean(self) -> float:
        """J&F: the mean of both means."""
        return (self.region.mean + self.boundary.mean) / 2

    @classmethod
    def mean_of(cls, many: Collection[Summary]) -> Summary:
        """The mean of each number over at least one summary."""
        return cls(
            Statistics.mean_of([one.region for one in many]),
            Statistics.mean_of([one.boundary for one in many]),
        )


@dataclass(frozen=True, slots=True)
class MaskPair:
    """One frame to score.

    Raises:
        ValueError: shapes differ.
    """

    frame_index: int
    """The frame."""
    predicted: Mask
    """uint8 (H, W), object ids."""
    truth: Mask
    """uint8 (H, W), object ids."""
    void: Bools | None = None
    """bool (H, W), pixels that do not count; None when all count."""

    def __post_init__(self) -> None:
        _check_shapes(self.predicted, self.truth)
        if self.void is not None:
            _check_shapes(self.void, self.truth)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One object on one frame."""

    frame_index: int
    """The frame."""
    object_id: int
    """The object."""
    score: MaskScore | None
    """None where the frame does not count, see `unscored_frames`."""


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """One object over the scored frames of a sequence."""

    object_id: int
    """The object."""
    summary: Summary
    """Its scores."""


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """The scores of one sequence."""

    name: str
    """Of the sequence."""
    objects: tuple[ObjectScore, ...]
    """Those of the truth, ascending."""
    frames: tuple[FrameScore, ...]
    """One per frame and object, ascending."""
    scored_frames: int
    """How many frames count."""
    only_predicted: tuple[int, ...] = ()
    """Ids that the truth never shows; they have no score."""
    only_true: tuple[int, ...] = ()
    """Ids that the prediction never shows."""

    @property
    def summary(self) -> Summary:
        """The mean over the objects."""
        return Summary.mean_of([one.summary for one in self.objects])


def unscored_frames(
    frames: Collection[int], *, references: Collection[int], protocol: ProtocolName
) -> frozenset[int]:
    """The frames that do not count: those whose mask was given, and by the DAVIS protocol the first
    and the last.

    Args:
        frames: at least one frame index.
        references: those whose mask was given.
        protocol: which frames count otherwise.

    Raises:
        ValueError: the protocol is unknown.
    """
    # the name comes from the command line too
    if protocol not in get_args(ProtocolName):
        raise ValueError(f"protocol is {protocol!r}, expected one of {get_args(ProtocolName)}")
    ends = {min(frames), max(frames)} if protocol == "davis" else set[int]()
    return frozenset(ends.union(references))


def score_sequence(
    pairs: Iterable[MaskPair], *, name: str = "", unscored: Collection[int] = ()
) -> SequenceScore:
    """Score one sequence.

    Every object that the truth shows anywhere is scored on every frame: where neither side shows it
    J and F are 1, where the prediction lacks it J is 0.

    Args:
        pairs: its frames in any order, taken one at a time; each is let go before the next.
        name: of the sequence.
        unscored: frame indices that do not count, see `unscored_frames`.

    Raises:
        UsageError: no frame is left to score, or the truth shows no object.
    """
    # 1. every frame by itself, as only the end tells which objects the truth shows
    found: dict[int, dict[int, MaskScore]] = {}
    true_ids, predicted_ids = set[int](), set[int]()
    for pair in pairs:
        in_truth, in_prediction = object_ids(pair.truth), object_ids(pair.predicted)
        true_ids.update(in_truth)
        predicted_ids.update(in_prediction)
        wanted = () if pair.frame_index in unscored else {*in_truth, *in_prediction}
        found[pair.frame_index] = {
            object_id: score(pair.predicted == object_id, pair.truth == object_id, void=pair.void)
            for object_id in wanted
        }
        # let go, so that it is not in memory beside the next one
        del pair
    counted = [index for index in sorted(found) if index not in unscored]
    where = f" of {name}" if name else ""
    if not counted:
        raise UsageError(
            f"no frame{where} is left to score: {len(found)} given",
            hint="give frames that are not references",
        )
    if not true_ids:
        raise UsageError(
            f"the ground truth{where} shows no object",
            hint="check that its masks are the right ones",
        )
    # 2. by frame, and by object over the frames that count; neither side shows an object that has
    # no score on a frame
    absent = MaskScore(1.0, 1.0)
    frames = [
        FrameScore(index, object_id, None if index in unscored else scores.get(object_id, absent))
        for index, scores in sorted(found.items())
        for object_id in sorted(true_ids)
    ]
    objects = []
    for object_id in sorted(true_ids):
        scores = [found[index].get(object_id, absent) for index in counted]
        region = Statistics.of([one.region for one in scores])
        objects.append(
            ObjectScore(object_id, Summary(region, Statistics.of([one.boundary for one in scores])))
        )
    return SequenceScore(
        name,
        tuple(objects),
        tuple(frames),
        len(counted),
        only_predicted=tuple(sorted(predicted_ids - true_ids)),
        only_true=tuple(sorted(true_ids - predicted_ids)),
    )


def region_similarity(mask: AnyMask, truth: AnyMask, *, void: Bools | None = None) -> float:
    """J, the intersection over union of two foregrounds, 0 … 1; 1 when both are empty.

    Args:
        mask: (H, W); any value but zero is foreground, so compare `mask == object_id` to measure
            one object of several.
        truth: the same.
        void: bool (H, W), pixels that do not count.

    Raises:
        ValueError: shapes differ.
    """
    return overlap(*_foregrounds(mask, truth, void))


def boundary_f(
    mask: AnyMask,
    truth: AnyMask,
    *,
    void: Bools | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> float:
    """F, the F-measure of boundary precision and recall, 0 … 1.

    A boundary pixel counts as found when the other boundary passes within the tolerance
    (morphological matching, Perazzi et al. 2016). 1 when both masks have no boundary, 0 when only
    one has.

    Args:
        mask: (H, W); any value but zero is foreground.
        truth: the same.
        void: bool (H, W), taken out of both foregrounds first.
        tolerance: in diagonals of the picture; rounded up to whole pixels.

    Raises:
        ValueError: shapes differ.
    """
    a, b = _foregrounds(mask, truth, void)
    # only around the foregrounds: distances in a whole 4K picture take most of the time
    radius_px = math.ceil(tolerance * math.hypot(*a.shape))
    window = _window(a | b)
    a, b = boundary(a[window]), boundary(b[window])
    count_a, count_b = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    # without a boundary there is neither precision nor recall
    if not count_a or not count_b:
        return float(count_a == count_b)
    # each boundary's pixels that lie near the other one
    precision = np.count_nonzero(a & _dilate(b, radius_px)) / count_a
    recall = np.count_nonzero(b & _dilate(a, radius_px)) / count_b
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def score(mask: AnyMask, truth: AnyMask, *, void: Bools | None = None) -> MaskScore:
    """J and F of one mask against the truth."""
    return MaskScore(region_similarity(mask, truth, void=void), boundary_f(mask, truth, void=void))


def boundary(mask: AnyMask) -> Bools:
    """The boundary of a mask, as the DAVIS 2016 evaluation draws it: pixels whose right, lower or
    lower-right neighbour is of the other kind. The edge of the picture is not a boundary.

    Args:
        mask: (H, W); any value but zero is foreground.

    Returns:
        bool (H, W).
    """
    # the last row and column are their own neighbours, so that the picture's edge draws nothing
    inside = mask.astype(bool)
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    edges: Bools = (
        (inside ^ padded[:-1, 1:]) | (inside ^ padded[1:, :-1]) | (inside ^ padded[1:, 1:])
    )
    return edges


def _check_shapes(mask: AnyMask, truth: AnyMask) -> None:
    if mask.shape != truth.shape or mask.ndim != 2:
        raise ValueError(
            f"masks are {mask.shape} and {truth.shape}, expected two of one shape (H, W)"
        )


def _foregrounds(mask: AnyMask, truth: AnyMask, void: Bools | None) -> tuple[Bools, Bools]:
    _check_shapes(mask, truth)
    a, b = mask.astype(bool), truth.astype(bool)
    # where the truth is not known neither side shows anything
    if void is not None:
        _check_shapes(void, truth)
        a, b = a & ~void, b & ~void
    return a, b


def _window(foreground: Bools) -> tuple[slice, slice]:
    """The box around a foreground and one pixel more on each side, where all of its boundary is."""
    left, top, width, height = cv2.boundingRect(foreground.view(np.uint8))
    return slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1)


def _dilate(edges: Bools, radius_px: int) -> Bools:
    """Pixels within `radius_px` of a set one: dilation by the disk x² + y² ≤ r², at a cost that r
    does not change.
    """
    # by a distance transform, as a dilation by a disc of 18 px at 4K takes seconds
    distance = cv2.distanceTransform((~edges).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near: Bools = distance <= radius_px
    return near
