"""Runs the whole program on a clip whose truth is known, and measures every output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte.drawing.sheet import checkerboard, contact_sheet
from vfx_matte.errors import VerifyError
from vfx_matte.masks import Image, Mask, Palette, overlap
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import open_clip
from vfx_matte.media.verify import verify_clip
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.pipeline.clip import SegmentedClip, open_segmented, open_source
from vfx_matte.pipeline.first_mask import Marking, Marks, open_marking
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.render.encoding import EncodeOptions
from vfx_matte.pipeline.render.outputs import RenderResult, write_outputs
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.propagate.registry import FALLBACK
from vfx_matte.scene import Scene
from vfx_matte.settings.options import MatteSettings
from vfx_matte.workspace import save_mask, save_picture

SHEET_COLUMNS = 5
"""Moments that the contact sheet shows."""
SHEET_THUMB_PX = 320
# how much greener than red and blue a pixel is that a chroma key takes out
_KEYED_OUT = 100


@dataclass(frozen=True, slots=True)
class DemoRow:
    """One output."""

    output: Path
    """The file or folder."""
    what: str
    """What it is, for people."""
    timing: str
    """What verifying it found, for people."""
    iou: str
    """The mean overlap with the truth over all frames, for people."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything the demo made."""

    clip: Path
    """The clip."""
    rows: tuple[DemoRow, ...]
    """One per output."""
    sheet: Path
    """The contact sheet, a PNG."""


def run_demo(
    folder: Path,
    *,
    frame_count: int = 72,
    model: Path = Path("model"),
    fetch: bool = True,
    reporter: Reporter,
) -> DemoResult:
    """Make the clip and its first mask, segment, render everything, and measure.

    Args:
        folder: a workspace; all files go to its folder "demo".
        frame_count: of the clip.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched. The first mask is what stands out, and
            without the network the truth, as if it had been painted.
        reporter: receives notices and progress.

    Raises:
        VerifyError: an output differs from its source.
        VfxMatteError: what the steps raise.
    """
    # 1. the clip, with a known mask for every frame
    scene = Scene(frame_count=frame_count)
    outputs = folder / "demo"
    clip, first_mask = outputs / "demo.mp4", outputs / "first-mask.png"
    make_scene_clip(clip, scene, reporter=reporter)
    source = open_source(clip, reporter=reporter)
    marking = open_marking(source, None, model=model, fetch=fetch, reporter=reporter)
    # 2. its first mask, and the masks of all frames
    begun, what = _first_mask(marking, scene)
    save_mask(first_mask, begun, Palette.davis())
    request = SegmentRequest(
        references=ReferenceFiles(first_mask=first_mask),
        # the one that runs everywhere, so that the figures of two machines can be compared
        propagator=PropagatorOptions(name=FALLBACK.name),
        fresh=True,
    )
    done = segment_clip(source, request, workspace=folder, reporter=reporter)
    segmented = open_segmented(clip, workspace=folder, reporter=reporter)
    accuracy = _mean_iou(scene, (segmented.mask(index) for index in range(frame_count)))
    rows = [DemoRow(first_mask, what, "frame 0", "–")]
    rows += [
        DemoRow(
            done.masks,
            f"palette PNG, {done.propagator} propagator",
            "one file per frame",
            accuracy,
        )
    ]
    # 3. every kind of output, in one pass over the clip
    settings = MatteSettings()
    planner, encode = Planner(segmented, Tools(), reporter), EncodeOptions()
    planned = [
        planner.greenback(None, settings=settings, encode=encode),
        planner.maskvideo(segmented.folder / "maskvideo.mkv", settings=settings, encode=encode),
        planner.alpha(None, settings=settings, encode=encode),
        planner.overlay(None, settings=MatteSettings(), encode=encode),
    ]
    results = write_outputs(segmented, planned, reporter)
    # 4. read back from their files; an overlay shows no mask that could be measured
    ways = (_seen_on_green, _seen_as_white, _seen_as_alpha, None)
    rows += [
        _checked_row(scene, clip, result, see, reporter)
        for result, see in zip(results, ways, strict=True)
    ]
    sheet = segmented.folder / "contact-sheet.png"
    save_picture(sheet, _contact_sheet(segmented, [result.output for result in results]))
    return DemoResult(clip, tuple(rows), sheet)


