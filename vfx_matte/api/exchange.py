"""Writes masks for other programs and reads theirs, for Python programs."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

from vfx_matte.api.shared import reporter_of, segmented, spells_python
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.exchange import exporting, importing
from vfx_matte.pipeline.exchange.exporting import ExportResult
from vfx_matte.pipeline.exchange.importing import ImportResult
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest


@spells_python
def export_masks(
    clip: str | Path,
    *,
    format: str = "coco",  # noqa: A002  as the command line has it
    output: str | Path | None = None,
    workspace: str | Path = "workspace",
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write the masks of a clip for labelling tools and data sets.

    Args:
        clip: a clip that was segmented.
        format: "coco", "youtube-vis", "youtube-vis-results", "youtube-vos", "davis", "mots",
            "cvat" or "detected", which is all that `detect` writes.
        output: the file or folder; None is one named after the format in the clip's folder.
        workspace: the folder of results.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.

    Returns:
        Where it is, and what it shows.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.

    >>> import vfx_matte
    >>> found = vfx_matte.export_masks("clip.mp4", format="coco", output="masks.json")
    >>> found.frames, list(found.objects)
    (12, [1])
    """
    messages = reporter_of(reporter)
    return exporting.export_masks(
        segmented(clip, workspace=workspace, ignore_alpha=ignore_alpha, reporter=messages),
        format_name=format,
        output=None if output is None else Path(output),
        reporter=messages,
    )


@spells_python
def import_masks(
    clip: str | Path,
    masks: str | Path,
    *,
    format: str | None = None,  # noqa: A002  as the command line has it
    first: int | None = None,
    frames: Collection[int] = (),
    empty: bool = False,
    segment: bool = False,
    workspace: str | Path = "workspace",
    fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
) -> ImportResult:
    """Read masks of a labelling tool or data set, as reference masks of a clip.

    Args:
        clip: the clip that the masks are of.
        masks: a file or folder: COCO, YouTube-VIS or Label Studio JSON, CVAT XML or ZIP, MOTS text,
            a folder of DAVIS or YouTube-VOS, or of PNG masks.
        format: its format, as in `export_masks`, or "label-studio" or "masks"; None finds it out.
        first: the number that the file gives to the clip's first frame; None finds it out.
        frames: numbers of frames of the clip to take; none = all of the file.
        empty: a picture on which a labelling tool has no shape is a frame without objects; else
            nobody has looked at it, and it is left out.
        segment: carry them through the clip at once, together with the references of earlier work;
            with the propagator that is best here, or that of the earlier work.
        workspace: the folder of results.
        fps: frames per second of an image sequence.
        gaps: what stands for missing numbers of an image sequence: "hold", "black" or "error".
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.

    Returns:
        The folder of masks, which `segment(clip, references=…)` takes, and what they show.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.

    >>> import vfx_matte
    >>> masks = vfx_matte.export_masks("clip.mp4", output="masks.json").path
    >>> found = vfx_matte.import_masks("clip.mp4", masks, frames=[0, 6])
    >>> found.format, found.frames
    ('coco', (0, 6))
    """
    messages = reporter_of(reporter)
    source = open_source(
        Path(clip), fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=messages
    )
    return importing.import_masks(
        source,
        Path(masks),
        format_name=format,
        first=first,
        frames=frames,
        empty=empty,
        segment=SegmentRequest(references=ReferenceFiles()) if segment else None,
        workspace=Path(workspace),
        reporter=messages,
    )
