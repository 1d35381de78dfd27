"""How the subject is cut out. Takes a segmented clip and a look, gives the matte of any frame; never touches a picture.

A clip's edges are soft on all frames or on none, so that no edge flickers: that is settled before anything is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vfx_matte.backend import Device, to_device
from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, Matte
from vfx_matte.pipeline.project import SegmentedClip
from vfx_matte.pipeline.report import Reporter
from vfx_matte.refine import EdgeOptions, refine, refine_soft


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is shown and how its edge is treated.

    objects: ids that are kept, None = all of them. soft: take edges from the soft results of `segment`; None = when the
    clip has them, with a notice.
    """

    objects: tuple[int, ...] | None = None
    edges: EdgeOptions = field(default_factory=EdgeOptions)
    soft: bool | None = None
    device: Device = Device.CPU


def with_edges(clip: SegmentedClip, look: Look, reporter: Reporter) -> Look:
    """Settle whether edges are soft: `look` with `soft` True or False.

    Raises WorkspaceError when soft results are to be used and are not there for every frame that has a mask.
    """
    if look.soft is None and clip.store.is_soft:
        reporter.notify("edges are soft, from segment --soft; --no-soft-edges takes them from the masks alone")
    is_soft = clip.store.is_soft if look.soft is None else look.soft
    if is_soft:
        clip.store.check_soft(chosen_objects(clip, look))
    return replace(look, soft=is_soft)


def matte_of(clip: SegmentedClip, frame_index: int, mask: Mask | None, look: Look) -> Matte:
    """Alpha of the chosen objects on one frame, on the look's device.

    mask: the frame's, None = it has none and nothing is shown. look: from `with_edges`.
    Raises WorkspaceError when a soft result is damaged.
    """
    if mask is None:
        return Matte(to_device(np.zeros(clip.info.shape, np.uint8), look.device))
    on_device = to_device(mask, look.device)
    if not look.soft:
        return refine(on_device, objects=look.objects, options=look.edges)
    soft = {object_id: to_device(clip.soft(object_id, frame_index), look.device) for object_id in chosen_objects(clip, look)}
    return refine_soft(on_device, soft, objects=look.objects, options=look.edges)


def chosen_objects(clip: SegmentedClip, look: Look) -> tuple[int, ...]:
    """The ids of the objects that are shown. Raises UsageError when one does not exist."""
    ids = clip.object_ids
    unknown = [object_id for object_id in look.objects or () if object_id not in ids]
    if unknown:
        raise UsageError(f"there is no object {unknown[0]}", hint=f"the masks of this clip show {', '.join(map(str, ids))}")
    return look.objects or ids
