"""Label Studio's JSON export: brush strokes and polygons on pictures.

Brushes are packed in a form of their own: RGBA bytes, row by row, as runs and literal stretches of
bits, of which alpha is the mask. A header (how many values, bits of a value, the four sizes that
lengths may have) comes before the stretches: is it a run, which of the sizes, the length, values.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vfx_matte.annotations import rle
from vfx_matte.annotations.json_files import Entry, read_json
from vfx_matte.annotations.objects import Drawn, identify
from vfx_matte.annotations.records import (
    Annotations,
    FrameAnnotation,
    compose,
    frame_numbers,
)
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask

_BRUSH, _POLYGON = "brushlabels", "polygonlabels"
_CHANNELS = 4
# a mask counts where it covers more than half of a pixel
_HALF = 127
# of lengths, in bits: those that Label Studio's own brush has
_SIZES = (3, 4, 8, 16)
_WORD = 8


def read_label_studio(path: Path, data: object = None) -> Annotations:
    """Read the JSON export of Label Studio: of each task the first annotation that was not
    cancelled. A label is one object on all pictures.

    Args:
        path: the JSON file.
        data: what it holds, None = not read yet.

    Raises:
        MaskError: it is something else, or damaged.
    """
    tasks = Entry.list_of(read_json(path) if data is None else data, path.name)
    names, results, left_out = [], [], 0
    for task in tasks:
        names.append(_picture(task))
        kept = [one for one in task.entries("annotations") if not one.data.get("was_cancelled")]
        found = kept[0].entries("result") if kept else []
        regions = [one for one in found if one.text("type") in (_BRUSH, _POLYGON)]
        left_out += len(found) - len(regions)
        results.append(regions)
    # pictures that nobody has annotated yet say nothing, not even that they are empty
    done = [place for place, regions in enumerate(results) if regions]
    if not done:
        raise MaskError(
            f"{path.name} has no brush and no polygon", hint="export the annotations as JSON"
        )
    numbers, numbers_from = frame_numbers([names[place] for place in done])
    # brushes of one label on one picture are one object's, as people paint in strokes
    drawn = {
        (index, _label(one)): Drawn(index, _label(one))
        for index, place in enumerate(done)
        for one in results[place]
    }
    ids, labels, notices = identify(list(drawn.values()), where=path.name)
    object_ids = dict(zip(drawn, ids, strict=True))
    frames = []
    for index, (place, number) in enumerate(zip(done, numbers, strict=True)):
        entries = results[place]
        shape = (entries[0].whole("original_height"), entries[0].whole("original_width"))
        stack = [(object_ids[index, _label(one)], _region(one, shape)) for one in entries]
        frames.append(
            FrameAnnotation(
                number, names[place], shape, partial(compose, shape, stack),
                tuple(sorted({object_id for object_id, _ in stack})),
            )
        )  # fmt: skip
    frames.sort(key=lambda frame: frame.number)
    if left_out:
        notices = (*notices, f"{left_out} regions are no brushes or polygons and are left out")
    return Annotations("", labels, tuple(frames), numbers_from, notices)


def _picture(task: Entry) -> str:
    """The name of a task's picture."""
    data = task.entry("data").data
    texts = [value for value in data.values() if isinstance(value, str)]
    name = texts[0] if texts else task.text("file_upload")
    return name.partition("?")[0].replace("\\", "/").rpartition("/")[2]


def _label(entry: Entry) -> str:
    labels = entry.entry("value").items(entry.text("type"))
    return str(labels[0]) if labels else ""


def _region(entry: Entry, shape: tuple[int, int]) -> rle.RLE:
    value = entry.entry("value")
    height, width = shape
    if entry.text("type") == _POLYGON:
        try:
            corners = np.array(value.items("points"), np.float64)
        except (OverflowError, TypeError, ValueError):
            corners = np.empty(0)
        if corners.ndim != 2 or corners.shape[1] != 2:
            raise MaskError(
                f"{value.where}.points is no list of corners", hint="export it again as JSON"
            )
        # in per cent of the picture
        return rle.from_polygons([(corners * (width, height) / 100).reshape(-1).tolist()], shape)
    rle.require_shape(shape)
    values = unpack(value.items("rle"), height * width * _CHANNELS, value.where)
    alpha = values.reshape(height, width, _CHANNELS)[..., 3]
    return rle.encode_region(alpha > _HALF)


def unpack(packed: list[Any], count: int, where: str) -> Mask:
    """The bytes of a packed brush.

    Args:
        packed: its bytes, as numbers.
        count: how many there must be.
        where: it stands, for messages.

    Returns:
        Uint8 (count,).

    Raises:
        MaskError: it is damaged, or of another size.
    """
    damaged = MaskError(f"{where}.rle is damaged", hint="export the annotations again")
    if not all(type(one) is int and 0 <= one <= 255 for one in packed):
        raise damaged
    bits = np.unpackbits(np.array(packed, np.uint8)).tobytes()
    place = 0

    def take(length: int) -> int:
        nonlocal place
        piece = bits[place : place + length]
        if len(piece) < length:
            raise damaged
        place += length
        number = 0
        for bit in piece:
            number = number * 2 + bit
        return number

    # header: how many values, bits of a value, and the four sizes that lengths may have
    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if total != count or word > 8:
        raise MaskError(
            f"{where}.rle has {total} values of {word} bits, expected {count} of 8",
            hint="the picture has another size than the annotation says",
        )
    values: Mask = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        is_run, size = take(1), sizes[take(2)]
        stop = done + 1 + take(size)
        if stop > count:
            raise damaged
        if is_run:
            values[done:stop] = take(word)
        else:
            values[done:stop] = [take(word) for _ in range(stop - done)]
        done = stop
    return values


def pack(region: rle.Region) -> list[int]:
    """A region as a packed brush, which is what `unpack` reads.

    Args:
        region: bool (H, W).

    Returns:
        The bytes, as numbers 0 … 255.

    Raises:
        ValueError: it is no region.
    """
    if region.dtype != np.bool_ or region.ndim != 2 or not region.size:
        raise ValueError(f"region is {region.dtype} {region.shape}, expected bool (H, W)")
    flat = np.ascontiguousarray(region).reshape(-1)
    # all four channels are 255 inside and 0 outside, so that a pixel is four values of one run
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size) * _CHANNELS
    pieces = [f"{flat.size * _CHANNELS:032b}{_WORD - 1:05b}"]
    pieces += [f"{size - 1:04b}" for size in _SIZES]
    longest = 1 << _SIZES[-1]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = f"{255 if flat[start] else 0:0{_WORD}b}"
        # a run that is longer than the largest size can say is several
        for done in range(0, length, longest):
            count = min(longest, length - done)
            place = next(at for at, size in enumerate(_SIZES) if count <= 1 << size)
            pieces.append(f"1{place:02b}{count - 1:0{_SIZES[place]}b}{value}")
    bits = "".join(pieces)
    padded = bits + "0" * (-len(bits) % 8)
    return list(int(padded, 2).to_bytes(len(padded) // 8, "big"))
