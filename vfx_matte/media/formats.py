"""What containers and codecs can hold.

Takes a wish (codec, layout, colour), gives an `EncodePlan`; knows no pixels.

The tables are data. Source: FFmpeg 8.1, documentation of its muxers and encoders.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import av

from vfx_matte.backend import Notify
from vfx_matte.choices import did_you_mean
from vfx_matte.errors import OutputError, UsageError
from vfx_matte.media.color_tags import writable_tags
from vfx_matte.media.pixels import converted_tags, format_name, has_alpha, layout_of, planar_format
from vfx_matte.picture import ColorTags, PixelLayout
from vfx_matte.wording import command, option


@dataclass(frozen=True, slots=True)
class Container:
    """A file format.

    exact_time: keeps any time base; otherwise timestamps are rounded to milliseconds.

    copies: sound codecs it takes as they are; other sound is encoded with `encoder`.
    """

    muxer: str
    video: tuple[str, ...]
    exact_time: bool
    copies: frozenset[str]
    encoder: str


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
_X26X = ("libx264", "libx265", "h264_nvenc", "hevc_nvenc")

CONTAINERS: dict[str, Container] = {
    ".mp4": Container("mp4", _X26X, True, _COMPRESSED | {"opus", "flac", "mp2"}, "aac"),
    ".mov": Container("mov", ("prores_ks", *_X26X, "png", "qtrle"), True, _COMPRESSED | PCM, "aac"),
    ".mkv": Container(
        "matroska",
        ("ffv1", *_X26X, "libvpx-vp9", "prores_ks"),
        False,
        _COMPRESSED | PCM | {"opus", "flac", "vorbis", "mp2", "dts", "dca", "truehd"},
        "flac",
    ),
    ".webm": Container("webm", ("libvpx-vp9",), False, frozenset({"opus", "vorbis"}), "libopus"),
}


@dataclass(frozen=True, slots=True)
class Codec:
    """A video encoder. quality_option: its constant-quality setting and default;
    preset_option likewise ("" = it has none).

    limited_range: it cannot say that its YUV is full range. alpha_formats: those with alpha that
    players read; () = all it has.
    interlaced: options that make it code fields as fields.
    """

    quality_option: str = ""
    quality: int | None = None
    quality_range: tuple[int, int] = (0, 51)
    preset_option: str = ""
    preset: str = ""
    presets: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    even_sizes: bool = False
    lossless: bool = False
    limited_range: bool = False
    alpha_formats: tuple[str, ...] = ()
    interlaced: dict[str, str] = field(default_factory=dict)


_PACKED = frozenset({"rgb24", "rgba", "argb", "bgr0", "bgra", "rgb48be", "rgba64be", "p010le"})
"""Formats without planes of their own that encoders are fed when they take nothing planar."""

LAMBDA_PER_QSCALE = 118
"""FFmpeg's FF_QP2LAMBDA: `global_quality` counts in these."""

_X_PRESETS = (
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
)
_NV_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "fast", "medium", "slow")

