"""The steps that all methods for first masks share.

Steps:
    1. a mask begins from the box, the first object mark, or a mask that is given; subclasses
       implement the first two
    2. every further mark changes it where the mark is: `corrections`
    3. marks themselves, and the outside of a box, are set exactly
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.detect.salient import Features
from vfx_matte.errors import UsageError
from vfx_matte.first_mask.corrections import (
    FeatureMap,
    LogOdds,
    Piece,
    color_odds,
    corrected,
    log_odds,
    probability_of,
)
from vfx_matte.first_mask.crop_maps import Crop, CropMap, Region, box_of, piece_at, touching
from vfx_matte.first_mask.flooding import nearer
from vfx_matte.first_mask.marks import (
    Answer,
    Box,
    Click,
    Marks,
    Probability,
    Stroke,
    mark_radius_px,
)
from vfx_matte.first_mask.upscale import Guide, shrunk, upscaled
from vfx_matte.masks import Image

WORKING_PIXELS = 420_000
"""Masks are computed on a picture of at most so many, 854×480; marks and edges are set at the
picture's own size afterwards.
"""

UNSURE = 0.5
"""Confidence below which an answer says what would help."""

NOTHING_STANDS_OUT = "nothing stands out there: draw a box around the whole object"
"""The advice for a click where nothing is found."""

LEAST_SCALE_PX = 20
"""√area that a small mask counts as."""

FEATURE_GROWTH = 0.5
"""The crop in which corrections are computed is the mask's box and this share of it."""

# along a stroke, a point every short side / this is a mark
_STROKE_STEP_SHARE = 40
# a correction solves a system of so many equations
_MOST_STROKE_POINTS = 60
# pieces without a mark are kept from this share of the mask on
_KEPT_SHARE = 0.05
_JUST_IN, _JUST_OUT = np.float32(0.501), np.float32(0.499)
_WELL_IN, _WELL_OUT = np.float32(0.75), np.float32(0.25)
# of a given mask's odds, of what is seen there, and what is left of both at least on the mask's own
# side: a place that nobody marks stays what it is
_GIVEN_WEIGHT, _SEEN_WEIGHT, _LEAST_GIVEN = 0.4, 0.6, 0.2
# odds of a given mask below which the piece that a mark stands for goes on however far, and how far
# it goes from the mark elsewhere, in √area of the mask
_DOUBTFUL = 1.0
_PIECE_REACH = 0.12
# a mark outside the crop of a mask's features has a wider one, and the next mark not
_KEPT_FEATURE_MAPS = 3
# of a given mask's area: a background mark that takes more has to show that it is background …
_MUCH = 0.05
# … by colours around it: how far that is and how they are smoothed, both in √area of the mask, and
# the log odds from which a place is the subject, alone and beyond those of the mark (chosen with
# bench/corrections.py; with the last as 2.5 a dog's head still goes with the stones behind it)
_AROUND, _COLOUR_BLUR, _SURE, _APART = 0.6, 0.01, 0.5, 1.5
# shares of the surroundings that have to be outside of the mask, and of the mask beyond what it
# takes: otherwise nothing is known of either
_LEAST_OUTSIDE, _LEAST_REST = 0.1, 0.02
# around the mask's edge, where a picture's own edges may still move it
_RIM_PX = 5


@dataclass(frozen=True, slots=True)
class State:
    """A mask after some marks, all at the working size."""

    odds: LogOdds
    """Before corrections."""
    corrected: LogOdds
    """After the marks' corrections."""
    mask: Region
    """The object."""
    features: Crop
    """The crop that corrections are computed in."""
    scale_px: float
    """√area of the mask before corrections."""
    maps: tuple[CropMap, ...] = ()
    """What the mask was made from."""
    marks: tuple[Click, ...] = ()
    """The marks that have corrected it."""
    within: Crop | None = None
    """The box: all outside is background."""
    is_given: bool = False
    """Whether it began from a mask that somebody gave, which is nearly right."""


