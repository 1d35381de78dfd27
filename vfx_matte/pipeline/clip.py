"""Finds and opens a clip, with its finished masks where it has some."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from vfx_matte.backend import Notify
from vfx_matte.errors import InputError, OutputError, UsageError, WorkspaceError
from vfx_matte.masks import Mask, Matte, Palette
from vfx_matte.media.frames import ClipReader, check_frame
from vfx_matte.media.open import open_clip
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.sequence import has_pictures, is_sequence, sequence_files
from vfx_matte.numbering import parse_pattern
from vfx_matte.pipeline.frame_numbers import ambiguity_notice, outside_hint
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.wording import command, option
from vfx_matte.workspace import (
    ClipWorkspace,
    MaskStore,
    OutputRecord,
    ReferenceRecord,
    Scalar,
    Soft,
    SourceStamp,
    Workspace,
    clip_name,
)

GAPS_SETTING = "gaps"
"""The setting of runs on a sequence whose missing numbers are not held."""

TABLE_ENDINGS = (".csv", ".tsv", ".txt", "")
"""Suffixes of files that a table may replace."""


def _no_notice(_: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceClip:
    """An opened clip."""

    path: Path
    reader: ClipReader
    notify: Notify = _no_notice

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""
        return self.reader.info

    def frame_index(self, position: int | Fraction) -> int:
        """The index of the frame at a position.

        A notice says which picture of a sequence a number is, where it could be another one's.

        Args:
            position: a frame's number, or seconds from the clip's start.

        Raises:
            UsageError: the clip has no such frame.
        """
        timeline = self.info.timeline
        index = timeline.index_of(position)
        # seconds at or after the end are on no frame, though the last one is the nearest
        is_after = isinstance(position, Fraction) and position >= timeline.end - timeline.start
        if is_after or not 0 <= index < len(timeline):
            if isinstance(position, int):
                check_frame(index, timeline, hint=outside_hint(self.info, position))
            length = f"frames {timeline.numbers_text}, {float(timeline.end - timeline.start):.3f} s"
            raise UsageError(
                f"{float(position):g} s is not in the clip", hint=f"the clip has {length}"
            )
        # somebody may have counted from 0
        if isinstance(position, int) and (line := ambiguity_notice(self.info, [position], "frame")):
            self.notify(line)
        return index

    def frame_range(
        self, start: int | Fraction | None, stop: int | Fraction | None
    ) -> tuple[int, int]:
        """The half-open range of frame indices between two positions.

        Args:
            start: as for `frame_index`; None is the clip's first frame.
            stop: the first frame that is not in it; None is the clip's end.

        Raises:
            UsageError: there is no frame between them.
        """
        timeline = self.info.timeline
        first = 0 if start is None else self.frame_index(start)
        last_number = timeline.number(len(timeline))
        # of a range that ends too late its last frame is named, which no range is without
        if isinstance(stop, int) and stop > last_number:
            self.frame_index(stop - 1)
        # the end is a position too, though no frame is there
        at_end = stop in (None, last_number) or (
            isinstance(stop, Fraction) and stop >= timeline.end - timeline.start
        )
        last = len(timeline) if stop is None or at_end else self.frame_index(stop)
        if first >= last:
            raise UsageError(
                f"frames {timeline.number(first)} to {timeline.number(last)} are not a range of"
                " this clip",
                hint=(
                    f"it has frames {timeline.numbers_text}, and {option('stop')} is the frame"
                    " after the last one"
                ),
            )
        return first, last


class FrameWatcher(Protocol):
    """Receives what is shown of each frame of the clip's own file."""

    def saw_mask(self, source_index: int, mask: Mask) -> None:
        """Receive a mask that was read."""

    def saw_matte(self, source_index: int, matte: Matte) -> None:
        """Receive the alpha that a frame is shown with."""


