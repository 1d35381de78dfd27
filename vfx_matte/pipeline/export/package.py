"""Makes a folder that an editing program opens as it is: renders, timelines, a note and a manifest.

All files follow one frame map at one constant rate: frame n of each is frame n of the source in the
timeline. A source that already has that rate is not encoded again; it is referred to where it is,
or copied or linked on request. The folder appears complete or not at all, and an earlier one stays
until then.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import OutputError, UsageError
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.media.pixels import Orientation
from vfx_matte.media.probe import ClipInfo, probe
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.media.sequence import is_sequence
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.export.conform import ConformRequest, conform
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
from vfx_matte.pipeline.render.key import is_auto
from vfx_matte.pipeline.render.outputs import PlannedOutput, write_outputs
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.programs.edit import AlphaMode, Edit, VideoRate
from vfx_matte.programs.notes import ListedFile, import_note
from vfx_matte.programs.record import Program
from vfx_matte.programs.registry import program_named
from vfx_matte.programs.timelines.scripts import relative_path
from vfx_matte.settings.options import (
    PACKAGE_OUTPUTS,
    AlphaSettings,
    ConformSettings,
    GreenbackSettings,
    MatteSettings,
    PackageSettings,
    listed,
)
from vfx_matte.timeline import ConformMap, nearest_standard_rate, parse_rate
from vfx_matte.timeline import conform as on_grid
from vfx_matte.wording import option

MEDIA_FOLDER = "media"
NOTE_NAME = "README.txt"

_NAMES = {"alpha": "cut-out", "maskvideo": "matte", "greenback": "green screen"}
_FILE_NAMES = {"alpha": "alpha", "maskvideo": "matte", "greenback": "green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequest:
    """What a package is made of."""

    settings: PackageSettings = PackageSettings()
    """Which files, at which rate, and what becomes of the source."""

    green: GreenbackSettings = GreenbackSettings()
    """The key of the green screen."""

    cut_out: AlphaSettings = AlphaSettings()
    """What colours of the cut-out are like."""

    matte: MatteSettings = MatteSettings()
    """Which objects are shown, and how their edges are made."""

    tools: Tools = Tools()
    """What it computes with."""

    encode: EncodeOptions = EncodeOptions()
    """Wishes beyond the program's record; its `sound` says whether the source's is carried."""

    output: Path | None = None
    """The folder; None is package-PROGRAM in the clip's folder of results."""

    @property
    def fps(self) -> Fraction | None:
        """The rate that was asked for; None = the nearest to the clip's own that the program has.

        Raises:
            UsageError: it is no rate.
        """
        return None if self.settings.fps == "auto" else parse_rate(self.settings.fps)

    @property
    def alpha(self) -> AlphaMode:
        """How colours of the cut-out go with its alpha."""
        return "premultiplied" if self.cut_out.premultiplied else "straight"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlannedRender:
    """One file that is rendered."""

    kind: str
    path: Path
    """Where it is made."""

    name: str
    """For people."""

    objects: tuple[int, ...]
    """What it shows; () = all of the chosen ones together."""

    style: str
    """Of a mask video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A package, before anything is written."""

    clip: SegmentedClip
    program: Program
    request: PackageRequest

    encode: EncodeOptions
    """That of the request, for the program."""

    part: Path
    """Where the package is made."""

    folder: Path
    """What that will be called."""

    rate: VideoRate | None
    frame_map: ConformMap | None
    """One rate and one frame map for everything; None where the program needs none."""

    renders: tuple[_PlannedRender, ...]

    reason_to_convert: str
    """Why the source is encoded anew, as the end of a sentence; "" when it is not."""

    remarks: tuple[str, ...]
    """What the note tells the user."""

    @property
    def frame_count(self) -> int:
        """Frames of every file."""
        return len(self.frame_map.indices) if self.frame_map else len(self.clip.info.timeline)

    @property
    def media_folder(self) -> Path:
        """Where the source and the renders are made."""
        return self.part / MEDIA_FOLDER

    def final(self, path: Path) -> Path:
        """Where a file of the package will be."""
        return self.folder / path.relative_to(self.part)


