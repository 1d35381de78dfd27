"""The registry of containers and codecs: one entry for each.

A codec is added by one more entry of `CODECS`: planning, writing, verifying and the lists that
people see read it from there. Source: FFmpeg 8.1, documentation of its muxers and encoders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.wording import command


@dataclass(frozen=True, slots=True)
class Container:
    """A file format."""

    muxer: str
    """FFmpeg's name of it."""

    suffix: str
    """Of its files."""

    usual: str
    """The video codec that is taken where none is asked for."""

    exact_time: bool
    """Whether it keeps any time base; otherwise timestamps are rounded to milliseconds."""

    copies: frozenset[str]
    """Sound codecs it takes as they are."""

    encoder: str
    """What other sound is encoded with."""

    @property
    def video(self) -> tuple[str, ...]:
        """The codecs that it takes, the usual one first."""
        # the codecs say where they go, so that one entry is enough for a new one
        fitting = (name for name, codec in CODECS.items() if self.suffix in codec.containers)
        return (self.usual, *(name for name in fitting if name != self.usual))


@dataclass(frozen=True, slots=True)
class SoundChoice:
    """How sound goes into a file."""

    copies: frozenset[str]
    """Sound codecs that go in as they are, where the container takes them."""

    encoder: str
    """What all others are encoded with."""


# what every container but WebM takes
_COMPRESSED = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
PCM = frozenset(
    {
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_s32be",
        "pcm_f32le",
        "pcm_f64le",
        "pcm_u8",
    }
)
"""Codecs of uncompressed sound."""

CONTAINERS: dict[str, Container] = {
    container.suffix: container
    for container in (
        Container("mp4", ".mp4", "libx264", True, _COMPRESSED | {"opus", "flac", "mp2"}, "aac"),
        Container("mov", ".mov", "prores_ks", True, _COMPRESSED | PCM, "aac"),
        Container(
            "matroska",
            ".mkv",
            "ffv1",
            False,
            _COMPRESSED | PCM | {"opus", "flac", "vorbis", "mp2", "dts", "dca", "truehd"},
            "flac",
        ),
        Container("webm", ".webm", "libvpx-vp9", False, frozenset({"opus", "vorbis"}), "libopus"),
    )
}
"""By suffix."""


@dataclass(frozen=True, slots=True)
class QualityScale:
    """An encoder's setting for constant quality; smaller is better and larger."""

    option: str
    """FFmpeg's name of it: crf, cq or qscale."""

    usual: int
    """What is taken where none is asked for."""

    least: int
    """The best."""

    most: int
    """The worst."""


@dataclass(frozen=True, slots=True)
class Presets:
    """An encoder's choices between speed and size."""

    option: str
    """FFmpeg's name of it."""

    usual: str
    """What is taken where none is asked for."""

    names: tuple[str, ...]
    """All that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A video codec: everything that the rest of the program has to know of it."""

    name: str
    """What people ask for it by."""

    encoder: str
    """FFmpeg's name of the encoder; what it can be fed is asked of FFmpeg itself."""

    format: str
    """FFmpeg's name of what it writes, by which a finished file is known."""

    containers: tuple[str, ...]
    """Suffixes of the files that it goes into."""

    quality: QualityScale | None = None
    """None for a lossless one."""

    presets: Presets | None = None
    """None where it has none."""

    options: dict[str, str] = field(default_factory=dict)
    """What the encoder is told."""

    fallbacks: tuple[dict[str, str], ...] = ()
    """Options that replace some of these where the encoder does not take them for a picture's size;
    the first that it takes.
    """

    profiles: dict[str, str] = field(default_factory=dict)
    """Text in a pixel format → the profile to ask for; the first that is found counts."""

    codec_tags: dict[str, str] = field(default_factory=dict)
    """Suffix → four characters that players expect in such files."""

    even_sizes: bool = False
    """Whether subsampled planes have to come out even."""

    limited_range: bool = False
    """Whether it cannot say that its Y'CbCr is full range."""

    alpha_formats: tuple[str, ...] = ()
    """Pixel formats with alpha that players read; () = all that the encoder has."""

    rgb_chroma: tuple[int, int] | None = (1, 1)
    """The subsampling that RGB is converted to, since editing programs read nothing else of this
    codec; None keeps RGB and grey as they are.
    """

    deep: str = ""
    """The codec to take instead for more than 8 bits, where none is asked for; "" = this one."""

    interlaced: dict[str, str] = field(default_factory=dict)
    """Options that make it code fields as fields; {} where it cannot."""

    hdr_option: str = ""
    """The one of `options` to which HDR metadata are added in x265's words; "" where it cannot hold
    any.
    """

    unordered_frames: int = 0
    """Of a clip of up to so many frames the encoder's decoding times are not to be used."""

    needs: str = ""
    """What the machine must have besides FFmpeg, for people; "" where that is nothing."""

    lost_tags: frozenset[str] = frozenset()
    """Colour tags that it has no numbers for."""

    joint_tags: bool = False
    """Whether primaries and transfer can only be tagged together."""

    @property
    def is_lossless(self) -> bool:
        """Whether what comes out is what went in."""
        return self.quality is None


