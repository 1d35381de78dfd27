"""Which object of a clip the entries of a file mean, and what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from vfx_matte.annotations.categories import UNNAMED
from vfx_matte.annotations.json_files import Entry
from vfx_matte.annotations.records import MOST_OBJECTS, AnnotatedClip
from vfx_matte.errors import MaskError
from vfx_matte.masks import ObjectLabel
from vfx_matte.printable import shortened

OBJECTS = "objects"
"""The field in which our JSON files say what each object is; other programs pass over it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One region that a file has on one frame, as far as it says what it belongs to."""

    frame: int
    """The place of the frame in the file."""

    class_name: str

    track: int | None = None
    """The id that the file gives to one object on all frames."""

    score: float | None = None


def objects_to_json(clip: AnnotatedClip, ids: Iterable[int]) -> list[dict[str, object]]:
    """What objects are, for `OBJECTS`."""
    return [object_to_json(object_id, clip.label(object_id)) for object_id in sorted(ids)]


def object_to_json(object_id: int, label: ObjectLabel) -> dict[str, object]:
    """What one object is."""
    return {
        "id": object_id,
        "name": label.name,
        "class_name": label.class_name,
        "score": label.score,
    }


def objects_from_json(entries: Iterable[Entry]) -> dict[int, ObjectLabel]:
    """What `objects_to_json` wrote.

    Raises:
        MaskError: it is something else.
    """
    return dict(object_from_json(entry) for entry in entries)


def object_from_json(entry: Entry) -> tuple[int, ObjectLabel]:
    """What `object_to_json` wrote. Raises MaskError."""
    object_id = entry.whole("id")
    if not 1 <= object_id <= MOST_OBJECTS:
        raise MaskError(
            f"{entry.where}.id is {shortened(object_id)}, expected 1 to {MOST_OBJECTS}",
            hint="check the file, or export it again",
        )
    score = entry.number("score") if entry.has("score") else None
    return object_id, ObjectLabel(entry.text("name"), entry.text("class_name"), score)


def identify(
    drawn: Sequence[Drawn],
    *,
    where: str,
    labels: Mapping[int, ObjectLabel] | None = None,
) -> tuple[list[int], dict[int, ObjectLabel], tuple[str, ...]]:
    """Give every region of a file the id of its object.

    Ids of the file stay where they are 1 … 255; others, such as CVAT's, which begin with 0, are
    numbered anew in their order. A file without ids is understood where each class is on a picture
    once, or where it has one picture.

    Args:
        drawn: the regions.
        where: the file, for messages.
        labels: what is known about ids of the file.

    Returns:
        An id per region; what the objects are; notices.

    Raises:
        MaskError: regions cannot be told apart, or are of more than 255 objects.
    """
    # 1. one key per object: its track, its class, or its place on the only picture
    tracks = [one.track for one in drawn if one.track is not None]
    keys: list[tuple[int, str]]
    if tracks and len(tracks) < len(drawn):
        raise MaskError(
            f"{where}: {len(drawn) - len(tracks)} of {len(drawn)} regions have no track_id",
            hint="give each object one track_id on all frames, or none at all",
        )
    if tracks:
        keys = [(track, "") for track in tracks]
    elif len({one.frame for one in drawn}) <= 1:
        keys = [(place, "") for place in range(len(drawn))]
    else:
        _require_one_per_class(drawn, where)
        keys = [(0, one.class_name) for one in drawn]
    # 2. ids: those of the file, if they are ids of a mask
    distinct = sorted(set(keys))
    if len(distinct) > MOST_OBJECTS:
        raise MaskError(
            f"{where} has {len(distinct)} objects, a mask has at most {MOST_OBJECTS}",
            hint="export a part of the clip, or fewer objects",
        )
    fits = bool(tracks) and distinct[0][0] >= 1 and distinct[-1][0] <= MOST_OBJECTS
    ids = {key: key[0] if fits else place for place, key in enumerate(distinct, start=1)}
    notices: tuple[str, ...] = ()
    if tracks and not fits:
        notices = (
            f"objects are numbered anew from 1: the file's ids go from {distinct[0][0]} to"
            f" {distinct[-1][0]}",
        )
    # 3. what they are
    found = [ids[key] for key in keys]
    return found, _described(drawn, found, labels if labels and fits else {}), notices


def _require_one_per_class(drawn: Sequence[Drawn], where: str) -> None:
    counts = Counter((one.frame, one.class_name) for one in drawn)
    (frame, name), most = counts.most_common(1)[0]
    if most > 1:
        raise MaskError(
            f"{where}: picture {frame + 1} shows {most} of {shortened(repr(name))}, and nothing"
            " says which of them is which on other pictures",
            hint="export tracks, or give each object a class (label) of its own",
        )


def _described(
    drawn: Sequence[Drawn], ids: Sequence[int], known: Mapping[int, ObjectLabel]
) -> dict[int, ObjectLabel]:
    """What each object is: the class that most of its regions have, the mean of their scores."""
    regions: dict[int, list[Drawn]] = {}
    for one, object_id in zip(drawn, ids, strict=True):
        regions.setdefault(object_id, []).append(one)
    classes = {
        object_id: Counter(one.class_name for one in mine).most_common(1)[0][0]
        for object_id, mine in sorted(regions.items())
    }
    labels = {}
    for object_id, class_name in classes.items():
        scores = [one.score for one in regions[object_id] if one.score is not None]
        labels[object_id] = known.get(object_id) or ObjectLabel(
            name_in_class(object_id, classes), class_name, _mean(scores) if scores else None
        )
    return labels


def _mean(scores: Sequence[float]) -> float:
    """The mean; of scores that are equal, that score to the last bit."""
    return scores[0] if len(set(scores)) == 1 else fmean(scores)


def name_in_class(object_id: int, classes: Mapping[int, str]) -> str:
    """A name for an object: its class, with a number where there are several of it.

    Args:
        object_id: the object.
        classes: of all objects, by id.
    """
    class_name = classes[object_id]
    if not class_name or class_name == UNNAMED:
        return f"object {object_id}"
    same = [other for other in sorted(classes) if classes[other] == class_name]
    return f"{class_name} {same.index(object_id) + 1}" if len(same) > 1 else class_name
