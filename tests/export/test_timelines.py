"""Edits and the timelines written of them, read back by exact readers, OpenTimelineIO's adapters,
and a DTD.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.timeline_readers import Placed, read_fcpxml, read_otio, read_xmeml, validate

from vfx_matte.errors import UsageError
from vfx_matte.picture import ColorTags
from vfx_matte.programs.edit import Clip, Edit, Media, Sound, Timecode, VideoRate
from vfx_matte.programs.registry import PROGRAMS, program_named
from vfx_matte.programs.timelines.fcpxml import color_space, fcpxml, seconds
from vfx_matte.programs.timelines.opentimeline import opentimeline
from vfx_matte.programs.timelines.urls import file_url, localhost_url
from vfx_matte.programs.timelines.xmeml import xmeml

RATES = [
    Fraction(text)
    for text in (
        "24000/1001",
        "24",
        "25",
        "30000/1001",
        "30",
        "50",
        "60000/1001",
        "60",
        "12",
        "15",
        "120000/1001",
        "240",
    )
]
ODD = "中文 & #1 100% <b>'\"?;é"

ZERO = Timecode()

rates = st.sampled_from(RATES).map(VideoRate.of)
names = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip() == name and name not in (".", ".."))


def media(
    name: str = ODD, *, frames: int = 250, fps: Fraction = RATES[3], **facts: object
) -> Media:
    given_facts = {
        "width": 1280,
        "height": 720,
        "rate": VideoRate.of(fps),
        "frame_count": frames,
    } | facts
    return Media(name=name, path=Path(f"/work place/{name}.mov"), **given_facts)  # type: ignore[arg-type]


def stacked(
    *, frames: int = 250, fps: Fraction = RATES[3], timecode: Timecode = ZERO, channels: int = 2
) -> Edit:
    """The edit of a package: source with sound below, cut-out above, matte in the bin."""
    sound = (Sound(channels, 48000),) if channels else ()
    source = media(f"{ODD} source", frames=frames, fps=fps, timecode=timecode, sound=sound)
    cut = media(f"{ODD} alpha", frames=frames, fps=fps, timecode=timecode, alpha="straight")
    matte = media(f"{ODD} matte", frames=frames, fps=fps, timecode=timecode)
    clips = [
        Clip(media=one, start=0, duration=frames, with_sound=bool(one.sound))
        for one in (source, cut)
    ]
    rate = VideoRate.of(fps)
    return Edit(
        name=ODD, rate=rate, width=1280, height=720, tracks=((clips[0],), (clips[1],)), bin=(matte,)
    )


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Edits of up to four tracks with several clips and gaps, files with timecodes and any
    sound.
    """
    rate = draw(rates)
    drop = rate.ntsc and rate.timebase % 30 == 0
    pool = [
        Media(
            name=draw(names),
            path=Path("/") / draw(names) / f"{number}{draw(names)}.mov",
            width=draw(st.integers(1, 8192)),
            height=draw(st.integers(1, 4320)),
            rate=rate,
            frame_count=draw(st.integers(1, 500_000)),
            timecode=Timecode(
                draw(st.integers(0, rate.timebase * 86_000)), drop and draw(st.booleans())
            ),
            alpha=draw(st.sampled_from(["none", "straight", "premultiplied"])),
            fields=draw(st.sampled_from(["none", "upper", "lower"])),
            sound=tuple(
                draw(
                    st.lists(
                        st.builds(Sound, st.integers(1, 6), st.sampled_from([44100, 48000])),
                        max_size=2,
                    )
                )
            ),
        )
        for number in range(draw(st.integers(1, 4)))
    ]

    def piece(start: int, longest: int | None) -> Clip:
        one = draw(st.sampled_from(pool))
        duration = draw(st.integers(1, min(one.frame_count, longest or one.frame_count)))
        return Clip(
            media=one,
            start=start,
            duration=duration,
            source_in=draw(st.integers(0, one.frame_count - duration)),
            enabled=draw(st.booleans()),
            with_sound=bool(one.sound) and draw(st.booleans()),
        )

    lowest: list[Clip] = []
    for _ in range(draw(st.integers(1, 3))):
        lowest.append(piece(lowest[-1].end if lowest else 0, None))
    tracks = [tuple(lowest)]
    for _ in range(draw(st.integers(0, 3))):
        clips: list[Clip] = []
        at = draw(st.integers(0, lowest[-1].end - 1))
        while at < lowest[-1].end and len(clips) < 3:
            clips.append(piece(at, lowest[-1].end - at))
            at = clips[-1].end + draw(st.integers(0, 50))
        tracks.append(tuple(clips))
    used = {clip.media for track in tracks for clip in track}
    ready = tuple(one for one in pool if one not in used)
    return Edit(
        name=draw(names), rate=rate, width=1920, height=1080, tracks=tuple(tracks), bin=ready
    )


