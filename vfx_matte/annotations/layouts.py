"""The folders of DAVIS and YouTube-VOS: `Annotations` with palette PNGs, and what lies beside it.

DAVIS has `Annotations/480p/CLIP/00000.png` and lists of clips in `ImageSets`; YouTube-VOS has
`Annotations/CLIP/00000.png` and `meta.json`. Files are named by the clip's own frame numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from vfx_matte.annotations.categories import UNNAMED
from vfx_matte.annotations.json_files import Entry, read_json
from vfx_matte.annotations.objects import (
    OBJECTS,
    name_in_class,
    objects_from_json,
    objects_to_json,
)
from vfx_matte.annotations.png_folders import (
    is_own_png,
    pictures_in,
    read_masks,
    safe_name,
    save_palette_png,
)
from vfx_matte.annotations.records import (
    MOST_OBJECTS,
    AddFrame,
    AnnotatedClip,
    Annotations,
    FrameName,
    file_stem,
)
from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.masks import Mask, ObjectLabel, object_ids
from vfx_matte.printable import json_text, shortened

ANNOTATIONS, META, FACTS = "Annotations", "meta.json", "objects.json"
_IMAGE_SETS = "ImageSets"
# the names that DAVIS has for sizes
_SMALL, _FULL = "480p", "Full-Resolution"
# the full one is wanted
_SIZES = (_FULL, _SMALL, "1080p")
_SET = "val"


@contextmanager
def write_davis(folder: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as DAVIS 2017 has them; the folder is there once the block ends well.

    What DAVIS has no place for, names and scores, is in `objects.json`.

    Args:
        folder: replaced when all it holds is such a result of this clip.
        clip: whose masks they are.

    Raises:
        OutputError: it cannot be written, or holds something else.
    """
    name = _folder_name(clip)
    size = _SMALL if clip.shape[0] == 480 else _FULL
    ids: set[int] = set()
    with atomic_folder(folder, foreign_file=partial(_foreign, name=name)) as part:
        masks = part / ANNOTATIONS / size / name
        masks.mkdir(parents=True)

        def add(frame: FrameName, mask: Mask) -> None:
            clip.require_mask(mask)
            save_palette_png(masks / f"{file_stem(frame.number)}.png", mask, clip.palette)
            ids.update(object_ids(mask))

        yield add
        sets = part / _IMAGE_SETS / "2017"
        sets.mkdir(parents=True)
        (sets / f"{_SET}.txt").write_text(f"{name}\n", encoding="utf-8", newline="\n")
        facts = {"clip": clip.name, OBJECTS: objects_to_json(clip, ids)}
        (part / FACTS).write_text(json_text(facts, indent=1) + "\n", encoding="utf-8")


