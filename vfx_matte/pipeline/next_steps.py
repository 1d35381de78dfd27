"""What users can type next.

Takes a clip and frame numbers, gives times and commands that are ready to paste; runs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte._version import __version__
from vfx_matte.masks import Palette, object_ids
from vfx_matte.media.sequence import is_sequence
from vfx_matte.pipeline.clip import GAPS_SETTING, SegmentedClip
from vfx_matte.pipeline.propagator import repeated_settings
from vfx_matte.printable import shell_command
from vfx_matte.references.files import parse_color_argument
from vfx_matte.references.flat_colors import SAME
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import Manifest, ReferenceRecord, clip_name

MOST_NAMED_CUTS = 30
"""So many cuts fit into a command; more of them are looked for again."""


def since_start(timeline: Timeline, index: int) -> Fraction:
    """Seconds from the clip's first frame, which is what --at and --start take."""
    return timeline[index].start - timeline.start


def clock(seconds: Fraction) -> str:
    """m:ss.mmm."""
    thousandths = round(seconds * 1000)
    return f"{thousandths // 60_000}:{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"


def frame_at(timeline: Timeline, index: int) -> str:
    """A frame as people are told: 'frame 218 (0:08.720)'."""
    return f"frame {timeline.number(index)} ({clock(since_start(timeline, index))})"


def tile_caption(timeline: Timeline, index: int) -> str:
    """A frame as a contact sheet names it: 'frame 218, 0:08.720'."""
    return f"frame {timeline.number(index)}, {clock(since_start(timeline, index))}"


def frame_command(clip: Path, number: int) -> str:
    """The command that saves the picture of the frame with this number, to paint on."""
    return shell_command(
        [
            "vfx-matte",
            "frame",
            clip,
            "--at",
            str(number),
            "-o",
            f"{clip_name(clip)}.{number:07d}.png",
        ]
    )


def mask_name(clip: Path, number: int) -> str:
    """The file name that commands expect for a mask that is painted next."""
    return f"{clip_name(clip)}.mask.{number:07d}.png"


def use_mask_command(
    clip: Path, mask: Path, number: int, timeline: Timeline, *, workspace: Path
) -> str:
    """The command that carries the mask of the frame with this number through a clip."""
    reference: list[str | Path] = (
        ["--first-mask", mask]
        if number == timeline.first_number
        else ["--mask", f"{number}={mask}"]
    )
    return shell_command(["vfx-matte", "segment", clip, *reference, *_workspace(workspace)])


def correct_command(clip: Path, number: int, *, workspace: Path) -> str:
    """The command that corrects the propagated mask of the frame with this number; where to click
    is still to be typed.
    """
    place: list[str | Path] = ["-o", mask_name(clip, number), *_workspace(workspace)]
    begin: list[str | Path] = [
        "vfx-matte",
        "mask",
        clip,
        "--at",
        str(number),
        "--from",
        "propagated",
    ]
    return shell_command([*begin, *place, "--fg", "x,y"])


def _workspace(folder: Path) -> list[str | Path]:
    """What says that results are in another folder than the usual one."""
    return [] if folder == Path("workspace") else ["--workspace", folder]


def segment_command(
    clip: SegmentedClip,
    masks: Mapping[int, str],
    *,
    weights: Path,
    how: str = "--fresh",
    cuts: str | None = None,
) -> str:
    """The command that segments again as the last run did, with more masks.

    masks: file by frame number. weights: the file of xmem, named when its name is that of the
    run's. how: "--fresh" keeps the earlier masks aside, "--update" makes only the frames again that
    the masks change (masks of another version of the program are all made again). cuts: what --cuts
    is given, None = what gives the cuts of the last run.
    """
    manifest = clip.store.manifest
    number = manifest.timeline.number
    if manifest.program_version != __version__:
        how = "--fresh"
    same = how == "--update"
    known = {
        number(at): _reference_file(clip, at, record, same=same)
        for at, record in manifest.references.items()
    }
    files = known | dict(masks)
    words: list[str | Path] = ["vfx-matte", "segment", clip.info.path]
    for at, file in sorted(files.items()):
        words += ["--mask", f"{at}={file}"]
    for text in _map_colors(manifest):
        words += ["--map-color", text]
    if manifest.start:
        words += ["--start", str(number(manifest.start))]
    if manifest.stop < len(manifest.timeline):
        words += ["--stop", str(number(manifest.stop))]
    if is_sequence(clip.info.path):
        words += ["--fps", str(manifest.timeline.average_fps)]
        words += (
            ["--gaps", str(manifest.settings[GAPS_SETTING])]
            if GAPS_SETTING in manifest.settings
            else []
        )
    if manifest.propagator in ("builtin", "xmem"):
        words += [
            "--propagator",
            manifest.propagator,
            *repeated_settings(manifest.settings, weights=weights),
        ]
    if manifest.is_soft:
        words.append("--soft")
    wanted = _same_cuts(manifest) if cuts is None else cuts
    if wanted:
        words += ["--cuts", wanted]
    return shell_command([*words, *_workspace(clip.folder.parent), how])


def _map_colors(manifest: Manifest) -> list[str]:
    """What --map-color was given, but for the colours that the workspace's own masks have."""
    own = Palette.davis().colors[list(manifest.objects)].astype(int)
    return [
        text
        for text in manifest.map_colors
        if np.abs(own - parse_color_argument(text)[0]).max(axis=1).min(initial=255) > SAME
    ]


def _same_cuts(manifest: Manifest) -> str:
    """What --cuts is given to have these again; nothing where looking for them does."""
    cuts = manifest.cuts
    if cuts is None:
        return "ignore"
    return (
        ",".join(str(manifest.timeline.number(cut)) for cut in cuts)
        if len(cuts) <= MOST_NAMED_CUTS
        else ""
    )


def _reference_file(clip: SegmentedClip, at: int, record: ReferenceRecord, *, same: bool) -> str:
    """A file with a reference's mask.

    The workspace's own is as painted, unless objects were found besides those painted.

    same: rather the file that was given, where it is still found, so that its mask counts as
    unchanged.
    """
    for folder in (Path(), clip.info.path.parent, clip.folder) if same else ():
        file = folder / record.file
        if record.file and file.is_file() and ReferenceRecord.of(file, {}).sha256 == record.sha256:
            return str(file)
    mask = clip.mask(at)
    as_painted = mask is not None and set(object_ids(mask)) == set(record.objects)
    return (
        str(clip.workspace.mask_path(clip.info.timeline.number(at)))
        if as_painted or not record.file
        else record.file
    )
