"""Conforms a clip and its renders to one constant rate.

Editing programs count frames at one rate; a phone does not. Every output here shows, on its frame
n, source frame map[n] (`timeline.conform` has the rule), has frames of a whole number of ticks, and
carries the source's sound where it was against the picture. The source is decoded once for all
renders, in bounded memory, and never changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.errors import UsageError
from vfx_matte.files.atomic import atomic_files
from vfx_matte.masks import Mask, Matte
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.media.sketch import Sketches, sketch_of_alpha
from vfx_matte.media.verify import Check
from vfx_matte.media.verify_conformed import check_constant_rate, check_frames
from vfx_matte.pipeline.clip import SegmentedClip, SourceClip, refuse_to_replace
from vfx_matte.pipeline.export.frame_map_check import load_map
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, encode_plan, encoding_for, mask_style
from vfx_matte.pipeline.render.outputs import (
    PlannedOutput,
    RenderResult,
    write_outputs,
    write_source,
)
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.printable import json_text
from vfx_matte.programs.registry import program_named
from vfx_matte.settings.options import (
    CONFORM_OUTPUTS,
    AlphaSettings,
    ConformSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    OverlaySettings,
    listed,
)
from vfx_matte.timeline import ConformMap, Timeline, nearest_standard_rate, parse_rate
from vfx_matte.timeline import conform as on_grid
from vfx_matte.wording import command, option
from vfx_matte.workspace import Workspace, clip_name, write_text

USUAL_OUTPUTS = ("source", "greenback", "alpha", "maskvideo")

_USUAL_SUFFIXES = {"alpha": ".mov", "maskvideo": ".mov"}
"""Of files for no program in particular; the others are MP4. Editing programs read no Matroska."""

FOLDER_NAME = "conform"
MAP_NAMES = ("frame_map.json", "frame_map.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformRequest:
    """What is conformed, and what the renders look like. Of the records of single renders nothing
    counts but what they show: all files are encoded alike.
    """

    settings: ConformSettings = ConformSettings()
    """Which files, at which rate."""

    green: GreenbackSettings = GreenbackSettings()
    """The key of the green screen, or what is put behind."""

    cut_out: AlphaSettings = AlphaSettings()
    """What colours of the cut-out are like."""

    masks: MaskvideoSettings = MaskvideoSettings()
    """The style of the mask video."""

    overlay: OverlaySettings = OverlaySettings()
    """The weight of the overlay's colours, and its legend."""

    matte: MatteSettings = MatteSettings()
    """Which objects are shown, and how their edges are made."""

    tools: Tools = Tools()
    """What it computes with."""

    encode: EncodeOptions = EncodeOptions()
    """How every file is encoded, and for which program."""

    @property
    def fps(self) -> Fraction | None:
        """The rate that was asked for; None = the standard rate nearest to the clip's own.

        Raises:
            UsageError: it is no rate.
        """
        return None if self.settings.fps == "auto" else parse_rate(self.settings.fps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformResult:
    """A clip at a constant rate."""

    rate: Fraction
    """Frames per second."""

    timeline: Timeline
    """Of every file, from time 0."""

    frame_map: tuple[int, ...]
    """The source frame of each frame."""

    files: Mapping[str, Path]
    """By output."""

    map_files: tuple[Path, Path]
    """The frame map as JSON and as CSV."""

    source_count: int

    duplicated: int
    """How many frames repeat the one before."""

    dropped: int
    """How many source frames are left out."""

    lead: int
    """How many frames hold the source's first one."""

    largest_error: Fraction
    """Seconds by which a picture may come early."""

    results: tuple[RenderResult, ...]
    """Of the renders, in the order of `files`."""


@dataclass(frozen=True, slots=True)
class _ShownSketches:
    """Keeps a sketch of each mask and matte that is shown, to compare the outputs with."""

    masks: Sketches
    mattes: Sketches

    objects: tuple[int, ...]
    """The objects that are shown."""

    def saw_mask(self, source_index: int, mask: Mask) -> None:
        if source_index not in self.masks:  # a held frame is read once for each time it is shown
            self.masks.put(source_index, sketch_of_alpha(np.isin(mask, self.objects), full=1))

    def saw_matte(self, source_index: int, matte: Matte) -> None:
        if source_index not in self.mattes:
            self.mattes.put(source_index, sketch_of_alpha(matte.alpha, full=matte.full))


def conform(
    clip: SourceClip | SegmentedClip,
    request: ConformRequest = ConformRequest(),
    *,
    folder: Path,
    reporter: Reporter,
) -> ConformResult:
    """Write a clip, and what was cut out of it, at one constant rate.

    The source is made first, then all renders in one pass; every file is verified, and they get
    their names together with their map.

    Args:
        clip: with masks, or without.
        request: what is made of it.
        folder: where everything goes.
        reporter: receives notices and progress.

    Raises:
        UsageError, MediaError, OutputError, VerifyError: an earlier result then stays as it is.
    """
    wanted = _wanted(clip, listed(request.settings.outputs))
    if folder.suffix.lower() in CONTAINERS and not folder.is_dir():
        raise UsageError(
            f"output {str(folder)!r} names a file",
            hint=f"several files are written: give a folder with {option('output')}",
        )
    # Whatever earlier runs made may be replaced, and nothing else: the folder may be the user's.
    earlier = _made_before(folder)
    for name in MAP_NAMES:
        _refuse_other_file(folder / name, earlier)
    # The grid begins with the sound where that begins first: the first picture is held for it.
    reader, info = clip.reader, clip.reader.info
    rate = request.fps or nearest_standard_rate(info.timeline)
    starts = [track.start for track in info.audio if track.start is not None]
    frame_map = on_grid(
        info.timeline,
        rate,
        sound_start=min(starts, default=None) if request.encode.sound else None,
    )
    # Everything is made beside its final place. Sketches are small, and lie on disk: they are what
    # the finished files are compared with, frame by frame, without decoding the source again.
    with (
        atomic_files(folder, stale=MAP_NAMES) as part,
        Sketches() as pictures,
        Sketches() as masks,
        Sketches() as mattes,
        Sketches() as alphas,
    ):
        run = _Run(
            clip=clip,
            reader=ConformedReader(reader, frame_map, sketches=pictures, alphas=alphas,
            notify=reporter.notify),
            frame_map=frame_map, pictures=pictures, masks=masks, mattes=mattes, alphas=alphas,
            request=request, folder=part, final=folder, earlier=earlier,
            reporter=reporter,
        )  # fmt: skip
        # The source first: it is decoded as it is, and its sketches serve the renders' checks.
        made: dict[str, RenderResult] = {}
        if "source" in wanted:
            made["source"] = run.source()
        made |= run.renders([kind for kind in wanted if kind != "source"])
        files = {kind: result.output for kind, result in made.items()}
        kept = {name for name in earlier.difference(MAP_NAMES) if (folder / name).exists()}
        _write_map(part, info.timeline, frame_map, files, kept=kept)
    # Where the files are now, since they were made elsewhere.
    results = {
        kind: replace(result, output=folder / result.output.name) for kind, result in made.items()
    }
    if frame_map.lead:
        held = "1 frame" if frame_map.lead == 1 else f"{frame_map.lead} frames"
        reporter.notify(
            f"the sound begins before the picture: the first picture is held for {held}"
        )
    # Files begin at time 0, whenever the source began.
    start = frame_map.timeline.pts[0]
    return ConformResult(
        rate=rate,
        timeline=frame_map.timeline.shifted(-start),
        frame_map=frame_map.indices,
        files={kind: result.output for kind, result in results.items()},
        map_files=(folder / MAP_NAMES[0], folder / MAP_NAMES[1]),
        source_count=frame_map.source_count,
        duplicated=frame_map.duplicated,
        dropped=frame_map.dropped,
        lead=frame_map.lead,
        largest_error=frame_map.largest_error,
        results=tuple(results.values()),
    )


def usual_folder(clip: SourceClip | SegmentedClip, *, workspace: Path, target: str) -> Path:
    """Where conformed files go when no folder is named: conform in the clip's folder of results, or
    in the program's there.
    """
    own = Workspace(workspace).clip(clip.reader.info.path).folder
    return own / program_named(target).name / FOLDER_NAME if target else own / FOLDER_NAME


def _made_before(folder: Path) -> frozenset[str]:
    """Names of the files that earlier runs have made in a folder: those in its frame map, and the
    map's own.
    """
    # what is no frame map names nothing, and is itself a file of somebody else's
    try:
        return load_map(folder / MAP_NAMES[0]).made | frozenset(MAP_NAMES)
    except UsageError:
        return frozenset()


def _refuse_other_file(path: Path, earlier: frozenset[str]) -> None:
    """Refuse to replace a file that no earlier run has made.

    Raises:
        UsageError: `path` is there, and its name is not among `earlier`.
    """
    if path.name not in earlier and path.exists():
        raise UsageError(
            f"{str(path)!r} is there already, and is not of an earlier {command('conform')}",
            hint=f"move it away, or choose a new folder with {option('output')}",
        )


def _wanted(clip: SourceClip | SegmentedClip, outputs: Sequence[str]) -> tuple[str, ...]:
    """The outputs in the order of CONFORM_OUTPUTS; without any, the usual ones.

    Raises:
        UsageError: for renders of a clip without masks.
    """
    # A clip alone can be conformed before it is segmented: its masks then have the constant rate.
    has_masks = isinstance(clip, SegmentedClip)
    chosen = outputs or (USUAL_OUTPUTS if has_masks else ("source",))
    if not has_masks and set(chosen) != {"source"}:
        raise UsageError(
            f"{clip.reader.info.path.name} has no masks yet, so only its source can be conformed",
            hint=f"segment it first, or take {option('outputs', 'source')}",
        )
    return tuple(name for name in CONFORM_OUTPUTS if name in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What all outputs of one run have in common. Sketches are by source frame."""

    clip: SourceClip | SegmentedClip
    reader: ConformedReader
    frame_map: ConformMap

    pictures: Sketches
    """Of what was decoded."""

    masks: Sketches
    mattes: Sketches
    """Of the alpha that frames were cut out with."""

    alphas: Sketches
    """Of the alpha of what was decoded."""

    request: ConformRequest

    folder: Path
    """Where the outputs are made."""

    final: Path
    """Where they belong."""

    earlier: frozenset[str]
    """Names of what earlier runs have made there."""

    reporter: Reporter

    def source(self) -> RenderResult:
        """The clip itself, compared with the frame map.

        Raises:
            VerifyError: when it differs.
        """
        path, encode = self._path_and_encoding("source")
        # Its alpha is in what is cut out of it; as a clip it is opaque.
        info = self.reader.info
        layout = replace(info.layout, has_alpha=False)
        plan = encode_plan(
            path, info, layout=layout, color=info.color, encode=encode, reporter=self.reporter
        )
        return write_source(
            self.reader,
            path,
            plan,
            sound=encode.sound,
            more_checks=self._checks("source"),
            reporter=self.reporter,
        )

    def renders(self, kinds: Sequence[str]) -> dict[str, RenderResult]:
        """What the masks show, by kind, made in one pass and compared with the frame map.

        Raises:
            VerifyError: when one differs.
        """
        if not kinds:
            return {}
        assert isinstance(self.clip, SegmentedClip)
        objects = chosen_objects(self.clip, self.request.matte)
        watcher = _ShownSketches(self.masks, self.mattes, objects)
        clip = self.clip.mapped(self.reader, self.frame_map.indices, watcher=watcher)
        # All renders are planned before one frame is decoded, and then made in that one pass.
        style = mask_style(self.request.masks.style, encode=self.request.encode, objects=objects)
        planner = Planner(clip, self.request.tools, self.reporter)
        planned = [
            replace(
                self._planned(planner, kind, style), more_checks=self._checks(kind, style=style)
            )
            for kind in kinds
        ]
        return dict(zip(kinds, write_outputs(clip, planned, self.reporter), strict=True))

    def _checks(self, kind: str, *, style: str = "") -> Callable[[Path], list[Check]]:
        """What compares a finished file with the frame map."""

        def compare(output: Path) -> list[Check]:
            # Every file has to have the map's times; what can be compared depends on what it shows.
            checks, notify = [check_constant_rate(output, self.frame_map)], self.reporter.notify
            # A luma mask video shows the masks; others have colours that stand for ids, of which
            # only the time can be checked.
            if (kind, style) == ("maskvideo", "luma"):
                checks.append(
                    check_frames(
                        output, self.frame_map, self.masks, alphas=self.alphas, notify=notify
                    )
                )
            elif kind != "maskvideo":
                # soft pixels have colours of their own, so pictures are compared well inside
                inside = None if kind in ("source", "overlay") else self.mattes
                alphas = self.alphas if kind in ("alpha", "greenback") else None
                checks.append(
                    check_frames(
                        output,
                        self.frame_map,
                        self.pictures,
                        inside=inside,
                        alphas=alphas,
                        notify=notify,
                    )
                )
            return checks

        return compare

    def _planned(self, planner: Planner, kind: str, style: str) -> PlannedOutput:
        """One output, with what was asked of its kind."""
        path, encode = self._path_and_encoding(kind)
        request, settings = self.request, self.request.matte
        if kind == "greenback":
            key, background = request.green.key, request.green.background
            # a background is a file of the user's, and may lie in the folder
            if background:
                refuse_to_replace(Path(background), self.final / path.name, "the background")
            return planner.greenback(
                path, key=key, background=background, settings=settings, encode=encode
            )
        if kind == "alpha":
            return planner.alpha(
                path,
                premultiplied=request.cut_out.premultiplied,
                keep_background=request.cut_out.keep_background,
                settings=settings,
                encode=encode,
            )
        if kind == "overlay":
            return planner.overlay(
                path,
                alpha=request.overlay.alpha,
                legend=request.overlay.legend,
                settings=settings,
                encode=encode,
            )
        return planner.maskvideo(path, style=style, settings=settings, encode=encode)

    def _path_and_encoding(self, kind: str) -> tuple[Path, EncodeOptions]:
        """Where an output goes and how it is encoded.

        Named by kind; the source by its clip, so that it can be segmented.
        """
        # the source keeps its clip's name, so that it can be segmented in its place
        name = f"{clip_name(self.reader.info.path)}-conformed" if kind == "source" else kind
        path, encode = encoding_for(
            kind, info=self.reader.info, output=None, folder=self.folder,
            usual=f"{name}{_USUAL_SUFFIXES.get(kind, '.mp4')}", encode=self.request.encode,
            premultiplied=self.request.cut_out.premultiplied and kind == "alpha",
            reporter=self.reporter,
        )  # fmt: skip
        # checked where it will be: in the folder that is made it would replace nothing
        final = self.final / f"{name}{path.suffix}"
        refuse_to_replace(self.reader.info.path, final, "the source clip")
        _refuse_other_file(final, self.earlier)
        return self.folder / f"{name}{path.suffix}", encode


def _write_map(
    folder: Path,
    source: Timeline,
    frame_map: ConformMap,
    files: Mapping[str, Path],
    *,
    kept: Collection[str],
) -> None:
    """Save the frame map beside the files: as JSON for programs, counted from 0, and as CSV for
    people, with their numbers.

    Args:
        folder: where they are made.
        source: the clip's times.
        frame_map: the map.
        files: by output.
        kept: names of what earlier runs have made and this one leaves as it is.
    """
    start = frame_map.timeline.start
    # Both files are made of the same rows; times are from the first frame on.
    rows = [
        (number, index, time.start - start, source[index].start - start, error)
        for number, (index, time, error) in enumerate(
            zip(frame_map.indices, frame_map.timeline, frame_map.errors, strict=True)
        )
    ]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("frame", "source_frame", "seconds", "source_seconds", "error_ms"))
    for number, index, time, shown, error in rows:
        table.writerow(
            (
                number,
                frame_map.source_number(index),
                f"{float(time):.6f}",
                f"{float(shown):.6f}",
                f"{float(error * 1000):.3f}",
            )
        )
    # Programs count frames from 0 and want exact numbers; people want numbers of pictures and
    # milliseconds.
    facts = {
        "rate": str(frame_map.rate),
        "ticks_per_second": frame_map.timeline.time_base.denominator,
        "ticks_per_frame": frame_map.timeline.durations[0],
        "source_start_seconds": str(start),
        "source_frames": frame_map.source_count,
        "source_first_number": frame_map.first_number,
        "duplicated": frame_map.duplicated,
        "dropped": frame_map.dropped,
        "lead": frame_map.lead,
        "largest_error_ms": round(float(frame_map.largest_error * 1000), 3),
        "files": {kind: path.name for kind, path in files.items()},
        # what a later run may replace; files of earlier runs may follow another map
        "made": sorted({*kept, *(path.name for path in files.values())}),
        "map": list(frame_map.indices),
        "error_ms": [round(float(error * 1000), 3) for error in frame_map.errors],
    }
    as_json, as_csv = MAP_NAMES
    write_text(folder / as_json, json_text(facts) + "\n")
    write_text(folder / as_csv, text.getvalue())
