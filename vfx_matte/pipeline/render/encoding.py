"""Decides where an output goes and how it is encoded, for which program.

What was asked for explicitly wins over the program's record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import OutputError, UsageError
from vfx_matte.media.encode_plan import EncodePlan, plan_encode
from vfx_matte.media.formats import CONTAINERS, SoundChoice
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.writers.trial import encoder_problem
from vfx_matte.picture import ColorTags, PixelLayout
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.channels import fits_channels
from vfx_matte.settings.options import EncodeSettings, RenderSettings
from vfx_matte.wording import command, option

_ENCODERS = tuple(dict.fromkeys(name for one in CONTAINERS.values() for name in one.video))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeOptions(EncodeSettings):
    """How one output is encoded: the options of its kind, and those of all renders that say
    something about encoding.

    None leaves the choice to the program's record, or else to the container (`media.formats`).
    """

    sound: bool = RenderSettings().sound
    """Whether the source's sound is carried."""

    target: str = RenderSettings().target
    """The program that the output is for; "" = none, or it is settled."""

    start_number: int | None = RenderSettings().start_number
    """The number of the first frame in numbered files; None = the source's."""

    limited_range: bool = False
    """Whether codes are of limited range, see `plan_encode`."""

    sound_choice: SoundChoice | None = None
    """How sound is kept, see `plan_encode`."""

    @classmethod
    def of(cls, encode: EncodeSettings, render: RenderSettings) -> EncodeOptions:
        """Combine the options of one kind of output with those of all renders."""
        return cls(
            codec=encode.codec,
            preset=encode.preset,
            quality=encode.quality,
            pixel_format=encode.pixel_format,
            sound=render.sound,
            target=render.target,
            start_number=render.start_number,
        )


def check_encoding(encode: EncodeSettings, render: RenderSettings) -> None:
    """Check what is asked for, as far as that needs neither a clip nor this machine's encoders.

    Raises:
        UsageError: a program without a record, or an encoder that no kind of file takes.
    """
    if render.target:
        from vfx_matte.programs.registry import program_named

        program_named(render.target)
    if encode.codec is not None and encode.codec not in _ENCODERS:
        raise unknown_choice("codec", encode.codec, _ENCODERS)


def encoding_for(
    kind: str,
    *,
    info: ClipInfo,
    output: Path | None,
    folder: Path,
    usual: str,
    encode: EncodeOptions,
    premultiplied: bool = False,
    reporter: Reporter,
) -> tuple[Path, EncodeOptions]:
    """Where an output goes and how it is encoded: by the program's record, where nothing else was
    asked for.

    A wish that is not the record's is followed, with a notice.

    Args:
        kind: of the output, see `programs.record.KINDS`.
        info: the clip that is rendered.
        output: where it goes; None = `folder`/PROGRAM/KIND with the record's suffix.
        folder: the clip's folder of results.
        usual: the file's name there when it is for no program.
        encode: what was asked for.
        premultiplied: whether the output's colours are multiplied by its alpha.
        reporter: receives notices.

    Returns:
        The path, and the encoding without a program: it is settled.

    Raises:
        UsageError: for a program that has no record.
    """
    if not encode.target:
        return output or folder / usual, encode
    # the records of programs take as long to load as a clip to open, and most renders need none
    from vfx_matte.programs.registry import COMMON, program_named

    # Where it goes, and what the program would rather have.
    program = program_named(encode.target)
    record, depth = program.encodings[kind], info.layout.bit_depth
    path = output or folder / program.name / f"{kind}{record.suffix}"
    if program.constant_rate and not info.timeline.is_constant_rate:
        better = command("conform", info.path, target=program.name)
        reporter.notify(
            f"{program.title} takes a variable frame rate badly, and {info.path.name} has one;"
            f" better: {better}"
        )
    # followed all the same: who asks for it may know a setting of the program that the record does
    # not
    if premultiplied and record.alpha == "straight":
        reporter.notify(f"{program.title} expects straight alpha; premultiplied was asked for")
    # Sound depends on the container alone, so it is settled for every suffix.
    suffix = path.suffix.lower()
    settled = replace(
        encode,
        target="",
        limited_range=COMMON["range"] == "tv",
        sound_choice=program.sound_for(suffix),
    )
    if suffix not in CONTAINERS:  # pictures, or an error that is told where the file is written
        return path, settled
    # The record's encoder, unless the suffix or the user chose another one.
    codec, pixel_format = record.codec_for(depth), record.pixel_format_for(depth)
    if codec not in CONTAINERS[suffix].video:
        reporter.notify(
            f"{path.name} is written as {suffix} usually is; for {program.title} {record.suffix}"
            " would be better"
        )
        return path, settled
    if encode.codec not in (None, codec):
        reporter.notify(
            f"{path.name}: {encode.codec} was asked for; for {program.title} {codec} {pixel_format}"
            " would be better"
        )
        return path, settled
    # Quality numbers of one encoder mean nothing to another: the record's comes with its codec.
    quality = record.quality if encode.quality is None else encode.quality
    return path, replace(
        settled, codec=codec, pixel_format=encode.pixel_format or pixel_format, quality=quality
    )


def encode_plan(
    path: Path,
    info: ClipInfo,
    *,
    layout: PixelLayout,
    color: ColorTags,
    encode: EncodeOptions,
    reporter: Reporter,
) -> EncodePlan:
    """The plan of one video file of a clip's size, with settled options; see `plan_encode`.

    Raises:
        UsageError: a first number for what is one file, or as `plan_encode` does.
        OutputError: this machine does not have the encoder, or not what that needs.
    """
    if encode.start_number is not None:
        raise UsageError(
            f"{option('start_number', encode.start_number)} is for numbered files, {path.name!r}"
            " is one file",
            hint=f"write numbered files with {option('output', 'FOLDER/%07d.png')}, for example",
        )
    plan = plan_encode(
        path,
        layout=layout,
        color=color,
        size=(info.width, info.height),
        codec=encode.codec,
        preset=encode.preset,
        quality=encode.quality,
        pixel_format=encode.pixel_format,
        limited_range=encode.limited_range,
        sound=encode.sound_choice,
        notify=reporter.notify,
    )
    # FFmpeg has the encoder everywhere, and where it cannot run says "operation not permitted"
    needs = plan.facts.needs
    if needs and (problem := encoder_problem(plan.codec)):
        raise OutputError(
            f"codec {plan.codec!r} does not work on this machine: {problem}",
            hint=f"it needs {needs}; without {option('codec')} the processor encodes",
        )
    return plan


def mask_style(style: str, *, encode: EncodeOptions, objects: tuple[int, ...]) -> str:
    """The style of a mask video: as asked for; "auto" is the program's for several objects, or else
    luma.
    """
    if style != "auto":
        return style
    if not encode.target:
        return "luma"
    from vfx_matte.programs.registry import program_named

    # rgb is worth its channels for two or three objects only
    wanted = program_named(encode.target).encodings["maskvideo"].style
    fits = wanted != "rgb" or (len(objects) > 1 and fits_channels(objects))
    return wanted if wanted and fits else "luma"
