"""Plans how pictures of one layout become one file: codec, pixel format, options and tags.

Pixels are not touched here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import av

from vfx_matte.backend import Notify
from vfx_matte.choices import did_you_mean
from vfx_matte.errors import OutputError, UsageError
from vfx_matte.media.color_tags import writable_tags
from vfx_matte.media.formats import (
    CODECS,
    CONTAINERS,
    Codec,
    Container,
    SoundChoice,
    container_of,
)
from vfx_matte.media.pixels import converted_tags, format_name, has_alpha, layout_of, planar_format
from vfx_matte.picture import ColorTags, PixelLayout
from vfx_matte.wording import option

_PACKED = frozenset({"rgb24", "rgba", "argb", "bgr0", "bgra", "rgb48be", "rgba64be", "p010le"})
"""Formats without planes of their own that encoders are fed when they take nothing planar."""

LAMBDA_PER_QSCALE = 118
"""FFmpeg's FF_QP2LAMBDA: `global_quality` counts in these."""


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """How pictures of one layout become one file."""

    suffix: str
    """Of the file, lower case: a key of CONTAINERS."""

    codec: str
    """A key of CODECS."""

    quality: int | None
    """The constant-quality number; None for lossless codecs."""

    options: dict[str, str]
    """What the encoder is told."""

    pixel_format: str
    """What the encoder is fed."""

    color: ColorTags
    """Tags of the pictures that are encoded; matrix and range may differ from the source when the
    source is RGB.
    """

    codec_tag: str
    """Four characters for the file; "" = the muxer's own."""

    pad_to_even: bool
    """Whether one column or row is added on the right and bottom, for codecs that need it."""

    lossless: bool
    """Whether what comes out is what went in."""

    sound: SoundChoice | None = None
    """What becomes of the sound; None = as the container allows."""

    @property
    def facts(self) -> Codec:
        """What is known of the codec."""
        return CODECS[self.codec]

    @property
    def layout(self) -> PixelLayout:
        """The planes that pictures are converted to before they are encoded."""
        return packed_layout(self.pixel_format)

    @property
    def tags(self) -> ColorTags:
        """What is written of `color`: the tags that the codec has numbers for."""
        return writable_tags(self.color, codec=self.facts.format)

    @property
    def container(self) -> Container:
        """The file format's properties, its sound as it was chosen."""
        # a program may take less sound than the container does, never more
        container = CONTAINERS[self.suffix]
        if self.sound is None:
            return container
        return replace(
            container, copies=container.copies & self.sound.copies, encoder=self.sound.encoder
        )

    def describe(self) -> str:
        """'libx264 yuv420p crf 18, preset medium', for people."""
        scale, presets = self.facts.quality, self.facts.presets
        quality = f" {scale.option} {self.quality}" if scale is not None else ""
        preset = f", preset {self.options[presets.option]}" if presets is not None else ""
        return f"{self.codec} {self.pixel_format}{quality}{preset}"


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
    """Choose codec, pixel format and options for pictures of one layout.

    Args:
        path: the file, whose suffix names the container.
        layout: of the pictures.
        color: their tags.
        size: (width, height).
        codec: a key of CODECS; None: the container's usual one, H.265 instead of H.264 for more
            than 8 bits.
        preset: one of the codec's; None: its usual one.
        quality: the codec's constant-quality number (crf, cq or qscale), smaller is better; None:
            its usual one.
        pixel_format: what the encoder is fed; None: the nearest to `layout`.
        limited_range: Y'CbCr is made limited range.
        sound: what becomes of the sound; None: as the container allows.
        notify: receives a line for everything that is lost or added.

    Raises:
        UsageError: when the container, codec, preset or quality do not go together.
        OutputError: when this machine does not have the encoder.
    """
    # the container decides which codecs there are
    container = container_of(path)
    name = codec or _usual_codec(container, layout)
    if name not in container.video:
        raise UsageError(
            f"{container.suffix} does not take codec {name!r}",
            hint=(
                f"{did_you_mean(name, container.video)}{container.suffix} takes"
                f" {', '.join(container.video)}"
            ),
        )
    facts = CODECS[name]
    options = facts.options | _quality(facts, quality) | _preset(facts, preset)
    # what the encoder is fed, and what of the tags still holds for it
    pixel_format = (
        _requested_format(facts, layout, pixel_format, notify=notify)
        if pixel_format
        else _pixel_format(facts, layout, notify=notify)
    )
    chosen = packed_layout(pixel_format)
    written = converted_tags(color, layout, chosen)
    if chosen.model == "yuv" and (facts.limited_range or limited_range):
        written = replace(written, range="tv")
    # ProRes 4444 and HQ are one encoder with two profiles
    fitting = (profile for text, profile in facts.profiles.items() if text in pixel_format)
    if (profile := next(fitting, None)) is not None:
        options["profile"] = profile
    padded = facts.even_sizes and _needs_padding(chosen, size)
    if padded:
        notify(
            f"{name} needs even sizes: one repeated pixel is added at the right or bottom of"
            f" {size[0]}×{size[1]}"
        )
    return EncodePlan(
        suffix=container.suffix,
        codec=name,
        quality=facts.quality.usual if facts.quality is not None and quality is None else quality,
        options=options,
        pixel_format=pixel_format,
        color=written,
        codec_tag=facts.codec_tags.get(container.suffix, ""),
        pad_to_even=padded,
        lossless=facts.is_lossless,
        sound=sound,
    )


def _usual_codec(container: Container, layout: PixelLayout) -> str:
    usual = CODECS[container.usual]
    return usual.deep if usual.deep and layout.bit_depth > 8 else usual.name


