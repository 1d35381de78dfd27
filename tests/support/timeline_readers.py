"""Readers of timelines written for the tests alone: exact, strict, and without a line of the
program's writers.

Each gives placed clips: on which track a piece of which file lies, from when to when, in exact
seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit
from xml.etree import ElementTree as ET

import pytest

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, order=True)
class Placed:
    """A piece of a file on a picture track (V1 = 1) or, with a channel or "sound", on a sound
    track. Exact seconds.
    """

    kind: str
    track: int
    path: str
    start: Fraction
    end: Fraction
    source_in: Fraction
    source_start: Fraction
    source_duration: Fraction
    enabled: bool = True


def path_of(url: str, *, host: str) -> str:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", host, "", "")
    assert all(char.isascii() and (char.isalnum() or char in "-._~/%") for char in parts.path), url
    return unquote_to_bytes(parts.path).decode()


def validate(content: bytes, dtd: str) -> None:
    """Against the structure in tests/data, by libxml2."""
    etree = pytest.importorskip("lxml.etree")
    structure = etree.DTD(str(DATA / dtd))
    assert structure.validate(etree.fromstring(content)), structure.error_log


# ---------------------------------------------------------------- FCPXML


def fcpxml_time(text: str | None) -> Fraction:
    assert text is not None
    assert text.endswith("s"), text
    number, _, scale = text[:-1].partition("/")
    return Fraction(int(number), int(scale or 1))


def read_fcpxml(content: bytes) -> tuple[Fraction, Fraction, list[Placed]]:
    """(frame duration, duration, clips) of the one project."""
    root = ET.fromstring(content)
    assets = {asset.get("id"): asset for asset in root.iter("asset")}
    formats = {one.get("id"): one for one in root.iter("format")}
    (sequence,) = root.iter("sequence")
    frame = fcpxml_time(formats[sequence.get("format")].get("frameDuration"))
    found: list[Placed] = []

    def take(clip: ET.Element, at: Fraction, track: int) -> None:
        asset = assets[clip.get("ref")]
        media = asset.find("media-rep")
        assert media is not None
        path = path_of(str(media.get("src")), host="")
        assert fcpxml_time(formats[asset.get("format")].get("frameDuration")) == frame
        source_start, start = fcpxml_time(asset.get("start")), fcpxml_time(clip.get("start"))
        duration = fcpxml_time(clip.get("duration"))
        common = (
            path,
            at,
            at + duration,
            start - source_start,
            source_start,
            fcpxml_time(asset.get("duration")),
        )
        for exact in common[1:]:
            assert (exact / frame).denominator == 1, "off the frame grid"
        found.append(Placed("video", track, *common, clip.get("enabled", "1") == "1"))
        if asset.get("hasAudio") == "1" and clip.get("srcEnable", "all") == "all":
            found.append(Placed("sound", track, *common, clip.get("enabled", "1") == "1"))
        for child in clip:
            take(
                child,
                at + fcpxml_time(child.get("offset")) - start,
                track + int(child.get("lane", "0")),
            )

    for clip in sequence.findall("spine/asset-clip"):
        take(clip, fcpxml_time(clip.get("offset")), 1)
    return frame, fcpxml_time(sequence.get("duration")), found


# ---------------------------------------------------------------- xmeml


def xmeml_rate(parent: ET.Element) -> Fraction:
    (rate,) = parent.findall("rate")
    ntsc = {"TRUE": Fraction(1000, 1001), "FALSE": Fraction(1)}[str(rate.findtext("ntsc"))]
    return int(str(rate.findtext("timebase"))) * ntsc


def read_xmeml(content: bytes) -> tuple[Fraction, Fraction, list[Placed]]:
    """The same of the one sequence; sound is of the kind "channel N".

    Links have to name items that agree.
    """
    root = ET.fromstring(content)
    files = {file.get("id"): file for file in root.iter("file") if len(file)}
    (sequence,) = root.iter("sequence")
    frame = 1 / xmeml_rate(sequence)
    items = {item.get("id"): item for item in sequence.iter("clipitem")}
    found: list[Placed] = []
    for kind in ("video", "audio"):
        for number, track in enumerate(sequence.findall(f"media/{kind}/track"), start=1):
            for place, item in enumerate(track.findall("clipitem"), start=1):
                found.append(_xmeml_item(item, files, kind, number, frame))
                _check_links(item, items, kind, number, place)
    return frame, _number(sequence, "duration") * frame, found


def _number(element: ET.Element, tag: str) -> int:
    return int(str(element.findtext(tag)))


def _xmeml_item(
    item: ET.Element, files: dict[str | None, ET.Element], kind: str, track: int, frame: Fraction
) -> Placed:
    mention = item.find("file")
    assert mention is not None
    file = files[mention.get("id")]
    assert 1 / xmeml_rate(item) == 1 / xmeml_rate(file) == frame
    assert _number(item, "duration") == _number(file, "duration")
    start, end, source_in, source_out = (
        _number(item, tag) for tag in ("start", "end", "in", "out")
    )
    assert end - start == source_out - source_in
    timecode = file.find("timecode")
    assert timecode is not None
    channel = item.findtext("sourcetrack/trackindex")
    return Placed(
        kind if kind == "video" else f"channel {channel}",
        track,
        path_of(str(file.findtext("pathurl")), host="localhost"),
        start * frame,
        end * frame,
        source_in * frame,
        _number(timecode, "frame") * frame,
        _number(file, "duration") * frame,
        item.findtext("enabled") == "TRUE",
    )


def _check_links(
    item: ET.Element, items: dict[str | None, ET.Element], kind: str, track: int, place: int
) -> None:
    links = item.findall("link")
    if kind == "audio":
        assert links, "sound is linked to its picture"
    if not links:
        return
    mine = [link for link in links if link.findtext("linkclipref") == item.get("id")]
    assert [
        (one.findtext("mediatype"), _number(one, "trackindex"), _number(one, "clipindex"))
        for one in mine
    ] == [(kind, track, place)]
    for link in links:
        other = items[link.findtext("linkclipref")]
        assert [other.findtext(tag) for tag in ("start", "end", "in", "out")] == [
            item.findtext(tag) for tag in ("start", "end", "in", "out")
        ]
        assert len(other.findall("link")) == len(links)


# ---------------------------------------------------------------- OpenTimelineIO


def read_otio(content: bytes) -> tuple[Fraction, list[Placed]]:
    """(frame duration, clips) straight from the JSON; rates are the doubles nearest to an NTSC or
    whole rate.
    """
    timeline = json.loads(content)
    frame = 1 / exact_rate(timeline["global_start_time"]["rate"])
    found: list[Placed] = []
    for kind in ("Video", "Audio"):
        for number, track in enumerate(
            (one for one in timeline["tracks"]["children"] if one["kind"] == kind), start=1
        ):
            at = Fraction(0)
            for item in track["children"]:
                start, duration = _span(item["source_range"], frame)
                if item["OTIO_SCHEMA"].startswith("Clip"):
                    reference = item["media_references"][item["active_media_reference_key"]]
                    source_start, source_duration = _span(reference["available_range"], frame)
                    target = reference["target_url"]
                    # Resolve's are plain paths
                    path = target if target.startswith("/") else path_of(target, host="")
                    placed = at, at + duration, start - source_start, source_start, source_duration
                    found.append(
                        Placed(
                            kind.lower().replace("audio", "sound"),
                            number,
                            path,
                            *placed,
                            item["enabled"],
                        )
                    )
                at += duration
    return frame, found


def exact_rate(rate: float) -> Fraction:
    for candidate in (Fraction(round(rate)), Fraction(round(rate) * 1000, 1001)):
        if float(candidate) == rate:
            return candidate
    raise AssertionError(f"{rate} is no rate")


def _span(data: dict[str, Any], frame: Fraction) -> tuple[Fraction, Fraction]:
    values = []
    for key in ("start_time", "duration"):
        assert 1 / exact_rate(data[key]["rate"]) == frame
        assert data[key]["value"] == int(data[key]["value"])
        values.append(int(data[key]["value"]) * frame)
    return values[0], values[1]
