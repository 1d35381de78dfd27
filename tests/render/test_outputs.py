"""Outputs that are made together: the same files as one by one, from one decode and one matte a
frame, all of them or none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine, pictures, planes_of

from vfx_matte.composite import mix as composite
from vfx_matte.errors import MediaError
from vfx_matte.masks import Matte
from vfx_matte.matting import FoundBefore, estimate_foreground
from vfx_matte.media.frames import ClipReader, Frame
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.picture import Picture
from vfx_matte.pipeline.clip import SegmentedClip, open_segmented
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.render import key, mattes
from vfx_matte.pipeline.render import outputs as rendering
from vfx_matte.pipeline.render.outputs import FrameJob, PlannedOutput, frame_jobs, write_outputs
from vfx_matte.pipeline.render.part import write_frame
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.renders import EncodeOptions
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.settings.options import MatteSettings
from vfx_matte.timeline import conform

SILENT = SilentReporter()
STEADY = MatteSettings(edges="guided", stabilize=0.5)
EXACT = EncodeOptions(codec="ffv1")


@pytest.fixture
def segmented(project: CommandLine) -> SegmentedClip:
    return open_segmented(Path("clip.mp4"), workspace=Path("workspace"), reporter=SILENT)


def planned(
    clip: SegmentedClip, folder: Path, *, settings: MatteSettings = STEADY
) -> list[PlannedOutput]:
    planner = Planner(clip, Tools(), SILENT)
    return [
        planner.alpha(folder / "alpha.mkv", settings=settings, encode=EXACT),
        planner.maskvideo(folder / "matte.mkv", settings=settings, encode=EXACT),
        planner.greenback(folder / "green.mkv", settings=settings, encode=EXACT),
        planner.overlay(folder / "overlay.mkv", settings=settings, encode=EXACT),
    ]


def decoded(path: Path) -> list[list[np.ndarray]]:
    return [planes_of(frame) for frame in pictures(path)]


@pytest.mark.slow
def test_together_they_are_as_they_are_alone(segmented: SegmentedClip, tmp_path: Path) -> None:
    together = write_outputs(segmented, planned(segmented, tmp_path / "together"), SILENT)
    alone = [
        write_outputs(segmented, [planned(segmented, tmp_path / "alone")[number]], SILENT)[0]
        for number in range(len(together))
    ]
    for one, other in zip(together, alone, strict=True):
        assert one.output.name == other.output.name
        assert (one.frame_count, one.frames_without_mask) == (12, 4)
        assert one.verified.ok
        for here, there in zip(decoded(one.output), decoded(other.output), strict=True):
            assert all((a == b).all() for a, b in zip(here, there, strict=True))


def test_frames_are_decoded_once_and_mattes_made_once(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = planned(segmented, tmp_path)
    read: list[int] = []
    frames = type(segmented.reader).frames

    def watched(self: ClipReader, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in frames(self, start, stop):
            read.append(frame.index)
            yield frame

    make_matte = Mock(wraps=mattes.make_matte)
    monkeypatch.setattr(mattes, "make_matte", make_matte)
    monkeypatch.setattr(type(segmented.reader), "frames", watched)
    write_outputs(segmented, outputs, SILENT)
    assert read == list(range(12))
    assert make_matte.call_count == 8  # as many as there are masks


class Watch:
    """Notes what it is told."""

    def __init__(self, path: Path, *, fails: bool = False) -> None:
        self.path, self.fails, self.told = path, fails, list[object]()

    def begin(self, start: int, stop: int) -> None:
        self.told.append((start, stop))

    def see(self, job: FrameJob) -> None:
        self.told.append(job.index)

    def end(self) -> None:
        if self.fails:
            raise MediaError("frame 3 is wrong")
        self.told.append(self.path.exists())


def test_a_watch_sees_every_frame_before_an_output_has_its_name(
    segmented: SegmentedClip, tmp_path: Path
) -> None:
    green = planned(segmented, tmp_path)[2]
    watch = Watch(green.path)
    # frames before the range, which stabilizing remembers, are not its own
    write_outputs(segmented, [replace(green, watch=watch)], SILENT, span=(4, 9))
    assert watch.told == [(4, 9), 4, 5, 6, 7, 8, False]
    assert green.path.exists()
    other = replace(
        green, path=tmp_path / "other.mkv", watch=Watch(tmp_path / "other.mkv", fails=True)
    )
    with pytest.raises(MediaError, match="frame 3"):
        write_outputs(segmented, [other], SILENT)
    assert not list(tmp_path.glob("other*"))


def test_a_key_is_compared_with_the_frames_that_are_rendered(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    reporter = SilentReporter()
    monkeypatch.setattr(reporter, "notify", told.append)
    # a colour of the subject itself
    image, mask = segmented.reader.frame(5).image, segmented.mask(5)
    assert mask is not None
    red, green, blue = np.median(image[mask != 0], axis=0).astype(int)
    output = Planner(segmented, Tools(), reporter).greenback(
        tmp_path / "key.mkv",
        key=f"#{red:02x}{green:02x}{blue:02x}",
        settings=MatteSettings(edges="hard"),
        encode=EXACT,
    )
    write_outputs(segmented, [output], reporter, span=(6, 9))
    (line,) = (line for line in told if "of the subject on frame" in line)
    assert int(line.split("on frame ")[1].split()[0]) in (6, 7, 8)
    told.clear()
    # where the clip has no masks there is nothing to compare
    write_outputs(segmented, [output], reporter, span=(10, 12))
    assert not [line for line in told if "on frame" in line]


def test_other_keys_are_looked_at_only_where_the_key_does_not_suit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    red = np.full((40, 40, 3), (200, 30, 20), np.uint8)
    subjects = {4: key.subject_chroma(red, np.ones((40, 40), np.uint8))}
    assert key.check_key(subjects, (200, 30, 20)).alternative == "green"
    monkeypatch.setattr(key, "farthest_key", Mock(side_effect=AssertionError("looked")))
    suits = key.check_key(subjects, (0, 255, 0))
    assert (suits.share, suits.alternative, suits.warning) == (0, None, "")


def test_of_every_twelfth_the_first_frame_with_the_subject_is_compared_with_the_key(
    segmented: SegmentedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, mask = segmented.reader.frame(3), segmented.mask(3)
    assert mask is not None
    seen = Mock(wraps=key.subject_chroma)
    monkeypatch.setattr(key, "subject_chroma", seen)
    masks = [None] * 10 + [mask * 0] * 3 + [mask] * 47
    watch = key.KeyWatch(segmented, (0, 255, 0), MatteSettings(), reporter=SILENT)
    watch.begin(100, 160)
    looked = []
    for number, shown in enumerate(masks):
        watch.see(FrameJob(100 + number, frame.time, shown, frame, 100 + number))
        looked += [number] * (seen.call_count - len(looked))
    # parts of five frames: the first two show nothing, the third does so late
    assert looked == [13, *range(15, 60, 5)]


def test_one_frame_shares_out_its_parts_and_is_not_compared_with_the_key(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    make_matte = mattes.make_matte

    def noted(*args: object, **named: object) -> object:
        seen.append((cv2.getNumThreads(), "ahead" in threading.current_thread().name))
        return make_matte(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(mattes, "make_matte", noted)
    monkeypatch.setattr(key, "subject_chroma", Mock(side_effect=AssertionError("looked")))
    output = planned(segmented, tmp_path, settings=MatteSettings(edges="guided"))[2]
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        write_frame(segmented, [output], 5, [tmp_path / "still.png"], SILENT)
    finally:
        cv2.setNumThreads(before)
    assert seen == [(3, False)]


def test_files_of_one_frame_share_the_edges_that_were_found(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut-out and a green screen of one frame hand on what was found; one file keeps nothing."""
    given: list[FoundBefore | None] = []

    def noted(picture: Picture, matte: Matte, before: FoundBefore | None = None) -> Picture:
        given.append(before)
        return estimate_foreground(picture, matte, before)

    monkeypatch.setattr(mattes, "estimate_foreground", noted)
    together = planned(segmented, tmp_path, settings=MatteSettings(edges="guided"))
    composed = rendering.compose_frames(segmented, [together[0], together[2]], 4, 7)
    assert len(list(composed)) == 3
    assert all(before is not None for before in given)
    # two of each frame, and every frame has its own
    assert [given[at] is given[at + 1] for at in range(5)] == [True, False, True, False, True]
    given.clear()
    planner = Planner(segmented, Tools(), SILENT)
    alone = planner.alpha(tmp_path / "a.mkv", settings=MatteSettings(edges="guided"), encode=EXACT)
    assert len(list(rendering.compose_frames(segmented, [alone], 4, 6))) == 2
    assert given == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("stabilize", [0.0, 0.5])
