"""CVAT's XML, "for images 1.1" and "for video 1.1".

Written is the form for images, as CVAT's tracks hold no masks: one `image` per frame, one `mask`
per object on it, with the object's id, name and score as attributes. Both forms are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from vfx_matte.annotations import rle
from vfx_matte.annotations.categories import UNNAMED
from vfx_matte.annotations.objects import Drawn, identify
from vfx_matte.annotations.records import (
    AddFrame,
    AnnotatedClip,
    Annotations,
    FrameAnnotation,
    FrameName,
    compose,
    frame_numbers,
)
from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import atomic_path
from vfx_matte.files.inputs import require_file
from vfx_matte.masks import Mask, ObjectLabel
from vfx_matte.printable import printable, shortened

_ID, _NAME, _SCORE = "object_id", "object_name", "score"
_ATTRIBUTES = ((_ID, "number", "0;255;1"), (_NAME, "text", ""), (_SCORE, "text", ""))
_SHAPES = ("mask", "polygon")
_NO_REGION = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")
# CVAT gives the frames of a video this name, without anything that says it is not a file's
_VIDEO_FRAME = "frame_{:06d}"


@contextmanager
def write_cvat(path: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as "CVAT for images 1.1"; the file is there once the block ends well.

    Args:
        path: the XML file.
        clip: whose masks they are.

    Raises:
        OutputError: it cannot be written.
    """
    frames: list[FrameName] = []
    regions: list[list[tuple[int, rle.RLE]]] = []

    def add(frame: FrameName, mask: Mask) -> None:
        clip.require_mask(mask)
        frames.append(frame)
        regions.append(list(rle.encode_objects(mask).items()))

    yield add
    with (
        atomic_path(path, durable=True) as part,
        part.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(_document(clip, frames, regions))


def _document(
    clip: AnnotatedClip, frames: list[FrameName], regions: list[list[tuple[int, rle.RLE]]]
) -> Iterator[str]:
    ids = sorted({object_id for found in regions for object_id, _ in found})
    classes = sorted({clip.label(object_id).class_name or UNNAMED for object_id in ids})
    height, width = clip.shape
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>'
    yield f"<task><name>{_text(clip.name)}</name><size>{len(frames)}</size>"
    yield "<mode>annotation</mode><labels>\n"
    for name in classes:
        yield f"<label><name>{_text(name)}</name><type>mask</type><attributes>"
        for attribute, kind, values in _ATTRIBUTES:
            yield (
                f"<attribute><name>{attribute}</name><mutable>False</mutable>"
                f"<input_type>{kind}</input_type><default_value>{values[:1]}</default_value>"
                f"<values>{values}</values></attribute>"
            )
        yield "</attributes></label>\n"
    yield "</labels></task></meta>\n"
    for place, (frame, found) in enumerate(zip(frames, regions, strict=True)):
        name = _quoted(frame.file_name)
        yield f'<image id="{place}" name={name} width="{width}" height="{height}">\n'
        for object_id, region in found:
            yield _mask_element(object_id, clip.label(object_id), region)
        yield "</image>\n"
    yield "</annotations>\n"


def _mask_element(object_id: int, label: ObjectLabel, region: rle.RLE) -> str:
    runs, (left, top, width, height) = rle.to_crop(region)
    score = "" if label.score is None else repr(label.score)
    return (
        f'<mask label={_quoted(label.class_name or UNNAMED)} source="auto" occluded="0"'
        f' rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{width}"'
        f' height="{height}" z_order="0">'
        f'<attribute name="{_ID}">{object_id}</attribute>'
        f'<attribute name="{_NAME}">{_text(label.name)}</attribute>'
        f'<attribute name="{_SCORE}">{score}</attribute></mask>\n'
    )


def _text(text: str) -> str:
    # XML has no form for control characters
    return escape(printable(text))


def _quoted(text: str) -> str:
    return quoteattr(printable(text))


@dataclass(slots=True)
class _Shape:
    """One region, as the file has it."""

    place: str
    """The frame's id."""

    kind: str
    given: Mapping[str, str]
    label: str
    track: int | None
    order: int
    attributes: dict[str, str] = field(default_factory=dict)


class _Parser:
    """Gathers frames and shapes while the XML is read."""

    def __init__(self, path: Path) -> None:
        self.where = path.name
        self.frames: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self.shapes: list[_Shape] = []
        self.left_out = 0
        self.name = ""
        self.size: tuple[int, int] | None = None
        self._image: str | None = None
        self._track: Mapping[str, str] | None = None
        self._attribute = ""
        self._path: list[str] = []
        self._texts: list[str] = []
        self._original: dict[str, int] = {}

    def start(self, tag: str, given: dict[str, str]) -> None:
        if not self._path and tag != "annotations":
            raise MaskError(
                f"{self.where} begins with <{shortened(tag)}>, not as CVAT's files do",
                hint="give annotations.xml of CVAT",
            )
        self._path.append(tag)
        self._texts = []
        if tag == "image":
            self._image = self._field(given, "id")
            shape = (self._whole(given, "height"), self._whole(given, "width"))
            if self._image in self.frames:
                raise MaskError(
                    f"{self.where}: two images have the id {shortened(repr(self._image))}",
                    hint="check the file, or export it again",
                )
            self.frames[self._image] = (given.get("name", ""), shape)
        elif tag == "track":
            self._track = given
        elif tag == "attribute":
            self._attribute = given.get("name", "")
        elif tag in _SHAPES:
            self._shape(tag, given)
        elif tag in _NO_REGION and (self._image is not None or self._track is not None):
            self.left_out += 1

    def _shape(self, tag: str, given: dict[str, str]) -> None:
        if self._image is not None:
            place, label, track = self._image, given.get("label", ""), None
        elif self._track is not None:
            if given.get("outside") == "1":
                return
            number = self._whole(given, "frame")
            place, label = str(number), self._track.get("label", "")
            self.frames.setdefault(place, (_VIDEO_FRAME.format(number), None))
            track = self._whole(self._track, "id")
        else:
            return
        order = self._whole(given, "z_order") if given.get("z_order") else 0
        self.shapes.append(_Shape(place, tag, given, label, track, order))

    def end(self, tag: str) -> None:
        text = "".join(self._texts).strip()
        if tag == "attribute" and self._path[-2:-1] and self._path[-2] in _SHAPES:
            if self.shapes and self._attribute:
                self.shapes[-1].attributes[self._attribute] = text
        elif self._path[-3:] in (["meta", "task", "name"], ["meta", "job", "name"]):
            self.name = text
        elif self._path[-2:-1] == ["original_size"] and re.fullmatch("[0-9]{1,9}", text):
            self._original[tag] = int(text)
        elif tag == "image":
            self._image = None
        elif tag == "track":
            self._track = None
        if tag == "original_size" and {"width", "height"} <= set(self._original):
            self.size = (self._original["height"], self._original["width"])
        self._path.pop()
        self._texts = []

    def text(self, text: str) -> None:
        self._texts.append(text)

    def doctype(self, *_: object) -> None:
        # entities of a document type can stand for gigabytes, or for other files
        raise MaskError(
            f"{self.where} has a document type, which CVAT's files have not",
            hint="give annotations.xml of CVAT",
        )

    def _field(self, given: Mapping[str, str], name: str) -> str:
        if name not in given:
            raise MaskError(
                f"{self.where}: <{self._path[-1]}> has no {name}", hint="check the file"
            )
        return given[name]

    def _whole(self, given: Mapping[str, str], name: str) -> int:
        text = self._field(given, name)
        if not text.removeprefix("-").isdecimal() or len(text) > 12:
            raise MaskError(
                f"{self.where}: {name} of <{self._path[-1]}> is {shortened(repr(text))},"
                " expected a whole number",
                hint="check the file, or export it again",
            )
        return int(text)


def read_cvat(path: Path) -> Annotations:
    """Read CVAT's XML, for images or for video; regions are masks and polygons.

    A track is one object, and so are shapes with one `object_id` or `track_id`. Of a file for
    images without these each label is one object. A higher layer (z_order) lies on top, and of
    equal ones the later shape.

    Raises:
        MaskError: it is something else, damaged, or has no ids where they are needed.
    """
    found = _parsed(path)
    places = {place: index for index, place in enumerate(found.frames)}
    names = [name for name, _ in found.frames.values()]
    numbers, numbers_from = frame_numbers(names)
    shapes = _sizes(found)
    # 1. objects
    drawn = [
        Drawn(
            places[shape.place], "" if shape.label == UNNAMED else shape.label, track, _score(shape)
        )
        for shape, track in zip(found.shapes, _tracks(found.shapes), strict=True)
    ]
    ids, described, notices = identify(drawn, where=path.name)
    for shape, object_id in zip(found.shapes, ids, strict=True):
        if name := shape.attributes.get(_NAME):
            label = described[object_id]
            described[object_id] = ObjectLabel(name, label.class_name, label.score)
    # 2. regions, at once, so that damage is known before anything is written
    layers: dict[int, list[tuple[int, int, int, rle.RLE]]] = {}
    for order, (shape, object_id) in enumerate(zip(found.shapes, ids, strict=True)):
        place = places[shape.place]
        region = _region(shape, shapes[place], path.name)
        layers.setdefault(place, []).append((shape.order, order, object_id, region))
    frames = []
    for place, number in enumerate(numbers):
        stack = [(one[2], one[3]) for one in sorted(layers.get(place, []), key=lambda one: one[:2])]
        frames.append(
            FrameAnnotation(
                number, names[place], shapes[place], partial(compose, shapes[place], stack),
                tuple(sorted({object_id for object_id, _ in stack})),
            )
        )  # fmt: skip
    frames.sort(key=lambda frame: frame.number)
    if found.left_out:
        notices = (
            *notices,
            f"{found.left_out} shapes are no masks or polygons and are left out",
        )
    # ours go through CVAT with the ids of objects; of a video only frames with a shape are there
    is_ours = any(shape.attributes.get(_ID, "0") != "0" for shape in found.shapes)
    return Annotations(
        found.name,
        described,
        tuple(frames),
        numbers_from,
        notices,
        lists_unseen=not is_ours,
    )


def _parsed(path: Path) -> _Parser:
    found = _Parser(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.StartDoctypeDeclHandler = found.doctype
    parser.buffer_text = True
    require_file(path, what="annotations", error=MaskError)
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except FileNotFoundError as error:
        raise MaskError(f"there is no file {str(path)!r}", hint="check the path") from error
    except OSError as error:
        raise MaskError(
            f"{str(path)!r} cannot be read: {error.strerror}", hint="check the file and its folders"
        ) from error
    except expat.ExpatError as error:
        raise MaskError(
            f"{str(path)!r} is no XML: {error}", hint="give annotations.xml of CVAT"
        ) from error
    if not found.frames:
        raise MaskError(f"{path.name} has no image and no track", hint="check the file")
    return found


def _sizes(found: _Parser) -> list[tuple[int, int]]:
    """(H, W) of every frame."""
    sizes = []
    for name, shape in found.frames.values():
        size = shape or found.size
        if size is None or min(size) < 1 or size[0] * size[1] > rle.MOST_PIXELS:
            raise MaskError(
                f"{found.where} does not say how large {name!r} is, or {size}",
                hint="export it from CVAT again",
            )
        sizes.append(size)
    return sizes


def _tracks(shapes: list[_Shape]) -> list[int | None]:
    """Which object each shape is of, None where the file has no ids.

    Shapes that somebody has drawn in between, which have id 0, are of the only object with their
    label, or else of a new one.
    """
    tracks = [_track(shape) for shape in shapes]
    known: dict[str, set[int]] = {}
    for shape, track in zip(shapes, tracks, strict=True):
        if track is not None:
            known.setdefault(shape.label, set()).add(track)
    if not known:
        return tracks
    free = max(max(found) for found in known.values()) + 1
    added: dict[str, int] = {}
    for place, shape in enumerate(shapes):
        if tracks[place] is None:
            same = known.get(shape.label, set())
            if len(same) == 1:
                (tracks[place],) = same
            else:
                tracks[place] = added.setdefault(shape.label, free + len(added))
    return tracks


def _track(shape: _Shape) -> int | None:
    for name in (_ID, "track_id"):
        text = shape.attributes.get(name, "")
        if text.isdecimal() and len(text) < 10 and (int(text) or name != _ID):
            return int(text)
    return shape.track


def _score(shape: _Shape) -> float | None:
    try:
        score = float(shape.attributes.get(_SCORE, ""))
    except ValueError:
        return None
    return score if math.isfinite(score) else None


def _region(shape: _Shape, size: tuple[int, int], where: str) -> rle.RLE:
    """The pixels of a shape. Raises MaskError."""
    try:
        if shape.kind == "polygon":
            pairs = [pair.split(",") for pair in shape.given.get("points", "").split(";")]
            return rle.from_polygons([[float(one) for pair in pairs for one in pair]], size)
        left, top, width, height = (
            int(shape.given[name]) for name in ("left", "top", "width", "height")
        )
        runs = [int(run) for run in shape.given["rle"].split(",")]
        return rle.from_crop(runs, (left, top, width, height), size)
    except MaskError as error:
        raise MaskError(
            f"{where}, <{shape.kind}> of frame {shape.place}: {error.message}", hint=error.hint
        ) from error
    except (KeyError, ValueError) as error:
        raise MaskError(
            f"{where}: <{shape.kind}> of frame {shape.place} is damaged", hint="check the file"
        ) from error
