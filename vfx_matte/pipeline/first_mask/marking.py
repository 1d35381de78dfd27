"""One picture that is open for marks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import NothingFoundError, UsageError
from vfx_matte.first_mask import (
    METHODS,
    Answer,
    FirstMask,
    Marks,
    choose_method,
    method_named,
    open_first_mask,
)
from vfx_matte.first_mask.methods import AUTO
from vfx_matte.first_mask.objects import is_part, marked_points, place_object
from vfx_matte.masks import Image, Mask, object_ids
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.first_mask.records import LEAST_CONFIDENCE, MOST_OBJECTS
from vfx_matte.pipeline.first_mask.salient_network import FETCH_COMMAND, salient_network
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.weights import require_known_checksum
from vfx_matte.segment_anything import OpenNetwork, open_network
from vfx_matte.settings.options import PathsSettings
from vfx_matte.wording import option

# so much of a subject has to be free, or in the box, to be one
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Marking:
    """One picture that is open for marks."""

    image: Image
    """uint8 (H, W, 3) R'G'B' as displayed."""
    method: FirstMask
    """Keeps what it computes from call to call."""
    finds_subjects: bool
    """Whether the method finds what stands out."""

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

        With a box, or a mask that lacks it, the object is made from scratch.

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
            NothingFoundError: nothing is found.
        """
        height, width = self.image.shape[:2]
        marks.check(width=width, height=height)
        if not auto:
            return self._placed_one(before, marks, object_id or _meant_object(before, marks, name))
        # 1. what stands out
        mask, answers = self._subjects(before, marks, object_id)
        # the box has done its part: it limited what stands out
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
        # another method, as the network would see the whole that the part belongs to
        method = (
            open_first_mask(self.image, network=None, is_part=True) if is_new_part else self.method
        )
        is_there, has_box = bool(own.any()), marks.box is not None
        answer = method.answer(marks, own.astype(np.float32) if is_there and not has_box else None)
        mask, lines = _with_answer(before, answer, chosen, marks)
        if is_there and has_box and not np.array_equal(mask, before):
            lines.append(f"object {chosen} is replaced by what the box holds")
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
        # 2. each subject that lies there mostly: of one behind another object, or outside of the
        # box, the rest is no subject
        subjects = [
            found for found in self.method.subjects() if found.confidence >= LEAST_CONFIDENCE
        ]
        for answer in subjects:
            found = answer.mask > 0
            free = found & allowed & (mask == 0)
            if not free.any() or free.sum() < _MOSTLY * found.sum():
                continue
            # new objects come after those that there are
            chosen = object_id if object_id is not None else max(object_ids(mask), default=0) + 1
            # ids are bytes; the smallest subjects are the ones that are left out
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
                raise NothingFoundError(
                    f"what stands out cannot be found without {needs}",
                    hint=f"{instead}, or: {FETCH_COMMAND}",
                )
            where = " here that is not an object yet" if subjects else " in this picture"
            raise NothingFoundError(f"nothing stands out{where}", hint=instead)
        return mask, answers


class PictureOpener:
    """Opens pictures of no clip, as labelling tools show them. Networks are opened once, with the
    first picture.

    Args:
        method: a name of `method_names`.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched into it.
        reporter: receives a notice where that is fetched or cannot be used.

    Raises:
        UsageError: there is no such method.
    """

    def __init__(
        self, *, method: str = AUTO, model: Path, fetch: bool = True, reporter: Reporter
    ) -> None:
        method_named(method)
        self._method, self._model, self._fetch, self._reporter = method, model, fetch, reporter

    @cached_property
    def _network(self) -> SalientNetwork | None:
        return _network_for(self._method, self._model, reporter=self._reporter, fetch=self._fetch)

    @cached_property
    def _clicker(self) -> OpenNetwork | None:
        return _opened_clicker(self._method, self._model)

    def open(self, image: Image) -> Marking:
        """Open a picture, uint8 (H, W, 3) R'G'B'.

        Raises:
            UsageError: what the method needs is not there.
            WeightsError: its network is not what it should be.
        """
        # what cannot be opened is said before anything is fetched
        clicker = self._clicker
        return _marking(image, self._network, clicker, self._method)


def open_marking(
    clip: SourceClip,
    at: int | Fraction | None,
    *,
    model: Path,
    fetch: bool = True,
    method: str = AUTO,
    reporter: Reporter,
) -> Marking:
    """Read a frame and open the best method for its masks.

    Args:
        clip: the clip.
        at: frame number, or seconds; None is the first frame.
        model: the folder of network weights.
        fetch: whether the network may be fetched into it.
        method: a name of `method_names`.
        reporter: receives a notice where the network is fetched or cannot be used.

    Raises:
        UsageError: the clip does not have the frame, or what the method needs is not there.
        WeightsError: a network is not what it should be.
        MediaError: the frame cannot be read.
    """
    method_named(method)
    frame = clip.reader.frame(0 if at is None else clip.frame_index(at))
    # what cannot be opened is said before anything is fetched
    clicker = _opened_clicker(method, model)
    network = _network_for(method, model, reporter=reporter, fetch=fetch)
    return _marking(frame.image, network, clicker, method)


def marking_of(
    image: Image,
    network: SalientNetwork | None,
    *,
    method: str = AUTO,
    model: Path | None = None,
) -> Marking:
    """Open a picture with the best method or with a named one.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network, None where it is not there.
        method: a name of `method_names`.
        model: the folder of network weights, for methods that need others.

    Raises:
        UsageError: what the method needs is not there.
        WeightsError: its network is not what it should be.
    """
    return _marking(image, network, _opened_clicker(method, model or PathsSettings().model), method)


def _network_for(
    method: str, model: Path, *, reporter: Reporter, fetch: bool
) -> SalientNetwork | None:
    """The salient network where the method may use it: one without weights neither fetches nor
    misses it.
    """
    chosen = method_named(method)
    if chosen is not None and not chosen.needs:
        return None
    return salient_network(model, reporter=reporter, fetch=fetch)


def _opened_clicker(method: str, model: Path) -> OpenNetwork | None:
    """The network that answers clicks by itself, where the method has one."""
    chosen = method_named(method)
    if chosen is None or chosen.family is None:
        return None
    folders = [model / name for name in chosen.family.folders]
    weights = next((path for path in folders if path.exists()), folders[0])
    require_known_checksum(weights)
    return open_network(chosen.family, weights, for_clips=False)


def _marking(
    image: Image, network: SalientNetwork | None, clicker: OpenNetwork | None, method: str
) -> Marking:
    """A picture, opened with what the method of that name may use."""
    chosen = method_named(method)
    if chosen is not None and clicker is None:
        if not chosen.needs:
            network = None
        elif network is None:
            raise UsageError(
                f"method {method!r} needs {chosen.needs}, which is not there", hint=FETCH_COMMAND
            )
    return Marking(
        image,
        open_first_mask(image, network=network, clicker=clicker),
        finds_subjects=choose_method(network=network).finds_subjects,
    )


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

    Raises NothingFoundError when nothing was found.
    """
    found = answer.mask > 0
    if not found.any():
        what = "nothing is left of" if (before == object_id).any() else "nothing was found for"
        hint = answer.advice or (
            f"click on it ({option('fg', 'x,y')}), or draw a box around it"
            f" ({option('box', 'x,y,w,h')})"
        )
        raise NothingFoundError(f"{what} object {object_id}", hint=hint)
    # other objects keep their pixels, and may leave none of what was found
    placed = place_object(before, found, object_id, marks)
    if not (placed.mask == object_id).any():
        others = ", ".join(map(str, placed.left_to))
        raise NothingFoundError(
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
    # said, as a mark that changes nothing looks like a failure
    if np.array_equal(placed.mask, before):
        lines.append(f"object {object_id} is as it was")
    return placed.mask, lines
