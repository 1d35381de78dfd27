"""Follows instances over the pictures that a detector was shown.

Detections of one picture are matched with the instances that are known by how far they overlap
where these have been carried to: an assignment that makes the overlaps' sum largest (Kuhn, "The
Hungarian method for the assignment problem", 1955), as DEVA does (Cheng et al., "Tracking Anything
with Decoupled Video Segmentation", ICCV 2023). Who carries them is the caller's choice.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vfx_matte.detect.base import Detection, Region
from vfx_matte.masks import overlap

LEAST_OVERLAP = 0.3
"""A detection that overlaps an instance less is another one."""

SAME_OVERLAP = 0.7
"""Of two detections of one picture that overlap more the less sure one is a second name of the
same thing; and sightings that overlap more agree.
"""

# a detection of another class is matched all the same: networks call one animal by two names
_CLASS_CHANGE = 0.1
# without classes one thing behind a pole is two; it is one again where a detection holds both
_HELD_SHARE = 0.8
# pictures in a row on which an instance may be missed; then what was carried says nothing any more
_MOST_MISSES = 3
# of a track's mean score: a first sighting is trusted from there on (bench/detect.py: on
# horsejump-high, drift-straight and scooter-black it was better than what later ones led to)
_SURE_SHARE = 0.75
# of a picture: smaller detections are noise
_LEAST_AREA = 1e-4


@dataclass(frozen=True, slots=True)
class Sighting:
    """One instance in one picture, as a detector showed it."""

    frame: int
    """The frame's index."""
    class_name: str
    score: float
    agreement: float
    """The overlap with where the instance had been carried to from its sighting before; 0 for the
    first one.
    """
    shape: tuple[int, int]
    _packed: bytes = field(repr=False)

    @classmethod
    def of(cls, frame: int, detection: Detection, agreement: float) -> Sighting:
        """Keep a detection, compressed: a clip has thousands of them."""
        mask = detection.mask
        height, width = mask.shape
        packed = zlib.compress(np.packbits(mask).tobytes(), 1)
        return cls(frame, detection.class_name, detection.score, agreement, (height, width), packed)

    @property
    def mask(self) -> Region:
        """Bool (H, W)."""
        bits = np.frombuffer(zlib.decompress(self._packed), np.uint8)
        height, width = self.shape
        return np.unpackbits(bits, count=height * width).reshape(self.shape).astype(bool)


@dataclass(slots=True)
class Track:
    """An instance over the pictures of one shot."""

    shot: int
    """The number of its shot, from 0."""
    sightings: list[Sighting] = field(default_factory=list)
    misses: int = 0
    """Pictures in a row, up to the last one, on which it was not seen."""

    @property
    def class_name(self) -> str:
        """The class that its sightings speak for, each as far as it is sure."""
        votes: dict[str, float] = defaultdict(float)
        for one in self.sightings:
            votes[one.class_name] += one.score
        return max(votes, key=lambda name: (votes[name], name))

    @property
    def score(self) -> float:
        """The mean of its sightings' scores, 0 … 1."""
        return float(np.mean([one.score for one in self.sightings]))

    @property
    def weight(self) -> float:
        """How much there is of it, to rank it among others: the sum of its scores."""
        return sum(one.score for one in self.sightings)

    @property
    def trusted(self) -> list[Sighting]:
        """The sightings that agree with the one before or after them, or else the surest one; and
        the first one where it is about as sure as the others.
        """
        # a detector that takes a bystander along on one picture contradicts both neighbours
        after = [*(one.agreement for one in self.sightings[1:]), 0.0]
        agreeing = [
            one
            for one, next_agreement in zip(self.sightings, after, strict=True)
            if max(one.agreement, next_agreement) >= SAME_OVERLAP
        ] or [max(self.sightings, key=lambda one: one.score)]
        # nothing lies before the first one: without it all before the next is a guess
        first = self.sightings[0]
        is_sure = first.score >= _SURE_SHARE * self.score
        return [first, *agreeing] if is_sure and agreeing[0] is not first else agreeing


