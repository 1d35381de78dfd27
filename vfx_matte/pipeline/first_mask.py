"""Makes and corrects first masks from clicks, strokes and boxes.

`open_marking` is for whoever asks again and again about one frame; `save_first_mask` is one
question and one file, and `first_mask` one question and its mask in memory.
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
from vfx_matte.first_mask import Answer, Click, FirstMask, Marks, Stroke, open_first_mask
from vfx_matte.first_mask.objects import is_part, marked_points, place_object
from vfx_matte.masks import Image, Mask, Palette, object_ids
from vfx_matte.media.frames import Frame
from vfx_matte.pipeline.clip import SourceClip, open_segmented, refuse_to_replace
from vfx_matte.pipeline.frame_numbers import named_after
from vfx_matte.pipeline.next_steps import mask_name, segment_command, use_mask_command
from vfx_matte.pipeline.progress import Reporter, SilentReporter
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

Box = tuple[int, int, int, int]
"""(x, y, width, height) in pixels."""

PROPAGATED: Final = "propagated"
"""Instead of a mask file: the frame's mask in the workspace."""

MOST_OBJECTS = 255

_UNSURE = 0.5
_LEAST_CONFIDENCE = (
    0.1  # of a subject; in a picture of one colour the network sees some with 0 to 0.02
)
_MOSTLY = 0.5  # so much of a subject has to be free, or in the box, to be one


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRequest:
    """What a user asks for.

    at: frame number, or seconds from the clip's start; None is the first frame. marks: box, clicks
    and strokes. auto: begin with what stands out. object_id: the object that is meant, 1 to 255;
    None is the only one there is, or 1. start: a mask file to begin with, or PROPAGATED.
    """

    at: int | Fraction | None = None
    marks: Marks = field(default_factory=Marks)
    auto: bool = False
    object_id: int | None = None
    start: Path | None = None
    from_propagated: bool = False

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
    """An object that was found now.

    pixels: its area; share: of the picture, 0 … 1; confidence: 0 … 1.
    """

    object_id: int
    pixels: int
    share: float
    confidence: float
    advice: str

    @property
    def is_unsure(self) -> bool:
        """Whether it should be looked at."""
        return self.confidence < _UNSURE or bool(self.advice)


