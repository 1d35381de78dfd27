"""Makes first masks in memory and in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vfx_matte.backend import keep_freed_memory
from vfx_matte.drawing.sheet import tinted, with_marks
from vfx_matte.errors import OutputError, UsageError, VfxMatteError, WorkspaceError
from vfx_matte.files.fingerprint import file_sha256
from vfx_matte.first_mask import (
    Answer,
    Marks,
)
from vfx_matte.masks import Image, Mask, Palette, object_ids
from vfx_matte.pipeline.clip import SourceClip, open_segmented, refuse_numbered, refuse_to_replace
from vfx_matte.pipeline.first_mask.changes import change_lines
from vfx_matte.pipeline.first_mask.marking import marking_of, open_marking
from vfx_matte.pipeline.first_mask.records import (
    LEAST_CONFIDENCE,
    FirstMaskResult,
    MaskedObject,
    MaskRequest,
    MaskResult,
)
from vfx_matte.pipeline.first_mask.salient_network import opened_network
from vfx_matte.pipeline.frame_numbers import named_after
from vfx_matte.pipeline.next_steps import (
    mask_name,
    segment_command,
    use_mask_command,
    waiting_masks,
)
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.references.files import preview_path
from vfx_matte.references.painting import (
    ORIGINS,
    UNSURE,
    Note,
    PaintedMask,
    load_painted,
    noted_origins,
    origin_digest,
    read_note,
    repainted,
    save_noted_mask,
    save_noted_picture,
    unsure_objects,
)
from vfx_matte.references.reading import MaskPicture, read_references
from vfx_matte.wording import command, option
from vfx_matte.workspace import clip_name

# a mask that was corrected more often knows the last of the masks before it
_MOST_ORIGINS = 20


def first_mask(
    clip: SourceClip,
    request: MaskRequest,
    *,
    start: MaskPicture | None = None,
    network: Path | None,
    method: str = "auto",
    model: Path | None = None,
    reporter: Reporter,
) -> FirstMaskResult:
    """Make a mask of one frame, or correct one, in memory.

    Args:
        clip: the clip.
        request: what is asked for; its own `start` is a mask file.
        start: a painted mask in memory to begin with, instead of a file.
        network: the file of the salient network, used where it is there; None does without.
        method: a name of `method_names`.
        model: the folder of network weights, for methods that need others.
        reporter: receives notices about the network and about the mask to start from.

    Raises:
        UsageError: the request does not fit the clip (NothingFoundError: nothing is found).
        MediaError: the frame cannot be read.
        InputError: a file is missing.
    """
    # 1. the frame, and the mask to begin with
    frame = clip.reader.frame(0 if request.at is None else clip.frame_index(request.at))
    number = clip.info.timeline.number(frame.index)
    content = (
        start
        if request.start is None
        else load_painted(request.start, shape=clip.info.shape).content
    )
    name = "the mask" if request.start is None else request.start.name
    before: Mask = np.zeros(clip.info.shape, np.uint8)
    if content is not None:
        before = _read(content, number, clip.info.shape, name=name, reporter=reporter)
    # 2. what the marks make of it
    found = (
        opened_network(network, reporter.notify)
        if network is not None and network.is_file()
        else None
    )
    marking = marking_of(frame.image, found, method=method, model=model)
    mask, answers, lines = marking.placed(
        before, request.marks, auto=request.auto, object_id=request.object_id, name=name
    )
    if request.alone:
        mask = _only(mask, answers)
    objects = masked_objects(mask, answers, before)
    # whoever asks in memory still has the mask that it began with
    lines.extend(change_lines(before, mask, objects, request.marks, earlier="the earlier mask"))
    return FirstMaskResult(number, mask, objects, tuple(lines))


def save_first_mask(
    clip: SourceClip,
    request: MaskRequest,
    *,
    output: Path | None = None,
    preview: bool = True,
    workspace: Path,
    model: Path,
    propagator: PropagatorOptions,
    fetch: bool = True,
    method: str = "auto",
    reporter: Reporter,
) -> MaskResult:
    """Make a mask of one frame, or correct one, and save it with its preview.

    A mask that exists under the output's name is corrected when an object is named
    (`request.object_id`), and replaced otherwise. It is an error where that mask belongs to another
    frame or to the workspace, or was not made by this function. A mask file that is corrected keeps
    its mode, palette and colours. The same request gives the same bytes.

    Args:
        clip: the clip.
        request: what is asked for.
        output: a PNG file; None is CLIP.mask.NUMBER.png in the working directory.
        preview: whether to save one.
        workspace: where the clip's masks are.
        model: the folder of network weights.
        propagator: what is chosen now, for the next command.
        fetch: whether the salient network may be fetched.
        method: a name of `method_names`.
        reporter: receives notices.

    Raises:
        UsageError: the request or the output does not fit (NothingFoundError: nothing is found;
            WorkspaceError: there is no propagated mask).
        MediaError: the frame cannot be read.
        OutputError: the mask cannot be written. Nothing is written in any of these cases.
    """
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(
            f"mask {str(output)!r} is not a PNG", hint="masks are PNG files, which keep every value"
        )
    # layers of a network are freed and taken again hundreds of times
    keep_freed_memory()
    # 1. everything that can be refused without computing
    number = clip.info.timeline.number(0 if request.at is None else clip.frame_index(request.at))
    path = output or Path(mask_name(clip.path, number))
    # tells a later run which frame the mask belongs to, whatever its file is called then
    owner: Note = {"clip": clip_name(clip.path), "frame": number}
    _check_output(clip, path, owner, is_corrected=_begins_with(request, path))
    shown = _preview_output(clip, path, reporter) if preview else None
    start = _start(clip, request, path, number=number, workspace=workspace, reporter=reporter)
    # 2. the mask
    marking = open_marking(
        clip, request.at, model=model, fetch=fetch, method=method, reporter=reporter
    )
    mask, answers, lines = marking.placed(
        start.mask, request.marks, auto=request.auto, object_id=request.object_id, name=start.name
    )
    if request.alone:
        mask = _only(mask, answers)
    elif request.from_propagated:
        lines.extend(_as_given(mask, answers))
    for line in lines:
        reporter.notify(line)
    # 3. its files; a preview that cannot be written is no reason to lose the mask
    unsure, origins = _unsure(start, mask, answers), start.origins(mask)
    # so that later calls know what it is worth, and which mask it can stand for
    note: Note = {
        **owner,
        **({UNSURE: {str(key): percent for key, percent in unsure.items()}} if unsure else {}),
        **({ORIGINS: origins} if origins else {}),
    }
    save_noted_mask(path, _as_painted(start, mask, reporter), note)
    if shown is not None:
        try:
            save_noted_picture(
                shown, _preview(marking.image, mask, request.marks), {"preview": path.name, **owner}
            )
        except OutputError as error:
            reporter.notify(f"no preview: {error.message}")
            shown = None
    next_command = _next_command(
        clip,
        path,
        number,
        is_of_use=not unsure,
        workspace=workspace,
        propagator=propagator,
        reporter=reporter,
    )
    objects = masked_objects(mask, answers, start.mask)
    earlier = "" if start.is_replaced_by(path) else start.name
    for line in change_lines(start.mask, mask, objects, request.marks, earlier=earlier):
        reporter.notify(line)
    return MaskResult(path, shown, mask, objects, next_command)


def masked_objects(
    mask: Mask, answers: dict[int, Answer], before: Mask | None = None
) -> tuple[MaskedObject, ...]:
    """Every object that was found, with its area in the mask that resulted, and how far that is
    from the mask `before`, where it was in that.
    """
    found = []
    for object_id, answer in answers.items():
        own = mask == object_id
        had = own if before is None else before == object_id
        pixels = int(np.count_nonzero(own))
        gained, lost = (
            (int(np.count_nonzero(own & ~had)), int(np.count_nonzero(had & ~own)))
            if had.any()
            else (0, 0)
        )
        found.append(
            MaskedObject(
                object_id,
                pixels,
                pixels / mask.size,
                answer.confidence,
                answer.advice,
                gained,
                lost,
            )
        )
    return tuple(found)


def _only(mask: Mask, answers: Mapping[int, Answer]) -> Mask:
    """The mask with the objects that were marked, and no other."""
    return np.where(np.isin(mask, list(answers)), mask, 0).astype(np.uint8)


def _as_given(mask: Mask, answers: Mapping[int, Answer]) -> Iterator[str]:
    """A line about objects of a propagated mask that nobody marked: as a reference it vouches for
    them, too.
    """
    others = [object_id for object_id in object_ids(mask) if object_id not in answers]
    if others:
        yield (
            f"{_objects(others)} on this frame as propagated, and will count as right; where that"
            f" is not so, correct it too, or leave it out: {option('alone', True)}"
        )


def _objects(ids: Sequence[int]) -> str:
    """Object 2 is, or objects 2 and 3 are."""
    if len(ids) == 1:
        return f"object {ids[0]} is"
    return f"objects {', '.join(map(str, ids[:-1]))} and {ids[-1]} are"


@dataclass(frozen=True, slots=True)
class _Start:
    """The mask to start from."""

    mask: Mask
    """uint8 (H, W), object ids."""
    name: str = "the mask"
    """What messages call it."""
    painted: PaintedMask | None = None
    """Its file's content; None where there is none."""
    file: Path | None = None
    """Its file."""
    note: Note = field(default_factory=dict)
    """What its file says of itself."""
    digest: str = ""
    """Of the mask file that it is; "" where that is no mask of the frame."""

    def origins(self, mask: Mask) -> list[str]:
        """Digests of the mask files that a mask which begins with this one comes from."""
        earlier = list(noted_origins(self.note))
        # what did not change has the same bytes under another name, too
        if not self.digest or ("frame" in self.note and np.array_equal(mask, self.mask)):
            return earlier
        return [*earlier, self.digest][-_MOST_ORIGINS:]

    def is_replaced_by(self, path: Path) -> bool:
        """Whether a mask that is saved there takes its place."""
        return self.file is not None and self.file.resolve() == path.resolve()