CODECS: dict[str, Codec] = {
    "libx264": Codec("crf", 18, (0, 51), "preset", "medium", _X_PRESETS, even_sizes=True,
    interlaced={"flags": "+ildct+ilme"}),
    "libx265": Codec(
        "crf", 20, (0, 51), "preset", "medium", _X_PRESETS,
        {"x265-params": "log-level=none"}, {".mp4": "hvc1", ".mov": "hvc1"}, even_sizes=True,
    ),
    "h264_nvenc": Codec("cq", 19, (0, 51), "preset", "p5", _NV_PRESETS, {"rc": "vbr", "b": "0"},
    even_sizes=True),
    "hevc_nvenc": Codec(
        "cq", 21, (0, 51), "preset", "p5", _NV_PRESETS,
        {"rc": "vbr", "b": "0"}, {".mp4": "hvc1", ".mov": "hvc1"}, even_sizes=True,
    ),
    "libvpx-vp9": Codec(
        "crf", 24, (0, 63), "deadline", "good", ("best", "good", "realtime"),
        {"b": "0", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}, alpha_formats=("yuva420p",
        ),
    ),
    "prores_ks": Codec(
        "qscale", 4, (1, 31), options={"vendor": "apl0", "alpha_bits": "16"},
        limited_range=True, interlaced={"flags": "+qscale+ildct"},
    ),
    "ffv1": Codec(
        options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}, lossless=True,
        interlaced={"flags": "+ildct"}
    ),
    "png": Codec(lossless=True),
    "qtrle": Codec(lossless=True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoundChoice:
    """Sound codecs that go into a file as they are, where its container takes them, and the encoder
    for all others.
    """

    copies: frozenset[str]
    encoder: str


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """How pictures of one layout become one file.

    quality: the constant-quality number, None for lossless encoders. pixel_format: what the encoder
    is fed; color: tags written to the file (matrix and range may differ from the source when the
    source is RGB). pad_to_even: one column and/or row is added on the right and bottom, for
    encoders that need it. sound: what becomes of it; None = as the container allows.
    """

    suffix: str
    codec: str
    quality: int | None
    options: dict[str, str]
    pixel_format: str
    color: ColorTags
    codec_tag: str
    pad_to_even: bool
    lossless: bool
    sound: SoundChoice | None = None

    @property
    def layout(self) -> PixelLayout:
        """The planes that pictures are converted to before they are encoded."""
        return packed_layout(self.pixel_format)

    @property
    def tags(self) -> ColorTags:
        """What is written of `color`: the tags that the codec has numbers for."""
        return writable_tags(self.color, codec=av.Codec(self.codec, "w").canonical_name)

    @property
    def container(self) -> Container:
        """The file format's properties, its sound as it was chosen."""
        container = CONTAINERS[self.suffix]
        if self.sound is None:
            return container
        return replace(
            container, copies=container.copies & self.sound.copies, encoder=self.sound.encoder
        )

    def describe(self) -> str:
        """'libx264 yuv420p crf 18, preset medium', for people."""
        codec = CODECS.get(self.codec, Codec())
        quality = f" {codec.quality_option} {self.quality}" if self.quality is not None else ""
        preset = (
            f", preset {self.options[codec.preset_option]}"
            if codec.preset_option in self.options
            else ""
        )
        return f"{self.codec} {self.pixel_format}{quality}{preset}"


def container_of(path: Path) -> Container:
    """The container for a file name. Raises UsageError for an unknown suffix."""
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


def plan_encode(
    path: Path,
    *,
    layout: PixelLayout,
    color: ColorTags,
    size: tuple[int, int],
    codec: str | None = None,
    preset: str | None = None,
    quality: int | None = None,
    pixel_format: str | None = None,
    limited_range: bool = False,
    sound: SoundChoice | None = None,
    notify: Notify,
) -> EncodePlan:
    """Choose encoder, pixel format and options for pictures of `layout`.

    size: (width, height). codec None: the container's usual one, H.265 instead of H.264 for more
    than 8 bits.
    quality: the encoder's constant-quality number (crf, cq or qscale), smaller is better.
    pixel_format: what the encoder is fed; None = the nearest to `layout`. limited_range: Y'CbCr is
    made limited range. Raises UsageError when the container, codec, preset or quality do not go
    together.
    """
    container = container_of(path)
    name = codec or _usual_codec(container, layout)
    if name not in container.video:
        raise UsageError(
            f"{path.suffix} does not take codec {name!r}",
            hint=(
                f"{did_you_mean(name, container.video)}{path.suffix} takes"
                f" {', '.join(container.video)}"
            ),
        )
    facts = CODECS[name]
    options = dict(facts.options) | _quality(name, facts, quality) | _preset(name, facts, preset)
    pixel_format = (
        _demanded(name, layout, pixel_format, notify=notify)
        if pixel_format
        else _pixel_format(name, layout, notify=notify)
    )
    chosen = packed_layout(pixel_format)
    written = converted_tags(color, layout, chosen)
    if name == "prores_ks":
        options["profile"] = "4444" if "444" in pixel_format else "hq"
    padded = facts.even_sizes and _needs_padding(chosen, size)
    if padded:
        notify(
            f"{name} needs even sizes: one repeated pixel is added at the right or bottom of"
            f" {size[0]}×{size[1]}"
        )
    return EncodePlan(
        suffix=path.suffix.lower(),
        codec=name,
        quality=facts.quality if quality is None else quality,
        options=options,
        pixel_format=pixel_format,
        color=(
            replace(written, range="tv")
            if (facts.limited_range or limited_range) and chosen.model == "yuv"
            else written
        ),
        codec_tag=facts.tags.get(path.suffix.lower(), ""),
        pad_to_even=padded,
        lossless=facts.lossless,
        sound=sound,
    )


def _usual_codec(container: Container, layout: PixelLayout) -> str:
    usual = container.video[0]
    return "libx265" if usual == "libx264" and layout.bit_depth > 8 else usual


def _quality(name: str, facts: Codec, quality: int | None) -> dict[str, str]:
    if not facts.quality_option:
        if quality is not None:
            raise UsageError(
                f"codec {name!r} is lossless and has no quality setting",
                hint=f"leave {option('quality')} out",
            )
        return {}
    low, high = facts.quality_range
    value = facts.quality if quality is None else quality
    if value is None or not low <= value <= high:
        raise UsageError(
            f"quality {value} is outside {low}..{high} of {name}",
            hint="smaller is better and larger",
        )
    if facts.quality_option == "qscale":
        return {"flags": "+qscale", "global_quality": str(value * LAMBDA_PER_QSCALE)}
    return {facts.quality_option: str(value)}


def _preset(name: str, facts: Codec, preset: str | None) -> dict[str, str]:
    if not facts.preset_option:
        if preset is not None:
            raise UsageError(f"codec {name!r} has no presets", hint=f"leave {option('preset')} out")
        return {}
    value = preset or facts.preset
    if value not in facts.presets:
        hint = f"{did_you_mean(value, facts.presets)}use one of {', '.join(facts.presets)}"
        raise UsageError(f"unknown preset {value!r} of {name}", hint=hint)
    return {facts.preset_option: value}


def _pixel_format(name: str, layout: PixelLayout, *, notify: Notify) -> str:
    """The encoder's format that loses least: first model, then depth, then chroma; the smallest of
    equals.
    """
    wanted = _deliverable(name, layout)
    best: tuple[tuple[int, ...], str] | None = None
    for candidate in _formats(name):
        planar = layout_of(candidate.name) is not None
        if candidate.name.startswith("yuvj") or has_alpha(candidate.name) != layout.has_alpha:
            continue
        if not planar and candidate.name not in _PACKED:
            continue
        if (
            layout.has_alpha
            and CODECS[name].alpha_formats
            and candidate.name not in CODECS[name].alpha_formats
        ):
            continue
        cost = *_cost(packed_layout(candidate.name), wanted), int(not planar)
        if best is None or cost < best[0]:
            best = cost, candidate.name
    if best is None:
        raise UsageError(
            f"codec {name!r} cannot hold {format_name(layout)}",
            hint="use ProRes (.mov) or FFV1 (.mkv)",
        )
    lost_depth, lost_chroma = best[0][1], best[0][2]
    if lost_depth or lost_chroma:
        notify(f"{name} cannot hold {format_name(wanted)}; written as {best[1]}")
    return best[1]


def _formats(name: str) -> list[av.VideoFormat]:
    """What an encoder can be fed."""
    try:
        return av.Codec(name, "w").video_formats or []
    except av.codec.codec.UnknownCodecError as error:
        raise OutputError(
            f"this machine has no encoder {name!r}", hint=f"choose another {option('codec')}"
        ) from error


def _demanded(name: str, layout: PixelLayout, pixel_format: str, *, notify: Notify) -> str:
    """A pixel format that was asked for, when the encoder takes it; a notice says what it costs."""
    known = [each.name for each in _formats(name)]
    if pixel_format not in known or has_alpha(pixel_format) != layout.has_alpha:
        fitting = ", ".join(each for each in known if has_alpha(each) == layout.has_alpha)
        near = did_you_mean(pixel_format, fitting.split(", "))
        hint = f"{near}it takes {fitting or 'no such picture'}"
        raise UsageError(f"codec {name!r} does not take {pixel_format} here", hint=hint)
    chosen = packed_layout(pixel_format)
    _, lost_depth, lost_chroma, *_ = _cost(chosen, layout)
    if layout.model == "yuv" and (lost_depth or lost_chroma):
        notify(
            f"{format_name(layout)} becomes {pixel_format}, which holds less; another"
            f" {option('codec')} keeps more"
        )
    return pixel_format


def packed_layout(pixel_format: str) -> PixelLayout:
    """The layout that holds what `pixel_format` holds, alpha included: rgba → planar RGB with
    alpha.
    """
    layout = layout_of(planar_format(pixel_format))
    assert layout is not None
    return replace(layout, has_alpha=has_alpha(pixel_format))


def _deliverable(name: str, layout: PixelLayout) -> PixelLayout:
    """The layout to aim at: RGB and grey become 4:2:0 in H.264, H.265 and VP9, as editing programs
    read nothing else there.
    """
    plain = replace(layout, has_alpha=False)
    if layout.model == "yuv" or CODECS[name].lossless:
        return plain
    if layout.model == "rgb" and name == "prores_ks":
        return PixelLayout("yuv", layout.bit_depth, (0, 0))
    return PixelLayout("yuv", layout.bit_depth, (1, 1))


def _cost(candidate: PixelLayout, wanted: PixelLayout) -> tuple[int, ...]:
    lost_depth = max(0, wanted.bit_depth - candidate.bit_depth)
    lost_chroma = sum(
        max(0, c - w) for c, w in zip(candidate.chroma_shift, wanted.chroma_shift, strict=True)
    )
    excess = (candidate.bit_depth - wanted.bit_depth, -sum(candidate.chroma_shift))
    wrong_model = (
        int(candidate.model != wanted.model)
        + int(candidate.model == "gray" and wanted.model != "gray") * 10
    )
    return (wrong_model, lost_depth, lost_chroma, *excess)


def _needs_padding(layout: PixelLayout, size: tuple[int, int]) -> bool:
    return any(
        extent % (1 << shift) for extent, shift in zip(size, layout.chroma_shift, strict=True)
    )
