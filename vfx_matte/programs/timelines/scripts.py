"""Writes scripts that build an edit inside an editing program.

The scripts' own code lies in the folder templates/; the facts of the edit are put in as one literal
of ASCII alone, so that no program reads a name in the wrong encoding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path, PurePath, PureWindowsPath
from urllib.parse import quote, quote_from_bytes

from vfx_matte.programs.edit import Edit, Media
from vfx_matte.programs.record import CutOut

FACTS_MARK = "__PACKAGE__"
"""What a template has where the facts belong."""


def after_effects_script(edit: Edit, *, folder: Path, layers: Sequence[CutOut]) -> bytes:
    """A .jsx that imports every file of the edit and builds a composition, cutting layers out by
    their luma track mattes.

    Args:
        edit: its lowest track's first clip is the background.
        folder: where the script will lie, absolute; files are looked for from there first.
        layers: over the background, the lowest first.
    """
    # Fractions are pairs of integers: ExtendScript has no exact ones, and divides at the very end.
    media = edit.media
    facts = {
        "name": edit.name,
        "width": edit.width,
        "height": edit.height,
        "pixelAspect": list(edit.sample_aspect.as_integer_ratio()),
        "rate": list(edit.rate.fps.as_integer_ratio()),
        "frames": edit.duration,
        "background": media.index(edit.tracks[0][0].media),
        "media": [
            {
                "name": one.name,
                "file": one.path.name,
                "relative": _encoded(PurePath(beside))
                if (beside := relative_path(one.path, folder))
                else "",
                "path": _extendscript_path(one.path),
                "frames": one.frame_count,
                "alpha": one.alpha,
            }
            for one in media
        ],
        "layers": [
            {
                "name": one.name,
                "fill": media.index(one.fill),
                "matte": media.index(one.matte) if one.matte else None,
            }
            for one in layers
        ],
    }
    return _script("after_effects.jsx", json.dumps(facts, ensure_ascii=True, indent=4))


def resolve_script(edit: Edit, *, folder: Path, timeline: Path, mattes: Sequence[Media]) -> bytes:
    """A Python script that imports every file and a timeline into Resolve and attaches mattes to
    the source.

    Args:
        edit: what the timeline shows.
        folder: where the script will lie, absolute.
        timeline: the file to import.
        mattes: files for the External Matte node.
    """
    # Resolve names a rate by its short form, "29.97".
    media = edit.media
    facts = {
        "name": edit.name,
        "resolve_rate": str(edit.rate),
        "frames": edit.duration,
        "tracks": len(edit.tracks),
        "timeline": _paths(timeline, folder),
        "media": [_paths(one.path, folder) for one in media],
        "mattes": [media.index(one) for one in mattes],
    }
    return _script("resolve.py.txt", ascii(facts))


def relative_path(path: Path, folder: Path) -> str:
    """The path from a folder to a file, with slashes; "" when there is none (another Windows
    drive).
    """
    try:
        # slashes everywhere: the folder may be opened on another system
        return PurePath(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return ""


def _paths(path: Path, folder: Path) -> dict[str, str]:
    """Where a script looks for a file: beside itself first, then where it was."""
    return {"file": path.name, "relative": relative_path(path, folder), "path": str(path)}


def _encoded(path: PurePath) -> str:
    """A path percent-encoded, as ExtendScript decodes it."""
    # a POSIX name is bytes, and need not be UTF-8
    return (
        quote(path.as_posix())
        if isinstance(path, PureWindowsPath)
        else quote_from_bytes(os.fsencode(path))
    )


def _extendscript_path(path: PurePath) -> str:
    """An absolute path as ExtendScript's File takes it on every system: /home/a%20b.mov,
    /c/a.mov.
    """
    # ExtendScript writes drives as folders: /c/a.mov
    if isinstance(path, PureWindowsPath) and path.drive.endswith(":"):
        return f"/{path.drive[0].lower()}{quote(path.as_posix()[2:])}"
    return _encoded(path)


def _script(name: str, facts: str) -> bytes:
    """A template with the facts in place."""
    # encoding fails for anything but ASCII, so that a mistake here cannot reach an editing program
    text = resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return text.replace(FACTS_MARK, facts).encode("ascii")
