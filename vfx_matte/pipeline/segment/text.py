"""Finds the objects of a run by what a text says, instead of by masks that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.detect.base import Detection
from vfx_matte.detect.text import TextDetector, open_text_detector
from vfx_matte.errors import NothingFoundError, StoppedError, UsageError, WorkspaceError
from vfx_matte.masks import Mask, ObjectLabel, Palette
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.sampling import pictures_at
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest, TextPrompt
from vfx_matte.printable import shortened
from vfx_matte.references.reading import MaskPicture
from vfx_matte.wording import command, option
from vfx_matte.workspace import ClipWorkspace

EVERY = 24
"""Frames between two that are looked at: about a second, as for detectors that need much time."""

LEAST_SCORE = 0.5
"""How sure the text detector must be, as the threshold of `detect` is."""

# ids of a mask
_MOST_OBJECTS = 255
# names stand in manifests, legends and file names
_MOST_CHARACTERS = 100


def text_prompt(
    text: str | None, *, weights: Path | None, model: Path, device: str
) -> TextPrompt | None:
    """What a user asks to be found.

    Args:
        text: in words; None looks for nothing.
        weights: the text detector's file or folder of weights; None is the usual one.
        model: the folder of network weights.
        device: what the text detector runs on.

    Raises:
        UsageError: the text is empty, too long or no line of text, or weights without a text.
    """
    if text is None:
        if weights is not None:
            raise UsageError(
                f"{option('text_model')} names what finds a text, and there is none",
                hint=f"say what to find: {option('text', 'the dog')}",
            )
        return None
    words = " ".join(text.split())
    if not words or not words.isprintable() or len(words) > _MOST_CHARACTERS:
        raise UsageError(
            f"the text to find is {shortened(words)!r}, expected 1 to {_MOST_CHARACTERS} printable"
            " characters",
            hint=f"name the thing in a few words: {option('text', 'the dog')}",
        )
    return TextPrompt(text=words, weights=weights, model=model, device=device)


def with_objects_of_text(
    clip: SourceClip, request: SegmentRequest, *, workspace: ClipWorkspace, reporter: Reporter
) -> SegmentRequest:
    """A request whose references are what its text says, on the first frame looked at that shows
    it.

    Args:
        clip: what is segmented.
        request: with a prompt and without references.
        workspace: where masks will go; it is only looked at.
        reporter: receives notices and progress.

    Returns:
        The request with a reference mask and labels, the largest object first.

    Raises:
        UsageError: masks are given, too, or a package is missing; WorkspaceError where there are
            masks already; NothingFoundError where no frame that was looked at shows such a thing.
        WeightsError: the text detector's weights are missing or of another network.
        StoppedError: the reporter asked to stop.
    """
    prompt = request.prompt
    if prompt is None:
        return request
    # 1. what need not wait for a network
    if request.references != ReferenceFiles():
        raise UsageError(
            f"{option('text')} finds the objects, and there are masks or colours of masks, too",
            hint=f"leave out {option('text')}, or everything about masks",
        )
    if workspace.manifest_path.exists() and not (request.continues or request.fresh):
        raise WorkspaceError(
            f"{workspace.folder} holds masks already",
            hint=f"{option('resume', True)} goes on with a run that was stopped;"
            f" {option('fresh', True)} starts again and keeps them as masks.previous",
        )
    span = range(*clip.frame_range(request.start, request.stop))
    found = find_objects(clip, prompt, span, reporter=reporter)
    number = clip.info.timeline.number(found.index)
    picture = MaskPicture(found.mask, palette=Palette.davis().colors, are_ids=True)
    return replace(
        request,
        references=ReferenceFiles(pictures={number: picture}),
        labels={**found.labels, **request.labels},
        prompt=None,
    )


@dataclass(frozen=True, slots=True)
class FoundObjects:
    """What a text says, on one frame."""

    index: int
    """The frame."""

    mask: Mask
    """uint8 (H, W), object ids, the largest one is 1."""

    labels: Mapping[int, ObjectLabel]
    """Object id → what it is called."""


def find_objects(
    clip: SourceClip, prompt: TextPrompt, frames: range, *, reporter: Reporter
) -> FoundObjects:
    """Find what a text says on the first frame looked at that shows it.

    Args:
        clip: where it is looked for.
        prompt: what is looked for, and with what.
        frames: indices; every so many of them are looked at (EVERY).
        reporter: receives notices and progress.

    Raises:
        UsageError: a package is missing (NothingFoundError: no frame that was looked at shows it).
        WeightsError: the text detector's weights are missing or of another network.
        StoppedError: the reporter asked to stop.
    """
    entry, detector = open_text_detector(
        weights=prompt.weights, model=prompt.model, device=prompt.device
    )
    reporter.notify(f"looks for {prompt.text!r} with {entry.title}")
    # 1. the first frame that shows it
    index, found = _first_found(clip, detector, prompt.text, frames[::EVERY], reporter)
    number = clip.info.timeline.number(index)
    # 2. its mask, and what is in it
    mask, objects = _objects(found, clip.info.shape)
    several = len(objects) > 1
    labels = {
        at: ObjectLabel(f"{prompt.text} {at}" if several else prompt.text, prompt.text, one.score)
        for at, one in enumerate(objects, start=1)
    }
    scores = ", ".join(f"{one.score:.2f}" for one in objects)
    reporter.notify(
        f"found on frame {number}: {len(objects)} object{'s' if several else ''}, scores {scores}"
    )
    return FoundObjects(index, mask, labels)


def _first_found(
    clip: SourceClip,
    detector: TextDetector,
    text: str,
    frames: Sequence[int],
    reporter: Reporter,
) -> tuple[int, list[Detection]]:
    """The first of some frames that shows what the text says, and what is sure enough on it."""
    with (
        one_blas_thread(),
        reporter.progress(f"look for {text}", len(frames)) as step,
        closing(pictures_at(clip.reader, frames)) as pictures,
    ):
        for index, image in pictures:
            if reporter.stops():
                raise StoppedError("stopped before anything was found")
            found = [
                one
                for one in detector.detect(image, text)
                if one.score >= LEAST_SCORE and one.mask.any()
            ]
            step()
            if found:
                return index, found
    count = len(frames)
    raise NothingFoundError(
        f"{text!r} was not found on the {count} frame{'s' if count != 1 else ''} that"
        f" {'were' if count != 1 else 'was'} looked at",
        hint=f"use other words, begin where it is seen ({option('start')}), or make a first mask"
        f" with {command('mask')}",
    )


def _objects(found: Sequence[Detection], shape: tuple[int, int]) -> tuple[Mask, list[Detection]]:
    """The mask of what was found on a frame.

    Where two overlap the surer one counts; one of which nothing is left is no object.

    Returns:
        uint8 (H, W) ids, and the object of each, the largest first.
    """
    # 1. who has which pixel: the surest is painted last
    surest = sorted(found, key=lambda one: -one.score)[:_MOST_OBJECTS]
    owners = np.zeros(shape, np.uint8)
    for at in reversed(range(len(surest))):
        owners[surest[at].mask] = at + 1
    # 2. ids by what is left of each; sorting is stable, so the surer of two equal ones is first
    areas = np.bincount(owners.ravel(), minlength=len(surest) + 1)
    order = sorted(
        (at for at in range(len(surest)) if areas[at + 1]), key=lambda at: -areas[at + 1]
    )
    ids = np.zeros(len(surest) + 1, np.uint8)
    for object_id, at in enumerate(order, start=1):
        ids[at + 1] = object_id
    return ids[owners], [surest[at] for at in order]