def _start(
    clip: SourceClip,
    request: MaskRequest,
    path: Path,
    *,
    number: int,
    workspace: Path,
    reporter: Reporter,
) -> _Start:
    # what was asked for, or the output of an earlier call that named an object
    if request.from_propagated:
        mask, digest = _propagated(clip, number, workspace, reporter)
        return _Start(mask, "the propagated mask", digest=digest)
    file = (
        request.start
        if request.start is not None
        else path
        if request.object_id is not None and path.is_file()
        else None
    )
    if file is None:
        return _Start(np.zeros(clip.info.shape, np.uint8))
    painted = load_painted(file, shape=clip.info.shape)
    note = read_note(file)
    # meant or not, it is worth a line: subjects seldom stay where they were
    if note.get("frame", number) != number:
        reporter.notify(f"{file.name} is the mask of frame {note['frame']}")
    return _Start(
        _read(painted.content, number, clip.info.shape, name=file.name, reporter=reporter),
        file.name,
        painted,
        file,
        # a mask of another frame is nothing that this one can stand for
        note if note.get("frame", number) == number else {},
        origin_digest(file_sha256(file)) if note.get("frame", number) == number else "",
    )


def _read(
    content: MaskPicture, number: int, shape: tuple[int, int], *, name: str, reporter: Reporter
) -> Mask:
    """A painted mask as `segment` reads it; its notices begin with the name. Raises MaskError."""
    # what is empty now is marked next, as in a frame that the object is lost on
    ((_, reading),) = read_references([(number, content)], shape=shape, may_be_empty=True)
    for line in reading.notices:
        reporter.notify(f"{name}: {line}")
    return reading.mask


