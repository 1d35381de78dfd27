"""Makes and corrects first masks from clicks, strokes and boxes.

`open_marking` opens one frame for many calls, as an interactive tool makes them; `save_first_mask`
makes one mask and saves it, and `first_mask` makes one in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.drawing.sheet import tinted, with_marks
from vfx_matte.errors import MaskError, OutputError, UsageError, VfxMatteError, WorkspaceError
from vfx_matte.first_mask import (
    METHODS,
    Answer,
    Box,
    Click,
    FirstMask,
    Marks,
    Stroke,
    choose_method,
    open_first_mask,
)
from vfx_matte.first_mask.objects import is_part, marked_points, place_object
from vfx_matte.masks import Image, Mask, Palette, object_ids
from vfx_matte.media.frames import Frame
from vfx_matte.pipeline.clip import SourceClip, open_segmented, refuse_to_replace
from vfx_matte.pipeline.frame_numbers import named_after
from vfx_matte.pipeline.next_steps import mask_name, segment_command, use_mask_command
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.records import INTERNAL
from vfx_matte.pipeline.salient_network import FETCH_COMMAND, opened_network, salient_network
from vfx_matte.references.files import preview_path
from vfx_matte.references.painting import (
    Note,
    PaintedMask,
    load_painted,
    read_note,
    repainted,
    save_noted_mask,
    save_noted_picture,
)
from vfx_matte.references.reading import MaskPicture, read_references
from vfx_matte.wording import command, option
from vfx_matte.workspace import clip_name

__all__ = [
    "PROPAGATED",
    "Box",
    "Click",
    "FirstMaskResult",
    "MaskRequest",
    "MaskResult",
    "MaskedObject",
    "Marking",
    "Marks",
    "Stroke",
    "first_mask",
    "open_marking",
    "save_first_mask",
]

PROPAGATED: Final = "propagated"
"""Typed instead of a mask file: the frame's mask in the workspace."""

MOST_OBJECTS = 255

_UNSURE = 0.5
# of a subject; in a picture of one colour the network sees some with 0 to 0.02
_LEAST_CONFIDENCE = 0.1
# so much of a subject has to be free, or in the box, to be one
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRequest:
    """What a user asks for.

    Raises:
        UsageError: nothing is marked, or the object is out of range.
    """

    at: int | Fraction | None = None
    """Frame number, or seconds from the clip's start; None is the first frame."""
    marks: Marks = field(default_factory=Marks)
    """Box, clicks and strokes."""
    auto: bool = False
    """Begin with what stands out."""
    object_id: int | None = None
    """The object that is marked, 1 to 255; None is the only one there is, or 1."""
    start: Path | None = None
    """A mask file to begin with."""
    from_propagated: bool = False
    """Begin with the frame's mask in the workspace."""

    def __post_init__(self) -> None:
        if self.marks.is_empty and not self.auto:
            begins = self.start is not None or self.from_propagated
            raise UsageError(
                (
                    "nothing is marked, so there is nothing to correct"
                    if begins
                    else "nothing is marked"
                ),
                hint=(
                    f"give {option('fg', 'x,y')} (a click on the subject), {option('bg', 'x,y')},"
                    f" {option('box', 'x,y,w,h')}, {option('fg_stroke')} or"
                    f" {option('bg_stroke')} (points x,y), or {option('auto', True)} for what"
                    " stands out"
                ),
            )
        if self.object_id is not None and not 1 <= self.object_id <= MOST_OBJECTS:
            raise UsageError(
                f"object {self.object_id} is out of range", hint=f"objects are 1 to {MOST_OBJECTS}"
            )


@dataclass(frozen=True, slots=True)
class MaskedObject:
    """An object that was found."""

    object_id: int
    """1 to 255."""
    pixels: int
    """Its area."""
    share: float
    """Of the picture, 0 … 1."""
    confidence: float
    """0 … 1; below 0.5 it should be looked at."""
    advice: str
    """What would help, in a sentence; "" where nothing is in doubt."""

    @property
    def is_unsure(self) -> bool:
        """Whether it should be looked at."""
        return self.confidence < _UNSURE or bool(self.advice)


