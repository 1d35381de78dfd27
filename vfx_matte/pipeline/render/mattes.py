"""The mattes of one render.

Takes a segmented clip and a look, gives alpha and the subject's own colours, frames in order.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace

import numpy as np

from vfx_matte.backend import to_device, xp
from vfx_matte.composite import mix
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import (
    Stabilizer,
    despill,
    estimate_foreground,
    make_matte,
    open_estimator,
    tidied,
)
from vfx_matte.media.frames import Frame
from vfx_matte.media.probe import ClipInfo
from vfx_matte.picture import Picture
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.render.look import Look, chosen_objects
from vfx_matte.pipeline.render.outputs import Shot


class Mattes:
    """Makes the mattes that a look asks for.

    One for every set of objects, because stabilizing remembers.

    Outputs that are made together may share one: a frame asked for again gives the matte that is
    there.
    look: from `with_edges`. Raises UsageError when the edges need a package that is not installed.
    """

    def __init__(self, clip: SegmentedClip, look: Look) -> None:
        self._clip, self._look = clip, look
        self._last: tuple[int, Matte] | None = None
        self._estimator = (
            open_estimator(look.edges.method, weights=look.weights)
            if look.edges.needs_picture
            else None
        )
        self._stabilizer = Stabilizer(look.stabilize)

    def alone(self, object_id: int) -> Mattes:
        """The same for one object: with a memory of its own, but with this one's network, where
        there is one.
        """
        other = copy(self)
        other._look = replace(self._look, objects=(object_id,))
        other._stabilizer = Stabilizer(self._look.stabilize)
        other._last = None
        return other

    @property
    def look(self) -> Look:
        """What they are made by."""
        return self._look

    @property
    def needs_picture(self) -> bool:
        """Whether `of` looks at the picture; where it does not, nothing has to be decoded."""
        return self._look.edges.needs_picture or self._look.stabilize > 0

    @property
    def memory(self) -> int:
        """How many frames before one have to be made, in order, for it to come out as in a render
        of the whole clip.
        """
        return self._stabilizer.memory

    def of(
        self, frame_index: int, mask: Mask | None, image: Callable[[], Image] | None = None
    ) -> Matte:
        """Alpha of the chosen objects on one frame, on the look's device; frames come in order, and
        a held one is made once.

        mask: the frame's, None = it has none and nothing is shown. image: gives its picture, uint8
        (H, W, 3); called only when it is needed. Raises WorkspaceError when a soft result is
        damaged, ValueError when a needed picture is not given.
        """
        shown = self._clip.shows(frame_index)
        if self._last is None or self._last[0] != shown:
            self._last = shown, self._made(frame_index, mask, image)
            self._clip.note_matte(frame_index, self._last[1])
        return self._last[1]

    def _made(
        self, frame_index: int, mask: Mask | None, image: Callable[[], Image] | None
    ) -> Matte:
        look = self._look
        if (
            self._last is None
            or frame_index == 0
            or self._clip.shows(frame_index - 1) != self._last[0]
        ):
            self._stabilizer.reset()
        if mask is None:
            self._stabilizer.reset()
            return Matte(to_device(np.zeros(self._clip.info.shape, np.uint8), look.device))
        picture = image() if image is not None and self.needs_picture else None
        matte = make_matte(
            to_device(mask, look.device),
            image=to_device(picture, look.device)
            if picture is not None and look.edges.needs_picture
            else None,
            soft=self._soft(frame_index) if look.soft else None,
            objects=look.objects,
            options=look.edges,
            estimator=self._estimator,
        )
        if picture is None or not look.stabilize:
            return matte
        steady = self._stabilizer(matte, picture)
        return tidied(
            steady, to_device(mask, look.device), objects=look.objects, options=look.edges
        )

    def subject(self, picture: Picture, matte: Matte) -> Picture:
        """The picture with the subject's own colours where alpha is not full, and without spill, as
        the look asks for.
        """
        if self._look.foreground:
            picture = estimate_foreground(picture, matte)
        if self._look.despill is not None:
            picture = despill(picture, matte, self._look.despill)
        return picture

    def _soft(self, frame_index: int) -> dict[int, Image]:
        look = self._look
        ids = chosen_objects(self._clip, look)
        return {
            object_id: to_device(self._clip.soft(object_id, frame_index), look.device)
            for object_id in ids
        }


def may_hide(info: ClipInfo) -> bool:
    """Whether pictures of a clip may have alpha of their own; those of a sequence may differ."""
    return info.has_alpha or info.container == "image sequence"


def seen(shot: Shot | Frame, cut: Matte) -> Matte:
    """What a matte shows of a frame: no more than the clip's own alpha does."""
    alpha = shot.alpha
    return cut if alpha is None else mix.seen_through(cut, xp(cut.alpha).asarray(alpha))
