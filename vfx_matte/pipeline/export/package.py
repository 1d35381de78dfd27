"""A folder that an editing program opens as it is.

Takes a segmented clip, gives renders, timelines, a note and a manifest.

All files follow one frame map at one constant rate: frame n of each is frame n of the source in the
timeline. A source that already has that rate is not encoded again; it is referred to where it is,
or copied or linked on request. The folder appears complete or not at all, and an earlier one stays
until then.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import OutputError, UsageError
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.media.pixels import Orientation
from vfx_matte.media.probe import probe
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.media.sequence import is_sequence
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.export.conform import ConformedClip, conform
from vfx_matte.pipeline.export.facts import (
    MANIFEST_NAME,
    PackagedFile,
    as_media,
    foreign_file,
    manifest,
    read_back,
)
from vfx_matte.pipeline.export.timelines import edit_of, timeline_files
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.channels import describe_channels, object_channels
from vfx_matte.pipeline.render.encoding import EncodeOptions, mask_style
from vfx_matte.pipeline.render.outputs import PlannedOutput, write_outputs
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.programs import opentimeline
from vfx_matte.programs.deliveries import Target, target_named
from vfx_matte.programs.edit import AlphaMode, Edit, VideoRate
from vfx_matte.programs.notes import ListedFile, import_note
from vfx_matte.programs.scripts import relative_path
from vfx_matte.programs.table import Program, TimelineKind, program_named
from vfx_matte.settings.options import MatteSettings
from vfx_matte.timeline import ConformMap, nearest_standard_rate
from vfx_matte.timeline import conform as on_grid

MEDIA_CHOICES = ("reference", "copy", "link", "convert")
"""What becomes of the source: named where it is, copied, linked (no second copy on the same disk),
or encoded anew.
"""

OUTPUTS = ("alpha", "maskvideo", "greenback")
MEDIA_FOLDER = "media"
NOTE_NAME = "README.txt"

_NAMES = {"alpha": "cut-out", "maskvideo": "matte", "greenback": "green screen"}
_FILE_NAMES = {"alpha": "alpha", "maskvideo": "matte", "greenback": "green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """What a package is made of.

    outputs: of OUTPUTS, None = what the program is given usually; media: of MEDIA_CHOICES.

    each_object: one cut-out and one matte for every object. key: of the green screen.
    premultiplied, keep_background: of the cut-out's colours.
    fps: frames per second; None = the standard rate nearest to the clip's own that the program has.
    """

    outputs: tuple[str, ...] | None = None
    media: str = "reference"
    each_object: bool = False
    key: str = "green"
    premultiplied: bool = False
    keep_background: bool = False
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if self.media not in MEDIA_CHOICES:
            raise unknown_choice(
                "media", self.media, MEDIA_CHOICES, hint=f"use --media {', '.join(MEDIA_CHOICES)}"
            )
        for name in self.outputs or ():
            if name not in OUTPUTS:
                raise unknown_choice("output", name, OUTPUTS)


@dataclass(frozen=True, slots=True)
class ListedPath:
    """One file of a package."""

    file: str
    """From the package's folder, or in full when it lies elsewhere."""

    what: str

    made: str
    """How it was made, "" for files that are not pictures."""


@dataclass(frozen=True, slots=True)
class PackageResult:
    """A finished package."""

    folder: Path

    title: str
    """The program's name for people."""

    rate: VideoRate | None
    """None when the package has none."""

    frame_count: int
    files: tuple[ListedPath, ...]

    open_first: str
    """The file to open in the program, from the folder."""

    remarks: tuple[str, ...]
    """What the user should know, in sentences."""


def package(
    clip: SegmentedClip,
    *,
    program: str,
    options: PackageOptions = PackageOptions(),
    settings: MatteSettings = MatteSettings(),
    tools: Tools = Tools(),
    encode: EncodeOptions = EncodeOptions(),
    output: Path | None = None,
    reporter: Reporter,
) -> PackageResult:
    """Make the package of a clip for one program, in `output` or workspace/CLIP/package-PROGRAM.

    encode: wishes beyond the program's record; its `sound` says whether the source's sound is
    carried. Every file is verified and counted before the folder gets its name. Raises UsageError,
    OutputError, MediaError, VerifyError.
    """
    target, record = target_named(program), program_named(program)
    folder = output or clip.folder / f"package-{target.name}"
    if not folder.name:
        raise UsageError(
            f"output {str(folder)!r} is no name for a folder", hint="give a new folder with -o"
        )
    folder = folder.resolve()
    refuse_to_replace(clip.info.path, folder, "the source clip")
    refuse_to_replace(clip.workspace.masks_folder, folder, "the masks")
    with atomic_folder(folder, foreign_file=foreign_file) as part:
        work = _Work(
            clip=clip, target=target, record=record, options=options, settings=settings,
            tools=tools, encode=encode,
            part=part, folder=folder,
            reporter=reporter,
        )  # fmt: skip
        return work.make()


