"""What a package and conformed files settle before anything is written, without the command line:
rates, frame maps, remarks, and the clip seen through a map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import number_of
from support.command_line import CommandLine, segment
from support.notices import Notices

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, Matte
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.pipeline.clip import SegmentedClip, open_segmented
from vfx_matte.pipeline.export import package as packages
from vfx_matte.pipeline.export.conform import ConformRequest
from vfx_matte.pipeline.export.package import PackageRequest
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.programs.registry import program_named
from vfx_matte.settings.options import AlphaSettings, ConformSettings, PackageSettings
from vfx_matte.timeline import conform as on_grid

NTSC = Fraction(30000, 1001)


def opened(name: str) -> SegmentedClip:
    return open_segmented(Path(name), workspace=Path("workspace"), reporter=SilentReporter())


@pytest.fixture
def uneven(project: CommandLine) -> SegmentedClip:
    """12 frames of variable rate, of which 2 to 9 have masks."""
    return opened("clip.mp4")


@pytest.fixture
def steady(
    cli: CommandLine, take: Callable[..., Path], make_clip: Callable[..., Path]
) -> SegmentedClip:
    """12 frames of 29.97 per second."""
    take(make_clip("steady.mp4", options={"preset": "ultrafast", "bf": "0"}))
    segment(cli, "steady.mp4")
    return opened("steady.mp4")


def planned(clip: SegmentedClip, program: str, **settings: Any) -> Any:  # noqa: ANN401  a plan is the room's own
    request = PackageRequest(settings=PackageSettings(**settings))
    folder = clip.folder / "package"
    return packages._plan(
        clip,
        program_named(program),
        request,
        part=folder.with_name("part"),
        folder=folder,
        reporter=SilentReporter(),
    )


@pytest.mark.parametrize("request_of", [PackageRequest, ConformRequest])
def test_a_rate_is_exact_and_auto_is_none(request_of: type[Any]) -> None:
    settings = {PackageRequest: PackageSettings, ConformRequest: ConformSettings}[request_of]
    assert request_of().fps is None
    assert request_of(settings=settings(fps="30000/1001")).fps == NTSC
    assert request_of(settings=settings(fps="25")).fps == 25
    with pytest.raises(UsageError):
        _ = request_of(settings=settings(fps="fast")).fps


def test_colours_of_the_cut_out_are_straight_unless_asked_for() -> None:
    assert PackageRequest().alpha == "straight"
    assert PackageRequest(cut_out=AlphaSettings(premultiplied=True)).alpha == "premultiplied"


def test_a_steady_clip_is_referred_to_frame_by_frame(steady: SegmentedClip) -> None:
    plan = planned(steady, "premiere")
    assert plan.reason_to_convert == ""
    assert plan.rate.fps == NTSC
    assert plan.frame_map.indices == tuple(range(12))
    assert plan.frame_count == 12
    assert not plan.remarks


def test_an_uneven_clip_is_converted_and_the_note_says_what_became_of_its_frames(
    uneven: SegmentedClip,
) -> None:
    plan = planned(uneven, "premiere")
    assert "frame rate varies" in plan.reason_to_convert
    (remark,) = (text for text in plan.remarks if "became" in text)
    assert f"source's 12 frames became {plan.frame_count}" in remark
    assert f"{plan.frame_map.duplicated} repeat a picture" in remark


def test_converting_can_be_asked_for(steady: SegmentedClip) -> None:
    plan = planned(steady, "premiere", media="convert")
    assert plan.reason_to_convert.startswith("you asked for it")
    assert plan.frame_map.indices == tuple(range(12))


def test_a_container_that_a_program_does_not_import_is_converted(
    cli: CommandLine, take: Callable[..., Path], make_clip: Callable[..., Path]
) -> None:
    options = {"preset": "ultrafast", "bf": "0"}
    pts, base = range(0, 12 * 40, 40), Fraction(1, 1000)
    facts = {"pts": pts, "time_base": base, "last_duration": 40, "options": options}
    take(make_clip("steady.mkv", **facts))
    segment(cli, "steady.mkv")
    assert planned(opened("steady.mkv"), "premiere").reason_to_convert.endswith(
        "does not import .mkv files"
    )


def test_web_pages_need_no_rate(uneven: SegmentedClip) -> None:
    plan = planned(uneven, "web")
    assert (plan.rate, plan.frame_map, plan.reason_to_convert) == (None, None, "")
    assert plan.frame_count == 12


def test_another_rate_than_the_clips_own_makes_other_frames(steady: SegmentedClip) -> None:
    plan = planned(steady, "premiere", fps="60")
    assert plan.rate.fps == 60
    assert plan.frame_count > 20
    assert "do not fit the timeline's rate" in plan.reason_to_convert


def test_files_are_made_apart_and_named_where_they_will_be(steady: SegmentedClip) -> None:
    plan = planned(steady, "premiere")
    assert all(one.path.is_relative_to(plan.media_folder) for one in plan.renders)
    made = plan.renders[0].path
    assert plan.final(made) == plan.folder / made.relative_to(plan.part)
    assert not plan.part.exists()


# ---------------------------------------------------------------- a clip seen through a frame map


class Watcher:
    """Notes which masks were read."""

    def __init__(self) -> None:
        self.masks: list[int] = []

    def saw_mask(self, source_index: int, mask: Mask) -> None:  # noqa: ARG002
        self.masks.append(source_index)

    def saw_matte(self, source_index: int, matte: Matte) -> None:
        """Mattes are not looked at here."""


def test_through_a_map_a_frame_and_its_mask_are_those_of_the_source(
    uneven: SegmentedClip,
) -> None:
    frame_map = on_grid(uneven.info.timeline, NTSC)
    watcher = Watcher()
    view = uneven.mapped(
        ConformedReader(uneven.reader, frame_map, notify=Notices()),
        frame_map.indices,
        watcher=watcher,
    )
    assert len(view.info.timeline) == len(frame_map.indices) > 12
    shown = [number_of(frame.picture.planes[0]) for frame in view.reader.frames()]
    assert shown == list(frame_map.indices)
    for index, source_index in enumerate(frame_map.indices):
        mask, own = view.mask(index), uneven.mask(source_index)
        assert view.shows(index) == source_index
        assert (mask is None) == (own is None) == (source_index not in range(2, 10))
        if mask is not None and own is not None:
            np.testing.assert_array_equal(mask, own)
    assert set(watcher.masks) == set(range(2, 10)) & set(frame_map.indices)


def test_through_a_map_the_frames_with_a_mask_are_counted_as_they_are_shown(
    uneven: SegmentedClip,
) -> None:
    view = replace(uneven, frame_map=(0, 0, 2, 2, 9, 10, 5))
    assert view.mask_frames == [2, 3, 4, 6]
    assert uneven.mask_frames == list(range(2, 10))
