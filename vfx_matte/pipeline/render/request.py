"""Settles what a render is asked for before anything is rendered.

A clip's edges are soft on all frames or on none, so that no edge flickers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.backend import Device, choose_device
from vfx_matte.compiling import load_compiler
from vfx_matte.compiling.notice import tell_when_compiling
from vfx_matte.errors import UsageError
from vfx_matte.media.writers import left_out, stills
from vfx_matte.media.writers.numbered_files import is_numbered
from vfx_matte.pipeline.clip import SegmentedClip, refuse_foreign, refuse_to_replace
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.settings.edge_methods import name_of
from vfx_matte.settings.options import SOFT_COMMAND, MatteSettings, PathsSettings
from vfx_matte.wording import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a render computes with, chosen once."""

    device: Device = Device.CPU
    """Where arrays live."""

    model: Path = PathsSettings().model
    """The folder of network weights."""

    @classmethod
    def chosen(cls, device: str, model: Path, *, notify: Callable[[str], None]) -> Tools:
        """What the options of a door add up to.

        Args:
            device: "auto", "cpu" or "cuda".
            model: the folder of network weights.
            notify: receives a line when the GPU cannot be used.

        Raises:
            DeviceError: "cuda" was asked for and is not usable.
        """
        return cls(device=choose_device(device, notify=notify), model=model)


def load_edges(matte: MatteSettings) -> None:
    """Import what edges are found with, to be done while a clip is opened."""
    if matte.method.from_picture:
        load_compiler()


def with_edges(clip: SegmentedClip, matte: MatteSettings, reporter: Reporter) -> MatteSettings:
    """Settle whether edges are soft: the settings with `soft_edges` True or False.

    Raises:
        WorkspaceError: soft results are to be used, and are not there for every frame that has a
            mask.
    """
    # "auto" is resolved here once: what is shown, cached and recorded has the method's name
    method = matte.method
    settled = replace(matte, edges=name_of(method))
    if method.from_picture:
        tell_when_compiling(reporter.notify)
    if not method.uses_probabilities:
        return replace(settled, soft_edges=False)
    # asked for neither way, soft edges are used where the clip has them, and a notice says so
    if matte.soft_edges is None and clip.store.is_soft:
        source = f"the picture and {SOFT_COMMAND}" if method.from_picture else SOFT_COMMAND
        reporter.notify(
            f"edges are soft, from {source}; {option('soft_edges', False)} leaves it out"
        )
    # for all frames or none: a gap would make the edge jump there
    is_soft = clip.store.is_soft if matte.soft_edges is None else matte.soft_edges
    if is_soft:
        clip.store.check_soft(chosen_objects(clip, matte))
    return replace(settled, soft_edges=is_soft)


def chosen_objects(clip: SegmentedClip, matte: MatteSettings) -> tuple[int, ...]:
    """The ids of the objects that are shown.

    Raises:
        UsageError: one of them does not exist.
    """
    ids = clip.object_ids
    unknown = [object_id for object_id in matte.objects or () if object_id not in ids]
    if unknown:
        raise UsageError(
            f"there is no object {unknown[0]}",
            hint=f"the masks of this clip show {', '.join(map(str, ids))}",
        )
    return matte.objects or ids


def check_request(
    clip: SegmentedClip, path: Path, matte: MatteSettings, *, background: Path | None = None
) -> None:
    """Check a request before anything is rendered.

    Args:
        clip: a segmented clip.
        path: of the output.
        matte: which objects are shown.
        background: the file that is put behind, where there is one.

    Raises:
        UsageError: an object that does not exist, or a path that would replace what is read.
    """
    chosen_objects(clip, matte)
    if not path.name:
        raise UsageError(
            f"output {str(path)!r} is not a name for a result",
            hint=f"give a file or a folder with {option('output')}",
        )
    # of numbered files the whole folder is replaced
    path = path.parent if is_numbered(path) else path
    refuse_to_replace(clip.info.path, path, "the source clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    if background is not None:
        refuse_to_replace(background, path, "the background")


def refuse_other_file(clip: SegmentedClip, path: Path) -> None:
    """Refuse to replace a file that this program has not made.

    Args:
        clip: a segmented clip; what lies in its folder of results is its own.
        path: of the output.

    Raises:
        UsageError: somebody else's file lies there.
    """
    if path.parent.resolve() != clip.folder.resolve():
        refuse_foreign(
            path,
            is_ours=lambda file: stills.is_made_here(file) or left_out.is_made_here(file),
            maker="vfx-matte",
        )