def package(
    clip: SegmentedClip,
    request: PackageRequest = PackageRequest(),
    *,
    program: str,
    reporter: Reporter,
) -> PackageResult:
    """Make the package of a clip for one program.

    Every file is verified and counted before the folder gets its name.

    Args:
        clip: with its finished masks.
        request: what the package is made of.
        program: its name, see `programs.registry`.
        reporter: receives notices and progress.

    Raises:
        UsageError: for an unknown program, or a folder that would replace something.
        MediaError, OutputError: when the clip cannot be read, or a file not be written.
        VerifyError: when a file differs from its source.
    """
    record = program_named(program)
    folder = request.output or clip.folder / f"package-{record.name}"
    if not folder.name:
        raise UsageError(
            f"output {str(folder)!r} is not a name for a folder",
            hint=f"give a new folder with {option('output')}",
        )
    # Timelines name files by their full path, in the folder as it will be called.
    folder = folder.resolve()
    refuse_to_replace(clip.info.path, folder, "the source clip")
    refuse_to_replace(clip.workspace.masks_folder, folder, "the masks")
    with atomic_folder(folder, foreign_file=foreign_file) as part:
        plan = _plan(clip, record, request, part=part, folder=folder, reporter=reporter)
        # Media first: timelines and the manifest say what was counted in the finished files.
        plan.media_folder.mkdir()
        files = [_source_file(plan, reporter), *_rendered_files(plan, reporter)]
        return _write_texts(plan, files, reporter)


def check_package(
    clip: SegmentedClip, request: PackageRequest, *, program: str, reporter: Reporter
) -> None:
    """Find out whether a package can be made as it is asked for; nothing is decoded or written.

    Args:
        clip: with its masks.
        request: what the package is made of.
        program: its name.
        reporter: receives the notices that it would give before it begins.

    Raises:
        UsageError, OutputError: as `package`.
    """
    record = program_named(program)
    folder = clip.folder / f"package-{record.name}"
    # which key is the best is found in frames
    key = "green" if is_auto(request.green.key) else request.green.key
    request = replace(request, green=replace(request.green, key=key))
    plan = _plan(clip, record, request, part=folder, folder=folder, reporter=reporter)
    planner = _planner(plan, reporter)
    for one in plan.renders:
        _planned_output(plan, planner, one, is_checked=False)


# ---------------------------------------------------------------- the plan


def _plan(
    clip: SegmentedClip,
    program: Program,
    request: PackageRequest,
    *,
    part: Path,
    folder: Path,
    reporter: Reporter,
) -> _Plan:
    """Settle the time of a package, its files, and what its note remarks; says the remarks too."""
    shown, info, fps = chosen_objects(clip, request.matte), clip.info, request.fps
    encode = replace(request.encode, target=program.name)
    # A rate, where anything needs one: a timeline, the program, or a new encoding of the source.
    # Web pages need none: they show a file at its own times, and sound goes with the picture.
    rate, frame_map, remarks = None, None, list[str]()
    is_encoded_anew = request.settings.media == "convert" or is_sequence(info.path)
    if fps or program.timelines or program.constant_rate or is_encoded_anew:
        standard = nearest_standard_rate(info.timeline)
        rate = VideoRate.of(fps or program.rate_for(standard))
        starts = _sound_times([track.start for track in info.audio], encode)
        frame_map = on_grid(info.timeline, rate.fps, sound_start=min(starts, default=None))
        remarks += _remarks_on_time(program, rate, standard, frame_map, info=info, encode=encode)
    # The files.
    settings = request.settings
    reason = _reason_to_convert(program, settings, info, frame_map) if frame_map else ""
    if reason:
        remarks.append(f"The source is encoded anew, because {reason}.")
    renders = tuple(
        _planned_renders(clip, program, settings, encode, shown, folder=part / MEDIA_FOLDER)
    )
    # What else the note remarks; the channels of a mask video its planner says.
    missing = [line for one in program.timelines if (line := one.missing())]
    for remark in (*remarks, *missing):
        reporter.notify(remark)
    channels = [
        f"In the channels of {one.path.name}, {describe_channels(object_channels(shown))}."
        for one in renders
        if one.style == "rgb"
    ]
    return _Plan(
        clip=clip, program=program, request=request, encode=encode, part=part,
        folder=folder, rate=rate, frame_map=frame_map, renders=renders,
        reason_to_convert=reason, remarks=(*remarks, *channels, *missing),
    )  # fmt: skip


def _sound_times(times: Sequence[Fraction | None], encode: EncodeOptions) -> list[Fraction]:
    """Times of the sound that is carried."""
    return [time for time in times if time is not None] if encode.sound else []


