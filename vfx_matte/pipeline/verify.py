"""Verifies a rendered or conformed file against its source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfx_matte.errors import VerifyError
from vfx_matte.media.open import open_clip
from vfx_matte.media.verify import Check, VerifyReport, noted_part, verify_clip, verify_stills
from vfx_matte.media.writers.exr import is_layers, part_of_layers, verify_layers
from vfx_matte.media.writers.numbered_files import EXR, is_numbered, names_in
from vfx_matte.media.writers.stills import part_of_stills
from vfx_matte.pipeline.export.frame_map_check import map_beside, verify_conformed
from vfx_matte.pipeline.progress import Reporter


def verify_file(
    output: Path, source: Path, *, frame_map: Path | None = None, reporter: Reporter
) -> VerifyReport:
    """Compare an output with its source.

    Args:
        output: a video, a folder of PNG or EXR files, or FOLDER/%07d.png as a render was given; of
            pictures their number is compared, and that each is whole.
        source: the clip that it was made from.
        frame_map: of a conformed file: its frame map; None takes the one beside it, if there is
            one.
        reporter: receives notices and progress.

    Raises:
        MediaError: one of both cannot be read.
        UsageError: the frame map cannot be read, or is another clip's.
    """
    if found := frame_map or map_beside(output):
        return verify_conformed(output, source, found, reporter=reporter)
    # a numbered pattern is no file, but its pictures lie in a folder
    folder = (
        output.parent
        if is_numbered(output) and not output.exists() and output.parent.is_dir()
        else output
    )
    if folder.is_dir():
        return _verify_pictures(output, folder, source, reporter)
    return verify_clip(output, source, notify=reporter.notify)


def _verify_pictures(output: Path, folder: Path, source: Path, reporter: Reporter) -> VerifyReport:
    """Compare a folder of pictures with its source, or with the part that they say they are of."""
    info, checks = open_clip(source, notify=reporter.notify).info, list[Check]()
    # by the name that was given, else by what is there
    is_exr = is_layers(output) or (names_in(folder) is None and names_in(folder, EXR) is not None)
    if noted := part_of_layers(folder) if is_exr else part_of_stills(folder):
        info, check = noted_part(info, noted)
        checks.append(check)
    # pictures hold no time: their number is what can be compared
    count = len(info.timeline)
    report = verify_layers(folder, None, count) if is_exr else verify_stills(folder, count)
    return replace(report, checks=(*checks, *report.checks))


def require_passed(report: VerifyReport) -> None:
    """Check that a verification found no difference.

    Raises:
        VerifyError: it did; the first difference is named.
    """
    if not report.ok:
        raise VerifyError(
            f"{report.output} differs: {report.first_difference}",
            hint="render it again from this source",
        )