@dataclass(frozen=True, slots=True)
class FirstMaskResult:
    """A mask of one frame, in memory."""

    frame: int
    """The number of the frame."""
    mask: Mask
    """uint8 (H, W), object ids, 0 = background."""
    objects: tuple[MaskedObject, ...]
    """Those that were found by this call, in order."""
    notices: tuple[str, ...]
    """Lines for people."""


@dataclass(frozen=True, slots=True)
class MaskResult:
    """A mask that was saved."""

    path: Path
    """The mask's file."""
    preview: Path | None
    """The preview's file; None where none was saved."""
    mask: Mask = field(metadata=INTERNAL)
    """uint8 (H, W), object ids."""
    objects: tuple[MaskedObject, ...]
    """Those that were found by this call, in order."""
    next_command: str
    """The command that propagates the mask."""


@dataclass(frozen=True, slots=True)
class Marking:
    """One frame that is open for marks."""

    frame: Frame
    """The frame."""
    number: int
    """Its number."""
    method: FirstMask
    """Keeps what it computes from call to call."""
    finds_subjects: bool
    """Whether the method finds what stands out."""

    @property
    def image(self) -> Image:
        """The frame as displayed: uint8 (H, W, 3)."""
        return self.frame.image

    def placed(
        self,
        before: Mask,
        marks: Marks,
        *,
        auto: bool = False,
        object_id: int | None = None,
        name: str = "the mask",
    ) -> tuple[Mask, dict[int, Answer], list[str]]:
        """Apply marks to a mask.

        A box, or a mask without the object, begins the object anew.

        Args:
            before: uint8 (H, W), object ids.
            marks: for one object.
            auto: begin with what stands out; clicks and strokes correct one of these objects.
            object_id: the object that is marked; None where `before` leaves no doubt.
            name: of `before`, for messages.

        Returns:
            The mask that results, object id → answer for each object that was found, and lines for
            people.

        Raises:
            UsageError: the marks do not fit, or it is not clear which object is meant.
            MaskError: nothing is found.
        """
        height, width = self.image.shape[:2]
        marks.check(width=width, height=height)
        if not auto:
            return self._placed_one(before, marks, object_id or _meant_object(before, marks, name))
        # 1. what stands out
        mask, answers = self._subjects(before, marks, object_id)
        points = Marks(None, marks.clicks, marks.strokes)
        if points.is_empty:
            return mask, answers, []
        # 2. corrected where it is marked: the object that the first mark on any lies in
        clicked = [*marked_points(points), *marked_points(points, is_object=False)]
        chosen = next(
            (int(mask[y, x]) for x, y in clicked if int(mask[y, x]) in answers), next(iter(answers))
        )
        own = np.where(mask == chosen, answers[chosen].probability, 0).astype(np.float32)
        answers[chosen] = self.method.answer(points, own)
        mask, lines = _with_answer(mask, answers[chosen], chosen, points)
        return mask, answers, lines

    def _placed_one(
        self, before: Mask, marks: Marks, chosen: int
    ) -> tuple[Mask, dict[int, Answer], list[str]]:
        """Apply marks to one object, as `placed` does."""
        own = before == chosen
        is_new_part = is_part(before, chosen, marks)
        method = (
            open_first_mask(self.image, network=None, is_part=True) if is_new_part else self.method
        )
        is_there, has_box = bool(own.any()), marks.box is not None
        answer = method.answer(marks, own.astype(np.float32) if is_there and not has_box else None)
        mask, lines = _with_answer(before, answer, chosen, marks)
        if is_there and has_box:
            lines.append(f"object {chosen} is made anew from the box")
        return mask, {chosen: answer}, lines

    def _subjects(
        self, before: Mask, marks: Marks, object_id: int | None
    ) -> tuple[Mask, dict[int, Answer]]:
        """Add what stands out to a mask, largest first: all of it as new objects, or the largest
        one as a given object.
        """
        # 1. where an object may be: in the box, and not in other objects
        mask, answers = before.copy(), {}
        allowed = np.ones(mask.shape, bool)
        if marks.box is not None:
            x, y, width, height = marks.box
            allowed[:] = False
            allowed[y : y + height, x : x + width] = True
        if object_id is not None:
            mask[mask == object_id] = 0
        # 2. each subject that is mostly there
        subjects = [
            found for found in self.method.subjects() if found.confidence >= _LEAST_CONFIDENCE
        ]
        for answer in subjects:
            found = answer.mask > 0
            free = found & allowed & (mask == 0)
            if not free.any() or free.sum() < _MOSTLY * found.sum():
                continue
            chosen = object_id if object_id is not None else max(object_ids(mask), default=0) + 1
            if chosen > MOST_OBJECTS:
                break
            mask[free] = chosen
            answers[chosen] = answer
            if object_id is not None:
                break
        if not answers:
            instead = (
                f"draw a box ({option('box', 'x,y,w,h')}), or click on the subject"
                f" ({option('fg', 'x,y')})"
            )
            if not subjects and not self.finds_subjects:
                needs = next(method.needs for method in METHODS if method.finds_subjects)
                raise MaskError(
                    f"what stands out cannot be found without {needs}",
                    hint=f"{instead}, or: {FETCH_COMMAND}",
                )
            where = " here that is no object yet" if subjects else " in this picture"
            raise MaskError(f"nothing stands out{where}", hint=instead)
        return mask, answers


