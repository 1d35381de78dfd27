"""Inspects clips, masks and outputs, for Python programs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vfx_matte.api.shared import reporter_of, segmented, spells_python
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.verify import VerifyReport
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions, propagator_option_names
from vfx_matte.pipeline.review.evaluate import Comparison, Evaluation, evaluate_masks
from vfx_matte.pipeline.review.findings import QcResult
from vfx_matte.pipeline.review.qc import check_masks
from vfx_matte.pipeline.review.suggest import SuggestResult, suggest_frames
from vfx_matte.pipeline.verify import verify_file
from vfx_matte.settings.by_name import records_of
from vfx_matte.settings.options import QcSettings, SuggestSettings


@spells_python
def probe(
    clip: str | Path,
    *,
    fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
) -> ClipInfo:
    """Read what a clip is: streams, size, colour, and its exact time by counting.

    Args:
        clip: a video, a folder of pictures or a numbered pattern.
        fps: frames per second of an image sequence.
        gaps: what stands for missing numbers of an image sequence: "hold", "black" or "error".
        ignore_alpha: read the clip as opaque.
        reporter: receives notices; None keeps silent.

    Returns:
        The facts; `info.timeline` has the time of every frame.

    Raises:
        InputError: no such clip.
        MediaError: it cannot be read.

    >>> import vfx_matte
    >>> info = vfx_matte.probe("clip.mp4")
    >>> info.width, info.height, len(info.timeline)
    (96, 64, 12)
    """
    messages = reporter_of(reporter)
    # opening counts every frame of the file; nothing is decoded
    return open_source(
        Path(clip), fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=messages
    ).info


@spells_python
def verify(
    output: str | Path, source: str | Path, *, reporter: Reporter | None = None
) -> VerifyReport:
    """Compare an output with its source: time of every frame, sound, colour.

    Args:
        output: a file, or a folder of numbered pictures.
        source: the clip that it was rendered from.
        reporter: receives notices; None keeps silent.

    Returns:
        What was compared; `report.ok` says whether all of it is as it should be.

    Raises:
        MediaError: one of the two cannot be read.

    >>> import vfx_matte
    >>> vfx_matte.verify("overlay.mp4", "clip.mp4").ok
    True
    """
    # the frame map of a conformed file is found beside it; a program need not name one
    return verify_file(Path(output), Path(source), reporter=reporter_of(reporter))


@spells_python
def qc(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    csv: str | Path | None = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> QcResult:
    """Check the masks of a clip: jumps, holes, specks, flicker, edges, uncertainty.

    Args:
        clip: a clip that was segmented.
        workspace: the folder of results.
        model: the folder of network weights.
        output: a folder for the page and the contact sheet; None is qc in the clip's folder.
        csv: write every frame's numbers there.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        options: options of `QcSettings`, by name.

    Returns:
        What stands out, worst first, and the frame to paint a mask on next.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> found = vfx_matte.qc("clip.mp4")
    >>> found.frames, found.report.name
    (12, 'report.html')
    """
    messages = reporter_of(reporter)
    # the weights are named in the command that the result suggests, and are not read
    (settings,) = records_of(options, QcSettings)
    return check_masks(
        segmented(clip, workspace=workspace, ignore_alpha=ignore_alpha, reporter=messages),
        count=settings.count,
        output=None if output is None else Path(output),
        csv=None if csv is None else Path(csv),
        propagator=PropagatorOptions(model=Path(model)),
        reporter=messages,
    )


@spells_python
def suggest(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> SuggestResult:
    """Find the frames to annotate next: those that look least like the ones that have a mask.

    Args:
        clip: a clip that was segmented.
        workspace: the folder of results.
        model: the folder of network weights.
        output: where the contact sheet goes; None is suggest.png in the clip's folder.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        options: options of `SuggestSettings` and of comparing frames, by name; docs/options.md
            lists them.

    Returns:
        The frames, best first.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> found = vfx_matte.suggest("clip.mp4", count=2, propagator="builtin")
    >>> len(found.suggestions)
    2
    """
    messages = reporter_of(reporter)
    # frames are compared by the propagator that made the masks, unless another one is asked for,
    # which may need weights for that
    values = {name: options.pop(name) for name in propagator_option_names() & options.keys()}
    (settings,) = records_of(options, SuggestSettings)
    # the pipeline wants every option in one of two records: what comparing needs, and what a
    # propagator is opened with
    return suggest_frames(
        segmented(clip, workspace=workspace, ignore_alpha=ignore_alpha, reporter=messages),
        settings,
        propagator=PropagatorOptions(name=settings.propagator, values=values, model=Path(model)),
        output=None if output is None else Path(output),
        reporter=messages,
    )


@spells_python
def evaluate(
    predicted: str | Path,
    truth: str | Path,
    *,
    sequences: Sequence[str] = (),
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  fields of Comparison, checked there
) -> Evaluation:
    """Score masks against the truth, as DAVIS does: region similarity J and boundary accuracy F.

    Args:
        predicted: a folder of masks, a clip's folder in the workspace, or a folder of such folders.
        truth: the same with true masks.
        sequences: only these, when not empty.
        reporter: receives notices and progress; None keeps silent.
        options: fields of `Comparison`, by name, such as protocol or merge.

    Returns:
        Scores by sequence, object and frame.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> scores = vfx_matte.evaluate("workspace/clip", "workspace/clip/masks")
    >>> len(scores.sequences)
    1
    """
    # a dataclass refuses unknown fields by itself
    # both sides may be one sequence or many: what they are is found out from their folders
    return evaluate_masks(
        Path(predicted),
        Path(truth),
        Comparison(**options),
        sequences=sequences,
        reporter=reporter_of(reporter),
    )