def test_frames_made_beside_each_other_are_as_one_after_the_other(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stabilize: float
) -> None:
    settings = MatteSettings(edges="guided", stabilize=stabilize)
    places: set[str] = set()
    make_matte = mattes.make_matte

    def noted(*args: object, **named: object) -> object:
        places.add(threading.current_thread().name)
        # frames that begin later may be done first
        time.sleep(0.05 * (len(places) % 2))
        return make_matte(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(mattes, "make_matte", noted)
    shown = []
    before = cv2.getNumThreads()
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            places.clear()
            folder = tmp_path / str(threads)
            outputs = planned(segmented, folder, settings=settings)
            write_outputs(segmented, outputs, SILENT)
            assert cv2.getNumThreads() == threads
            assert any("ahead" in name for name in places) == (threads > 1)
            shown.append([decoded(output.path) for output in outputs])
    finally:
        cv2.setNumThreads(before)
    for one, other in zip(*shown, strict=True):
        for here, there in zip(one, other, strict=True):
            assert all((a == b).all() for a, b in zip(here, there, strict=True))


def test_another_look_has_its_own_mattes(segmented: SegmentedClip, tmp_path: Path) -> None:
    planner = Planner(segmented, Tools(), SILENT)
    first, second = (
        planner.maskvideo(
            tmp_path / f"{ids[0]}.mkv",
            settings=MatteSettings(edges="median", objects=ids),
            encode=EXACT,
        )
        for ids in ((1,), (2,))
    )
    write_outputs(segmented, [first, second], SILENT)
    shown = [[planes[0] > 0 for planes in decoded(one.path)] for one in (first, second)]
    assert all(
        a.any() and b.any() and not (a & b).any() for a, b in list(zip(*shown, strict=True))[2:10]
    )


def test_pictures_are_not_decoded_for_masks_alone(segmented: SegmentedClip) -> None:
    every = list(frame_jobs(segmented, decode=False))
    assert [job.time for job in every] == list(segmented.info.timeline)
    assert [job.mask is not None for job in every] == [2 <= index < 10 for index in range(12)]
    assert every[3].image is None
    with pytest.raises(ValueError, match="frame 3 was not decoded"):
        _ = every[3].picture


def test_a_failure_on_the_way_leaves_every_earlier_file(
    segmented: SegmentedClip, tmp_path: Path
) -> None:
    outputs = planned(segmented, tmp_path)
    write_outputs(segmented, outputs, SILENT)
    earlier = {one.path: one.path.read_bytes() for one in outputs}
    last = outputs[-1].compose

    def breaking(job: FrameJob) -> Picture:
        if job.index == 7:
            raise ZeroDivisionError
        return last(job)

    broken = PlannedOutput(
        path=outputs[-1].path, plan=outputs[-1].plan, label="overlay", compose=breaking
    )
    with pytest.raises(ZeroDivisionError):
        write_outputs(segmented, [*outputs[:-1], broken], SILENT)
    assert sorted(path.name for path in tmp_path.glob("*.mkv*")) == sorted(
        one.path.name for one in outputs
    )
    assert all(path.read_bytes() == content for path, content in earlier.items())


@pytest.mark.parametrize(
    "command",
    [pytest.param(("package", "--for", "premiere"), marks=pytest.mark.slow), ("conform",)],
)
def test_commands_that_make_several_files_make_every_matte_once(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    counts = []
    for outputs in ("alpha", "alpha,maskvideo,greenback"):
        make_matte = Mock(wraps=mattes.make_matte)
        monkeypatch.setattr(mattes, "make_matte", make_matte)
        project(*command, "clip.mp4", "--outputs", outputs)
        counts.append(make_matte.call_count)
    assert counts[0] == counts[1] > 0


def conformed(clip: SegmentedClip, fps: int) -> SegmentedClip:
    frame_map = conform(clip.info.timeline, Fraction(fps))
    assert (frame_map.dropped, frame_map.duplicated > 12) == (0, True)
    reader = ConformedReader(clip.reader, frame_map, notify=SILENT.notify)
    return clip.mapped(reader, frame_map.indices)


@pytest.mark.slow
def test_a_held_frame_is_made_once(
    segmented: SegmentedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = conformed(segmented, 100)
    assert held.frame_map is not None
    write_outputs(segmented, planned(segmented, tmp_path / "once"), SILENT)
    counted = {
        (module, name): Mock(wraps=getattr(module, name))
        for module, name in [
            (mattes, "make_matte"),
            (composite, "with_alpha"),
            (composite, "overlay"),
            (composite, "over_color"),
        ]
    }
    for (module, name), mock in counted.items():
        monkeypatch.setattr(module, name, mock)
    write_outputs(held, planned(held, tmp_path / "held"), SILENT)
    assert [mock.call_count for mock in counted.values()] == [8, 12, 12, 12]
    for name in ("alpha.mkv", "matte.mkv", "green.mkv", "overlay.mkv"):
        once, many = decoded(tmp_path / "once" / name), decoded(tmp_path / "held" / name)
        assert len(many) == len(held.frame_map)
        for index, planes in zip(held.frame_map, many, strict=True):
            assert all((a == b).all() for a, b in zip(planes, once[index], strict=True)), (
                name,
                index,
            )


def test_a_background_goes_on_behind_a_held_frame(
    segmented: SegmentedClip, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    held = conformed(segmented, 100)
    planner = Planner(held, Tools(), SILENT)
    fast = make_clip(
        "fast.mkv",
        codec="ffv1",
        pts=tuple(range(0, 400, 10)),
        last_duration=10,
        time_base=Fraction(1, 1000),
    )
    film = planner.greenback(
        tmp_path / "film.mkv", background=str(fast), settings=STEADY, encode=EXACT
    )
    assert film.moves
    write_outputs(held, [film], SILENT)
    shown = [planes[0].tobytes() for planes in decoded(film.path)]
    longest = max(set(held.frame_map), key=held.frame_map.count)
    first = held.frame_map.index(longest)
    assert shown[first] != shown[first + 1]
    next(iter(pictures(film.path))).to_image().save(tmp_path / "still.png")
    still = planner.greenback(
        tmp_path / "still.mkv",
        background=str(tmp_path / "still.png"),
        settings=STEADY,
        encode=EXACT,
    )
    assert not still.moves


@pytest.mark.parametrize(("pixels", "most"), [(96 * 64 * 4, 4), (96 * 64 * 3, 3), (96 * 64, 2)])
def test_fewer_large_frames_wait_between_threads(
    segmented: SegmentedClip,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pixels: int,
    most: int,
) -> None:
    depths = []
    prefetched = rendering.prefetched

    def noting(items: Iterator[object], *, depth: int) -> Iterator[object]:
        depths.append(depth)
        return prefetched(items, depth=depth)

    monkeypatch.setattr(rendering, "prefetched", noting)
    monkeypatch.setattr(rendering, "_PIXELS_AHEAD", pixels)
    write_outputs(segmented, planned(segmented, tmp_path)[2:3], SILENT)
    assert depths == [most, most]
