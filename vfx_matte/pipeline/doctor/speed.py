"""Measures how fast this machine does what people wait for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vfx_matte.masks import Palette
from vfx_matte.pipeline.clip import open_segmented, open_source
from vfx_matte.pipeline.demo import make_scene_clip
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.records import rounded
from vfx_matte.pipeline.render.encoding import EncodeOptions
from vfx_matte.pipeline.render.outputs import write_outputs
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.scene import Scene
from vfx_matte.settings.options import MatteSettings
from vfx_matte.workspace import save_mask

# few frames of the commonest size: all of it takes about ten seconds on two cores
_SIZE, _FRAMES = (1280, 720), 20


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one thing is done."""

    what: str
    """For people."""

    frames_per_second: float = field(metadata=rounded(2))
    """Of 1280×720 pixels, without start and end of the work where they can be told."""


def measure(propagator: PropagatorOptions, tools: Tools, reporter: Reporter) -> list[Speed]:
    """Measure decoding, propagation and a green screen, on a clip made for it.

    Everything is in a temporary folder that is gone afterwards.

    Args:
        propagator: the decided one.
        tools: what renders compute with.
        reporter: receives progress.

    Raises:
        VfxMatteError: the propagator or an encoder cannot work here.
    """
    scene = Scene(*_SIZE, frame_count=_FRAMES)
    silent = SilentReporter()
    with tempfile.TemporaryDirectory(prefix="vfx-matte-doctor-") as name:
        folder = Path(name)
        clip, mask = folder / "speed.mp4", folder / "first.png"
        make_scene_clip(clip, scene, reporter=reporter)
        save_mask(mask, scene.truth_mask(0), Palette.davis())
        source = open_source(clip, reporter=silent)
        # 1. frames as they are shown
        began = time.perf_counter()
        for frame in source.reader.frames(0, _FRAMES):
            _ = frame.image
        speeds = [Speed("decode", _FRAMES / (time.perf_counter() - began))]
        # 2. masks; the propagator is opened and warm after the first one
        watch = _Watch(reporter)
        request = SegmentRequest(
            references=ReferenceFiles(first_mask=mask), propagator=propagator, fresh=True
        )
        segment_clip(source, request, workspace=folder, reporter=watch)
        speeds.append(Speed(f"segment, {propagator.name}", watch.frames_per_second))
        # 3. a render with everything at its default
        segmented = open_segmented(clip, workspace=folder, reporter=silent)
        planned = Planner(segmented, tools, silent).greenback(
            None, settings=MatteSettings(), encode=EncodeOptions()
        )
        watch = _Watch(reporter)
        write_outputs(segmented, [planned], watch)
        speeds.append(Speed("greenback, edges as usual", watch.frames_per_second))
    return speeds


class _Watch(SilentReporter):
    """Notes when the first and the last step of work are done; the door sees the progress."""

    def __init__(self, door: Reporter) -> None:
        super().__init__()
        self._door = door
        self._times: list[float] = []

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Note the time of every step."""
        return self._noted(label, total)

    @contextmanager
    def _noted(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        with self._door.progress(label, total) as shown:

            def step() -> None:
                self._times.append(time.perf_counter())
                shown()

            yield step

    @property
    def frames_per_second(self) -> float:
        """Between the first and the last step: what comes before is paid once for a clip."""
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)