class Tracker:
    """Joins detections to tracks, picture by picture.

    Args:
        has_classes: whether the detector knows classes; without, two tracks that one detection
            holds become one.
    """

    def __init__(self, *, has_classes: bool) -> None:
        self._has_classes = has_classes
        self._tracks: dict[int, Track] = {}
        self._next = 1
        self._live: list[int] = []
        self._shot = -1

    @property
    def tracks(self) -> list[Track]:
        """All of them, in the order in which they were first seen."""
        return list(self._tracks.values())

    def begin_shot(self) -> None:
        """A cut: whatever comes now is something else."""
        self._live = []
        self._shot += 1

    def observe(
        self,
        frame: int,
        detections: Sequence[tuple[Detection, Region]],
        carried: Mapping[int, Region],
    ) -> dict[int, Region]:
        """Take the detections of a picture.

        Args:
            frame: its index.
            detections: each with its mask at the size of the carried regions, bool (h, w).
            carried: where the regions of the call before have been carried to.

        Returns:
            What is to be carried on: name → bool (h, w).
        """
        detections = distinct(detections)
        known = [name for name in self._live if name in carried]
        # 1. who is who: the assignment with the largest sum of overlaps
        pairs = self._matched(detections, known, carried)
        regions: dict[int, Region] = {}
        for row, (detection, small) in enumerate(detections):
            if row in pairs:
                name, agreement = pairs[row]
            else:
                name, agreement = self._next, 0.0
                self._next += 1
                self._tracks[name] = Track(self._shot)
            self._tracks[name].sightings.append(Sighting.of(frame, detection, agreement))
            self._tracks[name].misses = 0
            regions[name] = small
        # 2. those that were not seen are carried on for a while
        for name in known:
            if name not in regions and not self._is_joined(name, regions, carried[name]):
                track = self._tracks[name]
                track.misses += 1
                if track.misses <= _MOST_MISSES and carried[name].any():
                    regions[name] = carried[name]
        self._live = list(regions)
        return regions

    def _matched(
        self,
        detections: Sequence[tuple[Detection, Region]],
        known: Sequence[int],
        carried: Mapping[int, Region],
    ) -> dict[int, tuple[int, float]]:
        """Detection → (track, overlap)."""
        if not detections or not known:
            return {}
        from scipy.optimize import linear_sum_assignment

        overlaps = np.array(
            [[overlap(small, carried[name]) for name in known] for _, small in detections]
        )
        changes = np.array(
            [
                [found.class_name != self._tracks[name].class_name for name in known]
                for found, _ in detections
            ]
        )
        gains = np.where(overlaps >= LEAST_OVERLAP, overlaps - _CLASS_CHANGE * changes, 0.0)
        rows, columns = linear_sum_assignment(gains, maximize=True)
        return {
            int(row): (known[column], float(overlaps[row, column]))
            for row, column in zip(rows, columns, strict=True)
            if overlaps[row, column] >= LEAST_OVERLAP
        }

    def _is_joined(self, name: int, regions: Mapping[int, Region], carried: Region) -> bool:
        """Whether an unseen track lies within a seen one; it becomes a part of it then."""
        area = int(np.count_nonzero(carried))
        if self._has_classes or not area:
            return False
        for other, region in regions.items():
            if np.count_nonzero(carried & region) >= _HELD_SHARE * area:
                whole = self._tracks[other]
                part = self._tracks.pop(name)
                whole.sightings = _joined(whole.sightings, part.sightings)
                return True
        return False


def distinct(
    detections: Iterable[tuple[Detection, Region]],
) -> list[tuple[Detection, Region]]:
    """Detections without second names of the same thing and without specks, the surest first.

    Args:
        detections: each with its mask at a smaller size, bool (h, w).
    """
    kept: list[tuple[Detection, Region]] = []
    for found, small in sorted(detections, key=lambda pair: -pair[0].score):
        is_speck = not small.any() or np.count_nonzero(found.mask) < _LEAST_AREA * found.mask.size
        if not is_speck and all(overlap(small, other) < SAME_OVERLAP for _, other in kept):
            kept.append((found, small))
    return kept


def _joined(sightings: Sequence[Sighting], parts: Sequence[Sighting]) -> list[Sighting]:
    """The sightings of two tracks that are one thing: united where both were seen."""
    by_frame = {one.frame: one for one in sightings}
    for part in parts:
        whole = by_frame.get(part.frame)
        if whole is None:
            by_frame[part.frame] = part
            continue
        united = Detection(whole.class_name, max(whole.score, part.score), whole.mask | part.mask)
        agreement = max(whole.agreement, part.agreement)
        by_frame[part.frame] = Sighting.of(part.frame, united, agreement)
    return [by_frame[frame] for frame in sorted(by_frame)]