def _remarks_on_time(
    program: Program,
    rate: VideoRate,
    standard: Fraction,
    frame_map: ConformMap,
    *,
    info: ClipInfo,
    encode: EncodeOptions,
) -> Iterator[str]:
    """What a user should know about the rate, and about frames that repeat or are left out.

    standard: the standard rate nearest to the clip's own.
    """
    if program.rates and rate.fps not in program.rates:
        yield f"{program.title} may have no timeline of {rate} frames per second."
    elif rate.fps != standard:
        yield (
            f"{program.title} has no timeline of {float(standard):.6g} frames per second, so it is"
            f" {rate}."
        )
    # "none are left out" and "1 is left out" rather than "0 are": it has to read as a sentence.
    if frame_map.duplicated or frame_map.dropped or frame_map.lead:
        lead = (
            f" ({frame_map.lead} of them the first one, because the sound begins earlier)"
            if frame_map.lead
            else ""
        )
        repeated = (
            "1 repeats a picture"
            if frame_map.duplicated == 1
            else f"{frame_map.duplicated or 'none'} repeat a picture"
        )
        left_out = (
            "1 is left out"
            if frame_map.dropped == 1
            else f"{frame_map.dropped or 'none'} are left out"
        )
        yield (
            f"For {rate} frames per second the source's {frame_map.source_count} frames became"
            f" {len(frame_map.indices)}: {repeated}{lead}, {left_out}."
        )
    # Sound may outlast the picture; a frame's length of it is nothing that anybody would miss.
    ends = _sound_times([track.end for track in info.audio], encode)
    longer = max(ends, default=frame_map.timeline.end) - frame_map.timeline.end
    if longer > rate.frame_duration:
        yield (
            f"The sound goes on for {float(longer):.2f} s after the last picture: the timeline"
            " ends with the picture, the file has all of it."
        )