@contextmanager
def write_youtube_vos(folder: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write masks as YouTube-VOS has them; the folder is there once the block ends well.

    Args:
        folder: replaced when all it holds is such a result of this clip.
        clip: whose masks they are; names and scores stand in `meta.json` beside the classes.

    Raises:
        OutputError: it cannot be written, or holds something else.
    """
    name = _folder_name(clip)
    shown: dict[int, list[str]] = {}
    with atomic_folder(folder, foreign_file=partial(_foreign, name=name)) as part:
        masks = part / ANNOTATIONS / name
        masks.mkdir(parents=True)

        def add(frame: FrameName, mask: Mask) -> None:
            clip.require_mask(mask)
            stem = file_stem(frame.number)
            save_palette_png(masks / f"{stem}.png", mask, clip.palette)
            for object_id in object_ids(mask):
                shown.setdefault(object_id, []).append(stem)

        yield add
        objects: dict[str, object] = {}
        for object_id, frames in sorted(shown.items()):
            label = clip.label(object_id)
            objects[str(object_id)] = {
                "category": label.class_name or UNNAMED,
                "frames": frames,
                "name": label.name,
                **({"score": label.score} if label.score is not None else {}),
            }
        meta = {"videos": {name: {"objects": objects}}}
        (part / META).write_text(json_text(meta, indent=1) + "\n", encoding="utf-8")


def is_davis(folder: Path) -> bool:
    """Whether a folder that holds `Annotations` is laid out as DAVIS does, with a folder per size
    or lists of clips, and not as YouTube-VOS.
    """
    return (
        (folder / FACTS).is_file()
        or (folder / _IMAGE_SETS).is_dir()
        or any(
            (folder / ANNOTATIONS / size).is_dir() and not pictures_in(folder / ANNOTATIONS / size)
            for size in _SIZES
        )
    )


def read_layout(folder: Path, *, clip_name: str = "") -> Annotations:
    """Read the masks of one clip in a folder of DAVIS or YouTube-VOS.

    Args:
        folder: that holds `Annotations`.
        clip_name: which clip is read, where there are several.

    Raises:
        MaskError: there are no masks, or of several clips.
    """
    top = folder / ANNOTATIONS
    # DAVIS has a folder per size above those of clips
    for size in _SIZES:
        if (top / size).is_dir() and not pictures_in(top / size):
            top = top / size
            break
    clips = sorted(path for path in _folders(top) if pictures_in(path))
    named = [path for path in clips if len(clips) == 1 or path.name == clip_name]
    if len(named) != 1:
        shown = ", ".join(path.name for path in clips[:6]) or "none"
        raise MaskError(
            f"{str(top)!r} has masks of {len(clips)} clips, and none alone is {clip_name!r}:"
            f" {shown}",
            hint="give the folder of one of them",
        )
    (chosen,) = named
    found = read_masks(chosen, labels=_labels(folder, chosen.name))
    return replace(found, clip_name=chosen.name)


def _labels(folder: Path, name: str) -> dict[int, ObjectLabel]:
    """What the objects of a clip are, where a file beside its masks says it."""
    if (folder / FACTS).is_file():
        facts = Entry.of(read_json(folder / FACTS), FACTS)
        return objects_from_json(facts.entries(OBJECTS))
    if not (folder / META).is_file():
        return {}
    videos = Entry.of(read_json(folder / META), META).entry("videos")
    if not videos.has(name):
        return {}
    objects = videos.entry(name).entry("objects")
    entries: dict[int, Entry] = {}
    for key in objects.data:
        if not (key.isascii() and key.isdecimal() and int(key[:4]) in range(1, MOST_OBJECTS + 1)):
            raise MaskError(
                f"{objects.where} has the object {shortened(repr(key))}, expected 1 to 255",
                hint="check the file, or export it again",
            )
        entries[int(key)] = objects.entry(key)
    return _from_meta(entries)


def _from_meta(entries: Mapping[int, Entry]) -> dict[int, ObjectLabel]:
    classes = {object_id: entry.text("category") for object_id, entry in entries.items()}
    classes = {one: "" if name == UNNAMED else name for one, name in classes.items()}
    return {
        object_id: ObjectLabel(
            entry.text("name") or name_in_class(object_id, classes),
            classes[object_id],
            entry.number("score") if entry.has("score") else None,
        )
        for object_id, entry in entries.items()
    }


def _folder_name(clip: AnnotatedClip) -> str:
    return safe_name(clip.name) or "clip"


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError as error:
        raise MaskError(
            f"folder {str(folder)!r} cannot be read: {error.strerror}", hint="check the path"
        ) from error


def _foreign(folder: Path, *, name: str) -> str:
    """Something that an earlier result of this clip does not have: other clips above all."""
    known = {ANNOTATIONS, _IMAGE_SETS, META, FACTS, "2017", _SMALL, _FULL, f"{_SET}.txt", name}
    below = sorted(path for path in folder.rglob("*") if path.name not in known)
    return next(
        (
            str(path.relative_to(folder))
            for path in below
            if path.parent.name != name or not is_own_png(path)
        ),
        "",
    )
