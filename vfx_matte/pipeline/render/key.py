"""Chooses the key colour of a render, and checks whether it suits the subject.

A dozen frames are looked at: where a key is to be found, of the whole clip before a render begins,
keyframes where there are some near, because only they are cheap to reach in a clip with long groups
of pictures; where one is given, of those that are rendered, as they pass: the first one that shows
the subject in every twelfth of them. Of each at most 20,000 of the subject's pixels are kept (see
`composite.key_color`), so that memory does not grow with the clip or the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vfx_matte.composite.key_color import (
    Chroma,
    color_name,
    farthest_key,
    near_share,
    parse_color,
    subject_chroma,
)
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Mask
from vfx_matte.numbering import parse_pattern
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.outputs import FrameJob, FrameWatch
from vfx_matte.pipeline.sampling import evenly, frames_at, seekable, snapped
from vfx_matte.settings.options import GreenbackSettings, MatteSettings
from vfx_matte.wording import command, option

SAMPLED_FRAMES = 12
"""How many frames are looked at: more see more of a subject that changes on the way, and each is
decoded before the render begins.
"""

MASKS_PER_SAMPLE = 4
"""How many masks are read for each frame that is looked at, to find those that show the subject."""

TOLERATED_SHARE = 0.01
"""Part of the subject that may have the key's colour on the worst frame before people are
warned.
"""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """How well a key suits the subject."""

    key: RGB
    share: float
    """The part (0 to 1) of the subject that is near the key, on the frame where it is largest."""

    frame: int
    """The index of that frame."""

    alternative: str | None
    """The colour that is farthest from the subject, where the key does not suit; None when the
    subject has that one, too.
    """

    @property
    def warning(self) -> str:
        """One line for people; empty when the key suits."""
        if self.share < TOLERATED_SHARE:
            return ""
        name = color_name(self.key)
        found = (
            f"{100 * self.share:.1f} % of the subject on frame {self.frame} is close to the key,"
            f" {name}, and may be keyed away"
        )
        other = (
            f"try {option('key', self.alternative)}, or "
            if self.alternative
            else "no other key is clear of it: use "
        )
        return f"{found}; {other}{command('alpha')}, which needs no key"


def is_auto(key: str) -> bool:
    """Whether a key is to be found in the clip's frames."""
    return key.strip().lower() == "auto"


def check_backdrop(settings: GreenbackSettings) -> None:
    """Check what is put behind a subject, as far as that needs no clip.

    Raises:
        UsageError: the key is no colour, or the background neither a colour nor a file.
    """
    behind = settings.background
    if not behind:
        if not is_auto(settings.key):
            parse_color(settings.key)
        return
    # a pattern stands for many files
    path = Path(behind)
    if path.exists() or parse_pattern(path.name) is not None:
        return
    if not behind.startswith("#"):
        raise UsageError(
            f"there is no background {behind!r}", hint="give a picture, a video or #rrggbb"
        )
    parse_color(behind)


def choose_key(
    clip: SegmentedClip,
    key: str,
    settings: MatteSettings,
    *,
    is_checked: bool = True,
    reporter: Reporter,
) -> RGB:
    """Choose the key colour. A notice says which one "auto" chose, and another one when the subject
    contains the key.

    Args:
        clip: a segmented clip.
        key: a name, #rrggbb, or "auto" for the colour farthest from the subject's.
        settings: which objects are the subject.
        is_checked: whether the subject is looked at where a colour is given, which takes a dozen
            frames.
        reporter: receives the notices.

    Raises:
        UsageError: an unknown colour, or "auto" when no mask shows a subject.
    """
    is_found = is_auto(key)
    given = None if is_found else parse_color(key)
    if given is not None and not is_checked:
        return given
    # decoded once for both questions: which key is farthest, and whether it is far enough
    subjects = subject_samples(clip, settings)
    if given is not None and not subjects:
        return given
    chosen = farthest_key(list(subjects.values())) if given is None else color_name(given)
    if is_found:
        reporter.notify(f"key colour: {chosen}, the farthest from the subject's colours")
    color = parse_color(chosen)
    _warn(clip, subjects, color, reporter)
    return color