def _reason_to_convert(
    program: Program, settings: PackageSettings, info: ClipInfo, frame_map: ConformMap
) -> str:
    """See `_Plan.reason_to_convert`; what the user asked for counts first."""
    suffix = info.path.suffix
    # Each is enough, and the first one that holds is told.
    reasons = (
        (settings.media == "convert", f"you asked for it ({option('media', 'convert')})"),
        (is_sequence(info.path), "it is a sequence of pictures"),
        (
            not info.timeline.is_constant_rate or not info.reliable,
            "its frame rate varies, and editing programs count frames at one rate",
        ),
        (
            frame_map.indices != tuple(range(frame_map.source_count)),
            "its frames or its start do not fit the timeline's rate",
        ),
        (
            bool(program.suffixes) and suffix.lower() not in program.suffixes,
            f"{program.title} does not import {suffix} files",
        ),
        (
            info.orientation != Orientation(),
            "it is turned by a flag, which its matte is not",
        ),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _planned_renders(
    clip: SegmentedClip,
    program: Program,
    settings: PackageSettings,
    encode: EncodeOptions,
    shown: tuple[int, ...],
    *,
    folder: Path,
) -> Iterator[_PlannedRender]:
    """What is cut out, in the order of PACKAGE_OUTPUTS; with `each_object` one file per object."""
    # Planned in one order whatever was asked for, since tracks are stacked in it.
    wanted = listed(settings.outputs) or program.outputs
    for kind in (kind for kind in PACKAGE_OUTPUTS if kind in wanted):
        style = mask_style("auto", encode=encode, objects=shown) if kind == "maskvideo" else ""
        # a file of channels or of a key colour shows all objects at once
        apart = settings.each_object and len(shown) > 1 and (kind == "alpha" or style == "luma")
        for objects in [(object_id,) for object_id in shown] if apart else [()]:
            # an id in the name, so that a file can be told from the others outside of the package
            ending = f"-object{objects[0]}" if objects else ""
            suffix = program.encodings[kind].suffix
            yield _PlannedRender(
                kind=kind,
                path=folder / f"{clip.name}-{_FILE_NAMES[kind]}{ending}{suffix}",
                name=f"{clip.name} {_NAMES[kind]}" + (f", object {objects[0]}" if objects else ""),
                objects=objects,
                style=style,
            )


# ---------------------------------------------------------------- the source


def _source_file(plan: _Plan, reporter: Reporter) -> PackagedFile:
    """The source as the timelines name it: where it is, or in the package."""
    # Encoding anew costs quality, time and space, so it is done only where something asks for it.
    clip, name = plan.clip, plan.clip.name
    if plan.reason_to_convert:
        return _converted_source(plan, reporter)
    # `now` is where it can be read, `final` what timelines say.
    path, inside = clip.info.path, plan.media_folder / clip.info.path.name
    media_choice = plan.request.settings.media
    if media_choice == "reference":
        now, final, how = path, path.resolve(), "as it is, where it is"
    elif media_choice == "copy":
        shutil.copy2(path, inside)
        now, final, how = inside, plan.final(inside), "copied"
    else:
        _link(path.resolve(), inside)
        now, final, how = inside, plan.final(inside), "linked"
    media = None
    if plan.rate:
        media = as_media(
            clip.info,
            name=name,
            final=final,
            rate=plan.rate,
            alpha="none",
            notify=reporter.notify,
        )
    return PackagedFile(
        kind="source", path=now, final=final, name=name, info=clip.info, how=how, media=media
    )


def _converted_source(plan: _Plan, reporter: Reporter) -> PackagedFile:
    """The source encoded anew, at the package's rate."""
    assert plan.rate is not None
    made = conform(
        plan.clip,
        ConformRequest(
            settings=ConformSettings(fps=str(plan.rate.fps), outputs="source"), encode=plan.encode
        ),
        folder=plan.media_folder,
        reporter=reporter,
    )
    # `conform` names its file for a folder of its own; the map is in the manifest.
    for extra in made.map_files:
        extra.unlink()
    (result,) = made.results
    path = plan.media_folder / f"{plan.clip.name}-source{result.output.suffix}"
    how = f"encoded anew: {result.encoding}"
    return _counted_file(
        plan, result.output.rename(path), kind="source", name=plan.clip.name, how=how,
        reporter=reporter,
    )  # fmt: skip


def _link(source: Path, link: Path) -> None:
    """A second name for the same file; a symbolic link where the disk is another.

    Raises:
        OutputError: when the disk has neither.
    """
    try:
        link.hardlink_to(source)  # costs no space, and stays when the source's name goes
    except OSError:
        try:
            link.symlink_to(source)
        except OSError as error:
            raise OutputError(
                f"{source.name} cannot be linked here: {error.strerror}",
                hint=f"use {option('media', 'copy')}",
            ) from error


# ---------------------------------------------------------------- what is cut out


def _rendered_files(plan: _Plan, reporter: Reporter) -> Iterator[PackagedFile]:
    """The renders, all made in one pass."""
    planner = _planner(plan, reporter)
    planned = [_planned_output(plan, planner, one) for one in plan.renders]
    results = write_outputs(planner.clip, planned, reporter)
    for one, result in zip(plan.renders, results, strict=True):
        yield _counted_file(
            plan,
            result.output,
            kind=one.kind,
            name=one.name,
            how=result.encoding,
            alpha=plan.request.alpha if one.kind == "alpha" else "none",
            object_ids=one.objects,
            in_channels=one.style == "rgb",
            reporter=reporter,
        )


def _planner(plan: _Plan, reporter: Reporter) -> Planner:
    """Plans the renders of the clip as the package shows it."""
    clip = plan.clip
    if plan.frame_map is not None:
        reader = ConformedReader(clip.reader, plan.frame_map, notify=reporter.notify)
        clip = clip.mapped(reader, plan.frame_map.indices)
    return Planner(clip, plan.request.tools, reporter)


def _planned_output(
    plan: _Plan, planner: Planner, one: _PlannedRender, *, is_checked: bool = True
) -> PlannedOutput:
    request, matte = plan.request, plan.request.matte
    # one object's file shows no other, also where masks touch
    settings = replace(matte, objects=one.objects) if one.objects else matte
    # sound goes with the source, where the cut-out lies over it
    sound = plan.encode.sound and not plan.program.stacked
    encode = replace(plan.encode, sound=sound)
    if one.kind == "alpha":
        return planner.alpha(
            one.path,
            premultiplied=request.cut_out.premultiplied,
            keep_background=request.cut_out.keep_background,
            settings=settings,
            encode=encode,
        )
    if one.kind == "greenback":
        return planner.greenback(
            one.path,
            key=request.green.key,
            is_checked=is_checked,
            settings=settings,
            encode=encode,
        )
    return planner.maskvideo(one.path, style=one.style, settings=settings, encode=encode)


def _counted_file(
    plan: _Plan,
    path: Path,
    *,
    kind: str,
    name: str,
    how: str,
    alpha: AlphaMode = "none",
    object_ids: tuple[int, ...] = (),
    in_channels: bool = False,
    reporter: Reporter,
) -> PackagedFile:
    """A file of the package, read back, with its place in the finished folder."""
    final, media = plan.final(path), None
    # Where frames are counted, every one has to be there.
    if plan.rate:
        info = read_back(
            path, rate=plan.rate.fps, frame_count=plan.frame_count, notify=reporter.notify
        )
        media = as_media(
            info, name=name, final=final, rate=plan.rate, alpha=alpha, notify=reporter.notify
        )
    else:
        info = probe(path, notify=reporter.notify)
    return PackagedFile(
        kind=kind,
        path=path,
        final=final,
        name=name,
        info=info,
        how=how,
        alpha=alpha,
        object_ids=object_ids,
        in_channels=in_channels,
        media=media,
    )


# ---------------------------------------------------------------- timelines, note, manifest


def _write_texts(plan: _Plan, files: Sequence[PackagedFile], reporter: Reporter) -> PackageResult:
    """Write everything but media, and say what the package has."""
    clip, program = plan.clip, plan.program
    # Timelines, where there is a rate to count frames at.
    edit: Edit | None = None
    names: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    if plan.rate:
        edit = edit_of(clip.name, files, program=program, sound=plan.encode.sound)
        names, contents = timeline_files(
            edit, files, program=program, name=clip.name, folder=plan.folder
        )
    # No door shows the note and the manifest, so what they name is spelled for the one that asked.
    contents[NOTE_NAME] = import_note(
        program,
        edit=edit,
        name=clip.name,
        files=[_listed(plan, one) for one in files],
        timelines=names,
        alpha=plan.request.alpha,
        sound=_has_sound(program, edit, files),
        remarks=plan.remarks,
        spell=reporter.spell,
    ).encode()
    # Nothing else is written if one of the texts cannot be made.
    for name, content in contents.items():
        (plan.part / name).write_bytes(content)
    # The manifest last: it has the checksums of everything else.
    facts = manifest(
        program=program.name, clip_name=clip.name, source=clip.info, files=files,
        written=tuple(contents), part=plan.part, folder=plan.folder, rate=plan.rate,
        frame_map=plan.frame_map, remarks=[reporter.spell(remark) for remark in plan.remarks],
    )  # fmt: skip
    (plan.part / MANIFEST_NAME).write_bytes(facts)
    return PackageResult(
        folder=plan.folder,
        title=program.title,
        rate=plan.rate,
        frame_count=plan.frame_count,
        # as the folder is read: media, what opens it, what explains it
        files=(
            *(ListedPath(_path_text(plan, one), one.name, one.how) for one in files),
            *(
                ListedPath(name, "note" if name == NOTE_NAME else "timeline", "")
                for name in contents
            ),
            ListedPath(MANIFEST_NAME, "checksums, rate, timestamps", ""),
        ),
        open_first=next(iter(names.values()), NOTE_NAME),
        remarks=plan.remarks,
    )


def _path_text(plan: _Plan, one: PackagedFile) -> str:
    """From the package's folder, or in full when it lies elsewhere."""
    # A source that is referred to lies elsewhere, and is named as timelines name it.
    is_inside = one.final.is_relative_to(plan.folder)
    return relative_path(one.final, plan.folder) if is_inside else str(one.final)


def _listed(plan: _Plan, one: PackagedFile) -> ListedFile:
    """A file as the note lists it."""
    alpha = f", {one.alpha} alpha" if one.alpha != "none" else ""
    what = "the source" if one.kind == "source" else one.name.removeprefix(f"{plan.clip.name} ")
    of = " of the objects, one in each colour channel" if one.in_channels else ""
    return ListedFile(one.kind, _path_text(plan, one), f"{what}{of}{alpha}: {one.how}")


def _has_sound(program: Program, edit: Edit | None, files: Sequence[PackagedFile]) -> bool:
    """Whether sound goes with the picture: on the timeline, or in a file where there is no
    timeline.
    """
    # On a timeline sound is heard where a clip has it; without one, a file brings its own.
    if edit is not None and program.timelines:
        return any(clip.with_sound for track in edit.tracks for clip in track)
    return any(one.info.audio for one in files)