def _quality(facts: Codec, quality: int | None) -> dict[str, str]:
    scale = facts.quality
    if scale is None:
        if quality is not None:
            raise UsageError(
                f"codec {facts.name!r} is lossless and has no quality setting",
                hint=f"leave {option('quality')} out",
            )
        return {}
    value = scale.usual if quality is None else quality
    if not scale.least <= value <= scale.most:
        raise UsageError(
            f"quality {value} is outside {scale.least}..{scale.most} of {facts.name}",
            hint="smaller is better and larger",
        )
    if scale.option == "qscale":  # a flag of all encoders of FFmpeg, not an option of its own
        return {"flags": "+qscale", "global_quality": str(value * LAMBDA_PER_QSCALE)}
    return {scale.option: str(value)}


def _preset(facts: Codec, preset: str | None) -> dict[str, str]:
    presets = facts.presets
    if presets is None:
        if preset is not None:
            raise UsageError(
                f"codec {facts.name!r} has no presets", hint=f"leave {option('preset')} out"
            )
        return {}
    value = preset or presets.usual
    if value not in presets.names:
        hint = f"{did_you_mean(value, presets.names)}use one of {', '.join(presets.names)}"
        raise UsageError(f"unknown preset {value!r} of {facts.name}", hint=hint)
    return {presets.option: value}


def _pixel_format(facts: Codec, layout: PixelLayout, *, notify: Notify) -> str:
    """The encoder's format that loses least: first model, then depth, then chroma; the smallest of
    equals.
    """
    wanted = _wanted_layout(facts, layout)
    best: tuple[tuple[int, ...], str] | None = None
    for candidate in _formats(facts):
        planar = layout_of(candidate.name) is not None
        # the yuvj formats are full range by name, which the tags say here; alpha has to be kept,
        # and is not made up
        if candidate.name.startswith("yuvj") or has_alpha(candidate.name) != layout.has_alpha:
            continue
        if not planar and candidate.name not in _PACKED:
            continue
        if layout.has_alpha and candidate.name not in (facts.alpha_formats or (candidate.name,)):
            continue
        # of equals the planar one, which needs no packing
        cost = *_cost(packed_layout(candidate.name), wanted), int(not planar)
        if best is None or cost < best[0]:
            best = cost, candidate.name
    if best is None:
        raise UsageError(
            f"codec {facts.name!r} cannot hold {format_name(layout)}",
            hint="use ProRes (.mov) or FFV1 (.mkv)",
        )
    # what a format adds is no loss
    lost_depth, lost_chroma = best[0][1], best[0][2]
    if lost_depth or lost_chroma:
        notify(f"{facts.name} cannot hold {format_name(wanted)}; written as {best[1]}")
    return best[1]


def _formats(facts: Codec) -> list[av.VideoFormat]:
    """What an encoder can be fed."""
    try:
        return av.Codec(facts.encoder, "w").video_formats or []
    except av.codec.codec.UnknownCodecError as error:
        raise OutputError(
            f"this machine has no encoder {facts.encoder!r}",
            hint=f"choose another {option('codec')}",
        ) from error


def _requested_format(
    facts: Codec, layout: PixelLayout, pixel_format: str, *, notify: Notify
) -> str:
    """A pixel format that was asked for, when the encoder takes it; a notice says what it costs."""
    # what people ask for has to exist, and has to keep alpha where there is some
    known = [each.name for each in _formats(facts)]
    if pixel_format not in known or has_alpha(pixel_format) != layout.has_alpha:
        fitting = ", ".join(each for each in known if has_alpha(each) == layout.has_alpha)
        near = did_you_mean(pixel_format, fitting.split(", "))
        hint = f"{near}it takes {fitting or 'no such picture'}"
        raise UsageError(f"codec {facts.name!r} does not take {pixel_format} here", hint=hint)
    chosen = packed_layout(pixel_format)
    _, lost_depth, lost_chroma, *_ = _cost(chosen, layout)
    if layout.model == "yuv" and (lost_depth or lost_chroma):
        notify(
            f"{format_name(layout)} becomes {pixel_format}, which holds less; another"
            f" {option('codec')} keeps more"
        )
    return pixel_format


@cache
def packed_layout(pixel_format: str) -> PixelLayout:
    """The layout that holds what a format holds, alpha included: rgba → planar RGB with alpha."""
    layout = layout_of(planar_format(pixel_format))
    assert layout is not None
    return replace(layout, has_alpha=has_alpha(pixel_format))


def _wanted_layout(facts: Codec, layout: PixelLayout) -> PixelLayout:
    """The layout to aim at: RGB and grey become what editing programs read in such files."""
    if layout.model == "yuv" or facts.rgb_chroma is None:
        return replace(layout, has_alpha=False)
    # grey has no chroma to lose
    chroma = facts.rgb_chroma if layout.model == "rgb" else (1, 1)
    return PixelLayout("yuv", layout.bit_depth, chroma)


def _cost(candidate: PixelLayout, wanted: PixelLayout) -> tuple[int, ...]:
    """What is lost in a candidate, most important first, then what it holds too much of."""
    lost_depth = max(0, wanted.bit_depth - candidate.bit_depth)
    lost_chroma = sum(
        max(0, c - w) for c, w in zip(candidate.chroma_shift, wanted.chroma_shift, strict=True)
    )
    excess = (candidate.bit_depth - wanted.bit_depth, -sum(candidate.chroma_shift))
    # grey for a picture with colours is worse than any conversion between RGB and Y'CbCr
    wrong_model = (
        int(candidate.model != wanted.model)
        + int(candidate.model == "gray" and wanted.model != "gray") * 10
    )
    return (wrong_model, lost_depth, lost_chroma, *excess)


def _needs_padding(layout: PixelLayout, size: tuple[int, int]) -> bool:
    return any(
        extent % (1 << shift) for extent, shift in zip(size, layout.chroma_shift, strict=True)
    )
