"""What a client wants tracked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from vfx_matte.backend import Notify
from vfx_matte.errors import UsageError
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking.clips import TrackClip, held
from vfx_matte.pipeline.tracking.given_masks import PackedMasks
from vfx_matte.pipeline.tracking.session import TrackedFrame, TrackSession

Direction = Literal["forward", "backward", "both"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "both")


@dataclass(frozen=True, slots=True)
class TrackRequest:
    """Masks, and the frames that are wanted by them. The frames of the masks themselves are none of
    these: whoever sent the masks has them.

    Raises:
        UsageError: no frame is wanted, or a mask lies outside of the clip.
    """

    clip: TrackClip

    masks: PackedMasks
    """Frame index → the mask that was given."""

    start: int
    """The first frame that is wanted, unless it is a mask's."""

    stop: int
    """The frame after the last one."""

    propagator: PropagatorOptions

    def __post_init__(self) -> None:
        length = self.clip.length
        for index in self.masks:
            if not 0 <= index < length:
                raise UsageError(
                    f"there is no frame {index}", hint=f"the clip has frames 0 to {length - 1}"
                )
        if not 0 <= self.start < self.stop <= length or not self.total:
            raise UsageError(
                f"there is nothing to track in frames {self.start} to {self.stop - 1}",
                hint=f"the clip has frames 0 to {length - 1}; those with a mask are not tracked",
            )

    @property
    def total(self) -> int:
        """How many frames are wanted."""
        return self.stop - self.start - sum(self.start <= at < self.stop for at in self.masks)

    def frames(self, notify: Notify) -> Generator[TrackedFrame, None, None]:
        """The frames, as `TrackSession.frames` gives them; the clip is held meanwhile.

        Args:
            notify: is told which propagator it is, and what people should know.
        """
        with held(self.clip) as clip:
            session = TrackSession(
                clip.images(notify),
                dict(self.masks),
                start=self.start,
                stop=self.stop,
                propagator=self.propagator,
                notify=notify,
            )
            with closing(session.frames()) as frames:
                for frame in frames:
                    if frame.frame_index not in self.masks:
                        yield frame


def wanted_range(
    direction: Direction, *, start_frame: int, count: int | None, length: int
) -> tuple[int, int]:
    """The half-open range of frames that a direction and a count mean; it holds the start frame.

    Args:
        direction: "both" goes so many frames in each.
        start_frame: the frame of the mask.
        count: how many frames, without the start frame; None is to the clip's end.
        length: of the clip.
    """
    far = length if count is None else count
    start = max(0, start_frame - far) if direction in ("backward", "both") else start_frame
    stop = (
        min(length, start_frame + far + 1) if direction in ("forward", "both") else start_frame + 1
    )
    return start, stop
