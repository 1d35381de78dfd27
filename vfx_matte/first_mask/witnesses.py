"""What the salient network says of one picture, asked through several crops.

Takes crops, gives candidates and their fusion.

The network outlines whatever stands out in the crop that it is shown, so each crop is a witness of
its own: the object that is meant is what several of them agree on, and what does not run over a
crop's edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.detect.salient import Features, SalientNetwork, stretched
from vfx_matte.first_mask.marks import Box, Click, Probability
from vfx_matte.masks import Image, overlap

Region = npt.NDArray[np.bool_]
"""bool (H, W)."""

WITNESS_SIZE_PX = 256
"""Side of the square that crops are shown to the network at: as good as 320 here, for half to two
thirds of the time.
"""

_LEAST_CROP_PX = 8
_SAME_CROP = (
    0.04  # crops whose edges are nearer than this share of their longer side are asked once
)
_LEAST_REGION_PX = 20
_LEAST_LIFTED, _INSIDE = 0.1, 0.6
_LEAST_AGREEMENT = 0.05
_FREE_CONTACT = 0.05  # share of √area that may lie along a crop's edge at no cost
_CONTACT_COST = 4.0
_LEAST_DOUBT = 0.02  # a click that contradicts a witness leaves it at least so much
_TOUCH_PX = 9  # a region and its surroundings of half of this are taken into the fusion
_SAME_THING = 0.5  # overlap of two candidates that mean the same
_SHARPNESS = 3  # power of the scores in the fusion


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of a picture, right and bottom exclusive, px."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(
        cls, box: Box | tuple[float, float, float, float], grow: float, *, width: int, height: int
    ) -> Crop:
        """A box, larger by the share `grow` of its sides, cut to the picture."""
        x, y, box_width, box_height = box
        left, top = int(x - box_width * grow / 2), int(y - box_height * grow / 2)
        right, bottom = int(left + box_width * (1 + grow)), int(top + box_height * (1 + grow))
        return cls(max(0, left), max(0, top), min(width, right), min(height, bottom))

    @classmethod
    def square(cls, x: int, y: int, side: int, *, width: int, height: int) -> Crop:
        """A square round a point, moved into the picture and cut to it."""
        across, down = min(side, width), min(side, height)
        left, top = (
            int(min(max(0, x - across / 2), width - across)),
            int(min(max(0, y - down / 2), height - down)),
        )
        return cls(left, top, left + across, top + down)

    @property
    def width(self) -> int:
        """Columns, px."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows, px."""
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of an array (H, W, …)."""
        return np.s_[self.top : self.bottom, self.left : self.right]

    def holds(self, x: float, y: float, *, margin: int = 0) -> bool:
        """Whether a point lies in it, `margin` px from its edges at least."""
        across = self.left + margin <= x < self.right - margin
        return across and self.top + margin <= y < self.bottom - margin

    def is_near(self, other: Crop) -> bool:
        """Whether it shows the same."""
        most = max(abs(a - b) for a, b in zip(_edges(self), _edges(other), strict=True))
        return most < _SAME_CROP * max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Witness:
    """What the network said of one crop."""

    crop: Crop
    probability: Probability
    """float32, of the crop's shape: 0 … 1, stretched."""
    strength: float
    """Its largest value before that: near 1 where something stands out."""

    @classmethod
    def of(cls, crop: Crop, found: Probability) -> Witness:
        """From the network's map of a crop, as it says it."""
        return cls(crop, stretched(found), float(found.max()))

    def lifted(self, x: int, y: int) -> Witness:
        """The same, raised so far that a point is just inside, where it is not and the network sees
        anything at it at all.
        """
        if not self.crop.holds(x, y):
            return self
        said = float(self.probability[y - self.crop.top, x - self.crop.left])
        if not _LEAST_LIFTED < said <= _INSIDE:
            return self
        power = math.log(_INSIDE) / math.log(said)
        return replace(self, probability=np.power(self.probability, np.float32(power)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one witness takes for the object at a point."""

    region: Region
    """bool, of the whole picture's shape."""
    score: float
    """0 … 1: whether other witnesses agree, the point is well inside, and the region keeps off the
    crop's edge.
    """


class Witnesses:
    """Everything that was asked about one picture.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the network to ask.
    """

    def __init__(self, image: Image, network: SalientNetwork) -> None:
        self._image, self._network = image, network
        self._height, self._width = image.shape[:2]
        self._asked: dict[tuple[Crop, int, bool], Witness] = {}
        self._described: dict[Crop, list[Features]] = {}

    def ask(
        self, crop: Crop, *, size: int = WITNESS_SIZE_PX, rough: bool = False
    ) -> Witness | None:
        """What the network says of a crop; asked once for each, None where the crop is too small to
        be looked at.

        Args:
            crop: of the picture.
            size: side of the square that the network is shown, px.
            rough: in two fifths of the time; where several crops are compared it is as good.
        """
        if crop.width < _LEAST_CROP_PX or crop.height < _LEAST_CROP_PX:
            return None
        known = self._asked.get((crop, size, rough))
        if known is None:
            look = self._network.rough if rough else self._network.probability
            found = look(np.ascontiguousarray(self._image[crop.slices]), size=size)
            known = self._asked[crop, size, rough] = Witness.of(crop, found)
        return known

    def describe(self, crop: Crop) -> list[Features]:
        """The network's features of a crop, three stages, finest first; asked once for each."""
        known = self._described.get(crop)
        if known is None:
            shown = np.ascontiguousarray(self._image[crop.slices])
            found, known = self._network.describe(shown, size=WITNESS_SIZE_PX)
            self._asked[crop, WITNESS_SIZE_PX, True] = Witness.of(crop, found)
            self._described.clear()  # 5 MB each, and only the newest is asked for again
            self._described[crop] = known
        return known

    def add(self, witnesses: list[Witness], crop: Crop, *, rough: bool = False) -> None:
        """Append what the network says of a crop, unless one of the witnesses shows the same
        already.
        """
        if any(crop.is_near(one.crop) for one in witnesses):
            return
        found = self.ask(crop, rough=rough)
        if found is not None:
            witnesses.append(found)

    def candidates(
        self, witnesses: Sequence[Witness], x: int, y: int, others: Sequence[Click] = ()
    ) -> list[Candidate | None]:
        """What each witness takes for the object at a point.

        Args:
            witnesses: those to hear.
            x: of the point, px from the left.
            y: of the point, px from the top.
            others: further clicks, which lower the score of a witness that contradicts them.

        Returns:
            One for each witness, None where it sees nothing at the point.
        """
        regions = [self._region_at(one, x, y) for one in witnesses]
        scored: list[Candidate | None] = []
        for witness, region in zip(witnesses, regions, strict=True):
            if region is None:
                scored.append(None)
                continue
            score = _agreement(witness, region, [*zip(witnesses, regions, strict=True)], x, y)
            score *= (
                float(witness.probability[y - witness.crop.top, x - witness.crop.left])
                * witness.strength
            )
            score *= math.exp(
                -_CONTACT_COST * max(0.0, self._contact(witness.crop, region) - _FREE_CONTACT)
            )
            for click in others:
                if witness.crop.holds(click.x, click.y):
                    said = float(
                        witness.probability[click.y - witness.crop.top, click.x - witness.crop.left]
                    )
                    score *= max(said if click.is_object else 1 - said, _LEAST_DOUBT)
            scored.append(Candidate(region, score))
        return scored

    def fuse(
        self, witnesses: Sequence[Witness], candidates: Sequence[Candidate | None]
    ) -> Probability:
        """The witnesses' word on what their candidates show, weighed by score: float32 (H, W), 0 …
        1.
        """
        total = np.zeros((self._height, self._width), np.float32)
        weights = 0.0
        for witness, candidate in zip(witnesses, candidates, strict=True):
            if candidate is None or candidate.score <= 0:
                continue
            weight = candidate.score**_SHARPNESS
            place = witness.crop.slices
            near = cv2.dilate(
                candidate.region[place].astype(np.uint8), np.ones((_TOUCH_PX, _TOUCH_PX), np.uint8)
            )
            total[place] += weight * witness.probability * near
            weights += (
                weight  # outside its crop a witness says background: its region keeps off the edge
            )
        return total / weights if weights > 0 else total

    def _region_at(self, witness: Witness, x: int, y: int) -> Region | None:
        """The piece at a point, in the whole picture."""
        crop = witness.crop
        if not crop.holds(x, y) or witness.probability[y - crop.top, x - crop.left] <= 0.5:
            return None
        piece = piece_at(witness.probability > 0.5, x - crop.left, y - crop.top)
        if np.count_nonzero(piece) < _LEAST_REGION_PX:
            return None
        region = np.zeros((self._height, self._width), bool)
        region[crop.slices] = piece
        return region

    def _contact(self, crop: Crop, region: Region) -> float:
        """How much of a region lies along the edges of a crop that are not the picture's own, in
        √area.
        """
        inside = region[crop.slices]
        edges = (
            (crop.left > 0, inside[:, 0]),
            (crop.right < self._width, inside[:, -1]),
            (crop.top > 0, inside[0]),
            (crop.bottom < self._height, inside[-1]),
        )
        touching = sum(np.count_nonzero(edge) for matters, edge in edges if matters)
        return touching / math.sqrt(np.count_nonzero(inside))


def best_of(candidates: Sequence[Candidate | None]) -> Candidate | None:
    """The candidate with the highest score, the first of equals; None where there is none."""
    return max(
        (one for one in candidates if one is not None), key=lambda one: one.score, default=None
    )


def of_one_mind(candidates: Sequence[Candidate | None]) -> list[Candidate | None]:
    """The candidates that mean the same thing, that for which most is said; None for the others.

    Half of the witnesses may mean a dog and half the dog and its owner: between the two lies no
    mask that anybody wants.

    Args:
        candidates: what each witness takes for the object at a point.

    Returns:
        Those that overlap the best supported one by half, each at its place.
    """
    heard = [one for one in candidates if one is not None and one.score > 0]
    if not heard:
        return list(candidates)

    def support(one: Candidate) -> float:
        return sum(other.score * overlap(one.region, other.region) for other in heard)

    best = max(heard, key=support)
    return [
        (
            one
            if one is not None and one.score > 0 and overlap(one.region, best.region) >= _SAME_THING
            else None
        )
        for one in candidates
    ]


def piece_at(region: Region, x: int, y: int) -> Region:
    """The connected piece of a region (8 neighbours) at a point of it; nothing where the point is
    outside.
    """
    if not region[y, x]:
        return np.zeros_like(region)
    _, labels = cv2.connectedComponents(region.astype(np.uint8))
    return np.asarray(labels == labels[y, x])


def box_of(region: Region) -> Box:
    """The bounding box of a region that is not empty."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _agreement(
    witness: Witness, region: Region, heard: Sequence[tuple[Witness, Region | None]], x: int, y: int
) -> float:
    """How far other witnesses that see the point say the same within their crops; nearer sizes
    count more. 0.5 if none does.
    """
    total = weights = 0.0
    for other, theirs in heard:
        if other is witness or not other.crop.holds(x, y):
            continue
        place = other.crop.slices
        said = theirs[place] if theirs is not None else np.zeros_like(region[place])
        weight = 1 / (1 + abs(_size(witness.crop) - _size(other.crop)))
        total += weight * overlap(region[place], said)
        weights += weight
    # one that nobody confirms is still better than nothing: a shirt that fills every crop but the
    # whole picture
    return max(total / weights, _LEAST_AGREEMENT) if weights else 0.5


def _size(crop: Crop) -> float:
    return math.log2(crop.width * crop.height)


def _edges(crop: Crop) -> tuple[int, int, int, int]:
    return crop.left, crop.top, crop.right, crop.bottom
