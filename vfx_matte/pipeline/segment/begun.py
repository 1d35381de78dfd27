"""Goes on with an earlier run without being told again what it was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfx_matte.errors import MaskError
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.next_steps import given_file
from vfx_matte.pipeline.propagator import repeated_options
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest


def as_begun(
    clip: SourceClip, request: SegmentRequest, *, workspace: ClipWorkspace
) -> SegmentRequest:
    """A request that says nothing of masks, with all that the run was begun with that it goes on
    with: its masks, colours, range and settings. What the request does say stays.

    Args:
        clip: what is segmented.
        request: any; one that names masks or a text, or does not resume, is as it is.
        workspace: of the clip.

    Raises:
        MaskError: a mask of that run is not found.
        WorkspaceError: its manifest is damaged.
    """
    if not request.resume or request.prompt is not None or request.references != ReferenceFiles():
        return request
    manifest = workspace.manifest()
    if manifest is None:
        return request
    number = manifest.timeline.number
    range_is_open = request.start is None and request.stop is None
    return replace(
        request,
        references=ReferenceFiles(
            files=_masks(clip, manifest, workspace), colors=manifest.map_colors
        ),
        start=number(manifest.start) if range_is_open else request.start,
        stop=number(manifest.stop) if range_is_open else request.stop,
        propagator=repeated_options(manifest, request.propagator),
        # cuts that were found or named are taken over from it in any case
        cuts=replace(request.cuts, mode="ignore") if manifest.cuts is None else request.cuts,
        soft=request.soft or manifest.is_soft,
    )


def _masks(clip: SourceClip, manifest: Manifest, workspace: ClipWorkspace) -> dict[int, Path]:
    """The mask files of a run, by the numbers of their frames."""
    found: dict[int, Path] = {}
    for index, record in manifest.references.items():
        at = manifest.timeline.number(index)
        file = given_file(clip.path, record, workspace)
        if file is None:
            if not record.file:
                raise MaskError(
                    f"the mask of frame {at} that the earlier run was given was no file",
                    hint="repeat the command of that run, with its text or masks",
                )
            raise MaskError(
                f"the mask of frame {at} that the earlier run was given, {record.file!r}, is not"
                " found",
                hint=f"name the masks: {option('mask', f'{at}=mask.png')}, and the options of that"
                " run",
            )
        found[at] = file
    return found