@dataclass(frozen=True, slots=True)
class SegmentedClip:
    """An opened clip with its finished masks, or a view of it through a frame map."""

    reader: ClipReader
    workspace: ClipWorkspace
    store: MaskStore
    palette: Palette = field(default_factory=Palette.davis)

    frame_map: tuple[int, ...] | None = None
    """The frame of the clip's own file that each frame shows; None = itself."""

    watcher: FrameWatcher | None = None

    def mapped(
        self,
        reader: ClipReader,
        frame_map: tuple[int, ...],
        *,
        watcher: FrameWatcher | None = None,
    ) -> SegmentedClip:
        """The clip seen through a frame map: frame n and its mask are those of frame_map[n].

        Args:
            reader: reads the clip through the same map.
            frame_map: indices of the clip's own frames.
            watcher: receives what is shown of them.
        """
        return replace(self, reader=reader, frame_map=frame_map, watcher=watcher)

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""
        return self.reader.info

    @property
    def name(self) -> str:
        """The clip's name in file names."""
        return clip_name(self.info.path)

    @property
    def folder(self) -> Path:
        """Where outputs go."""
        return self.workspace.folder

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that the masks show."""
        return tuple(sorted(self.store.manifest.objects))

    @property
    def mask_frames(self) -> list[int]:
        """The frames that have a mask, ascending."""
        done = self.store.manifest.done_frames()
        if self.frame_map is None:
            return sorted(done)
        return [number for number, index in enumerate(self.frame_map) if index in done]

    def shows(self, frame_index: int) -> int:
        """Which frame of the clip's own file a frame shows: itself, unless frames are held or left
        out.
        """
        return frame_index if self.frame_map is None else self.frame_map[frame_index]

    def note_matte(self, frame_index: int, matte: Matte) -> None:
        """Tell the watcher what alpha a frame is shown with."""
        if self.watcher is not None:
            self.watcher.saw_matte(self.shows(frame_index), matte)

    def mask(self, frame_index: int) -> Mask | None:
        """The mask of one frame, uint8 (H, W), or None when it has none."""
        index = self.shows(frame_index)
        mask = self.store.get(index)
        if mask is not None:
            self._check_size(mask, f"mask of frame {self.info.timeline.number(index)}")
            if self.watcher is not None:
                self.watcher.saw_mask(index, mask)
        return mask

    def soft(self, object_id: int, frame_index: int) -> Soft:
        """The probability of an object on a frame that has a mask: uint8 (H, W), 255 = certain.

        Raises:
            WorkspaceError: it is lost, damaged or of another size.
        """
        index = self.shows(frame_index)
        soft = self.store.soft(object_id, index)
        self._check_size(
            soft, f"soft result of object {object_id} on frame {self.info.timeline.number(index)}"
        )
        return soft

    def _check_size(self, array: Mask | Soft, what: str) -> None:
        # masks are files that people may replace: another size would fail deep inside a render,
        # without a name
        if array.shape != self.info.shape:
            raise WorkspaceError(
                f"{what} is {array.shape[1]}×{array.shape[0]}, the clip is"
                f" {self.info.width}×{self.info.height}",
                hint=f"segment the clip again with {option('fresh', True)}",
            )

    def check_unchanged(self) -> None:
        """Check that the clip and its masks are as they were when they were opened.

        Raises:
            MediaError: the clip has changed.
            WorkspaceError: masks have.
        """
        self.reader.check_unchanged()
        self.store.check_unchanged()

    def record(
        self, output: Path, kind: str, settings: Mapping[str, Scalar], reporter: Reporter
    ) -> None:
        """Note in the manifest that an output was written.

        Where that fails, a notice says so: the output itself is there.
        """
        try:
            self.workspace.record_output(output.name, OutputRecord(kind, dict(settings)))
        except OutputError as error:
            reporter.notify(
                f"{output.name} is finished, but not noted in the workspace: {error.message}"
            )


def find_clip(clip: Path | None, *, source: Path, workspace: Path, default: Path | None) -> Path:
    """Find the clip that a user means.

    Args:
        clip: as typed: a path, a name inside the `source` folder, or the clip's folder of results;
            None takes the default, or else the clip that was segmented last.
        source: the folder of clips.
        workspace: the folder for results.
        default: the clip in config.ini.

    Raises:
        InputError: it is not there.
        UsageError: there is none to take.
    """
    # nothing typed: what is meant most of the time
    if clip is None:
        if default is not None:
            return _existing(default, source)
        latest = Workspace(workspace).latest()
        manifest = latest.manifest() if latest is not None else None
        if manifest is None:
            raise UsageError(
                "no clip is given and none has been segmented yet",
                hint=f"name a clip: {command('COMMAND', 'CLIP')}",
            )
        return _segmented_source(manifest.source, source)
    # the folder of results, or its name, which is what people see there
    results = clip if clip.is_dir() else workspace / clip.name
    if results == clip or not _is_there(clip, source):
        with contextlib.suppress(WorkspaceError):
            manifest = ClipWorkspace(results).manifest() if clip.name else None
            if manifest is not None:
                return _segmented_source(manifest.source, source)
    return _existing(clip, source)


def _segmented_source(known: SourceStamp, source: Path) -> Path:
    """A clip of the workspace: where it was, where it is when its whole project was moved, or under
    another name.
    """
    paths = (known.path, Path(known.path.name), source / known.path.name)
    if not any(path.exists() or is_sequence(path) for path in paths) and (
        found := _renamed(known, source)
    ):
        return found
    return _existing(known.path, source, *paths[1:])


def _is_there(clip: Path, source: Path) -> bool:
    """Whether a clip is a file as typed or in the folder of clips, or is typed with a folder, which
    no name of results has.
    """
    typed = (clip, source / clip)
    return len(clip.parts) > 1 or any(path.exists() or has_pictures(path) for path in typed)


def _renamed(known: SourceStamp, source: Path) -> Path | None:
    """A file with the bytes of a clip whose own name is gone, in its folder, the working directory
    or `source`.
    """
    # sizes first, as a fingerprint reads the file
    for folder in (known.path.parent, Path(), source):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (
                path.is_file()
                and path.stat().st_size == known.size_bytes
                and SourceStamp.of(path).fingerprint == known.fingerprint
            ):
                return path
    return None


def _existing(clip: Path, source: Path, *moved: Path) -> Path:
    """The first of the paths that is there; `moved`: where it may be when its project was moved."""
    for candidate in (clip, source / clip, *moved):
        if candidate.exists() or has_pictures(candidate):
            return candidate
    if is_sequence(clip):
        # reading it will say what is wrong with the pattern
        return clip
    raise InputError(
        f"there is no clip {str(clip)!r}",
        hint=f"check the path (also looked for in {str(source)!r})",
    )


def open_source(
    path: Path,
    *,
    fps: Fraction | None = None,
    usual_fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    begins: bool = False,
    reporter: Reporter,
) -> SourceClip:
    """Open a clip.

    Args:
        path: a video, a folder of pictures or a numbered pattern.
        fps: the rate of an image sequence.
        usual_fps: the rate of sequences when `fps` is None; not for videos.
        gaps: what stands for missing numbers of a sequence: "hold", "black" or "error".
        ignore_alpha: read it as opaque.
        begins: whether it is going to be read from its beginning at once, see `VideoReader`.
        reporter: receives notices.

    Raises:
        UsageError: `fps` is given for a video, which has its own time.
        InputError: the clip is not there.
        MediaError: the clip cannot be read.
    """
    # an own rate given for a video is an error there; the usual one is meant for sequences alone
    rate = fps or (usual_fps if is_sequence(path) else None)
    reader = open_clip(
        path,
        fps=rate,
        gaps=gaps,
        ignore_alpha=ignore_alpha,
        begins=begins,
        notify=reporter.notify,
    )
    return SourceClip(path, reader, reporter.notify)


def open_segmented(
    path: Path,
    *,
    workspace: Path,
    ignore_alpha: bool = False,
    begins: bool = False,
    reporter: Reporter,
) -> SegmentedClip:
    """Open a clip together with its masks.

    Args:
        path: the clip.
        workspace: the folder for results.
        ignore_alpha: read the clip as opaque.
        begins: as for `open_source`.
        reporter: receives notices, such as that the masks are not complete.

    Raises:
        WorkspaceError: the clip has not been segmented, or has changed since.
        MediaError: the clip cannot be read.
    """
    work = Workspace(workspace).find(path)
    if work is None:
        raise WorkspaceError(
            f"{str(path)!r} has no masks yet",
            hint=f"first run: {command('segment', path, first_mask='mask.png')}",
        )
    store = work.mask_store()
    # as it was segmented: another rate or filling of gaps would be another timeline
    fps = store.manifest.timeline.average_fps if is_sequence(path) else None
    gaps = str(store.manifest.settings.get(GAPS_SETTING, "hold"))
    clip = open_source(
        path, fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, begins=begins, reporter=reporter
    )
    # the same bytes with another timeline, as another version of the program may read them
    if clip.info.timeline != store.manifest.timeline:
        raise WorkspaceError(
            f"{str(path)!r} is not the clip its masks were made for",
            hint=f"segment it again with {option('fresh', True)}",
        )
    if not store.manifest.is_complete:
        reporter.notify(
            f"{work.folder} is not complete; unless a run is at work on it,"
            f" {command('segment', resume=True)} finishes it"
        )
    return SegmentedClip(clip.reader, work, store)


def open_segmented_or_source(
    path: Path,
    *,
    workspace: Path,
    usual_fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    reporter: Reporter,
) -> SegmentedClip | SourceClip:
    """Open a clip with its masks where it has some, otherwise the clip alone; see `open_segmented`
    and `open_source`.
    """
    if Workspace(workspace).find(path) is None:
        return open_source(
            path, usual_fps=usual_fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=reporter
        )
    return open_segmented(path, workspace=workspace, ignore_alpha=ignore_alpha, reporter=reporter)


def refuse_to_replace(kept: Path, output: Path, what: str) -> None:
    """Refuse to write an output over something that is kept.

    Args:
        kept: a file, a folder (all of whose files count) or a numbered pattern.
        output: the file to be written.
        what: the name of `kept` in the message.

    Raises:
        UsageError: writing `output` would replace `kept`, or something in it.
    """
    # by where paths lead, not by how they are written: links and ".." must not get around it
    kept, target = kept.resolve(), output.resolve()
    if kept.is_dir():
        replaces = target == kept or kept in target.parents
    elif is_sequence(kept):
        replaces = target == kept.parent or target in sequence_files(kept)
    else:
        # other names of the same file count too: links, and other cases on disks that ignore them
        replaces = target == kept or (target.exists() and kept.exists() and target.samefile(kept))
    if replaces:
        raise UsageError(
            f"output {str(output)!r} would replace {what}",
            hint=f"choose another place with {option('output')}",
        )


def refuse_foreign(output: Path, *, is_ours: Callable[[Path], bool], maker: str) -> None:
    """Refuse to replace a file that this program has not made.

    An empty file may be replaced: a script made it to keep the name for our output.

    Args:
        output: the file to be written.
        is_ours: whether a file that is there was made here.
        maker: what makes such files, for the message.

    Raises:
        UsageError: somebody else's file lies there.
    """
    if output.is_file() and output.stat().st_size and not is_ours(output):
        raise UsageError(
            f"output {str(output)!r} is there and was not made by {maker}",
            hint=f"choose another name with {option('output')}, or delete it",
        )


def refuse_numbered(output: Path, clip: Path) -> None:
    """Refuse a name with a place for a number, of an output that is a single picture.

    Args:
        output: the picture to be written, such as x-%d.png.
        clip: what it shows; its own name may be part of the output's, whatever it is.

    Raises:
        UsageError: its name has such a place.
    """
    pattern, others = parse_pattern(output.name), output.name.replace(clip.stem, "")
    if pattern is None or parse_pattern(others) is None:
        return
    # one "#" may be part of a name: take #2.png
    if "%" in others or "$F" in others or pattern.digits > 1:
        raise UsageError(
            f"output {str(output)!r} has a place for a number, and this is one picture",
            hint=f"write the name of the one file: {option('output', pattern.name(0))}",
        )


def require_table_place(path: Path) -> None:
    """Raise UsageError when a table would replace a file that is none, such as a clip or a painted
    mask.
    """
    # a clip or a picture has another suffix; a table may have none
    if path.is_file() and path.suffix.lower() not in TABLE_ENDINGS:
        raise UsageError(
            f"table {str(path)!r} would replace a file of another kind",
            hint="choose a name that ends in .csv",
        )


def sheet_path(clip: SegmentedClip, output: Path | None, *, usual: str, option_name: str) -> Path:
    """Where a contact sheet of a clip goes.

    Args:
        clip: the clip.
        output: the path that was asked for; None is the usual one.
        usual: the file's name in the clip's folder of results.
        option_name: the option that `output` was given with, for messages.

    Raises:
        UsageError: the sheet would replace the clip, its masks or a reference, or is not a PNG.
    """
    path = clip.folder / usual if output is None else output
    if path.suffix.lower() != ".png":
        raise UsageError(
            f"contact sheet {str(path)!r} is not a PNG",
            hint=f"give a name that ends in .png with {option(option_name)}",
        )
    refuse_to_replace(clip.info.path, path, "the clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    refuse_reference(clip, path, option_name=option_name)
    return path


def refuse_reference(clip: SegmentedClip, path: Path, *, option_name: str = "output") -> None:
    """Refuse to write a picture over a mask that the clip was segmented by.

    Args:
        clip: the clip.
        path: the picture.
        option_name: the option that it was given with, for messages.

    Raises:
        UsageError: the picture would replace a reference mask.
    """
    # by its bytes, as references lie anywhere
    if path.is_file():
        digest = ReferenceRecord.of(path, {}).sha256
        if any(record.sha256 == digest for record in clip.store.manifest.references.values()):
            raise UsageError(
                f"output {str(path)!r} would replace a reference mask",
                hint=f"choose another place with {option(option_name)}",
            )
