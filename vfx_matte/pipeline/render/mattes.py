"""Makes the mattes of one render, and the subject's own colours; frames come in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import replace

import numpy as np

from vfx_matte.backend import Device, to_device, xp
from vfx_matte.composite import mix
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import (
    FoundBefore,
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
from vfx_matte.pipeline.render.outputs import FrameJob, Submit
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.settings.options import MatteSettings


class Mattes:
    """Makes the mattes of one set of objects, by one choice of settings.

    Every set of objects has its own, because stabilizing remembers. Outputs that are made together
    may share one: a frame asked for again gives the matte that is there.
    """

    def __init__(self, clip: SegmentedClip, settings: MatteSettings, tools: Tools) -> None:
        """Open what the edge method needs.

        Args:
            clip: a segmented clip.
            settings: how mattes are made; `soft_edges` is settled (see `with_edges`).
            tools: what is computed with.

        Raises:
            UsageError: the edges need a package that is not installed.
        """
        self._clip, self._settings, self._tools = clip, settings, tools
        self._last: tuple[int, Matte] | None = None
        self._estimator = (
            open_estimator(settings.edges, weights=tools.model / settings.method.weights)
            if settings.method.from_picture
            else None
        )
        self._stabilizer = Stabilizer(settings.stabilize)
        self._begun: dict[int, Future[Matte]] = {}
        self._last_begun: int | None = None
        self._colors: FoundBefore | None = None
        # set by the planner: what one output finds is kept for another one, of which there are two
        self.is_shared = False

    def for_object(self, object_id: int) -> Mattes:
        """The mattes of one object, with a memory of their own; a network is shared."""
        # a shallow copy: the weights of a network are in memory once for all objects
        other = copy(self)
        other._settings = replace(self._settings, objects=(object_id,))
        other._stabilizer = Stabilizer(self._settings.stabilize)
        other._last = other._last_begun = None
        other._begun = {}
        other._colors, other.is_shared = None, False
        return other

    @property
    def settings(self) -> MatteSettings:
        """How the mattes are made."""
        return self._settings

    @property
    def needs_picture(self) -> bool:
        """Whether `matte` looks at the picture; where it does not, nothing has to be decoded."""
        return self._settings.method.from_picture or self._settings.stabilize > 0

    @property
    def memory(self) -> int:
        """How many frames before one have to be made, in order, for it to come out as in a render
        of the whole clip.
        """
        return self._stabilizer.memory

    @property
    def can_begin(self) -> bool:
        """Whether `begin` is of use: a GPU, and a network, share out one frame's work
        themselves.
        """
        return self._tools.device is Device.CPU and (
            self._estimator is None or self._estimator.in_threads
        )

    def begin(self, job: FrameJob, submit: Submit) -> None:
        """Begin in a thread what of a frame's matte depends on no other frame.

        Args:
            job: a frame that `matte` will be asked for; jobs come in its order.
            submit: begins a function in a thread.
        """
        source_index = self._clip.shows(job.index)
        # several outputs may ask for it, and a held frame comes several times
        if job.mask is None or source_index == self._last_begun:
            return
        self._last_begun = source_index
        self._begun[source_index] = submit(self._alone, job.index, job.mask, job.image)

    def matte(
        self, frame_index: int, mask: Mask | None, image: Callable[[], Image] | None = None
    ) -> Matte:
        """Alpha of the chosen objects on one frame; a held frame is made once.

        Args:
            frame_index: of the frame; they ascend from call to call.
            mask: its ids, uint8 (H, W); None where it has none and nothing is shown.
            image: gives its picture, R'G'B' uint8 (H, W, 3); called only when it is needed.

        Returns:
            The matte, on the device.

        Raises:
            WorkspaceError: a soft result is damaged.
            ValueError: a needed picture is not given.
        """
        # a held frame has the matte of the frame that is held, and is stabilized once
        source_index = self._clip.shows(frame_index)
        if self._last is None or self._last[0] != source_index:
            self._last = source_index, self._make(frame_index, mask, image)
            self._clip.note_matte(frame_index, self._last[1])
        return self._last[1]

    def _make(
        self, frame_index: int, mask: Mask | None, image: Callable[[], Image] | None
    ) -> Matte:
        settings = self._settings
        # stabilizing looks at the frame right before; after a jump the last matte is of another
        # place, and nothing of it may be mixed in
        if (
            self._last is None
            or frame_index == 0
            or self._clip.shows(frame_index - 1) != self._last[0]
        ):
            self._stabilizer.reset()
        # a frame without a mask shows nothing, and ends what stabilizing remembers
        if mask is None:
            self._stabilizer.reset()
            return Matte(to_device(np.zeros(self._clip.info.shape, np.uint8), self._tools.device))
        begun = self._begun.pop(self._clip.shows(frame_index), None)
        matte = self._alone(frame_index, mask, image) if begun is None else begun.result()
        picture = image() if image is not None and settings.stabilize else None
        if picture is None:
            return matte
        stabilized = self._stabilizer(matte, picture)
        # what the flow brought along may lie loose beside the subject, as what the picture says
        return tidied(
            stabilized,
            to_device(mask, self._tools.device),
            objects=settings.objects,
            settings=settings,
        )

    def _alone(self, frame_index: int, mask: Mask, image: Callable[[], Image] | None) -> Matte:
        """The matte of one frame, before it is stabilized."""
        settings = self._settings
        # where alpha comes from the mask alone a picture is wanted by the stabilizer only, which
        # finds the optical flow in host memory
        picture = image() if image is not None and settings.method.from_picture else None
        return make_matte(
            to_device(mask, self._tools.device),
            image=None if picture is None else to_device(picture, self._tools.device),
            soft=self._soft(frame_index) if settings.soft_edges else None,
            objects=settings.objects,
            settings=settings,
            estimator=self._estimator,
        )

    def subject(self, picture: Picture, matte: Matte) -> Picture:
        """The picture with the subject's own colours where alpha is not full, and without spill, as
        the settings say.
        """
        # spill is taken off last: the subject's colours in soft pixels carry it, too
        if self._settings.foreground:
            # a second output of the frame has the same edges, and often the same luma
            if self._colors is None or self._colors.matte is not matte:
                self._colors = FoundBefore(matte) if self.is_shared else None
            picture = estimate_foreground(picture, matte, self._colors)
        if self._settings.despill != "off":
            picture = despill(
                picture,
                matte,
                key=self._settings.despill,
                strength=self._settings.despill_strength,
            )
        return picture

    def _soft(self, frame_index: int) -> dict[int, Image]:
        """The probability of each chosen object, on the device."""
        return {
            object_id: to_device(self._clip.soft(object_id, frame_index), self._tools.device)
            for object_id in chosen_objects(self._clip, self._settings)
        }


def may_hide(info: ClipInfo) -> bool:
    """Whether pictures of a clip may have alpha of their own; those of a sequence may differ."""
    # a sequence is known by its first picture; a later one may be RGBA
    return info.has_alpha or info.container == "image sequence"


def visible_matte(frame: FrameJob | Frame, matte: Matte) -> Matte:
    """What a matte shows of a frame: no more than the clip's own alpha does."""
    # the clip's alpha was decoded on the host
    alpha = frame.alpha
    return matte if alpha is None else mix.seen_through(matte, xp(matte.alpha).asarray(alpha))
