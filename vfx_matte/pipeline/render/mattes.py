"""The mattes of one render.

Takes a segmented clip and a settings, gives alpha and the subject's own colours, frames in order.
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
from vfx_matte.pipeline.render.outputs import Shot
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.settings.options import MatteSettings


class Mattes:
    """Makes the mattes that a settings asks for.

    One for every set of objects, because stabilizing remembers.

    Outputs that are made together may share one: a frame asked for again gives the matte that is
    there.

    Raises:
        UsageError: the edges need a package that is not installed.
    """

    def __init__(self, clip: SegmentedClip, settings: MatteSettings, tools: Tools) -> None:
        self._clip, self._settings, self._tools = clip, settings, tools
        self._last: tuple[int, Matte] | None = None
        self._estimator = (
            open_estimator(settings.edges, weights=tools.model / settings.method.weights)
            if settings.method.from_picture
            else None
        )
        self._stabilizer = Stabilizer(settings.stabilize)

    def alone(self, object_id: int) -> Mattes:
        """The same for one object: with a memory of its own, but with this one's network, where
        there is one.
        """
        other = copy(self)
        other._settings = replace(self._settings, objects=(object_id,))
        other._stabilizer = Stabilizer(self._settings.stabilize)
        other._last = None
        return other

    @property
    def settings(self) -> MatteSettings:
        """What they are made by."""
        return self._settings

    @property
    def needs_picture(self) -> bool:
        """Whether `of` looks at the picture; where it does not, nothing has to be decoded."""
        return self._settings.method.from_picture or self._settings.stabilize > 0

    @property
    def memory(self) -> int:
        """How many frames before one have to be made, in order, for it to come out as in a render
        of the whole clip.
        """
        return self._stabilizer.memory

    def of(
        self, frame_index: int, mask: Mask | None, image: Callable[[], Image] | None = None
    ) -> Matte:
        """Alpha of the chosen objects on one frame, on the device; frames come in order, and
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
        settings = self._settings
        if (
            self._last is None
            or frame_index == 0
            or self._clip.shows(frame_index - 1) != self._last[0]
        ):
            self._stabilizer.reset()
        if mask is None:
            self._stabilizer.reset()
            return Matte(to_device(np.zeros(self._clip.info.shape, np.uint8), self._tools.device))
        picture = image() if image is not None and self.needs_picture else None
        matte = make_matte(
            to_device(mask, self._tools.device),
            image=to_device(picture, self._tools.device)
            if picture is not None and settings.method.from_picture
            else None,
            soft=self._soft(frame_index) if settings.soft_edges else None,
            objects=settings.objects,
            options=settings,
            estimator=self._estimator,
        )
        if picture is None or not settings.stabilize:
            return matte
        steady = self._stabilizer(matte, picture)
        return tidied(
            steady, to_device(mask, self._tools.device), objects=settings.objects, options=settings
        )

    def subject(self, picture: Picture, matte: Matte) -> Picture:
        """The picture with the subject's own colours where alpha is not full, and without spill, as
        the settings asks for.
        """
        if self._settings.foreground:
            picture = estimate_foreground(picture, matte)
        if self._settings.despill != "off":
            picture = despill(
                picture,
                matte,
                key=self._settings.despill,
                strength=self._settings.despill_strength,
            )
        return picture

    def _soft(self, frame_index: int) -> dict[int, Image]:
        settings = self._settings
        ids = chosen_objects(self._clip, settings)
        return {
            object_id: to_device(self._clip.soft(object_id, frame_index), self._tools.device)
            for object_id in ids
        }


def may_hide(info: ClipInfo) -> bool:
    """Whether pictures of a clip may have alpha of their own; those of a sequence may differ."""
    return info.has_alpha or info.container == "image sequence"


def seen(shot: Shot | Frame, cut: Matte) -> Matte:
    """What a matte shows of a frame: no more than the clip's own alpha does."""
    alpha = shot.alpha
    return cut if alpha is None else mix.seen_through(cut, xp(cut.alpha).asarray(alpha))
