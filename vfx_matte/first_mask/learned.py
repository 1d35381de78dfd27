"""First masks by the salient network.

The network is run on several crops: round the box, or on the whole picture and at several sizes
round the first object mark. What the crops' maps agree on is the object; the network is then run
again on a closer crop of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from vfx_matte.detect.salient import TRAINED_SIZE_PX, Features, SalientNetwork
from vfx_matte.first_mask.base import (
    FEATURE_GROWTH,
    LEAST_SCALE_PX,
    NOTHING_STANDS_OUT,
    UNSURE,
    BaseFirstMask,
    State,
    large_pieces,
)
from vfx_matte.first_mask.corrections import MOST_ODDS, LogOdds, color_odds, log_odds
from vfx_matte.first_mask.crop_maps import (
    Crop,
    CropMap,
    CropNetwork,
    Region,
    agreeing,
    best_of,
    box_of,
    piece_at,
    touching,
)
from vfx_matte.first_mask.marks import Answer, Box, Click, Probability
from vfx_matte.masks import Image, overlap

# All numbers were measured on the development sequences' first and middle frames
# (bench/first_mask.py).

# each crop is the box and this share of it
_BOX_GROWTH = (0.0, 0.4, 1.0)
# a map's weight is cover × agreement to this power
_BOX_SHARPNESS = 4
# the one that is computed finely: all three gain 0.4 points and take half as long again
_FINE_BOX_GROWTH = 0.4
# squares round a first click, in picture heights
_SCAN_SIDES = (1.0, 0.5)
_CLOSER_GROWTH = (0.25, 0.7)
# of the colours' log odds beside the network's
_COLOR_WEIGHT = 0.25
# the score of a part that a further click may add as a whole …
_LEAST_SCORE = 0.15
# … and of one that more than doubles the mask: better one click more than a crowd taken along
_LARGE_SCORE = 0.4
# sides of the crop round a mark that adds or removes a part: in √area of the mask, and at least in
# picture heights
_PART_SIDE, _LEAST_PART_SIDE = 1.6, 0.25
# a part is removed that lies in the mask by so much, and is not nearly all of it
_REMOVED_INSIDE, _MOST_REMOVED = 0.7, 0.8
# of a mask that was given: how much of a part's border may lie in the rest, in √area of the part
_LONGEST_SEAM = 0.3
# a map whose crop holds less of the mask says nothing about the whole
_SEEN_SHARE = 0.9
# share of a box's side that its object may leave empty at no cost, and from which on hardly
# anything is left of the confidence; of 108 boxes of which 17 gave less than an IoU of 0.75, 11 are
# unsure then (1 was without it), 7 of them rightly
_EMPTY_SIDE, _LEAST_FIT = (0.15, 0.45), 0.3
# agreement with a given mask up to which a map shows something else, and from which on it shows the
# mask's object
_SEES_ANOTHER = (0.3, 0.6)
# the confidence of a mask in which no map shows anything
_NOTHING_SEEN = 0.02
# of the picture
_LEAST_SUBJECT = 0.002
# of the largest subject
_LEAST_BESIDE = 0.05


class LearnedFirstMask(BaseFirstMask):
    """First masks of one picture by the salient network.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network.
    """

    def __init__(self, image: Image, network: SalientNetwork) -> None:
        super().__init__(image)
        self._network = CropNetwork(self._image, network)

    def subjects(self) -> list[Answer]:
        """What stands out without any mark; see `FirstMask.subjects`."""
        # at the size that it was trained at, as there is no second crop to correct this one
        whole = self._network.map(Crop(0, 0, self._width, self._height), size=TRAINED_SIZE_PX)
        if whole is None:
            return []
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (whole.probability > 0.5).astype(np.uint8)
        )
        areas = stats[:, cv2.CC_STAT_AREA]
        order = sorted(range(1, count), key=lambda label: -areas[label])
        least = max(_LEAST_SUBJECT * labels.size, _LEAST_BESIDE * areas[order[0]] if order else 0)
        found = []
        for label in (label for label in order if areas[label] >= least):
            state = self._look_closer(np.asarray(labels == label), whole)
            if state.mask.any():
                found.append(
                    Answer(
                        self._upscaled(self._probability_of(state)),
                        *self._judged(state),
                    )
                )
        return sorted(found, key=lambda one: -int(np.count_nonzero(one.mask)))

    def prepare(self) -> None:
        """The map of the whole picture, which every first click asks for; see `FirstMask`."""
        super().prepare()
        # not what stands out, which takes five times as long and which a click would wait for
        self._network.map(Crop(0, 0, self._width, self._height), rough=True)

    def _from_box(self, box: Box) -> State:
        """The average of maps of several sizes round the box, weighed by how far each fills the box
        and agrees with the others.
        """
        # 1. the maps, cut to the box
        within = Crop.around(box, 0, width=self._width, height=self._height)
        found = (
            self._network.map(
                Crop.around(box, growth, width=self._width, height=self._height),
                rough=growth != _FINE_BOX_GROWTH,
            )
            for growth in _BOX_GROWTH
        )
        maps = [one for one in found if one is not None]
        parts = [self._whole(one)[within.slices] for one in maps]
        # 2. their weights: a box is drawn close, so what fills little of it misses a part
        regions = [part > 0.5 for part in parts]
        weights = []
        for index, region in enumerate(regions):
            others = [overlap(region, other) for at, other in enumerate(regions) if at != index]
            cover = math.prod(box_of(region)[2:]) / region.size if region.any() else 0.0
            weights.append(
                (cover * float(np.mean(others)) if others else cover) ** _BOX_SHARPNESS + 1e-3
            )
        probability = np.zeros((self._height, self._width), np.float32)
        if parts:
            probability[within.slices] = np.average(parts, axis=0, weights=weights)
        return self._state_of(self._add_colors(probability, within), maps, within=within)

    def _from_click(self, first: Click) -> State:
        """The object at the click: from maps of the whole picture and of squares round the click,
        then of a closer crop of what those agree on.
        """
        # 1. from afar
        crops = [Crop(0, 0, self._width, self._height)]
        for share in _SCAN_SIDES:
            side = int(share * self._height)
            crops.append(
                Crop.square(first.x, first.y, side, width=self._width, height=self._height)
            )
        maps: list[CropMap] = []
        for crop in crops:
            self._network.add(maps, crop, rough=True)
        candidates = self._network.candidates(maps, first.x, first.y)
        if not any(candidates):
            # something else stands out: the object is then what stands out half as much, with the
            # click
            maps = [one.raised(first.x, first.y) for one in maps]
            candidates = self._network.candidates(maps, first.x, first.y)
        # 2. closer
        described = None
        best = best_of(candidates)
        if best is not None and best.score > 0:
            described = Crop.around(
                box_of(best.region), FEATURE_GROWTH, width=self._width, height=self._height
            )
            # one pass gives the map, and the features that corrections need
            self._features(described)
            self._network.add(maps, described, rough=True)
            candidates = self._network.candidates(maps, first.x, first.y)
        probability = self._network.fuse(maps, agreeing(candidates))
        return self._correct(
            self._state_of(self._add_colors(probability), maps, at=first, crop=described), first
        )

    def _look_closer(self, region: Region, whole: CropMap) -> State:
        """The state of a piece that stands out in the whole picture, from closer maps too."""
        maps = [whole]
        box = box_of(region)
        for growth in _CLOSER_GROWTH:
            self._network.add(
                maps, Crop.around(box, growth, width=self._width, height=self._height)
            )
        # what stands out beside it in the closer crops is another subject
        near = cv2.dilate(
            region.astype(np.uint8), np.ones((2 * self._radius + 1,) * 2, np.uint8)
        ).astype(bool)
        weights = [max(overlap(region, (self._whole(one) > 0.5) & near), 1e-3) for one in maps]
        probability = np.average([self._whole(one) for one in maps], axis=0, weights=weights) * near
        return self._state_of(self._add_colors(probability.astype(np.float32)), maps)

    def _add_part(self, state: State, click: Click) -> State:
        """Add what the network sees at an object mark outside the mask, where the maps agree on
        something.
        """
        # 1. a map of a crop round the mark, beside those that there are
        maps = list(state.maps)
        side = max(
            _PART_SIDE * math.sqrt(np.count_nonzero(state.mask)), _LEAST_PART_SIDE * self._height
        )
        crop = Crop.square(click.x, click.y, int(side), width=self._width, height=self._height)
        self._network.add(maps, crop, rough=True)
        # 2. what they show there, if it is likely enough
        against = [mark for mark in state.marks if not mark.is_object]
        candidates = self._network.candidates(maps, click.x, click.y, against)
        state = replace(state, maps=tuple(maps))
        best = best_of(candidates)
        if best is None or best.score < _LEAST_SCORE:
            return state
        # 3. joined, unless it would swallow the mask on slight evidence
        odds = np.maximum(state.odds, log_odds(self._network.fuse(maps, candidates)))
        grown = piece_at(odds > 0, click.x, click.y) | state.mask
        before = np.count_nonzero(state.mask)
        if (
            best.score < _LARGE_SCORE
            and np.count_nonzero(grown) > 2 * before > 2 * _LEAST_SUBJECT * grown.size
        ):
            return state
        return replace(
            state,
            odds=odds,
            features=self._wide_enough(state.features, grown),
            scale_px=max(LEAST_SCALE_PX, math.sqrt(np.count_nonzero(odds > 0))),
        )

    def _remove_part(self, state: State, click: Click) -> State:
        """Remove an object of its own at a background mark as a whole: the second person, not a
        patch of his shirt.
        """
        # 1. a map of a crop round the mark; the mask's object marks are background for this object
        maps = list(state.maps)
        side = max(
            _PART_SIDE * math.sqrt(np.count_nonzero(state.mask)), _LEAST_PART_SIDE * self._height
        )
        crop = Crop.square(click.x, click.y, int(side), width=self._width, height=self._height)
        self._network.add(maps, crop, rough=True)
        kept = [replace(mark, is_object=False) for mark in state.marks if mark.is_object]
        first = best_of(self._network.candidates(maps, click.x, click.y, kept))
        if first is None:
            return state
        # 2. closer, as it is removed as a whole
        closer = Crop.around(
            box_of(first.region), FEATURE_GROWTH, width=self._width, height=self._height
        )
        self._network.add(maps, closer, rough=True)
        candidates = agreeing(self._network.candidates(maps, click.x, click.y, kept))
        best = best_of(candidates)
        if best is None or best.score < _LARGE_SCORE:
            return state
        # 3. removed if it lies in the mask, is not nearly all of it, and holds no object mark
        probability = self._network.fuse(maps, candidates)
        part = piece_at(probability > 0.5, click.x, click.y)
        removed = np.count_nonzero(part & state.mask)
        is_inside = removed >= _REMOVED_INSIDE * np.count_nonzero(part)
        is_a_part = removed <= _MOST_REMOVED * np.count_nonzero(state.mask)
        if state.is_given and not kept:
            # nothing protects it: what hangs together with the rest is no object of its own
            beside = cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            seam = np.count_nonzero(beside & ~part & state.mask)
            is_a_part &= seam <= _LONGEST_SEAM * math.sqrt(removed)
        if not (is_inside and is_a_part) or any(part[mark.y, mark.x] for mark in kept):
            return state
        odds = np.minimum(state.odds, np.where(part, -log_odds(probability), np.float32(MOST_ODDS)))
        return replace(state, odds=odds, mask=_remove_scraps(state.mask & ~part, part))

    def _add_colors(self, probability: Probability, within: Crop | None = None) -> LogOdds:
        """Log odds of the probabilities, and of the colours: which ones are the object's is learned
        from the mask itself.
        """
        odds = log_odds(probability)
        region = probability > 0.5
        if not region.any():
            return odds
        window = Crop.around(
            box_of(region), FEATURE_GROWTH, width=self._width, height=self._height
        ).slices
        colors = color_odds(np.ascontiguousarray(self._image[window]), probability[window])
        odds[window] += _COLOR_WEIGHT * colors
        if within is not None:
            outside = np.ones(odds.shape, bool)
            outside[within.slices] = False
            odds[outside] = -MOST_ODDS
        return odds

    def _confidence_of_given(self, state: State, seen: float) -> float:
        """The confidence of a mask that somebody gave, by how far the network's map agrees with it.

        Where the map shows mostly something else, as of a cup before the person that holds it, it
        says nothing about this mask; then what counts is whether it ends where looks change.
        """
        low, high = _SEES_ANOTHER
        blind = min(1.0, max(0.0, (high - seen) / (high - low)))
        crop = state.features
        if not blind or not crop.has_map:
            return seen
        return (1 - blind) * seen + blind * max(seen, self._features(crop).agreement(state.mask))

    def _holding(self, maps: Sequence[CropMap], mask: Region) -> list[CropMap]:
        """The maps whose crop holds so much of a mask that they say something about the whole."""
        least = _SEEN_SHARE * np.count_nonzero(mask)
        return [one for one in maps if np.count_nonzero(mask[one.crop.slices]) >= least]

    def _whole(self, one: CropMap) -> Probability:
        """A map in the whole picture, 0 outside its crop."""
        whole = np.zeros((self._height, self._width), np.float32)
        whole[one.crop.slices] = one.probability
        return whole

    def _seen(self, crop: Crop) -> LogOdds | None:
        if not crop.has_map:
            return None
        # the pass that gives the map gives the features too, and those are needed next
        self._features(crop)
        found = self._network.map(crop, rough=True)
        return None if found is None else log_odds(found.probability)

    def _describe(self, crop: Crop) -> Sequence[Features]:
        return self._network.describe(crop)

    def _confidence_of(self, state: State) -> tuple[float, str]:
        """How far the maps that hold the whole mask agree with it."""
        total = weights = 0.0
        maps = self._holding(state.maps, state.mask)
        if not maps:
            # of a mask that was given: the crop that corrections are computed in
            made: list[CropMap] = []
            self._network.add(made, state.features, rough=True)
            maps = self._holding(made, state.mask)
        for one in maps:
            window = one.crop.slices
            total += overlap(state.mask[window], one.probability > 0.5) * one.strength
            weights += 1
        if not weights:
            # a picture of a few pixels, of which there are no maps
            return UNSURE, "nothing tells how good it is: look at it, or draw a box around it"
        confidence = total / weights
        if state.is_given:
            return self._confidence_of_given(state, confidence), ""
        if confidence < _NOTHING_SEEN:
            # hardly more than the marks themselves, as of a click on a wall
            return confidence, NOTHING_STANDS_OUT
        fit = _box_fit(state.mask, state.within) if state.within is not None else 1.0
        confidence *= fit
        if fit < 1 and confidence < UNSURE:
            return confidence, "it leaves a part of the box empty: mark what is missing"
        return confidence, ""


def _box_fit(mask: Region, within: Crop) -> float:
    """How far a mask's largest piece reaches to all sides of its box: _LEAST_FIT … 1.

    A box is drawn around the whole object, so where a side stays empty half of it may be missing,
    however sure the maps are of the other half.
    """
    _, _, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    left, top, width, height, _ = facts[1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))]
    empty = max(
        (left - within.left) / within.width,
        (within.right - left - width) / within.width,
        (top - within.top) / within.height,
        (within.bottom - top - height) / within.height,
    )
    low, high = _EMPTY_SIDE
    return float(min(1.0, max(_LEAST_FIT, 1 - (empty - low) / (high - low))))


def _remove_scraps(mask: Region, removed: Region) -> Region:
    """A mask without the small pieces that lie at the edges of a part that was removed."""
    beside = cv2.dilate(removed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return mask & ~touching(mask & ~large_pieces(mask), beside)
