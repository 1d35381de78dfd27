"""Says what each editing program is given: container, codec, pixels, alpha, sound, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vfx_matte.programs.record import Program, ProgramEncoding
from vfx_matte.programs.registry import ALL, COMMON, PROGRAMS, program_named


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one program, or of all."""

    common: Mapping[str, str]
    """What holds for every program and output."""

    programs: tuple[Program, ...]

    def to_json(self) -> dict[str, object]:
        """By program and kind of output; "deep" is for clips above 8 bits."""
        return {ALL: self.common, **{one.name: _program(one) for one in self.programs}}


def formats(name: str | None) -> Formats:
    """The formats of one program, or of all.

    Raises:
        UsageError: for a program that has no record.
    """
    # all of them in the registry's order, which people know from the documentation
    return Formats(COMMON, (program_named(name),) if name else tuple(PROGRAMS.values()))


def _program(program: Program) -> dict[str, object]:
    return {
        "title": program.title,
        "constant_rate": program.constant_rate,
        "sound_copies": program.sound_copies,
        "sources": program.sources,
        "outputs": {
            kind: _output(kind, encoding, sound_encoder=program.sound_encoders[encoding.suffix])
            for kind, encoding in program.encodings.items()
        },
    }


def _output(kind: str, encoding: ProgramEncoding, *, sound_encoder: str) -> dict[str, object]:
    return {
        "file": f"{kind}{encoding.suffix}",
        # both depths are said, also where they are the same
        **{
            label: {
                "codec": encoding.codec_for(depth),
                "pixel_format": encoding.pixel_format_for(depth),
            }
            for label, depth in (("8-bit", 8), ("deep", 10))
        },
        "alpha": encoding.alpha or None,
        "style": encoding.style or None,
        "quality": encoding.quality,
        "sound_encoder": sound_encoder,
        "why": encoding.why,
    }