def subject_frames(clip: SegmentedClip, settings: MatteSettings, *, count: int) -> list[int]:
    """At most `count` frames, ascending and evenly spaced, whose mask shows a chosen object;
    keyframes where there are some.

    Args:
        clip: a segmented clip.
        settings: which objects are chosen.
        count: how many frames at most.
    """
    with_mask = clip.mask_frames
    known = set(with_mask)
    keyframes = [index for index in seekable(clip.info) if index in known]
    # masks are cheap to read, pictures are not: several masks are read for one frame that is kept
    candidates = snapped(evenly(with_mask, MASKS_PER_SAMPLE * count), keyframes)

    def showing(frames: Sequence[int]) -> list[int]:
        return [index for index in frames if _chosen(clip, clip.mask(index), settings).any()]

    # a subject that is seen briefly may be on none of them
    with_subject = showing(candidates) or showing(with_mask)
    return snapped(evenly(with_subject, count), sorted(set(keyframes).intersection(with_subject)))


def subject_samples(clip: SegmentedClip, settings: MatteSettings) -> dict[int, Chroma]:
    """The subject's colours on at most SAMPLED_FRAMES frames that show a chosen object.

    Returns:
        {frame index: colours}, ascending; empty where no mask shows a chosen object.
    """
    frames = frames_at(clip.reader, subject_frames(clip, settings, count=SAMPLED_FRAMES))
    return {
        frame.index: subject_chroma(frame.image, _chosen(clip, clip.mask(frame.index), settings))
        for frame in frames
    }


class KeyWatch(FrameWatch):
    """Compares the subject with a key while the frames of a render pass (see `FrameWatch`).

    A notice says so when the subject contains the key.
    """

    def __init__(
        self, clip: SegmentedClip, key: RGB, settings: MatteSettings, *, reporter: Reporter
    ) -> None:
        """Nothing is read yet.

        Args:
            clip: a segmented clip.
            key: the key's R'G'B'.
            settings: which objects are the subject.
            reporter: receives the notice.
        """
        self._clip, self._key, self._settings, self._reporter = clip, key, settings, reporter
        self._span: tuple[int, int] | None = None
        self._seen = 0
        self._subjects: dict[int, Chroma] = {}

    def begin(self, start: int, stop: int) -> None:
        """Hear which frames will pass, a half-open range of indices."""
        self._span, self._seen = (start, stop), 0
        self._subjects.clear()

    def see(self, job: FrameJob) -> None:
        """Look at a frame, if it is the first one of its part that shows the subject."""
        # a single picture is rendered without a look at the key
        if self._span is None or job.mask is None or job.frame is None:
            return
        start, stop = self._span
        # parts are counted, and not spread in advance: that would take reading many masks twice,
        # and the encoder would wait for them
        part = (job.index - start) * SAMPLED_FRAMES // (stop - start)
        if part < self._seen:
            return
        subject = _chosen(self._clip, job.mask, self._settings)
        if subject.any():
            self._seen = part + 1
            self._subjects[job.index] = subject_chroma(job.frame.image, subject)

    def end(self) -> None:
        """Say whether the subject has the key's colour."""
        if self._subjects:
            _warn(self._clip, self._subjects, self._key, self._reporter)


def check_key(subjects: dict[int, Chroma], key: RGB) -> KeyCheck:
    """How much of the subject is near a key.

    Args:
        subjects: from `subject_samples`, not empty.
        key: the key's R'G'B'.
    """
    # the worst frame counts, not the mean: a hole of a second is seen in any clip
    shares = {index: near_share(subject, key) for index, subject in subjects.items()}
    frame = max(shares, key=lambda index: shares[index])
    if shares[frame] < TOLERATED_SHARE:
        return KeyCheck(key, shares[frame], frame, None)
    # a way out is named only where the other key is clear of the subject on every frame
    other = farthest_key(list(subjects.values()))
    is_clear = (
        max(near_share(subject, parse_color(other)) for subject in subjects.values())
        < TOLERATED_SHARE
    )
    return KeyCheck(
        key, shares[frame], frame, other if is_clear and parse_color(other) != key else None
    )


def _chosen(clip: SegmentedClip, mask: Mask | None, settings: MatteSettings) -> Mask:
    """The chosen objects of a frame's mask; all 0 where the frame shows nothing of them."""
    if mask is None:
        return np.zeros(clip.info.shape, np.uint8)
    return (
        mask
        if settings.objects is None
        else np.where(np.isin(mask, settings.objects), mask, 0).astype(np.uint8)
    )


def _warn(clip: SegmentedClip, subjects: dict[int, Chroma], key: RGB, reporter: Reporter) -> None:
    """Notify where the subject contains the key."""
    check = check_key(subjects, key)
    # people know a picture of a sequence by its own number
    warning = replace(check, frame=clip.info.timeline.number(check.frame)).warning
    if warning:
        reporter.notify(warning)
