"""A clip decoded and written again, as every render does."""

from __future__ import annotations

from pathlib import Path

from support.notices import Notices
from vfx_matte.media.encode_plan import plan_encode
from vfx_matte.media.open import open_clip
from vfx_matte.media.verify import verify_clip
from vfx_matte.media.writers.video import VideoWriter


def rewritten(
    source: Path, path: Path, notices: Notices, *, with_sound: bool = True
) -> VideoWriter:
    """Write every frame of a clip into a file of this name, and check it against the clip."""
    reader = open_clip(source, notify=notices)
    info = reader.info
    plan = plan_encode(
        path, layout=info.layout, color=info.color, size=(info.width, info.height), notify=notices
    )
    with VideoWriter(path, plan, source=info, sound=with_sound, notify=notices) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    report = verify_clip(path, source, notify=notices)
    assert report.ok, report.first_difference
    return writer
