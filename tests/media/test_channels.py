"""Sound channels: whatever their layout, each comes out of a file in its place, none mixed, none
lost.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from support.notices import Notices

from vfx_matte.media.sound.channels import SILENT, forget_own_order, layout_name, plan_channels
from vfx_matte.media.sound.encode import SoundEncoder, nearest_rate

RATE = 48_000
MUXERS = {"aac": "mp4", "libopus": "webm", "flac": "matroska", "pcm_s24le": "mov"}


def tones(layout: str, *, rate: int = RATE, samples: int = 9600, first: int = 0) -> av.AudioFrame:
    """A tone of its own in every channel: 100 Hz in the first, 200 in the second, …"""
    count = av.AudioLayout(layout).nb_channels
    time = (np.arange(samples) + first) / rate
    waves = np.stack(
        [0.4 * np.sin(2 * np.pi * 100 * (channel + 1) * time) for channel in range(count)], axis=1
    )
    packed = np.ascontiguousarray(waves.astype(np.float32).reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
    return frame


def heard(path: Path) -> list[int]:
    """The number of the tone in every channel of a file, 0 for none."""
    packed: list[npt.NDArray[np.float32]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        forget_own_order(stream.codec_context)
        graph: av.filter.Graph | None = None
        rate = count = 0
        for frame in container.decode(stream):
            if graph is None:
                graph, rate, count = av.filter.Graph(), frame.sample_rate, frame.layout.nb_channels
                steps = [
                    graph.add(
                        "abuffer", sample_rate=str(rate), sample_fmt=frame.format.name,
                        channel_layout=frame.layout.name,
                        time_base=str(frame.time_base),
                    ),
                    graph.add("aformat", sample_fmts="flt"),
                    graph.add("abuffersink"),
                ]  # fmt: skip
                steps[0].link_to(steps[1])
                steps[1].link_to(steps[2])
                graph.configure()
            graph.push(frame)
            pulled = graph.pull()
            assert isinstance(pulled, av.AudioFrame)
            packed.append(pulled.to_ndarray().reshape(-1, count))
    window = np.concatenate(packed)[rate // 50 : rate // 50 + rate // 10].T
    spectra = np.abs(np.fft.rfft(window * np.hanning(window.shape[1]), axis=1))
    found = np.rint(spectra.argmax(axis=1) * rate / window.shape[1] / 100).astype(int)
    return [
        int(tone) if channel.std() > 0.05 else 0
        for tone, channel in zip(found, window, strict=True)
    ]


def encoded(
    path: Path, encoder: str, frames: list[av.AudioFrame], layout: str, codec: str = "pcm_s16le"
) -> SoundEncoder:
    with av.open(str(path), "w", format=MUXERS[encoder]) as output:
        track = SoundEncoder(output, frames[0], encoder, codec=codec, layout=layout)
        for frame in frames:
            output.mux(list(track.encode(frame)))
        output.mux(list(track.finish()))
    return track


LAYOUTS = (
    "mono", "stereo", "downmix", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1",
    "4.1", "5.0", "5.0(side)",
    "5.1", "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "7.0", "7.1", "7.1(wide)",
    "octagonal", "7.1.4",
    "hexadecagonal", *(f"{count} channels" for count in (1, 2, 3, 4, 5, 6, 7, 8, 10, 16)),
)  # fmt: skip
LOW = {"2.1", "3.1", "4.1", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)", "7.1.4"}


@pytest.mark.parametrize("encoder", ["aac", "libopus", "flac", "pcm_s24le"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_channel_comes_out_in_its_place(layout: str, encoder: str, tmp_path: Path) -> None:
    count = av.AudioLayout(layout).nb_channels
    if encoder == "flac" and count > 8:
        assert plan_channels(encoder, layout) is None
        return
    encoded(tmp_path / "o", encoder, [tones(layout)], layout)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    expected = list(range(1, count + 1))
    found = heard(tmp_path / "o")
    if encoder == "aac" and layout in LOW:
        # AAC keeps little above 100 Hz of a low-frequency channel
        low = names.index("LFE")
        expected[low] = found[low]
    assert found[:count] == expected
    assert found[count:] == [0] * (len(found) - count)


@pytest.mark.parametrize("encoder", ["aac", "libopus", "flac", "pcm_s24le"])
def test_an_order_of_its_own_is_put_right(encoder: str, tmp_path: Path) -> None:
    """QuickTime writes 5.0 as left, right, back, back, centre, for one: the centre's tone has to
    come out in the centre.
    """
    encoded(tmp_path / "o", encoder, [tones("5 channels")], "FL+FR+BL+BR+FC")
    assert heard(tmp_path / "o") == [1, 2, 5, 3, 4]


@pytest.mark.parametrize("encoder", ["aac", "libopus"])
def test_sound_that_changes_in_mid_stream_goes_on(encoder: str, tmp_path: Path) -> None:
    """A broadcast that goes from stereo to 5.1, and a recorder that changes its rate."""
    frames = [
        tones("stereo"),
        tones("5.1", first=9600),
        tones("2 channels", rate=44_100, samples=8820, first=17_640),
    ]
    encoded(tmp_path / "o", encoder, frames, "stereo")
    with av.open(str(tmp_path / "o")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert container.streams.audio[0].codec_context.layout.name == "stereo"
    assert abs(samples - 3 * 9600) < 2200
    assert heard(tmp_path / "o") == [1, 2]


def test_plans_say_what_they_do() -> None:
    plan = plan_channels("aac", "4 channels")
    assert plan is not None
    assert (plan.layout, plan.order) == ("4.0", (0, 1, 2, 3))
    assert plan.note == "its 4 channels have no names and are written as 4.0, in the same order"
    plan = plan_channels("aac", "10 channels")
    assert plan is not None
    assert plan.order[10:] == (SILENT,) * 6
    assert plan_channels("aac", "24 channels") is None
    assert plan_channels("aac", "5.1") == plan_channels("libopus", "5.1")
    same = plan_channels("pcm_s24le", "24 channels")
    assert same is not None
    assert not same.order
    assert not same.note


@pytest.mark.parametrize(
    ("encoder", "rate", "becomes"),
    [
        ("aac", 8000, 8000), ("aac", 11_025, 11_025), ("aac", 10_000, 11_025), ("aac", 192_000,
        96_000),
        ("aac", 352_800, 96_000),
        ("libopus", 8000, 8000), ("libopus", 11_025, 12_000), ("libopus", 22_050, 24_000),
        ("libopus", 32_000, 48_000),
        ("libopus", 44_100, 48_000), ("libopus", 96_000, 48_000), ("flac", 12_345, 12_345),
    ],
)  # fmt: skip
def test_a_rate_loses_nothing_that_the_encoder_can_keep(
    encoder: str, rate: int, becomes: int
) -> None:
    assert nearest_rate(encoder, rate) == becomes


def test_a_layout_in_an_order_of_its_own_can_be_asked_for_again_and_again(
    tmp_path: Path, notices: Notices
) -> None:
    """PyAV frees such a list with every object that names it, which ends the process."""
    stored = tmp_path / "o.mov"
    layout = "FL+FR+FC+LFE+SL+SR+BL+BR"
    with av.open(str(stored), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE, layout="7.1")
        output.mux(list(stream.encode(tones("7.1"))))
        output.mux(list(stream.encode(None)))
    with av.open(str(stored)) as container:
        context = container.streams.audio[0].codec_context
        names = {layout_name(context.layout) for _ in range(20)}
        forget_own_order(context)
        counts = {frame.layout.nb_channels for frame in container.decode(audio=0)}
    assert names in ({layout}, {"7.1"})
    assert counts == {8}
    assert notices == []


def test_a_track_without_channels_has_no_layout() -> None:
    """As damaged transport streams say; FFmpeg cannot read "0 channels" again."""
    context = av.CodecContext.create("mp3", "r")
    assert isinstance(context, av.AudioCodecContext)
    assert layout_name(context.layout) == ""