def pictures(edit: Edit) -> list[Placed]:
    """What a reader should find on the picture tracks."""
    at = edit.rate.seconds
    return sorted(
        Placed(
            "video", number, str(clip.media.path), at(clip.start), at(clip.end), at(clip.source_in),
            at(clip.media.timecode.frame), at(clip.media.frame_count), clip.enabled,
        )
        for number, track in enumerate(edit.tracks, start=1)
        for clip in track
    )  # fmt: skip


def heard(edit: Edit) -> list[tuple[str, Fraction, Fraction, Fraction]]:
    return sorted(
        (
            str(clip.media.path),
            edit.rate.seconds(clip.start),
            edit.rate.seconds(clip.end),
            edit.rate.seconds(clip.source_in),
        )
        for track in edit.tracks
        for clip in track
        if clip.with_sound
    )


def sounds(found: list[Placed], kind: str) -> list[tuple[str, Fraction, Fraction, Fraction]]:
    return sorted(
        (one.path, one.start, one.end, one.source_in) for one in found if one.kind == kind
    )


# ---------------------------------------------------------------- rates and timecodes


@pytest.mark.parametrize(
    ("fps", "timebase", "ntsc", "shown"),
    [
        ("24000/1001", 24, True, "23.976"), ("24", 24, False, "24"), ("25", 25, False, "25"),
        ("30000/1001", 30, True, "29.97"), ("50", 50, False, "50"), ("60000/1001", 60, True,
        "59.94"), ("60", 60, False, "60"),
    ],
)  # fmt: skip
def test_a_rate_is_a_timebase_and_a_flag(fps: str, timebase: int, ntsc: bool, shown: str) -> None:
    rate = VideoRate.of(Fraction(fps))
    assert (rate.timebase, rate.ntsc, str(rate)) == (timebase, ntsc, shown)
    assert rate.fps == Fraction(fps)
    assert rate.seconds(timebase * 1001) * Fraction(fps) == timebase * 1001


@pytest.mark.parametrize("fps", ["25/2", "2997/100", "0", "30001/1001"])
def test_a_rate_that_no_program_has_is_refused(fps: str) -> None:
    with pytest.raises(UsageError, match="no rate of"):
        VideoRate.of(Fraction(fps))


@pytest.mark.parametrize(
    ("text", "fps", "frame"),
    [
        ("00:00:00:00", "25", 0),
        ("01:00:00:00", "25", 90_000),
        ("01:00:00:00", "30000/1001", 108_000),
        ("00:00:59;29", "30000/1001", 1799),
        ("00:01:00;02", "30000/1001", 1800),  # numbers 0 and 1 of minute 1 do not exist
        ("00:10:00;00", "30000/1001", 17_982),  # a tenth minute keeps them
        ("01:00:00;00", "30000/1001", 107_892),
        ("00:01:00;04", "60000/1001", 3600),
        ("16:37:10;02", "30", 1_793_106),  # Final Cut's own value: 298851/5 s
        ("00:01:00;04", "60", 3600),
    ],
)
def test_timecodes_count_frames(text: str, fps: str, frame: int) -> None:
    rate = VideoRate.of(Fraction(fps))
    timecode = Timecode.parse(text, rate)
    assert timecode.frame == frame
    assert timecode.text(rate) == text


