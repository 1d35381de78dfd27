"""MOTS as text: one line per object on a frame, with its run lengths.

A folder holds `instances_txt/CLIP.txt`, whose frames count from 0 and whose ids are 1000 times the
class and the object's own id, and `objects.json` with what the form has no place for: names, scores
and the clip's frame numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vfx_matte.annotations import rle
from vfx_matte.annotations.categories import UNNAMED
from vfx_matte.annotations.json_files import Entry, read_json
from vfx_matte.annotations.objects import (
    OBJECTS,
    Drawn,
    identify,
    objects_from_json,
    objects_to_json,
)
from vfx_matte.annotations.png_folders import safe_name
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
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.files.inputs import read_small_file
from vfx_matte.masks import Mask
from vfx_matte.printable import json_text, shortened

FOLDER, FACTS = "instances_txt", "objects.json"
_CLASSES = {"car": 1, "pedestrian": 2, "person": 2}
_IGNORED = 10
_PER_CLASS = 1000
_MOST_BYTES = 2**29
_NUMBERS = "frame_numbers"


@contextmanager
def write_mots(folder: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as MOTS text; the folder is there once the block ends well.

    Classes are 1 = car, 2 = pedestrian or person, as in KITTI MOTS, and others from 3 on by name,
    without 10, which marks regions to leave out.

    Args:
        folder: replaced when all it holds is such a result.
        clip: whose masks they are.

    Raises:
        OutputError: it cannot be written, or holds something else.
    """
    numbers: list[int] = []
    regions: list[tuple[int, int, rle.RLE]] = []

    def add(frame: FrameName, mask: Mask) -> None:
        clip.require_mask(mask)
        for object_id, region in rle.encode_objects(mask).items():
            regions.append((len(numbers), object_id, region))
        numbers.append(frame.number)

    with atomic_folder(folder, foreign_file=_foreign) as part:
        yield add
        ids = sorted({object_id for _, object_id, _ in regions})
        classes = _class_ids([clip.label(object_id).class_name for object_id in ids])
        height, width = clip.shape
        (part / FOLDER).mkdir()
        text = part / FOLDER / f"{safe_name(clip.name) or 'clip'}.txt"
        with text.open("w", encoding="ascii", newline="\n") as file:
            for place, object_id, region in regions:
                class_id = classes[_class_key(clip.label(object_id).class_name)]
                track = class_id * _PER_CLASS + object_id
                file.write(f"{place} {track} {class_id} {height} {width} {region.counts}\n")
        facts = {
            "clip": clip.name,
            "size": [height, width],
            "classes": {str(number): name for name, number in classes.items()},
            _NUMBERS: numbers,
            OBJECTS: objects_to_json(clip, ids),
        }
        (part / FACTS).write_text(json_text(facts, indent=1) + "\n", encoding="utf-8")


def _class_key(class_name: str) -> str:
    return (class_name or UNNAMED).casefold()


def _class_ids(class_names: list[str]) -> dict[str, int]:
    found = {}
    others = (number for number in range(3, _PER_CLASS) if number != _IGNORED)
    for key in sorted({_class_key(name) for name in class_names}):
        found[key] = _CLASSES.get(key) or next(others)
    return found


def _foreign(folder: Path) -> str:
    names = [path.name for path in folder.iterdir() if path.name not in (FOLDER, FACTS)]
    below = folder / FOLDER
    if below.is_dir():
        texts = sorted(path.name for path in below.iterdir())
        names += [name for name in texts if not name.endswith(".txt")] + texts[1:]
    return next(iter(names), "")