@dataclass(slots=True, kw_only=True)
class _Work:
    """One package being made in `part`, which will be `folder`.

    remarks: what its note tells the user. in_channels: names of files with an object in each colour
    channel.
    """

    clip: SegmentedClip
    target: Target
    record: Program
    options: PackageOptions
    settings: MatteSettings
    tools: Tools
    encode: EncodeOptions
    part: Path
    folder: Path
    reporter: Reporter
    rate: VideoRate | None = None
    frame_map: ConformMap | None = None
    remarks: list[str] = field(default_factory=list)
    in_channels: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.clip.name

    def make(self) -> PackageResult:
        shown = chosen_objects(self.clip, self.settings)
        encoded_anew = self.options.media == "convert" or is_sequence(self.clip.info.path)
        if self.options.fps or self.record.timelines or self.target.constant_rate or encoded_anew:
            self._settle_rate()
        (self.part / MEDIA_FOLDER).mkdir()
        files = [self._source(), *self._renders(shown)]
        edit: Edit | None = None
        names: dict[TimelineKind, str] = {}
        contents: dict[str, bytes] = {}
        if self.rate:
            edit = edit_of(self.name, files, program=self.record, sound=self.encode.sound)
            names, contents = timeline_files(
                edit, files, program=self.record, name=self.name, folder=self.folder
            )
        if "otio" in self.record.timelines and not opentimeline.is_available():
            self._remark(
                "The OpenTimelineIO file is left out: pip install 'vfx-matte[timelines]' adds it."
            )
        contents[NOTE_NAME] = import_note(
            self.target.name, self.target.title, edit=edit, name=self.name,
            files=[self._listed(one) for one in files],
            timelines=names, alpha=self._alpha, sound=self._heard(edit, files),
            remarks=self.remarks,
        ).encode()  # fmt: skip
        for name, content in contents.items():
            (self.part / name).write_bytes(content)
        (self.part / MANIFEST_NAME).write_bytes(
            manifest(
                program=self.target.name, clip_name=self.name, source=self.clip.info, files=files,
                written=tuple(contents),
                part=self.part, folder=self.folder, rate=self.rate, frame_map=self.frame_map,
                remarks=self.remarks,
            )
        )  # fmt: skip
        listed = [ListedPath(self._where(one), one.name, one.how) for one in files]
        listed += [
            ListedPath(name, "note" if name == NOTE_NAME else "timeline", "") for name in contents
        ]
        listed.append(ListedPath(MANIFEST_NAME, "checksums, rate, timestamps", ""))
        return PackageResult(
            folder=self.folder,
            title=self.target.title,
            rate=self.rate,
            frame_count=self._frame_count,
            files=tuple(listed),
            open_first=next(iter(names.values()), NOTE_NAME),
            remarks=tuple(self.remarks),
        )

    # ------------------------------------------------------------ time

    @property
    def _frame_count(self) -> int:
        return len(self.frame_map.indices) if self.frame_map else len(self.clip.info.timeline)

    def _settle_rate(self) -> None:
        """One rate and one frame map for everything."""
        info = self.clip.info
        standard = nearest_standard_rate(info.timeline)
        fps = self.options.fps or self.record.rate_for(standard)
        self.rate = VideoRate.of(fps)
        starts = (
            [track.start for track in info.audio if track.start is not None]
            if self.encode.sound
            else []
        )
        self.frame_map = found = on_grid(info.timeline, fps, sound_start=min(starts, default=None))
        if self.record.rates and fps not in self.record.rates:
            self._remark(
                f"{self.target.title} may have no timeline of {self.rate} frames a second."
            )
        elif fps != standard:
            self._remark(
                f"{self.target.title} has no timeline of {float(standard):.6g} frames a second, so"
                f" it is {self.rate}."
            )
        if found.duplicated or found.dropped or found.lead:
            held = (
                f" ({found.lead} of them the first one, because the sound begins earlier)"
                if found.lead
                else ""
            )
            repeated = (
                "1 repeats a picture"
                if found.duplicated == 1
                else f"{found.duplicated or 'none'} repeat a picture"
            )
            left_out = (
                "1 is left out" if found.dropped == 1 else f"{found.dropped or 'none'} are left out"
            )
            self._remark(
                f"For {self.rate} frames a second the source's {found.source_count} frames became"
                f" {len(found.indices)}: {repeated}{held}, {left_out}."
            )
        ends = (
            [track.end for track in info.audio if track.end is not None]
            if self.encode.sound
            else []
        )
        longer = max(ends, default=found.timeline.end) - found.timeline.end
        if longer > 1 / fps:
            self._remark(
                f"The sound goes on for {float(longer):.2f} s after the last picture: the timeline"
                " ends with the picture, the file has all of it."
            )

    # ------------------------------------------------------------ files

    def _source(self) -> PackagedFile:
        """The source as the timelines name it: where it is, or in the package."""
        path, info = self.clip.info.path, self.clip.info
        reason = self._reason_to_convert()
        if reason:
            return self._converted(reason)
        inside = self._inside(path.name)
        if self.options.media == "reference":
            now, final, how = path, path.resolve(), "as it is, where it is"
        elif self.options.media == "copy":
            shutil.copy2(path, inside)
            now, final, how = inside, self._final(inside), "copied"
        else:
            _link(path.resolve(), inside)
            now, final, how = inside, self._final(inside), "linked"
        media = None
        if self.rate:
            media = as_media(
                info,
                name=self.name,
                final=final,
                rate=self.rate,
                alpha="none",
                notify=self.reporter.notify,
            )
        return PackagedFile(
            kind="source", path=now, final=final, name=self.name, info=info, how=how, media=media
        )

    def _reason_to_convert(self) -> str:
        """Why the source cannot be used as it is, as the end of a sentence; "" when it can."""
        info, found = self.clip.info, self.frame_map
        if found is None:
            return ""
        varies = not info.timeline.is_constant_rate or not info.reliable
        unknown = (
            bool(self.record.suffixes) and info.path.suffix.lower() not in self.record.suffixes
        )
        reasons = (
            (self.options.media == "convert", "you asked for it (--media convert)"),
            (is_sequence(info.path), "it is a sequence of pictures"),
            (varies, "its frame rate varies, and editing programs count frames at one rate"),
            (
                found.indices != tuple(range(found.source_count)),
                "its frames or its start do not fit the timeline's rate",
            ),
            (unknown, f"{self.target.title} does not import {info.path.suffix} files"),
            (info.orientation != Orientation(), "it is turned by a flag, which its matte is not"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _converted(self, reason: str) -> PackagedFile:
        """The source encoded anew, at the package's rate."""
        self._remark(f"The source was encoded anew, because {reason}.")
        place = self.part / MEDIA_FOLDER
        encode = replace(self.encode, target=self.target.name)
        assert self.rate is not None
        made = conform(
            self.clip,
            fps=self.rate.fps,
            outputs=("source",),
            encode=encode,
            folder=place,
            reporter=self.reporter,
        )
        for extra in made.map_files:
            extra.unlink()  # the manifest has the map
        (result,) = made.results
        path = result.output.rename(self._inside(f"{self.name}-source{result.output.suffix}"))
        return self._finished(
            path, kind="source", name=self.name, how=f"encoded anew: {result.encoding}"
        )

    def _renders(self, shown: tuple[int, ...]) -> Iterator[PackagedFile]:
        """What is cut out, in the order of OUTPUTS, one file an object where that was asked for;
        all made in one pass.
        """
        clip = self._seen()
        planner = Planner(clip, self.tools, self.reporter)
        wanted = self.options.outputs or self.record.outputs
        planned: list[PlannedOutput] = []
        facts: list[tuple[str, tuple[int, ...]]] = []
        for kind in (kind for kind in OUTPUTS if kind in wanted):
            encode = replace(
                self.encode,
                target=self.target.name,
                sound=self.encode.sound and not self.record.stacked,
            )
            style = mask_style("auto", encode=encode, objects=shown)
            apart = (
                self.options.each_object
                and len(shown) > 1
                and (kind == "alpha" or (kind, style) == ("maskvideo", "luma"))
            )
            for objects in [(object_id,) for object_id in shown] if apart else [()]:
                settings = replace(self.settings, objects=objects) if objects else self.settings
                ending = f"-object{objects[0]}" if objects else ""
                path = self._inside(
                    f"{self.name}-{_FILE_NAMES[kind]}{ending}{self.target.deliveries[kind].suffix}"
                )
                planned.append(
                    self._planned(
                        planner, kind, path, settings=settings, style=style, encode=encode
                    )
                )
                facts.append((kind, objects))
                if (kind, style) == ("maskvideo", "rgb"):
                    self.in_channels.add(path.name)
                    self.remarks.append(
                        f"In the channels of {path.name},"
                        f" {describe_channels(object_channels(shown))}."
                    )
        results = write_outputs(clip, planned, self.reporter)
        for (kind, ids), result in zip(facts, results, strict=True):
            name = f"{self.name} {_NAMES[kind]}" + (f", object {ids[0]}" if ids else "")
            alpha = self._alpha if kind == "alpha" else "none"
            yield self._finished(
                result.output,
                kind=kind,
                name=name,
                how=result.encoding,
                alpha=alpha,
                object_ids=ids,
            )

    def _seen(self) -> SegmentedClip:
        """The clip through the frame map, when there is one."""
        if self.frame_map is None:
            return self.clip
        reader = ConformedReader(self.clip.reader, self.frame_map, notify=self.reporter.notify)
        clip = self.clip
        return ConformedClip(
            reader, clip.workspace, clip.store, clip.palette, indices=self.frame_map.indices
        )

    def _planned(
        self,
        planner: Planner,
        kind: str,
        path: Path,
        *,
        settings: MatteSettings,
        style: str,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        if kind == "alpha":
            return planner.alpha(
                path,
                premultiplied=self.options.premultiplied,
                keep_background=self.options.keep_background,
                settings=settings,
                encode=encode,
            )
        if kind == "greenback":
            return planner.greenback(path, key=self.options.key, settings=settings, encode=encode)
        return planner.maskvideo(path, style=style, settings=settings, encode=encode)

    def _finished(
        self,
        path: Path,
        *,
        kind: str,
        name: str,
        how: str,
        alpha: AlphaMode = "none",
        object_ids: tuple[int, ...] = (),
    ) -> PackagedFile:
        """A file of the package, counted and with its place in the finished folder."""
        final, media = self._final(path), None
        if self.rate:
            info = read_back(
                path, rate=self.rate.fps, frame_count=self._frame_count, notify=self.reporter.notify
            )
            media = as_media(
                info,
                name=name,
                final=final,
                rate=self.rate,
                alpha=alpha,
                notify=self.reporter.notify,
            )
        else:
            info = probe(path, notify=self.reporter.notify)
        return PackagedFile(
            kind=kind,
            path=path,
            final=final,
            name=name,
            info=info,
            how=how,
            alpha=alpha,
            object_ids=object_ids,
            media=media,
        )

    # ------------------------------------------------------------ places and words

    @property
    def _alpha(self) -> AlphaMode:
        return "premultiplied" if self.options.premultiplied else "straight"

    def _inside(self, name: str) -> Path:
        return self.part / MEDIA_FOLDER / name

    def _final(self, path: Path) -> Path:
        return self.folder / path.relative_to(self.part)

    def _where(self, one: PackagedFile) -> str:
        """From the package's folder, or in full when it lies elsewhere."""
        return (
            relative_path(one.final, self.folder)
            if one.final.is_relative_to(self.folder)
            else str(one.final)
        )

    def _listed(self, one: PackagedFile) -> ListedFile:
        alpha = f", {one.alpha} alpha" if one.alpha != "none" else ""
        what = "the source" if one.kind == "source" else one.name.removeprefix(f"{self.name} ")
        of = (
            " of the objects, one in each colour channel"
            if one.path.name in self.in_channels
            else ""
        )
        return ListedFile(one.kind, self._where(one), f"{what}{of}{alpha}: {one.how}")

    def _heard(self, edit: Edit | None, files: Sequence[PackagedFile]) -> bool:
        """Whether sound goes with the picture: on the timeline, or in a file where there is
        none.
        """
        if edit is not None and self.record.timelines:
            return any(clip.with_sound for track in edit.tracks for clip in track)
        return any(one.info.audio for one in files)

    def _remark(self, line: str) -> None:
        self.remarks.append(line)
        self.reporter.notify(line)


def _link(source: Path, place: Path) -> None:
    """A second name for the same file; a symbolic link where the disk is another.

    Raises OutputError when there is none.
    """
    try:
        place.hardlink_to(source)
    except OSError:
        try:
            place.symlink_to(source)
        except OSError as error:
            raise OutputError(
                f"{source.name} cannot be linked here: {error.strerror}", hint="use --media copy"
            ) from error