@given(rates, st.data())
def test_every_timecode_comes_back(rate: VideoRate, data: st.DataObject) -> None:
    drop = rate.timebase % 30 == 0 and data.draw(st.booleans())
    timecode = Timecode(data.draw(st.integers(0, rate.timebase * 80_000)), drop)
    assert Timecode.parse(timecode.text(rate), rate) == timecode


@given(st.sampled_from([30, 60]), st.integers(0, 2_589_407))
def test_drop_frame_follows_the_clock(timebase: int, frame: int) -> None:
    rate = VideoRate(timebase, ntsc=True)
    hours, minutes, rest = Timecode(frame, drop_frame=True).text(rate).split(":")
    whole, frames = rest.split(";")
    shown = int(hours) * 3600 + int(minutes) * 60 + int(whole) + Fraction(int(frames), timebase)
    # drift of one minute's dropped numbers, and what 10 minutes leave over: 3.6 ms an hour
    assert abs(shown - rate.seconds(frame)) < Fraction(1, 10) + rate.seconds(frame) / 900_000
    assert int(minutes) % 10 == 0 or whole != "00" or int(frames) >= timebase // 15


@pytest.mark.parametrize("text", ["", "1:2:3", "00:00:00:25", "00:61:00:00", "aa:00:00:00"])
def test_a_timecode_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timecode"):
        Timecode.parse(text, VideoRate(25))


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("path", "url", "localhost"),
    [
        (PurePosixPath("/a b/#1&2.mov"), "file:///a%20b/%231%262.mov", "file://localhost/a%20b/%231%262.mov"),
        (PurePosixPath("/狗.mov"), "file:///%E7%8B%97.mov", "file://localhost/%E7%8B%97.mov"),
        (PurePosixPath("/50%.mov"), "file:///50%25.mov", "file://localhost/50%25.mov"),
        (PureWindowsPath(r"C:\My Clips\狗 #1.mov"), "file:///C:/My%20Clips/%E7%8B%97%20%231.mov",
         "file://localhost/C%3a/My%20Clips/%E7%8B%97%20%231.mov"),
        (PureWindowsPath(r"\\nas\my share\a.mov"), "file://nas/my%20share/a.mov", "file://nas/my%20share/a.mov"),
    ],
)  # fmt: skip
def test_addresses_are_percent_encoded(path: PurePosixPath, url: str, localhost: str) -> None:
    assert file_url(path) == url
    assert localhost_url(path) == localhost


def test_an_address_needs_an_absolute_path() -> None:
    with pytest.raises(ValueError, match="not absolute"):
        file_url(PurePosixPath("a.mov"))


def test_a_name_that_is_no_utf_8_keeps_its_bytes() -> None:
    assert file_url(Path("/caf\udce9.mov")) == "file:///caf%E9.mov"


# ---------------------------------------------------------------- edits


def test_an_edit_checks_itself() -> None:
    one = media(frames=10)
    whole = Clip(media=one, start=0, duration=10)
    with pytest.raises(ValueError, match="which has 10"):
        Clip(media=one, start=0, duration=10, source_in=1)
    with pytest.raises(ValueError, match="has no sound"):
        Clip(media=one, start=0, duration=10, with_sound=True)

    def edit(*tracks: tuple[Clip, ...], rate: VideoRate = one.rate) -> Edit:
        return Edit(name="e", rate=rate, width=1, height=1, tracks=tracks)

    for tracks, message in [
        ((), "has no clip"),
        (((Clip(media=one, start=1, duration=9),),), "does not follow frame 0"),
        (((whole, Clip(media=one, start=9, duration=1)),), "does not follow frame 10"),
        (((whole,), (Clip(media=one, start=5, duration=6),)), "ends at frame 11"),
    ]:
        with pytest.raises(ValueError, match=message):
            edit(*tracks)
    with pytest.raises(ValueError, match="frames per second"):
        edit((whole,), rate=VideoRate(25))


