"""How the subject is cut out.

Takes a segmented clip and what a user chose, gives a settled look; never touches a picture.

A clip's edges are soft on all frames or on none, so that no edge flickers: that is settled before
anything is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from vfx_matte.backend import Device
from vfx_matte.errors import UsageError
from vfx_matte.matting import Despill, EdgeOptions
from vfx_matte.media.writers.numbered_files import is_numbered
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is shown and how its edge is treated.

    objects: ids that are kept, None = all of them. soft: take edges from the soft results of
    `segment`; None = when the clip has them, with a notice; edges "hard" never do. foreground: give
    soft pixels the subject's own colour, without the background that shone through. despill: take
    the light of a screen off the subject. stabilize: 0 (off) to 1, how much edges are kept from
    flickering. weights: the folder of the network that edges "vitmatte" are made by.
    """

    objects: tuple[int, ...] | None = None
    edges: EdgeOptions = field(default_factory=EdgeOptions)
    soft: bool | None = None
    foreground: bool = True
    despill: Despill | None = None
    stabilize: float = 0.0
    weights: Path = Path("model/vitmatte")
    device: Device = Device.CPU


def with_edges(clip: SegmentedClip, look: Look, reporter: Reporter) -> Look:
    """Settle whether edges are soft: `look` with `soft` True or False.

    Raises WorkspaceError when soft results are to be used and are not there for every frame that
    has a mask.
    """
    if look.edges.method == "hard":
        return replace(look, soft=False)
    if look.soft is None and clip.store.is_soft:
        source = "the picture and segment --soft" if look.edges.needs_picture else "segment --soft"
        reporter.notify(f"edges are soft, from {source}; --no-soft-edges leaves segment --soft out")
    is_soft = clip.store.is_soft if look.soft is None else look.soft
    if is_soft:
        clip.store.check_soft(chosen_objects(clip, look))
    return replace(look, soft=is_soft)


def chosen_objects(clip: SegmentedClip, look: Look) -> tuple[int, ...]:
    """The ids of the objects that are shown. Raises UsageError when one does not exist."""
    ids = clip.object_ids
    unknown = [object_id for object_id in look.objects or () if object_id not in ids]
    if unknown:
        raise UsageError(
            f"there is no object {unknown[0]}",
            hint=f"the masks of this clip show {', '.join(map(str, ids))}",
        )
    return look.objects or ids


def check_request(
    clip: SegmentedClip, path: Path, look: Look, *, background: Path | None = None
) -> None:
    """Raise UsageError when objects are chosen that do not exist, or when `path` would replace what
    the render reads.
    """
    chosen_objects(clip, look)
    if not path.name:
        raise UsageError(
            f"output {str(path)!r} is no name for a result", hint="give a file or a folder with -o"
        )
    path = path.parent if is_numbered(path) else path
    refuse_to_replace(clip.info.path, path, "the source clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    if background is not None:
        refuse_to_replace(background, path, "the background")
