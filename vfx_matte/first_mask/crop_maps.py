"""Maps of the salient network for several crops of one picture, and how they are combined.

The network outlines whatever stands out in the crop that it is shown. The object that is meant is
what the maps of several crops agree on, and what does not run over a crop's edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.detect.salient import Features, SalientNetwork, stretched
from vfx_matte.first_mask.marks import Box, Click, Point, Probability
from vfx_matte.masks import Image, overlap

Region = npt.NDArray[np.bool_]
"""bool (H, W)."""

CROP_SIZE_PX = 256
"""Side of the square that crops are shown to the network at: as good as 320 here, for half to two
thirds of the time.
"""

# The scores' numbers were fitted on the development sequences' first and middle frames
# (bench/first_mask.py).
_LEAST_CROP_PX = 8
# crops whose edges are nearer than this share of their longer side count as one
_SAME_CROP = 0.04
_LEAST_REGION_PX = 20
# a map is raised at a point where it is between these, to the second
_LEAST_RAISED, _INSIDE = 0.1, 0.6
_LEAST_AGREEMENT = 0.05
# share of √area that may lie along a crop's edge at no cost
_FREE_CONTACT = 0.05
_CONTACT_COST = 4.0
# a click that contradicts a map leaves its candidate at least this share of the score
_LEAST_SHARE = 0.02
# a region and its surroundings of half of this are taken into the average
_TOUCH_PX = 9
# overlap of two candidates that are the same object
_SAME_OBJECT = 0.5
# power of the scores in the average: the best map counts for far more than the others
_SHARPNESS = 3


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of a picture, right and bottom exclusive, px."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def has_map(self) -> bool:
        """Whether it is large enough for the network to make something of it."""
        return min(self.width, self.height) >= _LEAST_CROP_PX

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
class CropMap:
    """The network's map of one crop."""

    crop: Crop
    """What the network was shown."""
    probability: Probability
    """float32, of the crop's shape: 0 … 1, stretched."""
    strength: float
    """Its largest value before that: near 1 where something stands out."""

    @classmethod
    def of(cls, crop: Crop, found: Probability) -> CropMap:
        """From the network's output for a crop."""
        return cls(crop, stretched(found), float(found.max()))

    def raised(self, x: int, y: int) -> CropMap:
        """The same map, raised so far that a point is just inside; unchanged where the point is
        inside already or the network sees nothing at it.
        """
        if not self.crop.holds(x, y):
            return self
        value = float(self.probability[y - self.crop.top, x - self.crop.left])
        if not _LEAST_RAISED < value <= _INSIDE:
            return self
        # a power keeps 0, 1 and the order of all values between
        power = math.log(_INSIDE) / math.log(value)
        return replace(self, probability=np.power(self.probability, np.float32(power)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """The object at a point, as one map shows it."""

    region: Region
    """bool, of the whole picture's shape."""
    score: float
    """0 … 1: whether other maps agree, the point is well inside, and the region keeps off the
    crop's edge.
    """


class CropNetwork:
    """The network on crops of one picture; each map is computed once.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network.
    """

    def __init__(self, image: Image, network: SalientNetwork) -> None:
        self._image, self._network = image, network
        self._height, self._width = image.shape[:2]
        self._maps: dict[tuple[Crop, int, bool], CropMap] = {}
        self._features: dict[Crop, list[Features]] = {}

    def map(self, crop: Crop, *, size: int = CROP_SIZE_PX, rough: bool = False) -> CropMap | None:
        """The map of a crop; None where the crop is too small for one.

        Args:
            crop: of the picture.
            size: side of the square that the network is shown, px.
            rough: in two fifths of the time; where several crops are compared it is as good.
        """
        if not crop.has_map:
            return None
        known = self._maps.get((crop, size, rough))
        if known is None:
            run = self._network.rough if rough else self._network.probability
            found = run(np.ascontiguousarray(self._image[crop.slices]), size=size)
            known = self._maps[crop, size, rough] = CropMap.of(crop, found)
        return known

    def describe(self, crop: Crop) -> list[Features]:
        """The network's features of a crop, three stages, finest first."""
        known = self._features.get(crop)
        if known is None:
            shown = np.ascontiguousarray(self._image[crop.slices])
            found, known = self._network.describe(shown, size=CROP_SIZE_PX)
            # one pass gives both
            self._maps[crop, CROP_SIZE_PX, True] = CropMap.of(crop, found)
            # 5 MB each, and only the newest is asked for again
            self._features.clear()
            self._features[crop] = known
        return known

    def add(self, maps: list[CropMap], crop: Crop, *, rough: bool = False) -> None:
        """Append the map of a crop, unless one of the maps shows nearly the same crop already."""
        if any(crop.is_near(known.crop) for known in maps):
            return
        found = self.map(crop, rough=rough)
        if found is not None:
            maps.append(found)

    def candidates(
        self, maps: Sequence[CropMap], x: int, y: int, others: Sequence[Click] = ()
    ) -> list[Candidate | None]:
        """The object at a point, as each map shows it.

        Args:
            maps: of several crops.
            x: of the point, px from the left.
            y: of the point, px from the top.
            others: further clicks, which lower the score of a map that contradicts them.

        Returns:
            One for each map, None where it shows nothing at the point.
        """
        regions = [self._region_at(one, x, y) for one in maps]
        candidates: list[Candidate | None] = []
        for one, region in zip(maps, regions, strict=True):
            if region is None:
                candidates.append(None)
                continue
            crop, probability = one.crop, one.probability
            # agreement with other maps …
            score = _agreement(one, region, [*zip(maps, regions, strict=True)], x, y)
            # … times how surely the point is inside …
            score *= float(probability[y - crop.top, x - crop.left]) * one.strength
            # … less for a region that runs over the crop's edge …
            score *= math.exp(
                -_CONTACT_COST * max(0.0, self._contact(crop, region) - _FREE_CONTACT)
            )
            # … and for each click that says something else
            for click in others:
                if crop.holds(click.x, click.y):
                    value = float(probability[click.y - crop.top, click.x - crop.left])
                    score *= max(value if click.is_object else 1 - value, _LEAST_SHARE)
            candidates.append(Candidate(region, score))
        return candidates

    def fuse(self, maps: Sequence[CropMap], candidates: Sequence[Candidate | None]) -> Probability:
        """The average of the maps around their candidates, weighed by score.

        Args:
            maps: of several crops.
            candidates: what each map shows; a map without one does not count.

        Returns:
            float32 (H, W) of the whole picture, 0 … 1.
        """
        total = np.zeros((self._height, self._width), np.float32)
        weights = 0.0
        for one, candidate in zip(maps, candidates, strict=True):
            if candidate is None or candidate.score <= 0:
                continue
            weight = candidate.score**_SHARPNESS
            window = one.crop.slices
            near = cv2.dilate(
                candidate.region[window].astype(np.uint8), np.ones((_TOUCH_PX, _TOUCH_PX), np.uint8)
            )
            total[window] += weight * one.probability * near
            # outside its crop a map counts as background: its region keeps off the edge
            weights += weight
        return total / weights if weights > 0 else total

    def _region_at(self, one: CropMap, x: int, y: int) -> Region | None:
        """The piece of a map at a point, in the whole picture."""
        crop = one.crop
        if not crop.holds(x, y) or one.probability[y - crop.top, x - crop.left] <= 0.5:
            return None
        piece = piece_at(one.probability > 0.5, x - crop.left, y - crop.top)
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


def agreeing(candidates: Sequence[Candidate | None]) -> list[Candidate | None]:
    """The candidates that are the same object as the best supported one; None for the others.

    Half of the maps may show a dog and half the dog and its owner: their average is a mask that
    nobody wants.

    Args:
        candidates: the object at a point, as each map shows it.

    Returns:
        Those that overlap the best supported one by half, at the same positions.
    """
    scored = [one for one in candidates if one is not None and one.score > 0]
    if not scored:
        return list(candidates)

    def support(one: Candidate) -> float:
        return sum(other.score * overlap(one.region, other.region) for other in scored)

    best = max(scored, key=support)
    return [
        one
        if one is not None and one.score > 0 and overlap(one.region, best.region) >= _SAME_OBJECT
        else None
        for one in candidates
    ]


def piece_at(region: Region, x: int, y: int) -> Region:
    """The connected piece of a region (8 neighbours) that a point lies in; empty where the point is
    outside.
    """
    if not region[y, x]:
        return np.zeros_like(region)
    _, labels = cv2.connectedComponents(region.astype(np.uint8))
    return np.asarray(labels == labels[y, x])


def touching(region: Region, spot: Region) -> Region:
    """The connected pieces of a region (8 neighbours) that touch a spot; bool (H, W)."""
    _, labels = cv2.connectedComponents(region.astype(np.uint8))
    return np.asarray(region & np.isin(labels, np.unique(labels[spot & region])))


def touching_points(region: Region, points: Sequence[Point]) -> Region:
    """The connected pieces of a region (8 neighbours) that points lie in; bool (H, W)."""
    spot = np.zeros_like(region)
    for x, y in points:
        spot[y, x] = True
    return touching(region, spot)


def box_of(region: Region) -> Box:
    """The bounding box of a region that is not empty."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _agreement(
    one: CropMap, region: Region, maps: Sequence[tuple[CropMap, Region | None]], x: int, y: int
) -> float:
    """The overlap with the regions of other maps that hold the point, within their crops; nearer
    sizes count more. 0.5 if there is no other.
    """
    total = weights = 0.0
    for other, other_region in maps:
        if other is one or not other.crop.holds(x, y):
            continue
        window = other.crop.slices
        seen = other_region[window] if other_region is not None else np.zeros_like(region[window])
        weight = 1 / (1 + abs(_log_area(one.crop) - _log_area(other.crop)))
        total += weight * overlap(region[window], seen)
        weights += weight
    # one that no other map confirms is still better than nothing: a shirt that fills every crop but
    # the whole picture
    return max(total / weights, _LEAST_AGREEMENT) if weights else 0.5


def _log_area(crop: Crop) -> float:
    return math.log2(crop.width * crop.height)


def _edges(crop: Crop) -> tuple[int, int, int, int]:
    return crop.left, crop.top, crop.right, crop.bottom