def _propagated(
    clip: SourceClip, number: int, workspace: Path, reporter: Reporter
) -> tuple[Mask, str]:
    """The frame's mask in the workspace, and the digest of the mask that was given for the frame,
    or "".
    """
    segmented = open_segmented(
        clip.path, workspace=workspace, ignore_alpha=False, reporter=reporter
    )
    mask = segmented.mask(clip.info.timeline.index_of(number))
    if mask is None:
        # a run may have covered a range, or been stopped: say where masks are
        done = segmented.mask_frames
        known = (
            f"it has {len(done)} masks, {clip.info.timeline.number(done[0])} to"
            f" {clip.info.timeline.number(done[-1])}"
            if done
            else ""
        )
        raise WorkspaceError(
            f"frame {number} has no propagated mask", hint=known or "segment the clip first"
        )
    given = segmented.store.manifest.references.get(clip.info.timeline.index_of(number))
    return mask, "" if given is None else origin_digest(given.sha256)


def _unsure(start: _Start, mask: Mask, answers: Mapping[int, Answer]) -> dict[int, int]:
    """Object id → confidence in per cent, of objects of a mask that are as good as not found."""
    earlier = unsure_objects(start.note)
    now = {
        key: round(100 * answer.confidence)
        for key, answer in answers.items()
        if answer.confidence < LEAST_CONFIDENCE
    }
    there = object_ids(mask)
    return {
        key: percent
        for key, percent in sorted((earlier | now).items())
        if key in there and (key in now or key not in answers)
    }


