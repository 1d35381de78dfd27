"""Writes OpenTimelineIO, by its own library.

Times are RationalTime: whole frames at the rate's nearest double, which is how OpenTimelineIO holds
30000/1001.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vfx_matte.errors import UsageError, install_hint
from vfx_matte.printable import printable
from vfx_matte.programs.edit import Clip, Edit, Media
from vfx_matte.programs.timelines.urls import file_url

if TYPE_CHECKING:
    import opentimelineio as otio

GROUP_KEY = "Link Group ID"
"""Where Resolve keeps which items of its OpenTimelineIO timelines belong together."""


def is_available() -> bool:
    """Whether the library is installed (the extra `timelines`)."""
    return importlib.util.find_spec("opentimelineio") is not None


def opentimeline(edit: Edit, *, address: Callable[[Path], str] = file_url) -> bytes:
    """The whole file.

    Args:
        edit: what it shows.
        address: how a file is named: by a URL, or `str` for plain paths.

    Raises:
        UsageError: when the library is not installed.
    """
    if not is_available():
        raise UsageError("OpenTimelineIO is not installed", hint=install_hint("timelines"))
    import opentimelineio as otio

    timeline = otio.schema.Timeline(printable(edit.name))
    timeline.global_start_time = otio.opentime.RationalTime(0, float(edit.rate.fps))
    # Picture tracks from the lowest up, then the sound tracks; both are numbered from 1.
    sounds = []
    group = 0
    for number, clips in enumerate(edit.tracks, start=1):
        picture = otio.schema.Track(f"V{number}", kind=otio.schema.TrackKind.Video)
        sound = otio.schema.Track(f"A{number}", kind=otio.schema.TrackKind.Audio)
        for clip in clips:
            group += clip.with_sound  # a picture and its sound are linked by one number
            for track in (picture, sound) if clip.with_sound else (picture,):
                _append(track, clip, group if clip.with_sound else 0, address)
        timeline.tracks.append(picture)
        if len(sound):
            sounds.append(sound)
    timeline.tracks.extend(sounds)
    # The format has no bin; readers keep metadata that they do not know.
    unused = [
        {"name": printable(media.name), "target_url": address(media.path)} for media in edit.bin
    ]
    timeline.metadata["vfx_matte"] = {"bin": unused}
    text: str = otio.adapters.write_to_string(timeline, "otio_json")
    return text.encode() + b"\n"


def _append(
    track: otio.schema.Track, clip: Clip, group: int, address: Callable[[Path], str]
) -> None:
    """Put a clip on a track, behind a gap where nothing lies before it.

    group: number of the items it is linked with.
    """
    import opentimelineio as otio

    def span(start: int, duration: int) -> otio.opentime.TimeRange:
        fps = float(clip.media.rate.fps)
        return otio.opentime.TimeRange(
            otio.opentime.RationalTime(start, fps), otio.opentime.RationalTime(duration, fps)
        )

    # Tracks have no free places: what is empty is filled with a gap.
    filled = round(track.duration().to_frames()) if len(track) else 0
    if clip.start > filled:
        track.append(otio.schema.Gap(source_range=span(0, clip.start - filled)))
    media = clip.media
    reference = otio.schema.ExternalReference(
        target_url=address(media.path),
        available_range=span(media.timecode.frame, media.frame_count),
        metadata={"vfx_matte": _facts(media)},
    )
    reference.name = printable(media.path.name)
    item = otio.schema.Clip(
        name=printable(media.name),
        media_reference=reference,
        # counted on the file's own clock, which begins at its timecode
        source_range=span(media.timecode.frame + clip.source_in, clip.duration),
        metadata={"Resolve_OTIO": {GROUP_KEY: group}} if group else {},
    )
    item.enabled = clip.enabled
    track.append(item)


def _facts(media: Media) -> dict[str, object]:
    return {
        "width": media.width,
        "height": media.height,
        "rate": str(media.rate.fps),
        "alpha": media.alpha,
    }
