"""The commands that do what the page does: the same masks, and the same files of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vfx_matte.media.sequence import is_sequence
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.next_steps import Options as CommandOptions
from vfx_matte.pipeline.next_steps import mask_command, workspace_option
from vfx_matte.pipeline.propagator import PropagatorOptions, named_settings
from vfx_matte.pipeline.studio.exports import PACKAGE
from vfx_matte.pipeline.studio.project import Project
from vfx_matte.pipeline.studio.ways import Chosen
from vfx_matte.settings.options import ClipSettings, Options
from vfx_matte.wording import command
from vfx_matte.workspace.mask_archive import mask_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What the program was started with, which renders and commands go by."""

    records: Mapping[type[Options], Options] = field(default_factory=dict)
    """Kind → the options of edges and renders as config.ini has them; those that are missing have
    the table's defaults.
    """

    ignore_alpha: bool = ClipSettings().ignore_alpha
    """Whether the clip is read as opaque."""

    everywhere: CommandOptions = field(default_factory=dict)
    """What every command has to be given, so that it reads the same settings, folders and clip."""

    segment: CommandOptions = field(default_factory=dict)
    """What `segment` has to be given besides, where config.ini says what the page does not do."""


def mask_commands(
    clip: SourceClip, project: Project, chosen: Chosen, started: StartOptions
) -> list[str]:
    """The command that makes the mask of the open marks, where they began with none.

    Args:
        clip: the clip.
        project: of it.
        chosen: how masks are made.
        started: what the program was started with.
    """
    marks = project.state.marks
    if marks is None or marks.base != mask_digest(np.zeros(clip.info.shape, np.uint8)):
        return []
    return [
        mask_command(
            clip.path,
            clip.info.timeline.number(marks.index),
            marks.marks,
            object_id=marks.object_id,
            method=chosen.method,
            more=_everywhere(project, started),
        )
    ]


def segment_command(
    clip: SourceClip,
    project: Project,
    chosen: Chosen,
    propagator: PropagatorOptions,
    started: StartOptions,
) -> str:
    """The command that makes the same masks of the same references; arguments as of
    `mask_commands`.

    Args:
        clip: as there.
        project: as there.
        chosen: as there.
        propagator: how masks are propagated.
        started: as there.
    """
    state = project.state
    options: CommandOptions = {"masks": str(project.workspace.references_folder), "update": True}
    # what a text found, and nothing else, is found again by the text
    if chosen.found is not None and (state.first, state.last) == (None, None):
        text, index, digest = chosen.found
        enabled = state.enabled_references()
        if {index: digest} == {at: one.digest for at, one in enabled.items()}:
            options = {"text": text, "update": True}
    # a sequence has its rate from whoever opened it
    files = clip.info.files
    if is_sequence(clip.path) and files is not None:
        options |= {"fps": str(clip.info.timeline.average_fps), "gaps": files.gaps}
    options |= started.segment
    options |= named_settings(propagator)
    return command("segment", clip.path, **options, **_everywhere(project, started))


def export_command(
    clip: SourceClip,
    project: Project,
    name: str,
    options: Mapping[str, Any],
    started: StartOptions,
) -> str:
    """The command that makes the same file of these masks.

    Args:
        clip: the clip.
        project: of it.
        name: of the export, see `Exports.work`.
        options: as of `Exports.work`, which has checked them.
        started: what the program was started with.
    """
    typed: CommandOptions = {
        key: [str(one) for one in value] if isinstance(value, list) else value
        for key, value in options.items()
        if value is not None
    }
    if name.startswith(PACKAGE):
        typed["target"] = name.removeprefix(PACKAGE)
        name = PACKAGE.removesuffix(":")
    else:
        # as `Exports.work` names a part
        timeline = clip.info.timeline
        first, stop = project.state.span(len(timeline))
        if (first, stop) != (0, len(timeline)):
            typed |= {"start": timeline.number(first), "stop": timeline.number(stop)}
    return command(name, clip.path, **typed, **_everywhere(project, started))


def _everywhere(project: Project, started: StartOptions) -> CommandOptions:
    return workspace_option(project.workspace.folder.parent) | started.everywhere