@dataclass(frozen=True, slots=True)
class FirstMaskResult:
    """A mask of one frame, in memory.

    frame: its number; mask: uint8 (H, W), object ids, 0 = background; objects: those that were
    found now, in order; notices: lines for people.
    """

    frame: int
    mask: Mask
    objects: tuple[MaskedObject, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaskResult:
    """A mask that was saved.

    preview: None where none was; mask: uint8 (H, W); objects: those that were found now, in order;
    next_command: what to type next.
    """

    path: Path
    preview: Path | None
    mask: Mask
    objects: tuple[MaskedObject, ...]
    next_command: str


@dataclass(frozen=True, slots=True)
class Marking:
    """One frame that can be asked about again and again.

    number: the frame's; has_network: whether U²-Netp is there.
    """

    frame: Frame
    number: int
    method: FirstMask
    has_network: bool

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
        """What a mask becomes by marks.

        before: uint8 (H, W), ids. A box, or a mask without the object, begins the object anew.
        auto: begin with what stands out. name: of `before`, for messages. Returns the mask that
        results, the answer for each object that was found, and lines for people. Raises UsageError
        for marks that do not fit, or when it is not clear which object is meant; MaskError when
        nothing is found.
        """
        height, width = self.image.shape[:2]
        marks.require_inside(width=width, height=height)
        if not auto:
            chosen = object_id or _meant_object(before, marks, name)
            own = before == chosen
            part = is_part(before, chosen, marks)
            method = (
                open_first_mask(self.image, network=None, is_part=True) if part else self.method
            )
            is_there, has_box = bool(own.any()), marks.box is not None
            answer = method.answer(
                marks, own.astype(np.float32) if is_there and not has_box else None
            )
            mask, lines = _with_answer(before, answer, chosen, marks)
            if is_there and has_box:
                lines.append(f"object {chosen} is made anew from the box")
            return mask, {chosen: answer}, lines
        mask, answers = self._subjects(before, marks, object_id)
        points = Marks(None, marks.clicks, marks.strokes)
        if points.is_empty:
            return mask, answers, []
        clicked = [*marked_points(points), *marked_points(points, is_object=False)]
        chosen = next(
            (int(mask[y, x]) for x, y in clicked if int(mask[y, x]) in answers), next(iter(answers))
        )
        own = np.where(mask == chosen, answers[chosen].probability, 0).astype(np.float32)
        answers[chosen] = self.method.answer(points, own)
        mask, lines = _with_answer(mask, answers[chosen], chosen, points)
        return mask, answers, lines

    def _subjects(
        self, before: Mask, marks: Marks, object_id: int | None
    ) -> tuple[Mask, dict[int, Answer]]:
        """A mask with what stands out in it, largest first: all of it as new objects, or the
        largest as one object.
        """
        mask, answers = before.copy(), {}
        allowed = np.ones(mask.shape, bool)
        if marks.box is not None:
            x, y, width, height = marks.box
            allowed[:] = False
            allowed[y : y + height, x : x + width] = True
        if object_id is not None:
            mask[mask == object_id] = 0
        subjects = [one for one in self.method.subjects() if one.confidence >= _LEAST_CONFIDENCE]
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
            if not subjects and not self.has_network:
                raise MaskError(
                    "what stands out cannot be found without U²-Netp",
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
    """Read a frame and open the best method that is there for its masks.

    at: frame number, or seconds; None is the first frame. model: the folder of network weights;
    fetch: whether the network may be fetched into it. Raises UsageError for a frame that the clip
    does not have, MediaError when it cannot be read.
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
    """Make a mask of one frame, or correct one, in memory; the request's own `start` is a mask
    file.

    start: a painted mask in memory to begin with, instead of a file. network: the file of U²-Netp,
    used where it is there; None does without. reporter: gets what is to be said of the network and
    of the mask that was begun with. Raises UsageError (MaskError), MediaError or InputError.
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

    output: a PNG file; None is CLIP.mask.NUMBER.png in the working directory. A mask that is there
    is begun with when an object is named (`request.object_id`), and replaced otherwise, but never
    where it is of another frame, of the workspace, the clip, or not made here. A mask file that is
    corrected keeps its mode, palette and colours. workspace: where the clip's masks are; weights:
    the file of XMem, for the next command.
    The same request gives the same bytes.
    Raises UsageError (MaskError, WorkspaceError), MediaError or OutputError; nothing is written
    then.
    """
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(
            f"mask {output.name!r} is not a PNG", hint="masks are PNG files, which keep every value"
        )
    number = clip.info.timeline.number(0 if request.at is None else clip.frame_index(request.at))
    path = output or Path(mask_name(clip.path, number))
    note: Note = {"clip": clip_name(clip.path), "frame": number}
    _require_place(clip, path, note, is_corrected=_begins_with(request, path))
    shown = _preview_place(clip, path, reporter) if preview else None
    start = _start(clip, request, path, number=number, workspace=workspace, reporter=reporter)
    marking = open_marking(clip, request.at, model=model, fetch=fetch, reporter=reporter)
    mask, answers, lines = marking.placed(
        start.mask, request.marks, auto=request.auto, object_id=request.object_id, name=start.name
    )
    for line in lines:
        reporter.notify(line)
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
    """The marking of one frame, by the best method that is there."""
    method = open_first_mask(frame.image, network=network)
    return Marking(
        frame, clip.info.timeline.number(frame.index), method, has_network=network is not None
    )


def _masked_objects(mask: Mask, answers: dict[int, Answer]) -> tuple[MaskedObject, ...]:
    """Every object that was found now, with its area in the mask that resulted."""
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
    """The mask that is begun with: uint8 (H, W), ids.

    painted: its file; None where there is none or it is of another size.
    """

    mask: Mask
    name: str = "the mask"
    painted: PaintedMask | None = None


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
    told = read_note(file)
    if told.get("frame", number) != number:
        reporter.notify(f"{file.name} is the mask of frame {told['frame']}")
    return _Start(
        _read(painted.content, number, clip.info.shape, name=file.name, reporter=reporter),
        file.name,
        painted,
    )


def _read(
    content: MaskPicture, number: int, shape: tuple[int, int], *, name: str, reporter: Reporter
) -> Mask:
    """What `segment` would read, whose notices are told under a name. Raises MaskError."""
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
        has = (
            f"it has {len(done)} masks, {clip.info.timeline.number(done[0])} to"
            f" {clip.info.timeline.number(done[-1])}"
            if done
            else ""
        )
        raise WorkspaceError(
            f"frame {number} has no propagated mask", hint=has or "segment the clip first"
        )
    return mask


def _meant_object(before: Mask, marks: Marks, name: str) -> int:
    """Which object marks are about: the only one there is, or the one that all background marks lie
    in.
    """
    there = object_ids(before)
    if len(there) < 2:
        return there[0] if there else 1
    cut = {int(before[y, x]) for x, y in marked_points(marks, is_object=False)} - {0}
    if len(cut) == 1:
        return cut.pop()
    known = ", ".join(map(str, there))
    raise UsageError(
        f"{name} shows objects {known}: it is not clear which one is marked",
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
        left = "nothing is left of" if (before == object_id).any() else "nothing was found for"
        hint = answer.advice or (
            f"click on it ({option('fg', 'x,y')}), or draw a box around it"
            f" ({option('box', 'x,y,w,h')})"
        )
        raise MaskError(f"{left} object {object_id}", hint=hint)
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
    """A mask in the way in which the one that was begun with is painted, where that says the same
    when it is read.
    """
    if start.painted is None:
        return mask
    edited = repainted(start.painted, start.mask, mask)
    if edited is None:
        reporter.notify(
            f"{start.name} is painted in a way that cannot hold this; saved as palette PNG, index ="
            " object"
        )
    return mask if edited is None else edited


def _begins_with(request: MaskRequest, path: Path) -> bool:
    """Whether the mask that is there under the output's name is the one that is corrected."""
    if request.start is not None:
        return path.is_file() and request.start.resolve() == path.resolve()
    return request.object_id is not None and not request.from_propagated


def _require_place(clip: SourceClip, path: Path, note: Note, *, is_corrected: bool) -> None:
    """Raise UsageError when a mask would replace the clip, a mask of a workspace or of another
    frame, or a user's file.
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
    told = read_note(path)
    if "frame" in told:
        is_other = any(told.get(key) != value for key, value in note.items())
        what = f"the mask of frame {told['frame']} of {told.get('clip')}"
    else:
        meant = _frame_in_name(clip, path)
        is_other = meant not in (None, note["frame"])
        what = f"the mask of frame {meant}, by its name"
    if is_other:
        raise UsageError(
            f"output {str(path)!r} would replace {what}",
            hint=f"choose another name with {option('output')}, or delete it",
        )
    if not told and not is_corrected:
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
    """The command that carries a mask through the clip: where there are masks, with those that they
    were made from.
    """
    try:
        segmented = open_segmented(clip.path, workspace=workspace, reporter=SilentReporter())
    except VfxMatteError:
        return use_mask_command(clip.path, path, number, clip.info.timeline, workspace=workspace)
    return segment_command(segmented, {number: str(path)}, weights=weights, how="--update")


def _preview_place(clip: SourceClip, path: Path, reporter: Reporter) -> Path | None:
    """Where the preview of a mask goes; None where something of the user's has that name."""
    place = preview_path(path)
    refuse_to_replace(clip.path, place, "the clip")
    if place.exists() and read_note(place).get("preview") is None:
        reporter.notify(f"no preview: {place} is there and was not made by vfx-matte")
        return None
    return place


def _preview(image: Image, mask: Mask, marks: Marks) -> Image:
    """The mask over the picture, with what was marked."""
    return with_marks(
        tinted(image, mask, Palette.davis()),
        box=marks.box,
        lines=[(stroke.points, stroke.is_object) for stroke in marks.strokes],
        points=[((click.x, click.y), click.is_object) for click in marks.clicks],
    )