def _as_painted(start: _Start, mask: Mask, reporter: Reporter) -> Mask | PaintedMask:
    """The mask, painted in the way of the one to start from, where that reads the same."""
    if start.painted is None:
        return mask
    # a mask in the user's own colours stays one that his other tools can read
    edited = repainted(start.painted, start.mask, mask)
    if edited is None:
        reporter.notify(
            f"{start.name} is painted in a mode that cannot hold this; saved as palette PNG,"
            " index ="
            " object"
        )
    return mask if edited is None else edited


def _begins_with(request: MaskRequest, path: Path) -> bool:
    """Whether the request corrects the mask that is there under the output's name."""
    if request.start is not None:
        # the same file under two names is one
        return path.is_file() and request.start.resolve() == path.resolve()
    return request.object_id is not None and not request.from_propagated


def _check_output(clip: SourceClip, path: Path, note: Note, *, is_corrected: bool) -> None:
    """Raise UsageError when a mask would replace the clip, a mask in a workspace or of another
    frame, or a file of the user.
    """
    refuse_numbered(path, clip.path)
    refuse_to_replace(clip.path, path, "the clip")
    # masks, masks.previous: a mask in there would count as one that a run made
    for folder in path.resolve().parents:
        if folder.name.startswith("masks") and (folder.parent / "manifest.json").is_file():
            raise UsageError(
                f"output {str(path)!r} would replace or join the masks",
                hint=f"choose another place with {option('output')}",
            )
    if not path.is_file():
        return
    # masks that were made here have a note; those that were painted elsewhere, at most a name
    known = read_note(path)
    if "frame" in known:
        is_other = any(known.get(key) != value for key, value in note.items())
        what = f"the mask of frame {known['frame']} of {known.get('clip')}"
    else:
        named = _frame_in_name(clip, path)
        is_other = named not in (None, note["frame"])
        what = f"the mask of frame {named}, by its name"
    if is_other:
        raise UsageError(
            f"output {str(path)!r} would replace {what}",
            hint=f"choose another name with {option('output')}, or delete it",
        )
    if not known and not is_corrected:
        raise UsageError(
            f"output {str(path)!r} is there and was not made by {command('mask')}",
            hint=(
                f"choose another name with {option('output')}, or correct it:"
                f" {option('begin', str(path))}"
            ),
        )


def _frame_in_name(clip: SourceClip, path: Path) -> int | None:
    """The frame that a mask file is named after: as masks are named here, or like a picture of the
    sequence.
    """
    # CLIP.mask.NUMBER is `next_steps.mask_name`
    head, _, digits = path.stem.rpartition(".")
    if head == f"{clip_name(clip.path)}.mask" and digits.isdecimal():
        return int(digits)
    return named_after(clip.info, path.name)


def _next_command(
    clip: SourceClip,
    path: Path,
    number: int,
    *,
    is_of_use: bool,
    workspace: Path,
    propagator: PropagatorOptions,
    reporter: Reporter,
) -> str:
    """The command that propagates a mask that is of use, with those that were made before and not
    segmented with yet, and the references of the masks that the clip has; "" where there is none to
    propagate.
    """
    own = {number: str(path)} if is_of_use else {}
    # notices about the masks are for those who use them
    try:
        segmented = open_segmented(clip.path, workspace=workspace, reporter=SilentReporter())
    except VfxMatteError:
        masks = waiting_masks(clip, path.parent, besides=own, reporter=reporter) | own
        return (
            use_mask_command(clip.path, masks, clip.info.timeline, workspace=workspace)
            if masks
            else ""
        )
    masks = waiting_masks(segmented, path.parent, besides=own, reporter=reporter) | own
    return segment_command(segmented, masks, propagator=propagator, update=True) if masks else ""


def _preview_output(clip: SourceClip, path: Path, reporter: Reporter) -> Path | None:
    """Where the preview of a mask goes; None where a file of the user has that name."""
    # never asked for by name, so it gives way to a file of the user instead of being an error
    output = preview_path(path)
    refuse_to_replace(clip.path, output, "the clip")
    if output.exists() and read_note(output).get("preview") is None:
        reporter.notify(f"no preview: {output} is there and was not made by vfx-matte")
        return None
    return output


def _preview(image: Image, mask: Mask, marks: Marks) -> Image:
    """The mask over the picture, with the marks."""
    return with_marks(
        tinted(image, mask, Palette.davis()),
        box=marks.box,
        lines=[(stroke.points, stroke.is_object) for stroke in marks.strokes],
        points=[((click.x, click.y), click.is_object) for click in marks.clicks],
    )
