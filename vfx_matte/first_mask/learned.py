"""First masks by the salient network. Takes one picture, and marks or nothing; gives masks.

The network looks at several crops: round the box, or whole and at several sizes round the first
object mark. What the crops agree on is the object, and the crop of what was found is looked at
again, closer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from vfx_matte.detect.salient import TRAINED_SIZE_PX, Features, SalientNetwork
from vfx_matte.first_mask.corrections import MOST_ODDS, LogOdds, color_odds, log_odds
from vfx_matte.first_mask.maker import (
    FEATURE_GROWTH,
    LEAST_SCALE_PX,
    UNSURE,
    Maker,
    State,
    large_pieces,
)
from vfx_matte.first_mask.marks import Answer, Box, Click, Probability
from vfx_matte.first_mask.upscale import upscaled
from vfx_matte.first_mask.witnesses import (
    Crop,
    Region,
    Witness,
    Witnesses,
    best_of,
    box_of,
    of_one_mind,
    piece_at,
)
from vfx_matte.masks import Image, overlap

# Measured on the development sequences' first and middle frames (bench/first_mask.py):
# each crop is the box and this share of it; weights are cover × agreement to the power
_BOX_GROWTH = (
    0.0,
    0.4,
    1.0,
)
_BOX_SHARPNESS = 4
_FINE_BOX_GROWTH = 0.4  # all three looked at finely gain 0.4 points and take half as long again
_SCAN_SIDES = (1.0, 0.5)  # squares round a first click, in picture heights
_CLOSER_GROWTH = (0.25, 0.7)
_COLOR_WEIGHT = 0.25
_LEAST_SCORE = 0.15  # a part that a further click may add as a whole
_LARGE_SCORE = (
    0.4  # … and one that more than doubles the mask: better one click more than a crowd taken along
)
# of the crop round it: in √area of the mask, in picture heights
_PART_SIDE, _LEAST_PART_SIDE = (
    1.6,
    0.25,
)
_LEAVING_SIDE = 1.6  # of the crop round a background mark: in √area of the mask
# a thing leaves that lies in the mask by so much, and is not nearly all of it
_LEAVING_INSIDE, _MOST_LEAVING = (
    0.7,
    0.8,
)
_SEEN_SHARE = 0.9  # a witness whose crop holds less of the mask is not asked about it
_LEAST_SUBJECT = 0.002  # of the picture
_LEAST_BESIDE = 0.05  # of the largest subject


class LearnedFirstMask(Maker):
    """First masks of one picture by the salient network.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network.
    """

    def __init__(self, image: Image, network: SalientNetwork) -> None:
        super().__init__(image)
        self._witnesses = Witnesses(self._image, network)

    def subjects(self) -> list[Answer]:
        """What stands out without any mark; see `FirstMask.subjects`."""
        whole = self._witnesses.ask(Crop(0, 0, self._width, self._height), size=TRAINED_SIZE_PX)
        if whole is None:
            return []
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (whole.probability > 0.5).astype(np.uint8)
        )
        areas = stats[:, cv2.CC_STAT_AREA]
        order = sorted(range(1, count), key=lambda one: -areas[one])
        least = max(_LEAST_SUBJECT * labels.size, _LEAST_BESIDE * areas[order[0]] if order else 0)
        found = []
        for label in (one for one in order if areas[one] >= least):
            state = self._closer(np.asarray(labels == label), whole)
            if state.mask.any():
                found.append(
                    Answer(
                        upscaled(self._shown(state), self._image, self._full), *self._judged(state)
                    )
                )
        return sorted(found, key=lambda one: -int(np.count_nonzero(one.mask)))

    def _from_box(self, box: Box) -> State:
        """Crops of several sizes round the box, weighed by how far each fills the box and agrees
        with the others.
        """
        within = Crop.around(box, 0, width=self._width, height=self._height)
        asked = (
            self._witnesses.ask(
                Crop.around(box, growth, width=self._width, height=self._height),
                rough=growth != _FINE_BOX_GROWTH,
            )
            for growth in _BOX_GROWTH
        )
        heard = [one for one in asked if one is not None]
        said = [self._in_place(one)[within.slices] for one in heard]
        regions = [one > 0.5 for one in said]
        weights = []
        for index, region in enumerate(regions):
            others = [overlap(region, other) for at, other in enumerate(regions) if at != index]
            cover = math.prod(box_of(region)[2:]) / region.size if region.any() else 0.0
            weights.append(
                (cover * float(np.mean(others)) if others else cover) ** _BOX_SHARPNESS + 1e-3
            )
        probability = np.zeros((self._height, self._width), np.float32)
        if said:
            probability[within.slices] = np.average(said, axis=0, weights=weights)
        return self._settled(self._colored(probability, within), heard, within=within)

    def _from_click(self, first: Click) -> State:
        """The whole picture and squares round the click, then a closer crop of what those
        agree on.
        """
        crops = [Crop(0, 0, self._width, self._height)]
        for share in _SCAN_SIDES:
            side = int(share * self._height)
            crops.append(
                Crop.square(first.x, first.y, side, width=self._width, height=self._height)
            )
        heard: list[Witness] = []
        for crop in crops:
            self._witnesses.add(heard, crop, rough=True)
        candidates = self._witnesses.candidates(heard, first.x, first.y)
        described = None
        if not any(candidates):
            # Something else stands out: the object is then what stands out half as much, with the
            # click.
            heard = [one.lifted(first.x, first.y) for one in heard]
            candidates = self._witnesses.candidates(heard, first.x, first.y)
        best = best_of(candidates)
        if best is not None and best.score > 0:
            described = Crop.around(
                box_of(best.region), FEATURE_GROWTH, width=self._width, height=self._height
            )
            # the one pass gives both, what it sees there and what corrections need
            self._features(described)
            self._witnesses.add(heard, described, rough=True)
            candidates = self._witnesses.candidates(heard, first.x, first.y)
        probability = self._witnesses.fuse(heard, of_one_mind(candidates))
        return self._corrected(
            self._settled(self._colored(probability), heard, at=first, crop=described), first
        )

    def _closer(self, region: Region, whole: Witness) -> State:
        """A piece that stands out in the whole picture, looked at closer."""
        heard = [whole]
        box = box_of(region)
        for growth in _CLOSER_GROWTH:
            self._witnesses.add(
                heard, Crop.around(box, growth, width=self._width, height=self._height)
            )
        near = cv2.dilate(
            region.astype(np.uint8), np.ones((2 * self._radius + 1,) * 2, np.uint8)
        ).astype(bool)
        weights = [max(overlap(region, (self._in_place(one) > 0.5) & near), 1e-3) for one in heard]
        probability = (
            np.average([self._in_place(one) for one in heard], axis=0, weights=weights) * near
        )
        return self._settled(self._colored(probability.astype(np.float32)), heard)

    def _with_part(self, state: State, click: Click) -> State:
        """What the network sees at a mark that lies outside the mask joins it, where the crops
        agree on something.
        """
        heard = list(state.witnesses)
        side = max(
            _PART_SIDE * math.sqrt(np.count_nonzero(state.mask)), _LEAST_PART_SIDE * self._height
        )
        crop = Crop.square(click.x, click.y, int(side), width=self._width, height=self._height)
        self._witnesses.add(heard, crop, rough=True)
        against = [mark for mark in state.marks if not mark.is_object]
        candidates = self._witnesses.candidates(heard, click.x, click.y, against)
        state = replace(state, witnesses=tuple(heard))
        best = best_of(candidates)
        if best is None or best.score < _LEAST_SCORE:
            return state
        odds = np.maximum(state.odds, log_odds(self._witnesses.fuse(heard, candidates)))
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

    def _without_part(self, state: State, click: Click) -> State:
        """A thing of its own at a background mark leaves the mask whole: the second person, not a
        patch of his shirt.
        """
        heard = list(state.witnesses)
        side = max(
            _LEAVING_SIDE * math.sqrt(np.count_nonzero(state.mask)), _LEAST_PART_SIDE * self._height
        )
        crop = Crop.square(click.x, click.y, int(side), width=self._width, height=self._height)
        self._witnesses.add(heard, crop, rough=True)
        kept = [replace(mark, is_object=False) for mark in state.marks if mark.is_object]
        first = best_of(self._witnesses.candidates(heard, click.x, click.y, kept))
        if first is None:
            return state
        closer = Crop.around(
            box_of(first.region), FEATURE_GROWTH, width=self._width, height=self._height
        )
        self._witnesses.add(heard, closer, rough=True)
        candidates = of_one_mind(self._witnesses.candidates(heard, click.x, click.y, kept))
        best = best_of(candidates)
        if best is None or best.score < _LARGE_SCORE:
            return state
        said = self._witnesses.fuse(heard, candidates)
        thing = piece_at(said > 0.5, click.x, click.y)
        leaving = np.count_nonzero(thing & state.mask)
        is_apart = leaving >= _LEAVING_INSIDE * np.count_nonzero(thing)
        is_a_part = leaving <= _MOST_LEAVING * np.count_nonzero(state.mask)
        if not (is_apart and is_a_part) or any(thing[mark.y, mark.x] for mark in kept):
            return state
        odds = np.minimum(state.odds, np.where(thing, -log_odds(said), np.float32(MOST_ODDS)))
        return replace(state, odds=odds, mask=_without_scraps(state.mask & ~thing, thing))

    def _colored(self, probability: Probability, within: Crop | None = None) -> LogOdds:
        """Log odds with the colours' word: what the object's colours are is learned from the mask
        itself.
        """
        odds = log_odds(probability)
        region = probability > 0.5
        if not region.any():
            return odds
        place = Crop.around(
            box_of(region), FEATURE_GROWTH, width=self._width, height=self._height
        ).slices
        said = color_odds(np.ascontiguousarray(self._image[place]), probability[place])
        odds[place] += _COLOR_WEIGHT * said
        if within is not None:
            outside = np.ones(odds.shape, bool)
            outside[within.slices] = False
            odds[outside] = -MOST_ODDS
        return odds

    def _in_place(self, witness: Witness) -> Probability:
        """A witness's map in the whole picture, 0 outside its crop."""
        whole = np.zeros((self._height, self._width), np.float32)
        whole[witness.crop.slices] = witness.probability
        return whole

    def _described(self, crop: Crop) -> Sequence[Features]:
        return self._witnesses.describe(crop)

    def _judged(self, state: State) -> tuple[float, str]:
        """How far the witnesses that see the whole mask agree with it."""
        if not state.mask.any():
            return 0.0, "nothing stands out there: draw a box around the whole object"
        total = weights = 0.0
        area = np.count_nonzero(state.mask)
        heard = list(state.witnesses)
        if not heard:
            # a mask that was there: the crop that corrections are computed in was looked at anyway
            self._witnesses.add(heard, state.features, rough=True)
        for witness in heard:
            place = witness.crop.slices
            if np.count_nonzero(state.mask[place]) < _SEEN_SHARE * area:
                continue
            total += overlap(state.mask[place], witness.probability > 0.5) * witness.strength
            weights += 1
        confidence = total / weights if weights else UNSURE
        if confidence >= UNSURE:
            return confidence, ""
        wish = "mark what is missing and what is too much"
        return (
            confidence,
            wish if state.within is not None else f"{wish}, or draw a box around the whole object",
        )


def _without_scraps(mask: Region, thing: Region) -> Region:
    """A mask that a thing has left, without the small pieces that it left at its edges."""
    beside = cv2.dilate(thing.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    scraps = mask & ~large_pieces(mask)
    _, labels = cv2.connectedComponents(scraps.astype(np.uint8))
    return mask & ~(scraps & np.isin(labels, np.unique(labels[scraps & beside])))
