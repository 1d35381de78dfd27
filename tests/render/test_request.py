"""What a render settles before it begins: objects, edges, places and encodings, without the
command line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import CommandLine

from vfx_matte import compiling
from vfx_matte.errors import UsageError
from vfx_matte.pipeline.clip import SegmentedClip, open_segmented
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.render import request
from vfx_matte.pipeline.render.encoding import EncodeOptions
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.renders import RenderRequest
from vfx_matte.pipeline.render.request import Tools, check_request, chosen_objects, with_edges
from vfx_matte.settings.edge_methods import name_of
from vfx_matte.settings.options import MatteSettings

PLAIN = MatteSettings(edges="hard")


@pytest.fixture
def segmented(project: CommandLine) -> SegmentedClip:
    return open_segmented(Path("clip.mp4"), workspace=Path("workspace"), reporter=SilentReporter())


def planner(clip: SegmentedClip, **options: int) -> Planner:
    return Planner(clip, Tools(), SilentReporter(), **options)


def test_without_a_choice_all_objects_are_shown(segmented: SegmentedClip) -> None:
    assert chosen_objects(segmented, MatteSettings()) == (1, 2)
    assert chosen_objects(segmented, MatteSettings(objects=(2,))) == (2,)


def test_an_object_that_no_mask_shows_is_refused(segmented: SegmentedClip) -> None:
    with pytest.raises(UsageError, match="there is no object 7") as caught:
        chosen_objects(segmented, MatteSettings(objects=(1, 7)))
    assert caught.value.hint == "the masks of this clip show 1, 2"


def test_edges_have_the_name_of_a_method_and_are_hard_without_soft_results(
    segmented: SegmentedClip,
) -> None:
    settled = with_edges(segmented, MatteSettings(), SilentReporter())
    assert settled.edges == name_of(MatteSettings().method)
    assert settled.soft_edges is False
    assert with_edges(segmented, PLAIN, SilentReporter()).edges == "hard"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("clip.mp4", "the source clip"),
        ("workspace/clip/masks", "the masks"),
        ("workspace/clip/masks/%07d.png", "the masks"),
        ("behind.png", "the background"),
    ],
)
def test_what_is_read_is_never_written(segmented: SegmentedClip, output: str, kept: str) -> None:
    Path("behind.png").write_bytes(b"a picture")
    with pytest.raises(UsageError, match=kept):
        check_request(segmented, Path(output), PLAIN, background=Path("behind.png"))


def test_a_free_path_passes(segmented: SegmentedClip) -> None:
    check_request(segmented, Path("new/green.mp4"), PLAIN)


def test_usual_paths_are_in_the_folder_of_the_clip(segmented: SegmentedClip) -> None:
    plan, encode = planner(segmented), EncodeOptions()
    paths = [
        plan.greenback(None, settings=PLAIN, encode=encode).path,
        plan.alpha(None, settings=PLAIN, encode=encode).path,
        plan.overlay(None, settings=PLAIN, encode=encode).path,
    ]
    assert [path.name for path in paths] == [
        "greenback.mp4", "alpha.mov", "out-clip.mp4"
    ]  # fmt: skip
    assert {path.parent for path in paths} == {segmented.folder}


def test_planning_writes_nothing(segmented: SegmentedClip, project: CommandLine) -> None:
    before = project.files()
    planner(segmented).greenback(None, settings=PLAIN, encode=EncodeOptions())
    assert project.files() == before


def test_numbered_files_of_a_part_begin_with_the_number_of_its_first_frame(
    segmented: SegmentedClip,
) -> None:
    for first in (0, 5):
        plan = planner(segmented, first=first).alpha(
            Path("cut/%07d.png"), settings=PLAIN, encode=EncodeOptions()
        )
        assert plan.names.name(0) == f"{first:07d}.png"


def test_a_request_renders_the_whole_clip_to_its_usual_place_unless_it_says_otherwise() -> None:
    asked = RenderRequest()
    assert (asked.output, asked.selection.frame, asked.matte) == (
        None, None, MatteSettings()
    )  # fmt: skip


def test_the_compiler_is_loaded_beforehand_for_edges_from_the_picture_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(compiling.importlib, "import_module", loaded.append)
    for edges in ("hard", "median", "feather"):
        request.load_edges(MatteSettings(edges=edges))
    assert loaded == []
    request.load_edges(MatteSettings(edges="guided"))
    assert loaded == (["vfx_matte.compiling.jit"] if compiling.has_compiler() else [])