class BaseFirstMask(abc.ABC):
    """First masks of one picture; what was computed for one call is kept for the next.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
    """

    def __init__(self, image: Image) -> None:
        self._full = image
        self._image = shrunk(image, WORKING_PIXELS)
        self._height, self._width = self._image.shape[:2]
        self._radius = mark_radius_px(self._image.shape)
        self._first_states: dict[object, State] = {}
        self._feature_maps: dict[Crop, FeatureMap] = {}
        self._guide: Guide | None = None

    @abc.abstractmethod
    def subjects(self) -> list[Answer]:
        """What stands out without any mark; see `FirstMask.subjects`."""

    def prepare(self) -> None:
        """Compute ahead; see `FirstMask.prepare`."""
        self._make_guide()

    @abc.abstractmethod
    def _from_box(self, box: Box) -> State:
        """The object in a box, of the working size."""

    @abc.abstractmethod
    def _from_click(self, first: Click) -> State:
        """The object at the first object mark."""

    def _add_part(self, state: State, click: Click) -> State:  # noqa: ARG002  for those that can tell
        """Add the part that an object mark outside the mask lies on, where that can be told."""
        return state

    def _remove_part(self, state: State, click: Click) -> State:  # noqa: ARG002  for those that can tell
        """Remove the part that a background mark inside the mask lies on, where it can be told."""
        return state

    def _describe(self, crop: Crop) -> Sequence[Features]:  # noqa: ARG002  for those that have a network
        """A network's features of a crop, beside the colours."""
        return ()

    def _features(self, crop: Crop) -> FeatureMap:
        """The features that corrections in a crop need; the newest ones are kept."""
        found = self._feature_maps.pop(crop, None)
        if found is None:
            found = FeatureMap(crop, self._describe(crop), self._image)
        self._feature_maps[crop] = found
        # 13 MB each
        while len(self._feature_maps) > _KEPT_FEATURE_MAPS:
            self._feature_maps.pop(next(iter(self._feature_maps)))
        return found

    @abc.abstractmethod
    def _confidence_of(self, state: State) -> tuple[float, str]:
        """(confidence 0 … 1, what would help) of a mask that is not empty; "" where the method has
        nothing of its own to say.
        """

    def _judged(self, state: State) -> tuple[float, str]:
        """(confidence 0 … 1, what would help) of any mask; "" where nothing is in doubt."""
        if not state.mask.any():
            return 0.0, (
                NOTHING_STANDS_OUT
                if state.within is None
                else "nothing stands out in the box: mark the object too"
            )
        confidence, advice = self._confidence_of(state)
        if advice or confidence >= UNSURE:
            return confidence, advice
        wish = "mark what is missing and what is too much"
        return (
            confidence,
            wish if state.within is not None else f"{wish}, or draw a box around the whole object",
        )

    def answer(self, marks: Marks, previous: Probability | None = None) -> Answer:
        """The mask of what is marked; see `FirstMask.answer`."""
        marks.check(width=self._full.shape[1], height=self._full.shape[0])
        clicks = self._clicks(marks)
        if previous is None and marks.box is None and not any(click.is_object for click in clicks):
            raise UsageError(
                "nothing says where the object is", hint="mark the object, or draw a box around it"
            )
        state, further = self._begin(marks.box, clicks, previous)
        if state.is_given:
            state = self._correct_given(state, marks, further)
        else:
            for click in further:
                state = self._mark(state, click)
        # at the picture's own size: edges, pixels that did not change, and the marks
        probability = self._probability_of(state)
        full = self._upscaled(probability)
        if previous is not None:
            full = self._keep_unchanged(full, previous, state.mask)
        self._apply_marks(full, marks, previous)
        return Answer(full, *self._judged(state))

    def _upscaled(self, probability: Probability) -> Probability:
        """A map of the working size at the picture's own."""
        return upscaled(probability, self._image, self._full, guide=self._make_guide())

    def _make_guide(self) -> Guide | None:
        """What maps are brought up with; None for a picture that is not scaled down."""
        if self._guide is None and self._image.shape != self._full.shape:
            self._guide = Guide(self._image)
        return self._guide

    def _begin(
        self, box: Box | None, clicks: Sequence[Click], previous: Probability | None
    ) -> tuple[State, Sequence[Click]]:
        """The state before the first mark that corrects it, and the marks that do.

        Kept for boxes and first marks, as people add marks one by one.
        """
        if previous is not None:
            return self._from_previous(self._shrunk(previous), clicks), clicks
        if box is not None:
            scaled = self._scaled_box(box)
            if ("box", scaled) not in self._first_states:
                self._first_states["box", scaled] = self._from_box(scaled)
            return self._first_states["box", scaled], clicks
        first = next(click for click in clicks if click.is_object)
        if ("click", first) not in self._first_states:
            self._first_states["click", first] = self._from_click(first)
        rest = list(clicks)
        rest.remove(first)
        return self._first_states["click", first], rest

    def _from_previous(self, previous: Probability, clicks: Sequence[Click]) -> State:
        """The state of a mask that is given; small pieces too, as somebody wanted them."""
        mask = previous > 0.5
        if not mask.any():
            first = next((click for click in clicks if click.is_object), None)
            if first is None:
                raise UsageError(
                    "the mask to start from is empty",
                    hint="mark the object, or draw a box around it",
                )
            return self._state_of(log_odds(previous), [], at=first)
        state = replace(self._state_of(log_odds(previous), []), mask=mask, is_given=True)
        odds = self._doubted(state)
        return replace(state, odds=odds, corrected=odds)

    def _correct_given(self, given: State, marks: Marks, further: Sequence[Click]) -> State:
        """The state after marks on a given mask: each click and stroke changes it as it would
        alone, so that the order does not matter and a second one spoils nothing of the first.

        Only marks that the mask agrees with already bear on others: they hold places.

        Args:
            given: the mask.
            marks: all of them, at the picture's own size.
            further: those that correct the mask, at the working size.
        """
        holding = [click for click in further if given.mask[click.y, click.x] == click.is_object]
        mask, odds, maps = given.mask.copy(), given.corrected.copy(), given.maps
        for group in self._groups(marks):
            wanted = [click for click in group if click in further]
            against = [click for click in holding if click.is_object != group[0].is_object]
            state = replace(given, marks=tuple(against))
            for click in wanted:
                state = self._mark(state, click)
            changed = state.mask != given.mask
            mask[changed] = state.mask[changed]
            # the odds beside a change too: they say where its edge lies at full size
            near = cv2.dilate(changed.astype(np.uint8), np.ones((_RIM_PX, _RIM_PX), np.uint8)) > 0
            odds[near] = state.corrected[near]
            maps = (*maps, *state.maps[len(given.maps) :])
        marked = Marks(clicks=tuple(further)).labels((self._height, self._width))
        mask[marked > 0], mask[marked < 0] = True, False
        return replace(given, mask=mask, corrected=odds, maps=maps, marks=tuple(further))

    def _groups(self, marks: Marks) -> list[list[Click]]:
        """Every stroke and every click, as points at the working size."""
        strokes = [self._clicks(Marks(strokes=(stroke,))) for stroke in marks.strokes]
        return [*strokes, *([self._scaled(click)] for click in marks.clicks)]

    def _doubted(self, state: State) -> LogOdds:
        """The odds of a given mask, nearer to 0 where what the picture shows speaks against it."""
        seen = self._seen(state.features)
        if seen is None:
            return state.odds
        odds = state.odds.copy()
        window = state.features.slices
        sign = np.where(state.mask[window], 1, -1).astype(np.float32)
        odds[window] = sign * np.maximum(
            _GIVEN_WEIGHT * sign * odds[window] + _SEEN_WEIGHT * sign * seen, _LEAST_GIVEN
        )
        return odds

    def _seen(self, crop: Crop) -> LogOdds | None:  # noqa: ARG002  for those that have a network
        """What is seen in a crop without any mark, log odds; None where nothing is."""
        return None

    def _shrunk(self, previous: Probability) -> Probability:
        """A mask of the full picture, at the working size."""
        return np.asarray(
            cv2.resize(previous, (self._width, self._height), interpolation=cv2.INTER_AREA),
            np.float32,
        )

    def _keep_unchanged(
        self, full: Probability, previous: Probability, mask: Region
    ) -> Probability:
        """The new probabilities where the mask has changed at the working size, and next to it; the
        previous ones elsewhere, as exact as they were.
        """
        changed = (mask != (self._shrunk(previous) > 0.5)).astype(np.uint8)
        near = cv2.dilate(changed, np.ones((3, 3), np.uint8))
        is_changed = (
            cv2.resize(near, (full.shape[1], full.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
        )
        return np.where(is_changed, full, previous).astype(np.float32)

    def _mark(self, state: State, click: Click) -> State:
        """The state after one more mark: a part is added or removed, then the mark corrected."""
        if click.is_object and not state.mask[click.y, click.x]:
            state = self._add_part(state, click)
        elif not click.is_object and state.mask[click.y, click.x]:
            state = self._remove_part(state, click)
        return self._correct(state, click)

    def _correct(self, state: State, click: Click) -> State:
        """The state after a mark's correction: only the connected change at the mark is taken over,
        and only in its sense.
        """
        # 1. the crop of features, grown until the mark is inside
        marks = (*state.marks, click)
        crop = state.features
        if not crop.holds(click.x, click.y, margin=3):
            reach = LEAST_SCALE_PX
            crop = Crop(
                max(0, min(crop.left, click.x - reach)),
                max(0, min(crop.top, click.y - reach)),
                min(self._width, max(crop.right, click.x + reach)),
                min(self._height, max(crop.bottom, click.y + reach)),
            )
        # 2. odds that agree with all marks so far
        features = self._features(crop)
        spot = self._spot(click)
        pieces: list[Piece | None] = []
        if state.is_given and state.mask[click.y, click.x] != click.is_object:
            # the mark stands for what it lies on, so that it does not matter where on it
            piece_reach = _PIECE_REACH * state.scale_px
            side = ~state.mask if click.is_object else state.mask
            pieces = [None] * len(state.marks)
            doubtful = np.abs(state.odds) < _DOUBTFUL
            pieces.append(features.piece(click, side, doubtful, reach_px=piece_reach))
        odds = corrected(state.odds, marks, features, scale_px=state.scale_px, pieces=pieces)
        wanted = self._within(odds > 0, state.within)
        # 3. of what changes, the pieces that touch the mark: a click on a hand moves no foot
        changed = (wanted & ~state.mask) if click.is_object else (state.mask & ~wanted)
        changed |= spot & (state.mask != click.is_object)
        changed = touching(changed, spot)
        # a given mask is right nearly everywhere: what changes ends at the picture's own edges
        if state.is_given and changed.any():
            rest = (~state.mask if click.is_object else state.mask) & ~changed
            nearest = self._nearest(changed, spot, rest)
            much = _MUCH * np.count_nonzero(state.mask)
            if not click.is_object and np.count_nonzero(nearest) > much:
                rest |= self._subject(state.mask, click, spot, rest)
                nearest = self._nearest(changed, spot, rest)
            changed = nearest
        mask = state.mask.copy()
        mask[changed] = click.is_object
        # 4. earlier marks stay what they are
        marked = Marks(clicks=marks).labels((self._height, self._width))
        mask[marked > 0], mask[marked < 0] = True, False
        return replace(
            state,
            corrected=odds,
            mask=self._within(mask, state.within),
            features=crop,
            marks=marks,
        )

    def _nearest(self, region: Region, spot: Region, rest: Region) -> Region:
        """The part of what a mark would change that it reaches before the rest does."""
        return touching(nearer(self._image, region, spot, rest) | (spot & region), spot)

    def _subject(self, mask: Region, click: Click, spot: Region, rest: Region) -> Region:
        """Where colours show the subject around a background mark: what the mark takes ends there.

        They are learned from the rest of the mask and from what is outside of it: what is in
        question teaches nothing.

        Args:
            mask: bool (H, W), as it was given.
            click: the mark, inside the mask.
            spot: bool (H, W), what it covers.
            rest: bool (H, W), what it leaves of the mask.

        Returns:
            bool (H, W), within the mask; False everywhere where too little is known.
        """
        reach = round(_AROUND * math.sqrt(np.count_nonzero(mask)))
        window = (
            slice(max(0, click.y - reach), click.y + reach),
            slice(max(0, click.x - reach), click.x + reach),
        )
        inside, own = mask[window], rest[window]
        found = np.zeros_like(mask)
        if (
            np.count_nonzero(~inside) < _LEAST_OUTSIDE * inside.size
            or np.count_nonzero(own) < _LEAST_REST * own.size
        ):
            return found
        odds = color_odds(
            np.ascontiguousarray(self._image[window]), own.astype(np.float32), known=own | ~inside
        )
        # single pixels of any texture look like the subject
        smooth = cv2.GaussianBlur(odds, (0, 0), max(1.0, _COLOUR_BLUR * reach / _AROUND))
        here = float(smooth[spot[window]].mean())
        found[window] = inside & ~spot[window] & (smooth > max(_SURE, here + _APART))
        return found

    def _state_of(
        self,
        odds: LogOdds,
        maps: Sequence[CropMap],
        *,
        at: Click | None = None,
        within: Crop | None = None,
        crop: Crop | None = None,
    ) -> State:
        """The state that begins with these odds.

        Args:
            odds: of the whole picture.
            maps: what they were made from.
            at: a point of the piece that is meant; None keeps all of some size.
            within: the box.
            crop: one whose features are known already.
        """
        mask = self._within(odds > 0, within)
        mask = large_pieces(mask) if at is None else piece_at(mask, at.x, at.y)
        # where corrections will be computed: round the mask, or where one is expected
        if mask.any():
            box = box_of(mask)
        elif within is not None:
            box = (within.left, within.top, within.width, within.height)
        else:
            point = at or Click(self._width // 2, self._height // 2)
            side = self._height // 3
            box = (point.x - side // 2, point.y - side // 2, side, side)
        if crop is not None and mask.any():
            crop = self._wide_enough(crop, mask)
        else:
            crop = Crop.around(box, FEATURE_GROWTH, width=self._width, height=self._height)
        scale = max(LEAST_SCALE_PX, math.sqrt(np.count_nonzero(mask)))
        return State(odds, odds, mask, crop, scale, tuple(maps), within=within)

    def _within(self, mask: Region, within: Crop | None) -> Region:
        """The mask inside the box; all of it without one."""
        if within is None:
            return mask
        limited = np.zeros_like(mask)
        limited[within.slices] = mask[within.slices]
        return limited

    def _wide_enough(self, crop: Crop, mask: Region) -> Crop:
        """The crop, or a wider one where a grown mask does not fit into it: features cost a pass of
        the network.
        """
        wanted = Crop.around(box_of(mask), FEATURE_GROWTH, width=self._width, height=self._height)
        across, down = 0.1 * crop.width, 0.1 * crop.height
        is_outside = (
            wanted.left < crop.left - across
            or wanted.right > crop.right + across
            or wanted.top < crop.top - down
            or wanted.bottom > crop.bottom + down
        )
        return wanted if is_outside else crop

    def _spot(self, click: Click) -> Region:
        """The disc that a mark certainly covers."""
        spot = np.zeros((self._height, self._width), np.uint8)
        cv2.circle(spot, (click.x, click.y), self._radius, 1, cv2.FILLED)
        return spot.astype(bool)

    def _probability_of(self, state: State) -> Probability:
        """Probabilities that are above ½ exactly in the mask: the corrected odds, moved to its side
        of ½ where they are not.

        Away from the mask's edge they are moved well to its side: otherwise edges of the picture,
        which move the mask's at full size, would turn values just at ½ into flecks.
        """
        probability = probability_of(state.corrected)
        inside, rim = state.mask.astype(np.uint8), np.ones((_RIM_PX, _RIM_PX), np.uint8)
        least = np.where(cv2.erode(inside, rim) > 0, _WELL_IN, _JUST_IN)
        most = np.where(cv2.dilate(inside, rim) > 0, _JUST_OUT, _WELL_OUT)
        return np.where(state.mask, np.maximum(probability, least), np.minimum(probability, most))

    def _clicks(self, marks: Marks) -> list[Click]:
        """Strokes as points along them, then clicks, at the working size."""
        # clicks last, so that they have the last word where they lie on a stroke
        points: list[Click] = []
        for stroke in marks.strokes:
            points += [
                self._scaled(point)
                for point in _along(stroke, min(self._full.shape[:2]) / _STROKE_STEP_SHARE)
            ]
        return points + [self._scaled(click) for click in marks.clicks]

    def _scaled(self, click: Click) -> Click:
        height, width = self._full.shape[:2]
        return replace(click, x=click.x * self._width // width, y=click.y * self._height // height)

    def _scaled_box(self, box: Box) -> Box:
        across, down = self._width / self._full.shape[1], self._height / self._full.shape[0]
        left, top = math.floor(box[0] * across), math.floor(box[1] * down)
        right, bottom = math.ceil((box[0] + box[2]) * across), math.ceil((box[1] + box[3]) * down)
        return left, top, right - left, bottom - top

    def _apply_marks(
        self, probability: Probability, marks: Marks, previous: Probability | None
    ) -> None:
        """Set marks and the outside of the box exactly, in place, at the picture's own size."""
        if marks.box is not None and previous is None:
            x, y, width, height = marks.box
            inside = probability[y : y + height, x : x + width].copy()
            probability[:] = 0
            probability[y : y + height, x : x + width] = inside
        marked = marks.labels((probability.shape[0], probability.shape[1]))
        probability[marked > 0] = 1
        probability[marked < 0] = 0


def _along(stroke: Stroke, step: float) -> list[Click]:
    """Points along a stroke, `step` px from each other or more, the first corner first."""
    corners = np.array(stroke.points, np.float64)
    if len(corners) == 1:
        return [Click(*stroke.points[0], stroke.is_object)]
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    count = int(min(_MOST_STROKE_POINTS, max(2, lengths[-1] // max(step, 1.0) + 1)))
    positions = np.linspace(0, lengths[-1], count)
    across, down = (np.interp(positions, lengths, corners[:, axis]) for axis in (0, 1))
    return [Click(int(x), int(y), stroke.is_object) for x, y in zip(across, down, strict=True)]


def large_pieces(mask: Region) -> Region:
    """A mask without the pieces that are small beside the whole."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    return np.asarray((areas >= _KEPT_SHARE * areas.sum())[labels])