def read_mots(path: Path, *, clip_name: str = "") -> Annotations:
    """Read MOTS text: a file, a folder of such files, or what `write_mots` wrote.

    Frames count from 0, unless `objects.json` says their numbers.

    Args:
        path: the file or folder.
        clip_name: which file of a folder is read, where it has several.

    Raises:
        MaskError: it is something else, or damaged.
    """
    text = _text_file(path, clip_name)
    facts = _facts(text)
    shape, rows = _rows(text)
    if shape is None and facts is None:
        raise MaskError(f"{text.name} has no line", hint="check the file")
    # 1. what is known besides the lines
    labels = objects_from_json(facts.entries(OBJECTS)) if facts and facts.has(OBJECTS) else None
    names = {2: "pedestrian", 1: "car"}
    if facts is not None:
        names |= _class_names(facts)
        size = [Entry({"size": one}, FACTS).whole("size") for one in facts.items("size")]
        if len(size) != 2:
            raise MaskError(
                f"{FACTS}.size has {len(size)} numbers, expected [H, W]",
                hint="check the file, or export it again",
            )
        shape = shape or (size[0], size[1])
    # 2. an object's own id, where no two classes share one
    own = {track % _PER_CLASS: track for _, track, _, _ in rows}
    is_own = len(own) == len({track for _, track, _, _ in rows})
    drawn = [
        Drawn(place, _plain(names.get(class_id, "")), track % _PER_CLASS if is_own else track)
        for place, track, class_id, _ in rows
    ]
    ids, described, notices = identify(drawn, where=text.name, labels=labels)
    # 3. frames: all that are known, or those with a line
    layers: dict[int, list[tuple[int, rle.RLE]]] = {}
    for (place, *_, region), object_id in zip(rows, ids, strict=True):
        layers.setdefault(place, []).append((object_id, region))
    numbers_from: NumbersFrom = "order"
    numbers = {place: place for place in sorted(layers)}
    if facts is not None and facts.has(_NUMBERS):
        stated = [Entry({_NUMBERS: one}, FACTS).whole(_NUMBERS) for one in facts.items(_NUMBERS)]
        stated, numbers_from = frame_numbers([""] * len(stated), stated)
        numbers = dict(enumerate(stated))
        if unknown := sorted(set(layers) - set(numbers)):
            raise MaskError(
                f"{text.name} has frame {unknown[0]}, {FACTS} does not know it",
                hint=f"delete {FACTS}, or export both again",
            )
    assert shape is not None
    frames = [
        FrameAnnotation(
            number, "", shape, partial(compose, shape, layers.get(place, [])),
            tuple(sorted({object_id for object_id, _ in layers.get(place, [])})),
        )
        for place, number in numbers.items()
    ]  # fmt: skip
    frames.sort(key=lambda frame: frame.number)
    name = facts.text("clip") if facts else text.stem
    return Annotations(name, described, tuple(frames), numbers_from, notices)


def _class_names(facts: Entry) -> dict[int, str]:
    """By the id of a class."""
    names = facts.entry("classes").data
    if wrong := [key for key in names if not (key.isascii() and key.isdecimal() and len(key) < 10)]:
        raise MaskError(
            f"{FACTS}.classes has {shortened(repr(wrong[0]))}, expected a whole number",
            hint="check the file, or export it again",
        )
    return {int(key): str(name) for key, name in names.items()}


def _plain(class_name: str) -> str:
    return "" if class_name == UNNAMED else class_name


def _text_file(path: Path, clip_name: str) -> Path:
    if not path.is_dir():
        return path
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    files = sorted(one for one in folder.glob("*.txt") if one.is_file())
    named = [one for one in files if len(files) == 1 or one.stem == clip_name]
    if len(named) != 1:
        shown = ", ".join(one.name for one in files[:6]) or "none"
        raise MaskError(
            f"{str(folder)!r} holds {len(files)} text files, and none alone is of this clip:"
            f" {shown}",
            hint="give one of them",
        )
    return named[0]


def _facts(text: Path) -> Entry | None:
    path = text.parent.parent / FACTS
    if text.parent.name != FOLDER or not path.is_file():
        return None
    return Entry.of(read_json(path), FACTS)


def _rows(
    path: Path,
) -> tuple[tuple[int, int] | None, list[tuple[int, int, int, rle.RLE]]]:
    """The shape, and (frame, track, class, region) of every line."""
    try:
        content = read_small_file(path, what="MOTS", most_bytes=_MOST_BYTES, error=MaskError)
        lines = content.decode("ascii").splitlines()
    except FileNotFoundError as error:
        raise MaskError(f"there is no file {str(path)!r}", hint="check the path") from error
    except OSError as error:
        raise MaskError(
            f"{str(path)!r} cannot be read: {error.strerror}", hint="check the file and its folders"
        ) from error
    except UnicodeDecodeError as error:
        raise MaskError(f"{str(path)!r} is no MOTS text", hint="check the file") from error
    shape, rows = None, []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            place, track, class_id, height, width = (int(word) for word in words[:5])
            (counts,) = words[5:]
        except ValueError as error:
            raise MaskError(
                f"{path.name}, line {number}: {shortened(repr(line))} is no line of MOTS",
                hint="expected: frame id class height width runs",
            ) from error
        if class_id == _IGNORED:
            continue
        try:
            region = rle.from_json({"size": [height, width], "counts": counts})
        except MaskError as error:
            raise MaskError(
                f"{path.name}, line {number}: {error.message}", hint=error.hint
            ) from error
        if place < 0 or track < 0 or (shape is not None and shape != region.shape):
            raise MaskError(
                f"{path.name}, line {number} does not go with the lines before it",
                hint="check the file, or export it again",
            )
        shape = region.shape
        rows.append((place, track, class_id, region))
    return shape, rows