_X_PRESETS = Presets(
    "preset",
    "medium",
    (
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
        "placebo",
    ),
)
# NVENC has kept the names of its older presets
_NV_PRESETS = Presets(
    "preset", "p5", ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "fast", "medium", "slow")
)
_H26X_FILES = (".mp4", ".mov", ".mkv")
_HVC1 = {".mp4": "hvc1", ".mov": "hvc1"}  # QuickTime and Safari do not play hev1

# found by writing every tag and reading it again: tests/media/test_color_tags.py
_NOT_IN_H26X = frozenset({"ebu3213"})
_NOT_IN_VP9 = frozenset(
    {
        "fcc",
        "ycgco",
        "bt2020c",
        "smpte2085",
        "chroma-derived-nc",
        "chroma-derived-c",
        "ictcp",
    }  # VP9's own list has 8 matrices
)

CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec(
            name="libx264",
            encoder="libx264",
            format="h264",
            containers=_H26X_FILES,
            # no difference to the source can be seen any more; x264's own default is 23
            quality=QualityScale("crf", 18, 0, 51),
            presets=_X_PRESETS,
            even_sizes=True,
            deep="libx265",  # few players decode H.264 of 10 bits
            interlaced={"flags": "+ildct+ilme"},
            lost_tags=_NOT_IN_H26X,
        ),
        Codec(
            name="libx265",
            encoder="libx265",
            format="hevc",
            containers=_H26X_FILES,
            quality=QualityScale("crf", 20, 0, 51),
            presets=_X_PRESETS,
            options={"x265-params": "log-level=none"},
            codec_tags=_HVC1,
            even_sizes=True,
            hdr_option="x265-params",
            # libx265 4.1 gives these made of memory that it never set
            unordered_frames=3,
            lost_tags=_NOT_IN_H26X,
        ),
        Codec(
            name="h264_nvenc",
            encoder="h264_nvenc",
            format="h264",
            containers=_H26X_FILES,
            quality=QualityScale("cq", 19, 0, 51),
            presets=_NV_PRESETS,
            needs="an NVIDIA graphics card with its driver",
            # constant quality needs a variable rate without a target
            options={"rc": "vbr", "b": "0"},
            even_sizes=True,
            lost_tags=_NOT_IN_H26X,
        ),
        Codec(
            name="hevc_nvenc",
            encoder="hevc_nvenc",
            format="hevc",
            containers=_H26X_FILES,
            quality=QualityScale("cq", 21, 0, 51),
            presets=_NV_PRESETS,
            needs="an NVIDIA graphics card with its driver",
            options={"rc": "vbr", "b": "0"},
            codec_tags=_HVC1,
            even_sizes=True,
            lost_tags=_NOT_IN_H26X,
        ),
        Codec(
            name="libvpx-vp9",
            encoder="libvpx-vp9",
            format="vp9",
            containers=(".webm", ".mkv"),
            quality=QualityScale("crf", 24, 0, 63),
            presets=Presets("deadline", "good", ("best", "good", "realtime")),
            # frames that are not shown (auto-alt-ref) have no alpha of their own
            options={"b": "0", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"},
            alpha_formats=("yuva420p",),
            lost_tags=_NOT_IN_VP9,
        ),
        Codec(
            name="prores_ks",
            encoder="prores_ks",
            format="prores",
            containers=(".mov", ".mkv"),
            quality=QualityScale("qscale", 4, 1, 31),
            # some programs take only files that name Apple as their maker
            options={"vendor": "apl0", "alpha_bits": "16"},
            profiles={"444": "4444", "": "hq"},
            limited_range=True,
            rgb_chroma=(0, 0),
            interlaced={"flags": "+qscale+ildct"},
        ),
        Codec(
            name="ffv1",
            encoder="ffv1",
            format="ffv1",
            containers=(".mkv",),
            # every frame a keyframe in slices of its own, with checksums: as archives ask for it
            options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1"},
            # slices end on whole chroma samples, so that 4:2:0 of some odd sizes has no four: then
            # as many as the encoder finds (0), or one where there is no room for more
            fallbacks=({"slices": "0"}, {"slices": "1"}),
            rgb_chroma=None,
            interlaced={"flags": "+ildct"},
        ),
        Codec(name="png", encoder="png", format="png", containers=(".mov",), rgb_chroma=None),
        Codec(
            name="qtrle",
            encoder="qtrle",
            format="qtrle",
            containers=(".mov",),
            rgb_chroma=None,
            joint_tags=True,  # MOV's own tags, as the codec has none
        ),
    )
}
"""By name."""


def codecs_of(file_format: str) -> list[Codec]:
    """The codecs that write a format, such as "h264"; empty for one that is not written here."""
    return [codec for codec in CODECS.values() if codec.format == file_format]


def container_of(path: Path) -> Container:
    """The container for a file name.

    Raises:
        UsageError: for an unknown suffix.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        others = (
            f"; mattes as EXR files: {command('maskvideo', output='FOLDER/%07d.exr')}"
            if path.suffix.lower() == ".exr"
            else ""
        )
        raise UsageError(
            f"output {path.name!r} has an unknown kind {path.suffix!r}",
            hint=f"use one of {', '.join(CONTAINERS)}{others}",
        ) from None
