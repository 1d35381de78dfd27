"""COCO instances: one picture per frame, one annotation per object on it, regions as run lengths.

COCO knows no objects across pictures. Our files say it in `track_id` and `object_id`, and what each
object is in a list `objects`; programs that know COCO alone pass over these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vfx_matte.annotations import rle
from vfx_matte.annotations.categories import FOR_COCO, UNNAMED, categories_of
from vfx_matte.annotations.json_files import Entry, json_list, read_json, write_json
from vfx_matte.annotations.objects import (
    OBJECTS,
    Drawn,
    identify,
    objects_from_json,
    objects_to_json,
)
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
from vfx_matte.masks import Mask
from vfx_matte.printable import json_text, shortened

_NUMBER = "frame_number"
_SOURCE = "category_ids"
# what programs call the id of one object on all frames, in the annotation or in its `attributes`
_TRACKS = ("object_id", "track_id", "instance_id")


@contextmanager
def write_coco(path: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as COCO instances; the file is there once the block ends well.

    Args:
        path: the JSON file.
        clip: whose masks they are.

    Raises:
        OutputError: it cannot be written.
    """
    images: list[dict[str, object]] = []
    # run lengths are all that is kept of a frame
    regions: list[tuple[int, int, rle.RLE]] = []

    def add(frame: FrameName, mask: Mask) -> None:
        clip.require_mask(mask)
        image_id = len(images) + 1  # from 1, as in COCO and in what CVAT exports
        height, width = clip.shape
        images.append(
            {
                "id": image_id,
                "file_name": frame.file_name,
                "width": width,
                "height": height,
                _NUMBER: frame.number,
            }
        )
        for object_id, region in rle.encode_objects(mask).items():
            regions.append((image_id, object_id, region))

    yield add
    write_json(path, _file(clip, images, regions))


def _file(
    clip: AnnotatedClip,
    images: list[dict[str, object]],
    regions: list[tuple[int, int, rle.RLE]],
) -> Iterator[str]:
    ids = sorted({object_id for _, object_id, _ in regions})
    categories = categories_of((clip.label(object_id).class_name for object_id in ids), FOR_COCO)
    category_ids = {
        object_id: categories.id_of(clip.label(object_id).class_name) for object_id in ids
    }

    def annotations() -> Iterator[dict[str, object]]:
        for number, (image_id, object_id, region) in enumerate(regions, start=1):
            score = clip.label(object_id).score
            yield {
                "id": number,
                "image_id": image_id,
                "category_id": category_ids[object_id],
                "segmentation": region.to_json(),
                "area": region.area,
                "bbox": list(region.box),
                "iscrowd": 0,
                "object_id": object_id,
                "track_id": object_id,
                # some programs have no field of their own and keep these alone
                "attributes": {"track_id": object_id, "object_id": object_id},
                **({"score": score} if score is not None else {}),
            }

    info = {"description": clip.name, _SOURCE: categories.source}
    yield '{"info":' + json_text(info) + ',\n"licenses":[],\n"categories":'
    yield from json_list(categories.to_json())
    yield f',\n"{OBJECTS}":'
    yield from json_list(objects_to_json(clip, ids))
    yield ',\n"images":'
    yield from json_list(images)
    yield ',\n"annotations":'
    yield from json_list(annotations())
    yield "}\n"


