"""Makes the timelines of a package: the cut-out over the source, as the program opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfx_matte.pipeline.export.facts import PackagedFile
from vfx_matte.programs.edit import Clip, Edit, Media
from vfx_matte.programs.record import CutOut, Program, TimelineFacts


def edit_of(name: str, files: Sequence[PackagedFile], *, program: Program, sound: bool) -> Edit:
    """The source on the lowest track with its sound, above it what the program stacks, the rest in
    the bin.
    """
    # Sound lies on the timeline once, with the source: cut-outs are silent.
    source = next(one.media for one in files if one.kind == "source")
    assert source is not None
    stacked = [one for one in files if one.kind == program.stacked]
    media = [source, *(one.media for one in stacked if one.media)]
    # Every file has the same frames, so each fills its track from the first to the last.
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
) -> tuple[dict[str, str], dict[str, bytes]]:
    """The timelines of a package, but for those that cannot be written here.

    Args:
        edit: what they show.
        files: the source and the outputs.
        program: says which timelines it opens.
        name: the clip's.
        folder: the package's final path, absolute.

    Returns:
        File names by key, and contents by file name.
    """
    # A script may read another timeline of the package: all are named before one is written.
    timelines = [one for one in program.timelines if not one.missing()]
    names = {one.key: f"{name}{one.suffix}" for one in timelines}
    facts = TimelineFacts(
        edit=edit,
        folder=folder,
        names=names,
        layers=_layers(edit, files),
        mattes=_media(files, "maskvideo"),
    )
    return names, {names[one.key]: one.write(facts) for one in timelines}


def _layers(edit: Edit, files: Sequence[PackagedFile]) -> list[CutOut]:
    """The source cut out by each matte; without mattes, the cut-outs by their own alpha."""
    source = edit.tracks[0][0].media
    by_matte = [
        CutOut(_layer_name(one), source, one.media)
        for one in files
        if one.kind == "maskvideo" and one.media
    ]
    return by_matte or [
        CutOut(_layer_name(one), one.media) for one in files if one.kind == "alpha" and one.media
    ]


def _media(files: Sequence[PackagedFile], kind: str) -> list[Media]:
    return [one.media for one in files if one.kind == kind and one.media]


def _layer_name(one: PackagedFile) -> str:
    return f"cut out, object {one.object_ids[0]}" if one.object_ids else "cut out"