def _first_mask(marking: Marking, scene: Scene) -> tuple[Mask, str]:
    """The mask of the creature on the first frame, and how it was made, for people."""
    truth = scene.truth_mask(0)
    if not marking.finds_subjects:
        return truth, "first mask, painted"
    mask, _, _ = marking.placed(np.zeros_like(truth), Marks(), auto=True, object_id=1)
    return (
        mask,
        f"first mask, what stands out: {overlap(mask > 0, truth > 0):.1%} overlap with the truth",
    )


def make_scene_clip(path: Path, scene: Scene, *, reporter: Reporter) -> None:
    """Write a scene as an MP4 file with its exact times and its sound.

    Raises:
        OutputError: it cannot be written.
    """

    def images(step: Callable[[], None]) -> Iterator[Image]:
        for index in range(scene.frame_count):
            yield scene.frame(index)[0]
            step()

    with reporter.progress("make the clip", scene.frame_count) as step:
        make_clip(path, images(step), scene.timeline, scene.sound())


def _mean_iou(scene: Scene, masks: Iterable[Mask | None]) -> str:
    """Mean region similarity over all frames but the first, whose mask was given."""
    pairs = ((index, mask) for index, mask in enumerate(masks) if index and mask is not None)
    values = [overlap(mask > 0, scene.truth_mask(index) > 0) for index, mask in pairs]
    return f"IoU {np.mean(values):.3f}, worst frame {min(values):.3f}"


def _checked_row(
    scene: Scene,
    clip: Path,
    result: RenderResult,
    see: Callable[[Frame], Mask] | None,
    reporter: Reporter,
) -> DemoRow:
    """Read an output back: whether every frame is at its time, and shows the subject where the
    truth has it.

    Args:
        scene: the truth.
        clip: the source.
        result: the output.
        see: the mask that a frame of the output shows; None = it shows none.
        reporter: receives notices.

    Raises:
        VerifyError: the output differs from its source.
    """
    # time first: an overlap is worth nothing if frames are compared with others than their own
    report = verify_clip(result.output, clip, notify=reporter.notify)
    if not report.ok:
        raise VerifyError(
            f"{result.output.name} differs from its source: {report.first_difference}"
        )
    timing = next(check.detail for check in report.checks if check.name == "timestamps")
    accuracy = "–"
    if see is not None:
        accuracy = _mean_iou(
            scene, (see(frame) for frame in open_clip(result.output, notify=_silent).frames())
        )
    return DemoRow(result.output, result.encoding, f"{timing} (read by {report.reader})", accuracy)


def _silent(line: str) -> None:
    """Drops notices: what our own outputs are like is known."""


def _seen_on_green(frame: Frame) -> Mask:
    """The mask on a green screen: what an editor's chroma key would keep, which is pixels that are
    not clearly greener than red and blue.
    """
    # signed, as the difference of bytes would wrap around
    red, green, blue = (frame.colors[..., channel].astype(np.int16) for channel in range(3))
    return np.asarray(green - np.maximum(red, blue) < _KEYED_OUT, np.uint8)


def _seen_as_white(frame: Frame) -> Mask:
    """The mask in a mask video: brighter than half."""
    return np.asarray(frame.picture.planes[0] > 127, np.uint8)


def _seen_as_alpha(frame: Frame) -> Mask:
    """The mask in a cut-out: more than half opaque, at any bit depth."""
    alpha = frame.alpha
    assert alpha is not None
    return np.asarray(alpha > np.iinfo(alpha.dtype).max // 2, np.uint8)


def _contact_sheet(segmented: SegmentedClip, outputs: Sequence[Path]) -> Image:
    """Source and outputs at a few moments, read back from the files."""
    timeline = segmented.info.timeline
    indices = np.linspace(0, len(timeline) - 1, SHEET_COLUMNS).round().astype(int).tolist()
    # from the files and not from memory: the sheet is to show what an editor would get
    rows = [("source", [segmented.reader.frame(index).image for index in indices])]
    for output in outputs:
        reader = open_clip(output, notify=_silent)
        frames = [reader.frame(index) for index in indices]
        shown = [
            frame.colors if frame.alpha is None else checkerboard(frame.colors, frame.alpha)
            for frame in frames
        ]
        rows.append((output.name, shown))
    labels = [
        f"frame {timeline.number(index)}, {timeline[index].seconds:.3f} s" for index in indices
    ]
    return contact_sheet(
        rows, column_labels=labels, thumb_width_px=SHEET_THUMB_PX, title="source and outputs"
    )