# ---------------------------------------------------------------- timelines, read back exactly


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("channels", [0, 1, 2, 6])
def test_a_stack_reads_back_frame_exact(fps: Fraction, channels: int) -> None:
    edit = stacked(fps=fps, frames=1801, channels=channels, timecode=Timecode(86_400))
    frame, duration, clips = read_xmeml(xmeml(edit))
    assert (frame, duration) == (1 / fps, 1801 / fps)
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert [one.kind for one in clips if one.kind != "video"] == [
        f"channel {n}" for n in range(1, channels + 1)
    ]
    frame, duration, clips = read_fcpxml(fcpxml(edit))
    assert (frame, duration) == (1 / fps, 1801 / fps)
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert sounds(clips, "sound") == heard(edit)
    frame, clips = read_otio(opentimeline(edit))
    assert frame == 1 / fps
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert sounds(clips, "sound") == heard(edit)


@pytest.mark.slow
@given(edits())
def test_any_edit_reads_back_frame_exact(edit: Edit) -> None:
    frame, duration, clips = read_xmeml(xmeml(edit))
    assert (frame, duration) == (edit.rate.frame_duration, edit.rate.seconds(edit.duration))
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert sounds(clips, "channel 1") == heard(edit)
    frame, duration, clips = read_fcpxml(fcpxml(edit))
    assert (frame, duration) == (edit.rate.frame_duration, edit.rate.seconds(edit.duration))
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert sounds(clips, "sound") == heard(edit)
    frame, clips = read_otio(opentimeline(edit))
    assert frame == edit.rate.frame_duration
    assert sorted(one for one in clips if one.kind == "video") == pictures(edit)
    assert sounds(clips, "sound") == heard(edit)


@pytest.mark.slow
@given(edits())
def test_any_edit_has_the_published_structure(edit: Edit) -> None:
    validate(xmeml(edit), "xmeml_5.dtd")
    validate(fcpxml(edit), "fcpxml_1.9.dtd")


def test_the_structure_check_sees_a_fault() -> None:
    good = fcpxml(stacked())
    validate(good, "fcpxml_1.9.dtd")
    for fault in (good.replace(b'ref="a2"', b'ref="a9"'), good.replace(b"<spine>", b"<x/><spine>")):
        with pytest.raises(AssertionError):
            validate(fault, "fcpxml_1.9.dtd")
    good = xmeml(stacked())
    for fault in (
        good.replace(b"<locked>FALSE</locked>", b"<loked/>"),
        good.replace(b'id="clipitem-1"', b'id="clipitem-2"'),
    ):
        with pytest.raises(AssertionError):
            validate(fault, "xmeml_5.dtd")


def test_names_that_xml_cannot_hold_become_readable() -> None:
    edit = stacked()
    odd = Edit(name="a\x00b\x1b\ud800&<\r", rate=edit.rate, width=1, height=1, tracks=edit.tracks)
    for content in (xmeml(odd), fcpxml(odd)):
        assert r"a\x00b\x1b\ud800&amp;&lt;\r" in content.decode()


def test_words_of_fcp7_xml() -> None:
    """The facts that no reader above looks at: alpha, stereo, timecode."""
    rate = VideoRate.of(RATES[3])
    text = xmeml(stacked(timecode=Timecode.parse("01:00:00;02", rate))).decode()
    assert text.count("<alphatype>straight</alphatype>") == 2  # in the bin and on its track
    assert (
        text.count('premiereTrackType="Stereo"') == text.count('premiereChannelType="stereo"') == 2
    )
    assert '<sequence id="sequence-1" explodedTracks="true">' in text
    assert "<string>01:00:00;02</string>" in text
    assert text.count("<displayformat>DF</displayformat>") == 3
    # the sequence, which begins at 00:00:00:00
    assert text.count("<displayformat>NDF</displayformat>") == 1


def test_times_of_fcpxml_are_written_over_the_rates_own_scale() -> None:
    assert seconds(VideoRate.of(RATES[3]), 300) == "300300/30000s"
    assert seconds(VideoRate(25), 1) == "100/2500s"
    assert seconds(VideoRate(25), 0) == "0s"


