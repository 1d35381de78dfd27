"""Finds the objects of a clip and makes their masks."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vfx_matte._version import __version__
from vfx_matte.detect.regions import ColorHistogram, color_histogram
from vfx_matte.detect.registry import DetectorEntry
from vfx_matte.errors import WeightsError, WorkspaceError
from vfx_matte.files.atomic import output_error
from vfx_matte.files.fingerprint import fingerprint
from vfx_matte.masks import Palette, hex_color
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.detect.looks import LookLog
from vfx_matte.pipeline.detect.objects import (
    MOST_OBJECTS,
    ChosenObject,
    alike,
    choose_objects,
    merged,
    read_same,
)
from vfx_matte.pipeline.detect.opening import opened_detector, wanted_classes, weights_of
from vfx_matte.pipeline.detect.references import save_references
from vfx_matte.pipeline.detect.request import DetectRequest, DetectResult, FoundObject
from vfx_matte.pipeline.detect.results import (
    ResultForm,
    refuse_other_results,
    save_results,
)
from vfx_matte.pipeline.detect.search import search
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.sampling import pictures_at
from vfx_matte.pipeline.segment.cuts import CutOptions, known_cuts, shots
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest, refuse_both_ways
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.wording import command, option
from vfx_matte.workspace import ClipWorkspace, SourceStamp, Workspace
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.walk_states import digest_of

# how many times the wanted number of objects is followed
_MORE = 3


def detect_clip(
    clip: SourceClip, request: DetectRequest, *, workspace: Path, reporter: Reporter
) -> DetectResult:
    """Find the objects of a clip without any mask, and make their masks.

    Args:
        clip: the clip.
        request: what is looked for, and how.
        workspace: folder for results, with one folder per clip.
        reporter: receives notices and progress.

    Returns:
        What was found, which may be nothing; then no masks are made.

    Raises:
        UsageError: among them WorkspaceError, where the workspace holds other work.
        WeightsError: the detector's weights are missing or of another network.
        MediaError: the clip cannot be read, or as OutputError a file not written.
        StoppedError: the reporter asked to stop.
    """
    began = time.monotonic()
    refuse_both_ways(fresh=request.fresh, resume=request.resume)
    own = Workspace(workspace).clip(clip.path)
    first, last = clip.frame_range(request.start, request.stop)
    # 1. before minutes of work: may it be done here, and by whom?
    _refuse_other_work(own, request)
    output = request.output or own.detected_folder
    refuse_other_results(clip.path, own, output)
    read_same(request.same)
    entry, detector = opened_detector(
        request.settings,
        model=request.model,
        device=request.device,
        fetch=request.fetch,
        reporter=reporter,
    )
    wanted = wanted_classes(request.settings.classes, entry, detector)
    earlier = own.manifest() if request.resume else None
    # as the work that is gone on with was begun, or other references would come out
    propagator = request.propagator.decided(reporter.notify, earlier=earlier)
    # 2. the shots, and what is in them
    cuts = known_cuts(
        clip, request.cuts, span=range(first, last), earlier=earlier, reporter=reporter
    )
    spans = list(shots(cuts or (), range(first, last)))
    every = request.settings.every or entry.usual_every
    # more than are wanted, as some are seen once only; not all, as every one takes time
    most = _MORE * request.settings.max_objects or MOST_OBJECTS
    log = LookLog(
        own.looks_folder,
        digest_of(
            _search_facts(
                clip,
                request,
                entry,
                shots=[(shot.start, shot.stop) for shot in spans],
                every=every,
                most=most,
                propagator=propagator,
            )
        ),
    )
    found = search(
        clip,
        detector,
        spans,
        every=every,
        threshold=request.settings.threshold,
        most=most,
        propagator=propagator,
        log=log,
        reporter=reporter,
    )
    choice = choose_objects(
        found.tracks, request.settings, looked_at=found.looked_at, classes=wanted
    )
    objects = merged(choice.objects, request.same)
    over_limit = choice.over_limit + found.passed_over
    _notify(choice.unconfirmed, over_limit, objects, request, reporter)
    pairs = alike(objects, _histograms(clip, objects))
    for again, before in pairs:
        reporter.notify(
            f"objects {again} and {before}, of different shots, look alike; if they are one, add"
            f" {option('same', f'{again}={before}')}"
        )
    # 3. reference masks, then the masks of all frames as from any other references
    masks = None
    if objects:
        # another run may have begun in the meantime
        with WriterLock(own.lock_path):
            save_references(clip, own, objects, request)
        done = segment_clip(
            clip,
            SegmentRequest(
                references=ReferenceFiles(folder=own.references_folder),
                start=request.start,
                stop=request.stop,
                propagator=propagator,
                cuts=CutOptions(mode="ignore") if cuts is None else CutOptions(found=cuts),
                soft=request.soft,
                resume=request.resume,
                fresh=request.fresh,
                labels={one.id: one.label for one in objects},
            ),
            workspace=workspace,
            reporter=reporter,
        )
        masks = done.masks
    # 4. what other programs read; unless a folder was asked for, an empty answer does not take the
    # place of an earlier one whose masks stay
    files: tuple[Path, ...] = ()
    if not objects and request.output is None and own.manifest_path.exists():
        reporter.notify(f"the earlier masks and results in {own.folder} are left as they are")
    else:
        files = save_results(
            clip.info,
            own,
            span=range(first, last),
            form=ResultForm.of(request.settings, detector),
            output=output,
            has_masks=masks is not None,
            reporter=reporter,
        )
    return DetectResult(
        clip=clip.path,
        detector=entry.name,
        frames=sum(len(frames) for frames in found.looked_at.values()),
        objects=tuple(_record(clip, one) for one in objects),
        alike=pairs,
        masks=masks,
        files=files,
        seconds=time.monotonic() - began,
    )


def _search_facts(
    clip: SourceClip,
    request: DetectRequest,
    entry: DetectorEntry,
    *,
    propagator: PropagatorOptions,
    **numbers: object,
) -> dict[str, object]:
    """Everything that a search depends on."""
    weights = weights_of(entry, request.settings, request.model)
    files = [weights] if weights.is_file() else sorted(weights.rglob("*"))
    try:
        known = fingerprint(files)
    except OSError as error:
        raise WeightsError(
            f"{weights} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    sequence = clip.info.files
    return {
        "program": __version__,
        "clip": SourceStamp.of(clip.path).fingerprint,
        "frames": clip.info.timeline.to_json(),
        "read as": [clip.info.has_alpha, "" if sequence is None else sequence.gaps],
        "detector": [entry.name, known, request.device, request.settings.threshold],
        "propagator": [propagator.name, dict(propagator.settings)],
        **numbers,
    }


def _refuse_other_work(own: ClipWorkspace, request: DetectRequest) -> None:
    """Raise WorkspaceError where there is work that a run without `fresh` would mix with."""
    # nobody else works here, and something can be written; without making anything yet
    if own.lock_path.exists():
        with WriterLock(own.lock_path):
            pass
    place = next(path for path in (own.folder, *own.folder.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        raise output_error(own.folder, PermissionError(errno.EACCES, "cannot be written to"))
    if request.fresh or request.resume:
        return
    again = f"{option('fresh', True)} starts again and keeps the earlier work as *.previous"
    if own.manifest_path.exists():
        raise WorkspaceError(
            f"{own.folder} holds masks already",
            hint=f"{again}; {option('resume', True)} goes on with a detection that was stopped",
        )
    if own.references_folder.is_dir() and any(own.references_folder.iterdir()):
        raise WorkspaceError(
            f"{own.references_folder} holds reference masks already",
            hint=f"{again}; {option('resume', True)} goes on with a detection that was stopped",
        )


def _notify(
    unconfirmed: int,
    over_limit: int,
    objects: Sequence[ChosenObject],
    request: DetectRequest,
    reporter: Reporter,
) -> None:
    if unconfirmed:
        reporter.notify(
            f"{unconfirmed} things were seen only once and are left out;"
            f" {option('every')} looks at more frames"
        )
    if over_limit:
        most = request.settings.max_objects
        reporter.notify(
            f"{over_limit} objects more were found than masks can have"
            if most == 0
            else f"{over_limit} objects more were found; {option('max_objects')} is {most}"
        )
    if not objects:
        settings = request.settings
        more = [f"a lower {option('threshold')}"] if settings.threshold > 0 else []
        more += [f"leaving {option('classes')} out"] if settings.classes else []
        finds = f"{' or '.join(more)} finds more, and " if more else ""
        reporter.notify(f"nothing was found; {finds}{command('mask')} makes a mask by clicks")


def _histograms(clip: SourceClip, objects: Sequence[ChosenObject]) -> Mapping[int, ColorHistogram]:
    """The colours of every object on its first reference, where there are several shots."""
    if len({one.track.shot for one in objects}) < 2:
        return {one.id: np.zeros(0, np.float32) for one in objects}
    at = {one.id: one.references[0] for one in objects}
    frames = sorted({sighting.frame for sighting in at.values()})
    histograms = {}
    for index, image in pictures_at(clip.reader, frames):
        for number, sighting in at.items():
            if sighting.frame == index:
                histograms[number] = color_histogram(image, sighting.mask)
    return histograms


def _record(clip: SourceClip, one: ChosenObject) -> FoundObject:
    number = clip.info.timeline.number
    seen = [sighting.frame for sighting in (*one.track.sightings, *one.references)]
    red, green, blue = (int(value) for value in Palette.davis().colors[one.id])
    return FoundObject(
        id=one.id,
        name=one.label.name,
        class_name=one.label.class_name,
        score=one.track.score,
        color=hex_color((red, green, blue)),
        first=number(min(seen)),
        last=number(max(seen)),
        references=tuple(number(sighting.frame) for sighting in one.references),
    )
