"""YouTube-VIS: one entry per object, with a region or null for every frame.

As results, a list that a detector leaves (`result.json`), and as a data set with `videos`,
`categories` and `annotations`. What each object is stands in fields that other programs pass over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from vfx_matte.annotations import rle
from vfx_matte.annotations.categories import (
    FOR_YOUTUBE_VIS,
    UNNAMED,
    YOUTUBE_VIS_2019,
    Categories,
    categories_of,
    official_categories,
)
from vfx_matte.annotations.coco import parse_region
from vfx_matte.annotations.json_files import Entry, json_list, read_json, write_json
from vfx_matte.annotations.objects import (
    OBJECTS,
    Drawn,
    identify,
    object_from_json,
    object_to_json,
    objects_from_json,
    objects_to_json,
)
from vfx_matte.annotations.records import (
    AddFrame,
    AnnotatedClip,
    Annotations,
    FrameAnnotation,
    FrameName,
    NumbersFrom,
    compose,
    frame_numbers,
)
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask, ObjectLabel
from vfx_matte.printable import json_text

_VIDEO_ID = 1
_OBJECT, _NUMBERS = "object", "frame_numbers"


class _Tracks:
    """The regions of every object, kept as run lengths until all frames are known."""

    def __init__(self, clip: AnnotatedClip) -> None:
        self.clip = clip
        self.frames: list[FrameName] = []
        self._regions: dict[int, dict[int, rle.RLE]] = {}

    def add(self, frame: FrameName, mask: Mask) -> None:
        self.clip.require_mask(mask)
        for object_id, region in rle.encode_objects(mask).items():
            self._regions.setdefault(object_id, {})[len(self.frames)] = region
        self.frames.append(frame)

    @property
    def ids(self) -> list[int]:
        return sorted(self._regions)

    def regions(self, object_id: int) -> list[rle.RLE | None]:
        """One for every frame."""
        known = self._regions[object_id]
        return [known.get(place) for place in range(len(self.frames))]

    def categories(self) -> Categories:
        return categories_of(
            (self.clip.label(object_id).class_name for object_id in self.ids), FOR_YOUTUBE_VIS
        )


@contextmanager
def write_results(
    path: Path, clip: AnnotatedClip, *, video_id: int = _VIDEO_ID
) -> Iterator[AddFrame]:
    """Write masks as results of YouTube-VIS, a list with one entry per object; the file is there
    once the block ends well.

    An object without a score has 1.0, as every result must have one. Category ids are those of the
    first list of 2019, 2021 and COCO that knows all classes, else they count the names;
    `category_ids` says which.

    Args:
        path: the JSON file, such as result.json.
        clip: whose masks they are.
        video_id: of the clip in its data set.

    Raises:
        OutputError: it cannot be written.
    """
    tracks = _Tracks(clip)
    yield tracks.add
    write_json(path, chain(json_list(_results(tracks, video_id)), "\n"))


def _results(tracks: _Tracks, video_id: int) -> Iterator[dict[str, object]]:
    categories = tracks.categories()
    for object_id in tracks.ids:
        label = tracks.clip.label(object_id)
        category_id = categories.id_of(label.class_name)
        yield {
            "video_id": video_id,
            "score": 1.0 if label.score is None else label.score,
            "category_id": category_id,
            "segmentations": _to_json(tracks.regions(object_id)),
            # what is not of the form
            "video_name": tracks.clip.name,
            "category_name": categories.names[category_id],
            "category_ids": categories.source,
            _OBJECT: object_to_json(object_id, label),
            _NUMBERS: [frame.number for frame in tracks.frames],
        }


@contextmanager
def write_dataset(path: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as a data set of YouTube-VIS: `videos`, `categories`, `annotations`; the file is
    there once the block ends well.

    Args:
        path: the JSON file.
        clip: whose masks they are.

    Raises:
        OutputError: it cannot be written.
    """
    tracks = _Tracks(clip)
    yield tracks.add
    write_json(path, _dataset(tracks))


