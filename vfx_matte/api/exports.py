"""Hands clips over to editing programs, for Python programs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vfx_matte.api.shared import reporter_of, segmented, spells_python
from vfx_matte.pipeline.clip import open_segmented_or_source
from vfx_matte.pipeline.export import conform as conforming
from vfx_matte.pipeline.export import package as packaging
from vfx_matte.pipeline.export.conform import ConformRequest, ConformResult
from vfx_matte.pipeline.export.package import PackageRequest, PackageResult
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.settings.by_name import records_of
from vfx_matte.settings.options import (
    AlphaSettings,
    ConformSettings,
    EncodeSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    PackageSettings,
    RenderSettings,
)


@spells_python
def package(
    clip: str | Path,
    program: str,
    *,
    outputs: Sequence[str] | None = None,
    fps: Fraction | None = None,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> PackageResult:
    """Make a folder for an editing program: files, a timeline with the cut-out in place, a note.

    Args:
        clip: a clip that was segmented.
        program: "premiere", "resolve", "finalcut", "aftereffects", "capcut" or another that
            `vfx-matte formats` lists.
        outputs: of "alpha", "maskvideo" and "greenback"; None is what the program is usually given.
        fps: frames per second of the timeline; None is the nearest that the program has.
        workspace: the folder of results.
        model: the folder of network weights.
        output: the folder that is made; None is package-PROGRAM in the clip's folder.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        options: options of `PackageSettings` (media, each_object), `MatteSettings`,
            `RenderSettings`, `EncodeSettings`, and the key and kind of alpha, by name.

    Returns:
        The folder and its files, verified.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> made = vfx_matte.package("clip.mp4", "capcut", outputs=["greenback"])
    >>> made.frame_count > 0
    True
    """
    messages = reporter_of(reporter)
    # the order says who gets a name that two records have; all options are checked before the clip
    # is opened
    settings, matte, render, encode, green, alpha = records_of(
        options | _listed_text(outputs, fps),
        PackageSettings, MatteSettings, RenderSettings, EncodeSettings, GreenbackSettings,
        AlphaSettings,
    )  # fmt: skip
    # a timeline counts every frame, so a package is always of the whole clip
    return packaging.package(
        segmented(clip, workspace=workspace, ignore_alpha=ignore_alpha, reporter=messages),
        PackageRequest(
            settings=settings,
            green=green,
            cut_out=alpha,
            matte=matte,
            tools=Tools.chosen(render.device, Path(model), notify=messages.notify),
            encode=EncodeOptions.of(encode, render),
            output=None if output is None else Path(output),
        ),
        program=program,
        reporter=messages,
    )


@spells_python
def conform(
    clip: str | Path,
    *,
    fps: Fraction | None = None,
    outputs: Sequence[str] | None = None,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> ConformResult:
    """Give a clip, and what was cut out of it, one constant rate: for programs that count frames.

    Args:
        clip: a clip, with masks or without.
        fps: frames per second; None is the usual rate nearest to the clip's own.
        outputs: of "source", "greenback", "alpha", "maskvideo" and "overlay"; None is all but the
            overlay, or only the source of a clip without masks.
        workspace: the folder of results.
        model: the folder of network weights.
        output: the folder that is made; None is conform in the clip's folder.
        gaps: what stands for missing numbers of an image sequence: "hold", "black" or "error".
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        options: options of `MatteSettings`, `RenderSettings`, `EncodeSettings`, and of the single
            renders (key, background, style, premultiplied, keep_background), by name.

    Returns:
        The files and the frame map that they follow.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> made = vfx_matte.conform("clip.mp4", fps=25, outputs=["source", "overlay"])
    >>> made.rate
    Fraction(25, 1)
    """
    messages = reporter_of(reporter)
    settings, matte, render, encode, green, masks, alpha = records_of(
        options | _listed_text(outputs, fps),
        ConformSettings, MatteSettings, RenderSettings, EncodeSettings, GreenbackSettings,
        MaskvideoSettings, AlphaSettings,
    )  # fmt: skip
    # of the records of single renders only those options count that change what is shown
    request = ConformRequest(
        settings=settings,
        green=green,
        cut_out=alpha,
        masks=masks,
        matte=matte,
        tools=Tools.chosen(render.device, Path(model), notify=messages.notify),
        encode=EncodeOptions.of(encode, render),
    )
    # a clip without masks is conformed, too; what is missing is told where it is asked for
    opened = open_segmented_or_source(
        Path(clip),
        workspace=Path(workspace),
        usual_fps=request.fps,
        gaps=gaps,
        ignore_alpha=ignore_alpha,
        reporter=messages,
    )
    # after opening: the usual folder is named after the clip as it was found
    usual = conforming.usual_folder(opened, workspace=Path(workspace), target=render.target)
    return conforming.conform(
        opened, request, folder=usual if output is None else Path(output), reporter=messages
    )


def _listed_text(outputs: Sequence[str] | None, fps: Fraction | None) -> dict[str, str | None]:
    """A list of outputs and a rate as the option table has them, which knows text alone.

    A text in place of the list is one output, or several with commas between them.
    """
    # a list and a fraction are what a program has at hand; checking them stays with the table
    text = outputs if outputs is None or isinstance(outputs, str) else ",".join(outputs)
    return {"outputs": text, "fps": None if fps is None else str(fps)}
