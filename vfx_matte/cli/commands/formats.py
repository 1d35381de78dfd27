"""The command that shows what each editing program is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command

if TYPE_CHECKING:
    from vfx_matte.pipeline.export.formats import Formats

COLUMNS = (
    "program", "output", "encoding", "above 8 bits", "alpha or style", "sound", "rate", "why",
)  # fmt: skip


@command()
def formats(
    session: Session,
    *,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[PROGRAM]", help="One program; without it, all of them."),
    ] = None,
) -> None:
    """Show what --for PROGRAM gives each editing program: container, codec, pixels, alpha, sound,
    and why.
    """
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.export.formats import formats as pipeline

    found = pipeline(target)
    if show_to_scripts(session, found):
        return
    table("What --for gives each program", COLUMNS, format_rows(found))
    table("For all of them", ("", ""), found.common.items())


def format_rows(found: Formats) -> list[tuple[str, ...]]:
    """One row per program and output, by COLUMNS."""
    rows: list[tuple[str, ...]] = []
    for program in found.programs:
        # the many kinds of PCM are one to people
        copies = sorted(
            {"pcm" if codec.startswith("pcm_") else codec for codec in program.sound_copies}
        )
        for kind, encoding in program.encodings.items():
            # records tell two depths apart: 8 bits, and all above
            usual, deep = (
                f"{encoding.codec_for(depth)} {encoding.pixel_format_for(depth)}"
                for depth in (8, 10)
            )
            # what cannot be copied into the container is encoded with this
            encoder = program.sound_encoders[encoding.suffix]
            rows.append(
                (
                    program.name,
                    f"{kind}{encoding.suffix}",
                    usual,
                    "the same" if deep == usual else deep,
                    encoding.alpha or encoding.style or "–",
                    f"{', '.join(copies)} copied; other sound: {encoder}",
                    "constant" if program.constant_rate else "any",
                    encoding.why,
                )
            )
    return rows
