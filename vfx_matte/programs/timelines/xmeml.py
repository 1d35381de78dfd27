"""Writes Final Cut Pro 7 XML (xmeml 5) for Premiere Pro and DaVinci Resolve.

A project with one bin of master clips and one sequence. Times are whole frames; a rate is a
timebase with its NTSC flag.
Sources: Apple, "Final Cut Pro XML Interchange Format", elements catalog, version 5.
`explodedTracks`, `premiereTrackType` and their kin are attributes of Premiere's own exports: they
make two mono tracks one stereo track there, others ignore them.

The library OpenTimelineIO can write this format too (otio-fcp-adapter 1.0), but leaves out alpha
types, links between picture and sound, sound channels and the bin; it reads these files back in the
tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from vfx_matte.programs.edit import Clip, Edit, Media, Timecode, VideoRate
from vfx_matte.programs.timelines.urls import localhost_url
from vfx_matte.programs.timelines.xml_text import document

VERSION = "5"
SOUND_BITS = 16
"""Said of every sound: an edit does not know the depth of its files' sound."""

_FIELDS = {"none": "none", "upper": "upper", "lower": "lower"}
_PIXEL_ASPECTS = {
    "10/11": "NTSC-601",
    "59/54": "PAL-601",
    "4/3": "HD-(1440x1080)",
    "3/2": "HD-(1280x1080)",
}


def xmeml(edit: Edit) -> bytes:
    """The whole file."""
    return document(_Writer(edit).root(), "<!DOCTYPE xmeml>")


@dataclass(frozen=True, slots=True)
class _Item:
    """One clip item: the picture of a clip, or one of its file's sound channels."""

    item_id: str
    clip: Clip

    channel: int
    """0 = the picture, sound channels from 1 on."""

    track: int
    """Number of its picture or sound track, from 1."""

    position: int
    """Its number on that track, from 1."""