def open_marking(
    clip: SourceClip,
    at: int | Fraction | None,
    *,
    model: Path,
    fetch: bool = True,
    reporter: Reporter,
) -> Marking:
    """Read a frame and open the best method for its masks.

    Args:
        clip: the clip.
        at: frame number, or seconds; None is the first frame.
        model: the folder of network weights.
        fetch: whether the network may be fetched into it.
        reporter: receives a notice where the network is fetched or cannot be used.

    Raises:
        UsageError: the clip does not have the frame.
        MediaError: the frame cannot be read.
    """
    frame = clip.reader.frame(0 if at is None else clip.frame_index(at))
    network = salient_network(model, reporter=reporter, fetch=fetch)
    return _marking(clip, frame, network)


def first_mask(
    clip: SourceClip,
    request: MaskRequest,
    *,
    start: MaskPicture | None = None,
    network: Path | None,
    reporter: Reporter,
) -> FirstMaskResult:
    """Make a mask of one frame, or correct one, in memory.

    Args:
        clip: the clip.
        request: what is asked for; its own `start` is a mask file.
        start: a painted mask in memory to begin with, instead of a file.
        network: the file of the salient network, used where it is there; None does without.
        reporter: receives notices about the network and about the mask that is begun with.

    Raises:
        UsageError: the request does not fit the clip (MaskError: nothing is found).
        MediaError: the frame cannot be read.
        InputError: a file is missing.
    """
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
    found = (
        opened_network(network, reporter.notify)
        if network is not None and network.is_file()
        else None
    )
    marking = _marking(clip, frame, found)
    mask, answers, lines = marking.placed(
        before, request.marks, auto=request.auto, object_id=request.object_id, name=name
    )
    return FirstMaskResult(number, mask, _masked_objects(mask, answers), tuple(lines))