def _dataset(tracks: _Tracks) -> Iterator[str]:
    clip, categories = tracks.clip, tracks.categories()
    height, width = clip.shape
    length = len(tracks.frames)
    size = {"width": width, "height": height, "length": length}
    video = {
        "id": _VIDEO_ID,
        "name": clip.name,
        **size,
        # the folder of a clip's pictures has its name
        "file_names": [f"{clip.name}/{frame.file_name}" for frame in tracks.frames],
        _NUMBERS: [frame.number for frame in tracks.frames],
    }

    def annotations() -> Iterator[dict[str, object]]:
        for number, object_id in enumerate(tracks.ids, start=1):
            label, regions = clip.label(object_id), tracks.regions(object_id)
            yield {
                "id": number,
                "video_id": _VIDEO_ID,
                "category_id": categories.id_of(label.class_name),
                "iscrowd": 0,
                **size,
                "segmentations": _to_json(regions),
                "bboxes": [None if one is None else list(one.box) for one in regions],
                "areas": [None if one is None else one.area for one in regions],
                "object_id": object_id,
                **({"score": label.score} if label.score is not None else {}),
            }

    info = {"description": clip.name, "category_ids": categories.source}
    yield '{"info":' + json_text(info) + ',\n"licenses":[],\n"videos":'
    yield from json_list([video])
    yield ',\n"categories":'
    yield from json_list(categories.to_json())
    yield f',\n"{OBJECTS}":'
    yield from json_list(objects_to_json(clip, tracks.ids))
    yield ',\n"annotations":'
    yield from json_list(annotations())
    yield "}\n"


def _to_json(regions: Sequence[rle.RLE | None]) -> list[dict[str, object] | None]:
    return [None if region is None else region.to_json() for region in regions]


def read_results(path: Path, data: object = None, *, clip_name: str = "") -> Annotations:
    """Read results of YouTube-VIS. Where objects overlap, the higher score lies on top.

    Category ids of files that are not ours are those of 2019. Frames have the numbers that our
    files say, and count from 0 in others.

    Args:
        path: the JSON file.
        data: what it holds, None = not read yet.
        clip_name: the clip to read, where the file has several and says their names.

    Raises:
        MaskError: it is something else, or damaged, or of several clips.
    """
    entries = Entry.list_of(read_json(path) if data is None else data, path.name)
    entries = _of_one_clip(entries, clip_name, path.name)
    if not entries:
        raise MaskError(
            f"{path.name} has no object", hint="an empty list says that nothing was found"
        )
    official = official_categories(YOUTUBE_VIS_2019).names
    drawn, labels = [], {}
    for track, entry in enumerate(entries, start=1):
        if entry.has(_OBJECT):
            object_id, label = object_from_json(entry.entry(_OBJECT))
            labels[object_id] = label
            drawn.append(Drawn(0, label.class_name, object_id, label.score))
            continue
        name = entry.text("category_name") or official.get(entry.whole("category_id"), "")
        drawn.append(Drawn(0, "" if name == UNNAMED else name, track, entry.number("score")))
    ids, described, notices = identify(drawn, where=path.name, labels=labels)
    count = len(entries[0].items("segmentations"))
    stated = _stated(entries[0])
    numbers, numbers_from = frame_numbers([""] * (count if stated is None else len(stated)), stated)
    return _annotations(
        entries, ids, described,
        names=[""] * count, numbers=numbers, numbers_from=numbers_from, shape=None,
        clip_name=entries[0].text("video_name"), notices=notices,
    )  # fmt: skip


def read_dataset(path: Path, data: object = None, *, clip_name: str = "") -> Annotations:
    """Read a data set of YouTube-VIS.

    Args:
        path: the JSON file.
        data: what it holds, None = not read yet.
        clip_name: the clip to read, where the file has several.

    Raises:
        MaskError: it is something else, or damaged, or of several clips.
    """
    file = Entry.of(read_json(path) if data is None else data, path.name)
    # 1. the clip
    videos = file.entries("videos")
    named = [one for one in videos if len(videos) == 1 or _video_name(one) == clip_name]
    if len(named) != 1:
        raise _several(path.name, [_video_name(one) for one in videos], clip_name)
    (video,) = named
    names = [str(name) for name in video.items("file_names")]
    numbers, numbers_from = frame_numbers(names, _stated(video))
    # 2. its objects
    classes = {entry.whole("id"): entry.text("name") for entry in file.entries("categories")}
    entries = [
        entry
        for entry in file.entries("annotations")
        if entry.whole("video_id") == video.whole("id")
    ]
    drawn = []
    for entry in entries:
        class_name = classes.get(entry.whole("category_id"), "")
        track = entry.whole("object_id" if entry.has("object_id") else "id")
        score = entry.number("score") if entry.has("score") else None
        drawn.append(Drawn(0, "" if class_name == UNNAMED else class_name, track, score))
    labels = objects_from_json(file.entries(OBJECTS)) if file.has(OBJECTS) else None
    ids, described, notices = identify(drawn, where=path.name, labels=labels)
    return _annotations(
        entries, ids, described,
        names=names, numbers=numbers, numbers_from=numbers_from,
        shape=(video.whole("height"), video.whole("width")),
        clip_name=_video_name(video), notices=notices,
    )  # fmt: skip


