"""Writes the reference masks of a detection, beside or in place of those of earlier work."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from vfx_matte.errors import MaskError, OutputError, WorkspaceError
from vfx_matte.files.atomic import remove_leftovers
from vfx_matte.masks import Mask, Palette
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.detect.objects import ChosenObject, reference_frames, reference_mask
from vfx_matte.pipeline.detect.request import DetectRequest
from vfx_matte.wording import command, option
from vfx_matte.workspace import ClipWorkspace, load_mask, save_mask

Paint = Callable[[Path], Mask]
"""The mask that belongs into a file."""


def save_references(
    clip: SourceClip, own: ClipWorkspace, objects: Sequence[ChosenObject], request: DetectRequest
) -> None:
    """Write the reference masks of a detection; nobody else may be writing in the workspace.

    Args:
        clip: the clip.
        own: its workspace. A fresh run keeps other references aside; else those that are there have
            to be of this detection.
        objects: what was found.
        request: says whether the run is a fresh one, and how masks are cleaned.

    Raises:
        WorkspaceError: there are other references than this detection makes, or damaged ones.
        OutputError: they cannot be written or kept aside.
    """
    folder, number = own.references_folder, clip.info.timeline.number
    paths = {folder / f"{number(frame):07d}.png": frame for frame in reference_frames(objects)}

    def paint(path: Path) -> Mask:
        return reference_mask(objects, paths[path], clip.info.shape, clean=request.settings.clean)

    # what a killed run left half written
    remove_leftovers(folder)
    there = set(folder.glob("*.png"))
    if not request.fresh:
        _require_same(own, clip, there, paths, paint)
    elif not (there <= set(paths) and all(_is_whole(path, paint(path)) for path in there)):
        _set_aside(folder, own.previous_references_folder)
        there = set()
    for path in paths:
        if path not in there:
            save_mask(path, paint(path), Palette.davis())


def _require_same(
    own: ClipWorkspace,
    clip: SourceClip,
    there: Collection[Path],
    wanted: Collection[Path],
    paint: Paint,
) -> None:
    """Raise WorkspaceError where references are others than this detection makes."""
    manifest = own.manifest()
    # one that is lost is made again where the masks that are there were made from it
    known = (
        wanted
        if manifest is None
        else [
            own.references_folder / own.mask_path(clip.info.timeline.number(at)).name
            for at in manifest.references
        ]
    )
    is_other = not set(there) <= set(wanted) or not set(wanted) <= {*there, *known}
    for path in [] if is_other else sorted(there):
        try:
            is_other = is_other or not np.array_equal(load_mask(path), paint(path))
        except MaskError as error:
            again = command("detect", clip.path, resume=True)
            raise WorkspaceError(
                error.message,
                hint=f"delete it and run {again}, with the options of before, to make it again",
            ) from error
    if is_other:
        raise WorkspaceError(
            f"{own.references_folder} holds other reference masks than this detection makes",
            hint=f"{option('fresh', True)} starts again; {command('segment', update=True)} goes on"
            " with the masks that are there",
        )


def _is_whole(path: Path, mask: Mask) -> bool:
    """Whether a file holds this mask, undamaged."""
    try:
        return np.array_equal(load_mask(path), mask)
    except MaskError:
        return False


def _set_aside(folder: Path, previous: Path) -> None:
    """Keep a folder under another name; what was kept there before gets a number."""
    if not folder.exists():
        return
    names = (previous.with_name(f"{previous.name}-{number}") for number in itertools.count(2))
    try:
        # a fresh run that was stopped is begun again: the masks that it replaces are still wanted
        if previous.exists():
            previous.rename(next(name for name in names if not name.exists()))
        folder.rename(previous)
    except OSError as error:
        raise OutputError(f"cannot move {folder}: {error.strerror}") from error