def save_first_mask(
    clip: SourceClip,
    request: MaskRequest,
    *,
    output: Path | None = None,
    preview: bool = True,
    workspace: Path,
    model: Path,
    weights: Path,
    fetch: bool = True,
    reporter: Reporter,
) -> MaskResult:
    """Make a mask of one frame, or correct one, and save it with its preview.

    A mask that is there under the output's name is begun with when an object is named
    (`request.object_id`), and replaced otherwise, but not where it belongs to another frame, to the
    workspace or the clip, or was not made by this function. A mask file that is corrected keeps its
    mode, palette and colours. The same request gives the same bytes.

    Args:
        clip: the clip.
        request: what is asked for.
        output: a PNG file; None is CLIP.mask.NUMBER.png in the working directory.
        preview: whether to save one.
        workspace: where the clip's masks are.
        model: the folder of network weights.
        weights: the file of XMem's weights, for the next command.
        fetch: whether the salient network may be fetched.
        reporter: receives notices.

    Raises:
        UsageError: the request or the output does not fit (MaskError: nothing is found;
            WorkspaceError: there is no propagated mask). Nothing is written then, nor for the
            following ones.
        MediaError: the frame cannot be read.
        OutputError: the mask cannot be written.
    """
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(
            f"mask {output.name!r} is not a PNG", hint="masks are PNG files, which keep every value"
        )
    # 1. everything that can be refused without computing
    number = clip.info.timeline.number(0 if request.at is None else clip.frame_index(request.at))
    path = output or Path(mask_name(clip.path, number))
    note: Note = {"clip": clip_name(clip.path), "frame": number}
    _check_output(clip, path, note, is_corrected=_begins_with(request, path))
    shown = _preview_output(clip, path, reporter) if preview else None
    start = _start(clip, request, path, number=number, workspace=workspace, reporter=reporter)
    # 2. the mask
    marking = open_marking(clip, request.at, model=model, fetch=fetch, reporter=reporter)
    mask, answers, lines = marking.placed(
        start.mask, request.marks, auto=request.auto, object_id=request.object_id, name=start.name
    )
    for line in lines:
        reporter.notify(line)
    # 3. its files; a preview that cannot be written is no reason to lose the mask
    save_noted_mask(path, _as_painted(start, mask, reporter), note)
    if shown is not None:
        try:
            save_noted_picture(
                shown, _preview(marking.image, mask, request.marks), {"preview": path.name, **note}
            )
        except OutputError as error:
            reporter.notify(f"no preview: {error.message}")
            shown = None
    next_command = _next_command(clip, path, number, workspace=workspace, weights=weights)
    return MaskResult(path, shown, mask, _masked_objects(mask, answers), next_command)


def _marking(clip: SourceClip, frame: Frame, network: SalientNetwork | None) -> Marking:
    """The marking of one frame, by the best method."""
    return Marking(
        frame,
        clip.info.timeline.number(frame.index),
        open_first_mask(frame.image, network=network),
        finds_subjects=choose_method(network=network).finds_subjects,
    )