def _annotations(
    entries: Sequence[Entry],
    ids: Sequence[int],
    labels: Mapping[int, ObjectLabel],
    *,
    names: Sequence[str],
    numbers: Sequence[int],
    numbers_from: NumbersFrom,
    shape: tuple[int, int] | None,
    clip_name: str,
    notices: tuple[str, ...],
) -> Annotations:
    """The frames of a clip, of one entry per object.

    Args:
        entries: with `segmentations`.
        ids: of the object of each.
        labels: what the objects are.
        names: of the pictures.
        numbers: of the frames.
        numbers_from: where they come from.
        shape: (H, W) of the clip; None = the first region says it.
        clip_name: whose they are.
        notices: for people.
    """
    segmentations = [entry.items("segmentations") for entry in entries]
    for entry, regions in zip(entries, segmentations, strict=True):
        if len(regions) != len(numbers):
            raise MaskError(
                f"{entry.where}.segmentations has {len(regions)} entries, the clip has"
                f" {len(numbers)} frames",
                hint="the file is damaged: it needs one per frame, null where there is nothing",
            )
    if shape is None:
        first = next((one for regions in segmentations for one in regions if one), None)
        if first is None:
            raise MaskError("no object has a region on any frame", hint="check the file")
        shape = rle.from_json(first).shape
    # bottom first, by score
    order = sorted(
        range(len(entries)), key=lambda place: (labels[ids[place]].score or 0.0, -ids[place])
    )
    frames = []
    for place, number in enumerate(numbers):
        layers = [
            (ids[one], segmentations[one][place], f"{entries[one].where}.segmentations[{place}]")
            for one in order
            if segmentations[one][place]
        ]
        frames.append(
            FrameAnnotation(
                number, names[place].replace("\\", "/").rpartition("/")[2], shape,
                partial(_mask, shape, layers), tuple(sorted({layer[0] for layer in layers})),
            )
        )  # fmt: skip
    frames.sort(key=lambda frame: frame.number)
    return Annotations(clip_name, labels, tuple(frames), numbers_from, notices)


def _mask(shape: tuple[int, int], layers: Sequence[tuple[int, object, str]]) -> Mask:
    return compose(
        shape, [(object_id, parse_region(data, shape, where)) for object_id, data, where in layers]
    )


def _stated(entry: Entry) -> list[int] | None:
    """The frame numbers that a file of ours says."""
    if not entry.has(_NUMBERS):
        return None
    return [Entry({_NUMBERS: one}, entry.where).whole(_NUMBERS) for one in entry.items(_NUMBERS)]


def _video_name(video: Entry) -> str:
    """The clip's name, or that of the folder of its pictures."""
    if name := video.text("name"):
        return name
    first = next(iter(video.items("file_names")), "")
    return str(first).replace("\\", "/").rpartition("/")[0]


def _of_one_clip(entries: list[Entry], clip_name: str, where: str) -> list[Entry]:
    """The results of one clip."""
    by_video: dict[int, list[Entry]] = {}
    for entry in entries:
        by_video.setdefault(entry.whole("video_id"), []).append(entry)
    if len(by_video) <= 1:
        return entries
    named = [
        one for one in by_video.values() if clip_name and one[0].text("video_name") == clip_name
    ]
    if len(named) != 1:
        names = [f"{one[0].text('video_name') or video}" for video, one in by_video.items()]
        raise _several(where, names, clip_name)
    return named[0]


def _several(where: str, names: Sequence[str], clip_name: str) -> MaskError:
    if not names:
        return MaskError(f"{where} has no video", hint="check the file")
    shown = ", ".join(names[:6])
    return MaskError(
        f"{where} is of {len(names)} clips, and none alone is {clip_name!r}: {shown}",
        hint="give a file of this clip alone",
    )