class _Writer:
    """Writes one document; a file's facts stand where it is named first, later mentions are its id
    alone.
    """

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._files = {media: number for number, media in enumerate(edit.media, start=1)}
        self._described: set[Media] = set()
        self._pictures, self._sounds = self._items()

    def _items(self) -> tuple[list[list[_Item]], list[list[_Item]]]:
        """Picture tracks, and sound tracks of one channel each, with numbered items."""
        # Every item's number is known before one is written, because links name items further down.
        counter = iter(range(1, 1 << 30))
        pictures = [
            [
                _Item(f"clipitem-{next(counter)}", clip, 0, track, position)
                for position, clip in enumerate(clips, start=1)
            ]
            for track, clips in enumerate(self._edit.tracks, start=1)
        ]
        sounds: list[list[_Item]] = []
        for clips in self._edit.tracks:
            heard = [clip for clip in clips if clip.with_sound]
            # as many tracks as the file with most channels has
            for channel in range(1, max((clip.media.channels for clip in heard), default=0) + 1):
                with_it = [clip for clip in heard if clip.media.channels >= channel]
                number = len(sounds) + 1
                sounds.append(
                    [
                        _Item(f"clipitem-{next(counter)}", clip, channel, number, position)
                        for position, clip in enumerate(with_it, start=1)
                    ]
                )
        return pictures, sounds

    def root(self) -> Element:
        root = Element("xmeml", version=VERSION)
        project = SubElement(root, "project")
        _text(project, "name", self._edit.name)
        children = SubElement(project, "children")
        # first, so that files are described where readers of sequences alone find them
        self._sequence(children)
        folder = SubElement(children, "bin")
        _text(folder, "name", self._edit.name)
        masters = SubElement(folder, "children")
        for media in self._edit.media:
            self._master(masters, media)
        return root

    # ------------------------------------------------------------ the bin

    def _master(self, parent: Element, media: Media) -> None:
        number = self._files[media]
        clip = SubElement(parent, "clip", id=f"masterclip-{number}")
        _text(clip, "name", media.name)
        _text(clip, "duration", media.frame_count)
        _rate(clip, media.rate)
        _text(clip, "masterclipid", f"masterclip-{number}")
        _text(clip, "ismasterclip", "TRUE")
        tracks = SubElement(clip, "media")
        whole = Clip(media=media, start=0, duration=media.frame_count)
        # the picture is channel 0
        for channel in range(media.channels + 1):
            kind = "audio" if channel else "video"
            parent_of_kind = tracks.find(kind)
            if parent_of_kind is None:
                parent_of_kind = SubElement(tracks, kind)
            track = SubElement(parent_of_kind, "track")
            item = SubElement(track, "clipitem", id=f"masterclip-{number}-{channel}")
            self._facts(item, whole, channel)

    # ------------------------------------------------------------ the sequence

    def _sequence(self, parent: Element) -> None:
        edit = self._edit
        sequence = SubElement(parent, "sequence", id="sequence-1")
        _text(sequence, "name", edit.name)
        _text(sequence, "duration", edit.duration)
        _rate(sequence, edit.rate)
        _timecode(sequence, Timecode(), edit.rate)
        media = SubElement(sequence, "media")
        video = SubElement(media, "video")
        _picture_characteristics(SubElement(video, "format"), edit)
        for items in self._pictures:
            track = SubElement(video, "track")
            for item in items:
                self._clip_item(track, item)
            _text(track, "enabled", "TRUE")
            _text(track, "locked", "FALSE")
        if self._sounds:
            sequence.set("explodedTracks", "true")
            self._sound(SubElement(media, "audio"))

    def _sound(self, audio: Element) -> None:
        _text(audio, "numOutputChannels", 2)
        _sound_characteristics(SubElement(audio, "format"), self._edit.sample_rate)
        # Two mono outputs; odd channels go to the left one, even ones to the right.
        outputs = SubElement(audio, "outputs")
        for output in (1, 2):
            group = SubElement(outputs, "group")
            _text(group, "index", output)
            _text(group, "numchannels", 1)
            _text(group, "downmix", 0)
            _text(SubElement(group, "channel"), "index", output)
        # A stereo file's two channels are two tracks here, which Premiere shows as one again.
        for items in self._sounds:
            first = items[0]
            is_stereo = first.clip.media.channels == 2
            track = SubElement(audio, "track", _premiere_track(first.channel, stereo=is_stereo))
            for item in items:
                element = self._clip_item(track, item)
                element.set("premiereChannelType", "stereo" if is_stereo else "mono")
            _text(track, "enabled", "TRUE")
            _text(track, "locked", "FALSE")
            _text(track, "outputchannelindex", (first.channel - 1) % 2 + 1)

    def _clip_item(self, track: Element, item: _Item) -> Element:
        clip = item.clip
        element = SubElement(track, "clipitem", id=item.item_id)
        self._facts(element, clip, item.channel, timed=True)
        for link in self._linked(clip):
            tie = SubElement(element, "link")
            _text(tie, "linkclipref", link.item_id)
            _text(tie, "mediatype", "audio" if link.channel else "video")
            _text(tie, "trackindex", link.track)
            _text(tie, "clipindex", link.position)
            # sounds of one file are linked among themselves too
            if link.channel:
                _text(tie, "groupindex", 1)
        return element

    def _linked(self, clip: Clip) -> Iterator[_Item]:
        """The items of a clip when it has sound: its picture and every channel."""
        # A link that names only itself would be none, so pictures without sound have no links.
        if clip.with_sound:
            yield from (
                item
                for items in (*self._pictures, *self._sounds)
                for item in items
                if item.clip is clip
            )

    def _facts(self, item: Element, clip: Clip, channel: int, *, timed: bool = False) -> None:
        """What every clip item says of itself.

        timed: it lies in the sequence; otherwise it belongs to a master clip.
        """
        media = clip.media
        _text(item, "masterclipid", f"masterclip-{self._files[media]}")
        _text(item, "name", media.name)
        _text(item, "enabled", "TRUE" if clip.enabled else "FALSE")
        _text(item, "duration", media.frame_count)
        _rate(item, media.rate)
        # Where it lies in the sequence, and which part of the file that is.
        if timed:
            for key, value in (("start", clip.start), ("end", clip.end)):
                _text(item, key, value)
            for key, value in (("in", clip.source_in), ("out", clip.source_in + clip.duration)):
                _text(item, key, value)
        # "black" is how this format calls colours that are multiplied by alpha.
        if not channel:
            _text(item, "alphatype", "black" if media.alpha == "premultiplied" else media.alpha)
            _text(item, "anamorphic", "FALSE")
        self._file(item, media)
        # A sound item says which channel of the file it is.
        if channel:
            source = SubElement(item, "sourcetrack")
            _text(source, "mediatype", "audio")
            _text(source, "trackindex", channel)

    def _file(self, parent: Element, media: Media) -> None:
        file = SubElement(parent, "file", id=f"file-{self._files[media]}")
        if media in self._described:  # readers want a file's facts once, where its id comes first
            return
        self._described.add(media)
        _text(file, "name", media.path.name)
        _text(file, "pathurl", localhost_url(media.path))
        _rate(file, media.rate)
        _text(file, "duration", media.frame_count)
        _timecode(file, media.timecode, media.rate)
        kinds = SubElement(file, "media")
        video = SubElement(kinds, "video")
        _text(video, "duration", media.frame_count)
        _picture_characteristics(video, media)
        for sound in media.sound:
            audio = SubElement(kinds, "audio")
            _sound_characteristics(audio, sound.sample_rate)
            _text(audio, "channelcount", sound.channels)


def _premiere_track(channel: int, *, stereo: bool) -> dict[str, str]:
    # More than two channels are shown one by one.
    if not stereo:
        return {"premiereTrackType": "Mono"}
    return {
        "currentExplodedTrackIndex": str(channel - 1),
        "totalExplodedTrackCount": "2",
        "premiereTrackType": "Stereo",
    }


def _picture_characteristics(parent: Element, what: Edit | Media) -> None:
    facts = SubElement(parent, "samplecharacteristics")
    _rate(facts, what.rate)
    _text(facts, "width", what.width)
    _text(facts, "height", what.height)
    _text(facts, "anamorphic", "FALSE")
    _text(facts, "pixelaspectratio", _PIXEL_ASPECTS.get(str(what.sample_aspect), "square"))
    _text(facts, "fielddominance", _FIELDS[what.fields])


def _sound_characteristics(parent: Element, sample_rate: int) -> None:
    facts = SubElement(parent, "samplecharacteristics")
    _text(facts, "depth", SOUND_BITS)
    _text(facts, "samplerate", sample_rate)


def _rate(parent: Element, rate: VideoRate) -> None:
    element = SubElement(parent, "rate")
    _text(element, "timebase", rate.timebase)
    _text(element, "ntsc", "TRUE" if rate.ntsc else "FALSE")


def _timecode(parent: Element, timecode: Timecode, rate: VideoRate) -> None:
    element = SubElement(parent, "timecode")
    _rate(element, rate)
    _text(element, "string", timecode.text(rate))
    _text(element, "frame", timecode.frame)
    _text(element, "displayformat", "DF" if timecode.drop_frame else "NDF")


def _text(parent: Element, tag: str, value: object) -> None:
    SubElement(parent, tag).text = str(value)
