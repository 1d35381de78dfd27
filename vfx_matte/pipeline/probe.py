"""Facts about a clip, for people and programs."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, fields

from vfx_matte.errors import MediaError
from vfx_matte.media.open import describe_rate
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.readers.changes import suspected_changes
from vfx_matte.pipeline.clip import SourceClip

MOST_DECODED = 8
"""Frames with another header that are decoded, to see whether their pictures differ: a clip may
change its header with every frame.
"""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Everything about a clip."""

    info: ClipInfo
    """What its file says and what was counted."""

    @property
    def rate(self) -> str:
        """Its rate in words, such as "25 fps, constant"."""
        return describe_rate(self.info.timeline)

    def to_json(self) -> dict[str, object]:
        """The fields of ClipInfo but for the paths of a sequence's pictures, and what follows from
        its timeline.
        """
        info, timeline, files = self.info, self.info.timeline, self.info.files
        # a file is a whole clip, so it has no `part`
        facts = {
            field.name: getattr(info, field.name) for field in fields(info) if field.name != "part"
        }
        return facts | {
            "frame_count": len(timeline),
            "first_number": timeline.first_number,
            "files": None
            if files is None
            else {
                "first": files.paths[0].name,
                "last": files.paths[-1].name,
                "count": len(files.paths),
                "digits": files.digits,
                # first and last, as people name a range of pictures
                "missing": [[start, stop - 1] for start, stop in files.missing],
                "gaps": files.gaps,
            },
            "constant_rate": timeline.is_constant_rate,
            "average_fps": timeline.average_fps,
            "start_seconds": timeline.start - info.origin,
            "duration_seconds": timeline.end - timeline.start,
            "interval_histogram": timeline.interval_histogram(),
        }


def look_for_changes(clip: SourceClip) -> None:
    """Decode suspected frames, so that the clip's reader gives its notice where pictures change
    size or format on the way.
    """
    for index in itertools.islice(suspected_changes(clip.info), MOST_DECODED):
        # a frame that cannot be decoded is an error for those who need it
        with contextlib.suppress(MediaError):
            clip.reader.frame(index)