def read_coco(path: Path, data: object = None) -> Annotations:
    """Read COCO instances: regions as run lengths, compressed or not, or polygons.

    Where regions of one picture overlap, the higher score lies on top, and of equal ones the later.

    Args:
        path: the JSON file.
        data: what it holds, None = not read yet.

    Raises:
        MaskError: it is something else, damaged, or has no ids where they are needed.
    """
    file = Entry.of(read_json(path) if data is None else data, path.name)
    # 1. pictures
    images = file.entries("images")
    places = {image.whole("id"): place for place, image in enumerate(images)}
    if len(places) != len(images):
        raise MaskError(f"{path.name}: two images have the same id", hint="the file is damaged")
    shapes = [(image.whole("height"), image.whole("width")) for image in images]
    names = [image.text("file_name") for image in images]
    are_stated = bool(images) and all(image.has(_NUMBER) for image in images)
    numbers, numbers_from = frame_numbers(
        names, [image.whole(_NUMBER) for image in images] if are_stated else None
    )
    # 2. regions, and the objects that they are of
    classes = {entry.whole("id"): entry.text("name") for entry in file.entries("categories")}
    entries = [entry for entry in file.entries("annotations") if _has_region(entry)]
    drawn = [_drawn(entry, places, classes) for entry in entries]
    labels = objects_from_json(file.entries(OBJECTS)) if file.has(OBJECTS) else None
    ids, described, notices = identify(drawn, where=path.name, labels=labels)
    # 3. a picture's regions, bottom first
    layers: dict[int, list[tuple[float, int, int, Entry]]] = {}
    for order, (one, object_id, entry) in enumerate(zip(drawn, ids, entries, strict=True)):
        layers.setdefault(one.frame, []).append((one.score or 0.0, order, object_id, entry))
    frames = [
        FrameAnnotation(
            numbers[place],
            names[place],
            shapes[place],
            partial(_mask, shapes[place], sorted(layers.get(place, []), key=lambda one: one[:2])),
            tuple(sorted({object_id for _, _, object_id, _ in layers.get(place, [])})),
        )
        for place in range(len(images))
    ]
    info = file.data.get("info")
    # what other programs describe is the file or themselves: "COCO 2017 Dataset"
    is_ours = isinstance(info, dict) and _SOURCE in info
    return Annotations(
        file.entry("info").text("description") if is_ours else "",
        described,
        tuple(sorted(frames, key=lambda frame: frame.number)),
        numbers_from,
        (*notices, *_without_region(len(file.items("annotations")) - len(entries))),
        # whoever wrote ids of tracks followed the objects through all pictures
        lists_unseen=not is_ours and all(_track(entry) is None for entry in entries),
    )


def _has_region(entry: Entry) -> bool:
    # tools write [] for boxes
    return bool(entry.data.get("segmentation"))


def _without_region(count: int) -> tuple[str, ...]:
    return (f"{count} annotations have no region (boxes) and are left out",) if count else ()


def _drawn(entry: Entry, places: Mapping[int, int], classes: Mapping[int, str]) -> Drawn:
    image_id, category_id = entry.whole("image_id"), entry.whole("category_id")
    if image_id not in places:
        raise MaskError(
            f"{entry.where}.image_id is {image_id}, which no image has", hint="the file is damaged"
        )
    if category_id not in classes:
        raise MaskError(
            f"{entry.where}.category_id is {category_id}, which no category has",
            hint="the file is damaged",
        )
    class_name = classes[category_id]
    return Drawn(
        places[image_id],
        "" if class_name == UNNAMED else class_name,
        _track(entry),
        entry.number("score") if entry.has("score") else None,
    )


def _track(entry: Entry) -> int | None:
    attributes = entry.data.get("attributes")
    holders = [entry, *([entry.entry("attributes")] if isinstance(attributes, dict) else [])]
    for holder in holders:
        for name in _TRACKS:
            if holder.has(name):
                return holder.whole(name)
    return None


def _mask(shape: tuple[int, int], layers: list[tuple[float, int, int, Entry]]) -> Mask:
    return compose(
        shape, [(object_id, region_of(entry, shape)) for _, _, object_id, entry in layers]
    )


def region_of(entry: Entry, shape: tuple[int, int]) -> rle.RLE:
    """The region in `segmentation`: run lengths or polygons.

    Raises:
        MaskError: it is damaged, or of another size.
    """
    return parse_region(entry.data["segmentation"], shape, f"{entry.where}.segmentation")


def parse_region(data: object, shape: tuple[int, int], where: str) -> rle.RLE:
    """A region as COCO writes it.

    Args:
        data: run lengths, or a list of polygons.
        shape: (H, W) that it must have.
        where: it stands, for messages.

    Raises:
        MaskError: it is something else.
    """
    try:
        if isinstance(data, list):
            return rle.from_polygons(data, shape)
        region = rle.from_json(data)
    except MaskError as error:
        raise MaskError(f"{where}: {error.message}", hint=error.hint) from error
    if region.shape != shape:
        raise MaskError(
            f"{where} is {region.shape[1]}×{region.shape[0]}, its picture is {shape[1]}×{shape[0]}",
            hint=f"the file is damaged: {shortened(repr(data), 40)}",
        )
    return region