def test_colour_spaces_have_final_cuts_names() -> None:
    assert color_space(ColorTags("bt709", "tv", "bt709", "bt709")) == "1-1-1 (Rec. 709)"
    assert (
        color_space(ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67"))
        == "9-18-9 (Rec. 2020 HLG)"
    )
    assert color_space(ColorTags()) == ""


# ---------------------------------------------------------------- OpenTimelineIO reads them


def test_opentimelineio_reads_fcp7_xml() -> None:
    otio = pytest.importorskip("opentimelineio")
    if "fcp_xml" not in otio.adapters.available_adapter_names():
        pytest.skip("otio-fcp-adapter is not installed")
    edit = stacked(frames=1801, timecode=Timecode(108_000))
    timeline = otio.adapters.read_from_string(xmeml(edit).decode(), "fcp_xml")
    assert timeline.name == edit.name
    tracks = timeline.video_tracks()
    for track, clips in zip(tracks, edit.tracks, strict=True):
        (item,), (clip,) = list(track), clips
        assert item.name == clip.media.name
        assert item.range_in_parent() == item.trimmed_range_in_parent()
        assert item.source_range == item.media_reference.available_range
        assert [item.duration().to_frames(), item.source_range.start_time.to_frames()] == [
            1801,
            108_000,
        ]
        assert item.duration().rate == pytest.approx(30_000 / 1001, abs=1e-3)
        assert item.media_reference.target_url == localhost_url(clip.media.path)
    assert [clip.duration().to_frames() for track in timeline.audio_tracks() for clip in track] == [
        1801
    ] * len(timeline.audio_tracks())
    assert timeline.audio_tracks()


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30), Fraction(60)], ids=str)
def test_opentimelineio_reads_fcpxml_at_whole_rates(fps: Fraction) -> None:
    """At 29.97 its adapter counts 29 frames per second, whoever wrote the file."""
    otio = pytest.importorskip("opentimelineio")
    if "fcpx_xml" not in otio.adapters.available_adapter_names():
        pytest.skip("otio-fcpx-xml-adapter is not installed")
    edit = stacked(fps=fps, frames=1801)
    found = otio.adapters.read_from_string(fcpxml(edit).decode(), "fcpx_xml")
    (timeline,) = (
        [found]
        if isinstance(found, otio.schema.Timeline)
        else found.find_children(otio.schema.Timeline)
    )
    clips = [
        clip for clip in timeline.find_clips() if clip.parent().kind == otio.schema.TrackKind.Video
    ]
    assert {clip.name: clip.duration().to_seconds() * float(fps) for clip in clips} == {
        clip.media.name: pytest.approx(1801) for track in edit.tracks for clip in track
    }


def test_opentimelineio_reads_its_own_file() -> None:
    otio = pytest.importorskip("opentimelineio")
    edit = stacked(frames=1801, timecode=Timecode(108_000))
    timeline = otio.adapters.read_from_string(opentimeline(edit).decode(), "otio_json")
    assert [track.kind for track in timeline.tracks] == ["Video", "Video", "Audio"]
    assert timeline.duration() == otio.opentime.RationalTime(1801, 30_000 / 1001)
    assert all(
        clip.source_range == clip.media_reference.available_range for clip in timeline.find_clips()
    )


def test_without_the_library_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfx_matte.programs.timelines.opentimeline.is_available", lambda: False)
    with pytest.raises(UsageError, match="not installed") as raised:
        opentimeline(stacked())
    assert "timelines" in raised.value.hint


# ---------------------------------------------------------------- programs


def test_rates_that_a_program_lacks_become_the_nearest_that_it_has() -> None:
    finalcut = program_named("finalcut")
    for fps, want in [
        ("30000/1001", "30000/1001"),
        ("15", "30"),
        ("12", "24"),
        ("25/2", "25"),
        ("120", "60"),
        ("29", "30000/1001"),
    ]:
        assert finalcut.rate_for(Fraction(fps)) == Fraction(want), fps
    assert program_named("web").rate_for(Fraction(25, 2)) == Fraction(25, 2)


def test_every_rate_of_a_program_can_be_written() -> None:
    for program in PROGRAMS.values():
        for fps in program.rates:
            assert VideoRate.of(fps).fps == fps
    with pytest.raises(UsageError, match="unknown program 'avid'"):
        program_named("avid")