def _masked_objects(mask: Mask, answers: dict[int, Answer]) -> tuple[MaskedObject, ...]:
    """Every object that was found, with its area in the mask that resulted."""
    counts = {object_id: int((mask == object_id).sum()) for object_id in answers}
    return tuple(
        MaskedObject(
            object_id,
            counts[object_id],
            counts[object_id] / mask.size,
            answer.confidence,
            answer.advice,
        )
        for object_id, answer in answers.items()
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """The mask that is begun with."""

    mask: Mask
    """uint8 (H, W), object ids."""
    name: str = "the mask"
    """What messages call it."""
    painted: PaintedMask | None = None
    """Its file; None where there is none."""


def _start(
    clip: SourceClip,
    request: MaskRequest,
    path: Path,
    *,
    number: int,
    workspace: Path,
    reporter: Reporter,
) -> _Start:
    if request.from_propagated:
        return _Start(_propagated(clip, number, workspace, reporter), "the propagated mask")
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
    if note.get("frame", number) != number:
        reporter.notify(f"{file.name} is the mask of frame {note['frame']}")
    return _Start(
        _read(painted.content, number, clip.info.shape, name=file.name, reporter=reporter),
        file.name,
        painted,
    )


def _read(
    content: MaskPicture, number: int, shape: tuple[int, int], *, name: str, reporter: Reporter
) -> Mask:
    """A painted mask as `segment` reads it; its notices begin with the name. Raises MaskError."""
    ((_, reading),) = read_references([(number, content)], shape=shape)
    for line in reading.notices:
        reporter.notify(f"{name}: {line}")
    return reading.mask


def _propagated(clip: SourceClip, number: int, workspace: Path, reporter: Reporter) -> Mask:
    segmented = open_segmented(
        clip.path, workspace=workspace, ignore_alpha=False, reporter=reporter
    )
    mask = segmented.mask(clip.info.timeline.index_of(number))
    if mask is None:
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
    return mask


def _meant_object(before: Mask, marks: Marks, name: str) -> int:
    """The object that is marked: the only one there is, or the one that all background marks lie
    in.
    """
    objects = object_ids(before)
    if len(objects) < 2:
        return objects[0] if objects else 1
    reduced = {int(before[y, x]) for x, y in marked_points(marks, is_object=False)} - {0}
    if len(reduced) == 1:
        return reduced.pop()
    raise UsageError(
        f"{name} shows objects {', '.join(map(str, objects))}: it is not clear which one is marked",
        hint=f"name it with {option('object_id', 'N')}",
    )


def _with_answer(
    before: Mask, answer: Answer, object_id: int, marks: Marks
) -> tuple[Mask, list[str]]:
    """A mask with an answer in it, and lines for people.

    Raises MaskError when nothing was found.
    """
    found = answer.mask > 0
    if not found.any():
        what = "nothing is left of" if (before == object_id).any() else "nothing was found for"
        hint = answer.advice or (
            f"click on it ({option('fg', 'x,y')}), or draw a box around it"
            f" ({option('box', 'x,y,w,h')})"
        )
        raise MaskError(f"{what} object {object_id}", hint=hint)
    placed = place_object(before, found, object_id, marks)
    if not (placed.mask == object_id).any():
        others = ", ".join(map(str, placed.left_to))
        raise MaskError(
            f"what was found for object {object_id} belongs to object {others} already",
            hint=(
                f"click in it ({option('fg', 'x,y')}) to make it object {object_id}, or correct"
                f" object {others}"
                " first"
            ),
        )
    lines = [
        f"a mark lies in object {other}: that piece of it is object {object_id} now"
        for other in placed.taken_from
    ]
    if np.array_equal(placed.mask, before):
        lines.append(f"object {object_id} is as it was")
    return placed.mask, lines


def _as_painted(start: _Start, mask: Mask, reporter: Reporter) -> Mask | PaintedMask:
    """The mask, painted in the way of the one that was begun with, where that reads the same."""
    if start.painted is None:
        return mask
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
        return path.is_file() and request.start.resolve() == path.resolve()
    return request.object_id is not None and not request.from_propagated


def _check_output(clip: SourceClip, path: Path, note: Note, *, is_corrected: bool) -> None:
    """Raise UsageError when a mask would replace the clip, a mask in a workspace or of another
    frame, or a file of the user.
    """
    refuse_to_replace(clip.path, path, "the clip")
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
    head, _, digits = path.stem.rpartition(".")
    if head == f"{clip_name(clip.path)}.mask" and digits.isdecimal():
        return int(digits)
    return named_after(clip.info, path.name)


def _next_command(
    clip: SourceClip, path: Path, number: int, *, workspace: Path, weights: Path
) -> str:
    """The command that propagates a mask, with the references of the masks that the clip has."""
    try:
        segmented = open_segmented(clip.path, workspace=workspace, reporter=SilentReporter())
    except VfxMatteError:
        return use_mask_command(clip.path, path, number, clip.info.timeline, workspace=workspace)
    return segment_command(segmented, {number: str(path)}, weights=weights, update=True)


def _preview_output(clip: SourceClip, path: Path, reporter: Reporter) -> Path | None:
    """Where the preview of a mask goes; None where a file of the user has that name."""
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
