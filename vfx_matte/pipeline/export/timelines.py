"""The timelines of a package.

Takes its files, gives an edit with the cut-out over the source, and the files that open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfx_matte.pipeline.export.facts import PackagedFile
from vfx_matte.programs import opentimeline
from vfx_matte.programs.edit import Clip, Edit
from vfx_matte.programs.fcpxml import fcpxml
from vfx_matte.programs.scripts import CutOut, after_effects_script, resolve_script
from vfx_matte.programs.table import TIMELINE_SUFFIXES, Program, TimelineKind
from vfx_matte.programs.urls import file_url
from vfx_matte.programs.xmeml import xmeml


def edit_of(name: str, files: Sequence[PackagedFile], *, program: Program, sound: bool) -> Edit:
    """The source on the lowest track with its sound, above it what the program stacks, the rest in
    the bin.
    """
    source = next(one.media for one in files if one.kind == "source")
    assert source is not None
    stacked = [one for one in files if one.kind == program.stacked]
    media = [source, *(one.media for one in stacked if one.media)]
    tracks = tuple(
        (
            Clip(
                media=one,
                start=0,
                duration=one.frame_count,
                with_sound=one is source and sound and bool(one.sound),
            ),
        )
        for one in media
    )
    return Edit(
        name=name,
        rate=source.rate,
        width=source.width,
        height=source.height,
        tracks=tracks,
        bin=tuple(one.media for one in files if one.media and one.media not in media),
        sample_aspect=source.sample_aspect,
        color=source.color,
        fields=source.fields,
    )


def timeline_files(
    edit: Edit, files: Sequence[PackagedFile], *, program: Program, name: str, folder: Path
) -> tuple[dict[TimelineKind, str], dict[str, bytes]]:
    """(file name of each kind, content of each file). folder: the package's final place, absolute.

    OpenTimelineIO is left out where its library is not installed.
    """
    kinds = [kind for kind in program.timelines if kind != "otio" or opentimeline.is_available()]
    names = {kind: f"{name}{TIMELINE_SUFFIXES[kind]}" for kind in kinds}
    mattes = [one for one in files if one.kind == "maskvideo" and one.media]
    contents: dict[str, bytes] = {}
    for kind, file in names.items():
        match kind:
            case "xmeml":
                contents[file] = xmeml(edit)
            case "fcpxml":
                contents[file] = fcpxml(edit)
            case "otio":
                address = str if "resolve" in names else file_url
                contents[file] = opentimeline.opentimeline(edit, address=address)
            case "aftereffects":
                source = edit.tracks[0][0].media
                layers = [CutOut(_layer_name(one), source, one.media) for one in mattes]
                if not layers:
                    layers = [
                        CutOut(_layer_name(one), one.media)
                        for one in files
                        if one.kind == "alpha" and one.media
                    ]
                contents[file] = after_effects_script(edit, folder=folder, layers=layers)
            case "resolve":
                clip_mattes = [one.media for one in mattes if one.media]
                contents[file] = resolve_script(
                    edit, folder=folder, timeline=folder / names["fcpxml"], mattes=clip_mattes
                )
    return names, contents


def _layer_name(one: PackagedFile) -> str:
    return f"cut out, object {one.object_ids[0]}" if one.object_ids else "cut out"
