"""Writes FCPXML 1.9 for Final Cut Pro and DaVinci Resolve.

Every time is a whole number of frames, written over the rate's own time scale ("300300/30000s").
Source: Apple, "Final Cut Pro XML Reference" (elements fcpxml, format, asset, media-rep, asset-clip,
sequence), version 1.9.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from vfx_matte.picture import ColorTags
from vfx_matte.programs.edit import Clip, Edit, Media, VideoRate
from vfx_matte.programs.timelines.urls import file_url
from vfx_matte.programs.timelines.xml_text import document

VERSION = "1.9"

_COLOR_SPACES = {
    ("bt709", "bt709"): "1-1-1 (Rec. 709)",
    ("smpte170m", "smpte170m"): "6-1-6 (Rec. 601 (NTSC))",
    ("bt470bg", "bt470bg"): "5-1-6 (Rec. 601 (PAL))",
    ("bt470bg", "smpte170m"): "5-1-6 (Rec. 601 (PAL))",
    ("bt2020", "arib-std-b67"): "9-18-9 (Rec. 2020 HLG)",
    ("bt2020", "smpte2084"): "9-16-9 (Rec. 2020 PQ)",
    ("bt2020", "bt2020-10"): "9-1-9 (Rec. 2020)",
    ("bt2020", "bt709"): "9-1-9 (Rec. 2020)",
}
_FIELD_ORDERS = {"upper": "upper first", "lower": "lower first"}
_AUDIO_RATES = {
    32000: "32k",
    44100: "44.1k",
    48000: "48k",
    88200: "88.2k",
    96000: "96k",
    176400: "176.4k",
    192000: "192k",
}


def fcpxml(edit: Edit) -> bytes:
    """The whole file: an event of the edit's name with a clip for each file, and the edit as a
    project.
    """
    # Resources: every format once, and every file once, whatever uses it.
    root = Element("fcpxml", version=VERSION)
    resources = SubElement(root, "resources")
    formats = _Formats(resources)
    sequence_format = formats.of(edit)
    refs = {media: f"a{number}" for number, media in enumerate(edit.media, start=1)}
    for media, ref in refs.items():
        _asset(resources, media, ref, formats.of(media))
    # The event shows each file as a clip of its whole length.
    event = SubElement(SubElement(root, "library"), "event", name=edit.name)
    for media, ref in refs.items():
        whole = Clip(media=media, start=0, duration=media.frame_count, with_sound=bool(media.sound))
        clip = _asset_clip(event, whole, ref)
        del clip.attrib["offset"]  # it lies on no timeline
    # The project with the edit itself. Its time begins at 0 and counts every frame: what a file's
    # own timecode is stands in its asset.
    sequence = SubElement(
        SubElement(event, "project", name=edit.name),
        "sequence",
        format=sequence_format,
        duration=seconds(edit.rate, edit.duration),
        tcStart="0s",
        tcFormat="NDF",
        audioLayout="stereo",
        audioRate=_AUDIO_RATES.get(edit.sample_rate, "48k"),
    )
    _spine(SubElement(sequence, "spine"), edit, refs)
    return document(root, "<!DOCTYPE fcpxml>")


def seconds(rate: VideoRate, frames: int) -> str:
    """So many frames as FCPXML writes time: a multiple of the frame's duration over the rate's time
    scale, "0s" for none.
    """
    if frames == 0:
        return "0s"
    # Final Cut wants multiples of the frame's duration, exactly: 1001/30000 s, not 0.0334 s.
    scale, ticks = (rate.timebase * 1000, 1001) if rate.ntsc else (rate.timebase * 100, 100)
    return f"{frames * ticks}/{scale}s"


def _spine(spine: Element, edit: Edit, refs: dict[Media, str]) -> None:
    """The lowest track as the primary storyline; clips above are connected to the one that they
    begin over.
    """
    parents = [(clip, _asset_clip(spine, clip, refs[clip.media])) for clip in edit.tracks[0]]
    for lane, track in enumerate(edit.tracks[1:], start=1):
        for clip in track:
            # whose start the edit has checked to be over one of them
            below, parent = next(
                (under, element)
                for under, element in parents
                if under.start <= clip.start < under.end
            )
            child = _asset_clip(parent, clip, refs[clip.media], lane=lane)
            # A connected clip's offset counts on the clock of the clip that it hangs on, which
            # begins at that one's start.
            child.set("offset", seconds(edit.rate, _start(below) + clip.start - below.start))


def _asset_clip(parent: Element, clip: Clip, ref: str, *, lane: int | None = None) -> Element:
    media = clip.media
    """A clip in the event, the storyline or (with a lane) connected above it."""
    attributes = {"ref": ref}
    if lane is not None:
        attributes["lane"] = str(lane)
    attributes |= {
        "offset": seconds(media.rate, clip.start),
        "name": media.name,
        "start": seconds(media.rate, _start(clip)),
        "duration": seconds(media.rate, clip.duration),
        "tcFormat": "DF" if media.timecode.drop_frame else "NDF",
    }
    if not clip.enabled:
        attributes["enabled"] = "0"
    # A file's sound plays unless it says otherwise, so pictures alone have to say so.
    if clip.with_sound:
        attributes["audioRole"] = "dialogue"
    elif media.sound:
        attributes["srcEnable"] = "video"
    return SubElement(parent, "asset-clip", attributes)


def _start(clip: Clip) -> int:
    """The clip's first frame on its file's own clock, which begins at the file's timecode."""
    return clip.media.timecode.frame + clip.source_in


def _asset(resources: Element, media: Media, ref: str, format_id: str) -> None:
    attributes = {
        "id": ref,
        "name": media.name,
        "start": seconds(media.rate, media.timecode.frame),
        "duration": seconds(media.rate, media.frame_count),
        "hasVideo": "1",
        "format": format_id,
        "videoSources": "1",
    }
    # Each track of the file is a source of sound; channels are those of its widest one.
    if media.sound:
        attributes |= {
            "hasAudio": "1",
            "audioSources": str(len(media.sound)),
            "audioChannels": str(max(track.channels for track in media.sound)),
            "audioRate": str(media.sound[0].sample_rate),
        }
    asset = SubElement(resources, "asset", attributes)
    SubElement(asset, "media-rep", kind="original-media", src=file_url(media.path))


class _Formats:
    """The format resources of a document, each written once."""

    def __init__(self, resources: Element) -> None:
        self._resources = resources
        self._ids: dict[tuple[tuple[str, str], ...], str] = {}

    def of(self, what: Edit | Media) -> str:
        """The id of a file's or the edit's format."""
        facts = {
            "frameDuration": seconds(what.rate, 1),
            "width": str(what.width),
            "height": str(what.height),
        }
        # What is usual is left out: progressive, square pixels, a space without a name.
        if what.fields != "none":
            facts["fieldOrder"] = _FIELD_ORDERS[what.fields]
        if what.sample_aspect != 1:
            facts["paspH"], facts["paspV"] = (
                str(what.sample_aspect.numerator),
                str(what.sample_aspect.denominator),
            )
        if space := color_space(what.color):
            facts["colorSpace"] = space
        # formats that say the same are one
        key = tuple(facts.items())
        if key not in self._ids:
            self._ids[key] = f"f{len(self._ids) + 1}"
            SubElement(self._resources, "format", {"id": self._ids[key], **facts})
        return self._ids[key]


def color_space(color: ColorTags) -> str:
    """Final Cut's name of a colour space, "" when the tags are none that it names."""
    return _COLOR_SPACES.get((color.primaries, color.transfer), "")
