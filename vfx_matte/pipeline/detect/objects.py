"""Chooses which tracks become objects, and which of their detections reference masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.annotations.objects import name_in_class
from vfx_matte.detect.regions import ColorHistogram, without_holes
from vfx_matte.detect.tracks import Sighting, Track
from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, ObjectLabel
from vfx_matte.settings.options import DetectSettings
from vfx_matte.wording import option

MOST_OBJECTS = 255
"""Ids that a mask has."""

# `clean`: an object is at least so much of the picture, and was seen so often
_LEAST_AREA, _FEWEST_SIGHTINGS = 0.002, 3
_SAME_PAIR = re.compile(r"\s*(\d{1,3})\s*=\s*(\d{1,3})\s*")
# two objects of different shots look alike from this similarity of colour histograms on
LEAST_LIKENESS = 0.7


@dataclass(slots=True)
class ChosenObject:
    """An object as it will be in masks."""

    id: int
    label: ObjectLabel
    track: Track
    references: list[Sighting]
    """What its reference masks are made of."""
    shots: set[int]
    """The shots that it is in: one, but for what `merged` joined."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The objects of a clip, and what was left out."""

    objects: list[ChosenObject]
    unconfirmed: int
    """Tracks that were seen once only."""
    over_limit: int
    """Objects beyond the limit, the least sure ones."""


def choose_objects(
    tracks: Sequence[Track],
    settings: DetectSettings,
    *,
    looked_at: Mapping[int, Collection[int]],
    classes: Collection[str],
) -> Choice:
    """Choose the objects of a clip.

    Args:
        tracks: everything that was followed.
        settings: what counts as an object.
        looked_at: shot → the frames on which a detector looked.
        classes: the names that count; empty counts all.

    Returns:
        The objects, by shot and then by size; ids from 1.
    """
    # 1. seen twice: what a detector invents it seldom invents again in the same place
    confirmed = [
        track
        for track in tracks
        if len(track.sightings) >= min(2, len(looked_at.get(track.shot, ())))
    ]
    # 2. of the wanted kind; by vote, as single frames may call it something else
    wanted = [track for track in confirmed if not classes or track.class_name in classes]
    if settings.clean:
        wanted = [
            track
            for track in wanted
            if len(track.sightings) >= min(_FEWEST_SIGHTINGS, len(looked_at[track.shot]))
            and _area(track) >= _LEAST_AREA
        ]
    # 3. as many as there may be
    kept = _within_limits(wanted, settings.max_objects or MOST_OBJECTS)
    ordered = sorted(kept, key=lambda track: (track.shot, -_area(track)))
    kinds = {at: track.class_name for at, track in enumerate(ordered, start=1)}
    chosen = [
        ChosenObject(
            at,
            ObjectLabel(name_in_class(at, kinds), track.class_name, track.score),
            track,
            track.trusted,
            {track.shot},
        )
        for at, track in enumerate(ordered, start=1)
    ]
    return Choice(chosen, len(tracks) - len(confirmed), len(wanted) - len(kept))


def read_same(same: Sequence[str]) -> list[tuple[int, int]]:
    """Read "B=A" texts as (B, A). Raises UsageError for a text that says something else."""
    pairs = []
    for text in same:
        pair = _SAME_PAIR.fullmatch(text)
        if pair is None or pair[1] == pair[2]:
            raise UsageError(
                f"{text!r} does not say which objects are the same",
                hint=f"write it as {option('same', '3=1')}: object 3 is object 1 again",
            )
        pairs.append((int(pair[1]), int(pair[2])))
    return pairs


def merged(objects: Sequence[ChosenObject], same: Sequence[str]) -> list[ChosenObject]:
    """The objects with those that are one joined.

    Args:
        objects: as found.
        same: "B=A" texts: B gets the id of A.

    Raises:
        UsageError: a text that says something else, an object that is not there, or two objects of
            one shot.
    """
    by_id = {one.id: one for one in objects}
    # what an object has become is followed, so that chains may come in any order
    became = {one.id: one for one in objects}
    for text, pair in zip(same, read_same(same), strict=True):
        again, first = (became.get(number) for number in pair)
        if again is None or first is None:
            raise UsageError(
                f"{text!r} names no two objects that were found",
                hint=f"there are {', '.join(map(str, became)) or 'none'}",
            )
        if again is first:
            continue
        if again.shots & first.shots:
            raise UsageError(
                f"objects {again.id} and {first.id} are seen in one shot, so they are two",
                hint=f"{option('same')} is for one that comes again after a cut",
            )
        first.references = sorted([*first.references, *again.references], key=lambda one: one.frame)
        first.shots |= again.shots
        by_id = {key: one for key, one in by_id.items() if one is not again}
        became = {key: first if one is again else one for key, one in became.items()}
    return list(by_id.values())


def reference_frames(objects: Sequence[ChosenObject]) -> list[int]:
    """The frames with a reference mask, ascending."""
    return sorted({sighting.frame for one in objects for sighting in one.references})


def reference_mask(
    objects: Sequence[ChosenObject], frame: int, shape: tuple[int, int], *, clean: bool
) -> Mask:
    """The reference mask of a frame: uint8 (H, W), object ids.

    Where two objects overlap the surer detection counts.
    """
    shown = [
        (one.id, sighting)
        for one in objects
        for sighting in one.references
        if sighting.frame == frame
    ]
    mask = np.zeros(shape, np.uint8)
    for object_id, sighting in sorted(shown, key=lambda pair: pair[1].score):
        mask[without_holes(sighting.mask) if clean else sighting.mask] = object_id
    return mask


def alike(
    objects: Sequence[ChosenObject], histograms: Mapping[int, ColorHistogram]
) -> tuple[tuple[int, int], ...]:
    """Pairs (B, A) of objects of one class in different shots that look alike, B the later one;
    for each B the one that is most alike.
    """
    pairs = []
    for at, one in enumerate(objects):
        likeness = {
            other.id: float(np.sqrt(histograms[one.id] * histograms[other.id]).sum())
            for other in objects[:at]
            if other.track.shot != one.track.shot and other.label.class_name == one.label.class_name
        }
        best = max(likeness, key=lambda other: likeness[other], default=0)
        if best and likeness[best] >= LEAST_LIKENESS:
            pairs.append((one.id, best))
    return tuple(pairs)


def _area(track: Track) -> float:
    """The mean share of the picture."""
    return float(np.mean([one.mask.mean() for one in track.trusted]))


def _within_limits(tracks: Sequence[Track], most: int) -> list[Track]:
    """The tracks that there is most of: so many in each shot, and 255 in all."""
    taken: Counter[int] = Counter()
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: -track.weight):
        if taken[track.shot] < most and len(kept) < MOST_OBJECTS:
            taken[track.shot] += 1
            kept.append(track)
    return kept
