"""Finds where one shot ends and the next begins.

A *cut* is the number of the first frame of a shot; frame 0 begins a shot without being called a
cut. Hard cuts only: a dissolve or a fade changes no more from frame to frame than a pan does.
Pictures come in order; a few small ones are held, whatever the clip.

PySceneDetect's AdaptiveDetector proposes: a frame that differs from the one before it half as much
again as its neighbours do from theirs, which a fast pan does not. A proposal is then confirmed on
tiny pictures of the frames around it:

- it is everywhere: most of the picture changes, not only a title or a sign that lights up;
- it is no flash: no frame within `AROUND_FRAMES` before it looks like one within as many after it;
- it stands out: the change is at least twice any other on one of its sides, and more than the usual
  one on both. Animation on threes and screen recordings, which stand still and jump in turns, have
  no such side; a pan that sets in goes on as it began.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Image

AROUND_FRAMES = 6
"""How many frames on each side a proposed cut is confirmed with; what is shorter is a flash, not a
shot.
"""

_PROPOSED_HEIGHT_PX, _TINY_SIZE_PX = 144, (32, 18)
_LIKE_BEFORE, _STANDS_OUT, _MORE_THAN_USUAL = 0.5, 2.0, 1.5
# levels of 255, and the part of the picture that changes by as much
_CHANGED_BY, _LEAST_CHANGED = (
    8.0,
    0.5,
)
_WINDOW_FRAMES = 2  # of the detector, on each side
_LEAST_CONTENT = 15.0  # PySceneDetect's usual least change of a cut, of 255
# its usual 3 misses cuts between shots that move much; what more it proposes is not confirmed
_RATIO = 1.5

_Tiny = npt.NDArray[np.float32]


class ShotDetector:
    """Finds cuts while frames pass by.

    It holds 2 · AROUND_FRAMES + 1 pictures of 32 × 18 pixels, whatever the clip.
    """

    def __init__(self) -> None:
        from scenedetect.common import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        self._detector = AdaptiveDetector(
            min_scene_len=1,
            window_width=_WINDOW_FRAMES,
            min_content_val=_LEAST_CONTENT,
            adaptive_threshold=_RATIO,
        )
        self._timecode = FrameTimecode
        self._fed = (
            0  # pictures that the detector was given; its number of frame i is i + _WINDOW_FRAMES
        )
        self._last: npt.NDArray[np.uint8] | None = None
        self._tiny: deque[_Tiny] = deque(maxlen=2 * AROUND_FRAMES + 1)
        self._seen = 0
        self._proposed: deque[int] = deque()

    def add(self, image: Image) -> list[int]:
        """Take the next frame.

        Args:
            image: uint8 (H, W, 3) R'G'B', of one size throughout.

        Returns:
            The cuts confirmed now, ascending.
        """
        small = _small(image)
        for _ in range(_WINDOW_FRAMES if self._last is None else 0):
            # the detector looks at frames only that have neighbours on both sides
            self._propose(small)
        self._propose(small)
        self._last = small
        self._tiny.append(
            cv2.resize(small, _TINY_SIZE_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        )
        self._seen += 1
        return list(self._confirmed(self._seen - AROUND_FRAMES))

    def finish(self) -> list[int]:
        """The last cuts, after the last frame."""
        for _ in range(_WINDOW_FRAMES if self._last is not None else 0):
            assert self._last is not None
            self._propose(self._last)
        return list(self._confirmed(self._seen))

    def _propose(self, small: npt.NDArray[np.uint8]) -> None:
        # Only the number of a frame matters here; the rate is never used.
        at: Any = self._timecode(self._fed, fps=25.0)
        self._proposed.extend(
            cut.frame_num - _WINDOW_FRAMES for cut in self._detector.process_frame(at, small)
        )
        self._fed += 1

    def _confirmed(self, until: int) -> Iterator[int]:
        """Judge the proposals up to frame `until`: those whose surroundings have been seen."""
        while self._proposed and self._proposed[0] <= until:
            cut = self._proposed.popleft()
            first = self._seen - len(self._tiny)
            if cut > first and self._is_cut(list(self._tiny), cut - first):
                yield cut

    def _is_cut(self, frames: list[_Tiny], at: int) -> bool:
        before, after = frames[max(0, at - AROUND_FRAMES) : at], frames[at : at + AROUND_FRAMES]
        change = _difference(before[-1], after[0])
        # is it everywhere?
        if (np.abs(before[-1] - after[0]).max(axis=2) > _CHANGED_BY).mean() < _LEAST_CHANGED:
            return False
        # is it a flash?
        if any(_difference(one, two) < _LIKE_BEFORE * change for one in before for two in after):
            return False
        # near the clip's ends a few frames that stand still prove nothing
        longest = max(len(before), len(after))
        # does it stand out from what moves on its sides?
        steps = [
            [_difference(*pair) for pair in itertools.pairwise(side)]
            for side in (before, after)
            if len(side) == longest
        ]
        if any(change < _MORE_THAN_USUAL * float(np.median(side)) for side in steps if side):
            return False
        return any(change >= _STANDS_OUT * max(side, default=0.0) for side in steps)


def _small(image: Image) -> npt.NDArray[np.uint8]:
    """About 144 lines of an image, B'G'R' as PySceneDetect takes it."""
    height, width = image.shape[:2]
    # every n-th pixel first: an area filter of a 4K frame would take longer than all the rest
    step = max(1, height // (2 * _PROPOSED_HEIGHT_PX))
    size = max(1, round(width * _PROPOSED_HEIGHT_PX / height)), _PROPOSED_HEIGHT_PX
    if height % step == width % step == 0:
        # the same pixels, which OpenCV takes ten times as fast
        whole = width // step, height // step
        sampled = cv2.resize(image, whole, interpolation=cv2.INTER_NEAREST)
    else:
        sampled = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(sampled, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8)


def _difference(one: _Tiny, two: _Tiny) -> float:
    """Mean absolute difference."""
    return float(np.abs(one - two).mean())
