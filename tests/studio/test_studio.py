"""The studio without its page: mark, propagate, stop, undo, render; and what the command line makes
of the same folder.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine
from support.studios import open_studio

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.first_mask import Click, Marks
from vfx_matte.masks import Mask, Palette
from vfx_matte.media.verify import Check
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.segment.ahead import RunAhead
from vfx_matte.pipeline.studio import Job, Studio
from vfx_matte.pipeline.studio.exports import _verified
from vfx_matte.scene import Scene
from vfx_matte.wording import as_python, spelled
from vfx_matte.workspace import load_mask, save_mask

pytestmark = pytest.mark.slow

FRAMES = 14
SCENE = Scene(width=128, height=72, frame_count=FRAMES)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "scene.mp4"
    make_film(
        path, (SCENE.frame(index)[0] for index in range(FRAMES)), SCENE.timeline, SCENE.sound()
    )
    return path


def truth(index: int) -> Mask:
    return (SCENE.truth_mask(index) > 0).astype(np.uint8)


@pytest.fixture
def studio(film: Path, tmp_path: Path) -> Iterator[Studio]:
    made = open_studio(film, tmp_path)
    yield made
    made.close()


def finished(studio: Studio, job: Job) -> Job:
    """The job once it is over."""
    for _ in range(3000):
        now = next(one for one in studio.jobs() if one.id == job.id)
        if now.is_over:
            return now
        time.sleep(0.02)
    raise AssertionError(f"{now} does not end")


def masks(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted((folder / "workspace" / "scene" / "masks").glob("*.png"))
    }


def test_masks_made_in_parts_are_those_of_the_command_line(
    studio: Studio, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in (4, 11):
        studio.save_mask(index, truth(index), label="brush")
    parts = (("one", 5, 1), ("next", 8, 5), ("forward", 12, 7), ("backward", 2, 10))
    for direction, index, count in (*parts, ("both", 0, FRAMES)):
        assert finished(studio, studio.propagate(direction, index)).state == "done"
        assert len(masks(tmp_path)) == count
    # the other way: one run of segment on the studio's folder of references
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    references = tmp_path / "workspace" / "scene" / "references"
    command_line = CommandLine(other)
    command_line("segment", film, "--masks", references, "--propagator", "builtin")
    assert masks(tmp_path) == masks(other)
    assert len(masks(other)) == FRAMES
    # the command that the page shows does nothing more: all of it is there
    studio.close()
    monkeypatch.chdir(tmp_path)
    again = CommandLine(tmp_path)
    ran = again("segment", film, "--masks", references, "--update", "--propagator", "builtin")
    assert "0 computed" in ran.stdout


def test_what_was_begun_ahead_is_taken_over_and_is_what_the_command_line_makes(
    studio: Studio, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []
    take = RunAhead.taken

    def noted(self: RunAhead, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  passed on
        begun = take(self, *args, **kwargs)
        taken.append(begun is not None)
        return begun

    monkeypatch.setattr(RunAhead, "taken", noted)
    # somebody draws, waits, draws again, and goes on at once
    studio.save_mask(3, np.roll(truth(3), 9, axis=1), label="brush")
    _begun(studio)
    studio.save_mask(3, truth(3), label="brush")
    _begun(studio)
    assert not masks(tmp_path), "nothing is written before somebody asks for it"
    assert finished(studio, studio.propagate("forward", 3)).state == "done"
    assert taken == [True]
    assert finished(studio, studio.propagate("both", 3)).state == "done"
    assert len(masks(tmp_path)) == FRAMES
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    references = tmp_path / "workspace" / "scene" / "references"
    CommandLine(other)("segment", film, "--masks", references, "--propagator", "builtin")
    assert masks(tmp_path) == masks(other)


def test_what_was_begun_ahead_is_not_used_for_another_reference(
    studio: Studio, tmp_path: Path
) -> None:
    studio.save_mask(0, np.roll(truth(0), 9, axis=1), label="brush")
    begun = _begun(studio)
    studio.save_mask(0, truth(0), label="brush")
    # as if it came back too late
    studio._ahead._made = begun
    assert finished(studio, studio.propagate("forward", 0)).state == "done"
    assert np.array_equal(
        load_mask(tmp_path / "workspace" / "scene" / "masks" / "0000000.png"), truth(0)
    )


def _begun(studio: Studio) -> RunAhead:
    """What the studio has begun ahead, once its first frame is there."""
    for _ in range(1500):
        made = studio._ahead._made
        if made is not None and made._begun is not None:
            return made
        time.sleep(0.02)
    raise AssertionError("nothing was begun")


def test_given_masks_stay_as_they_are(studio: Studio, tmp_path: Path) -> None:
    for index in (2, 9):
        studio.save_mask(index, truth(index), label="brush")
    finished(studio, studio.propagate("both", 0))
    for index in (2, 9):
        path = tmp_path / "workspace" / "scene" / "masks" / f"{index:07d}.png"
        assert np.array_equal(load_mask(path), truth(index))


def test_events_tell_of_every_mask_when_it_is_on_the_disk(studio: Studio, tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []
    folder = tmp_path / "workspace" / "scene" / "masks"

    def listen(event: Mapping[str, Any]) -> None:
        if event["type"] == "saved":
            seen.append((event["index"], (folder / f"{event['index']:07d}.png").is_file()))

    unsubscribe = studio.subscribe(listen)
    studio.save_mask(0, truth(0), label="brush")
    finished(studio, studio.propagate("forward", 0))
    assert seen == [(index, True) for index in range(FRAMES)]
    unsubscribe()
    finished(studio, studio.propagate("both", 0))
    assert len(seen) == FRAMES


def test_a_run_that_is_stopped_keeps_its_masks_and_goes_on_where_it_was(
    studio: Studio, film: Path, tmp_path: Path
) -> None:
    notices: list[str] = []
    third = threading.Event()
    job_id = threading.local()
    job_id.now = 0

    def listen(event: Mapping[str, Any]) -> None:
        if event["type"] == "saved" and event["index"] == 3:
            studio.stop(studio.jobs()[-1].id)
            third.set()
        if event["type"] == "notice":
            notices.append(event["text"])

    unsubscribe = studio.subscribe(listen)
    studio.save_mask(0, truth(0), label="brush")
    assert finished(studio, studio.propagate("forward", 0)).state == "stopped"
    unsubscribe()
    kept = masks(tmp_path)
    assert 4 <= len(kept) < FRAMES
    studio.subscribe(listen)
    notices.clear()
    assert finished(studio, studio.propagate("forward", 0)).state in ("done", "stopped")
    assert not [line for line in notices if "computed again" in line]
    assert masks(tmp_path).items() >= kept.items()


def test_propagation_is_undone_and_done_again_to_the_byte(studio: Studio, tmp_path: Path) -> None:
    studio.save_mask(0, truth(0), label="brush")
    finished(studio, studio.propagate("forward", 0))
    first = masks(tmp_path)
    studio.save_mask(9, truth(9), label="brush")
    finished(studio, studio.propagate("both", 0))
    second = masks(tmp_path)
    assert first != second
    studio.undo()
    assert masks(tmp_path) == first
    assert [one.index for one in studio.view().references] == [0, 9]
    studio.undo()
    assert [one.index for one in studio.view().references] == [0]
    studio.redo()
    studio.redo()
    assert masks(tmp_path) == second
    studio.clear("propagated")
    assert masks(tmp_path) == {}
    assert studio.mask(0).kind == "reference"
    studio.clear("all")
    assert studio.mask(0).kind == "none"
    studio.undo()
    studio.undo()
    assert masks(tmp_path) == second


def test_masks_of_the_command_line_come_back_after_they_were_cleared(
    studio: Studio, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made while the studio is open."""
    studio.save_mask(0, truth(0), label="brush")
    monkeypatch.chdir(tmp_path)
    references = tmp_path / "workspace" / "scene" / "references"
    command_line = CommandLine(tmp_path)
    command_line("segment", film, "--masks", references, "--propagator", "builtin")
    made = masks(tmp_path)
    studio.clear("propagated")
    assert masks(tmp_path) == {}
    studio.undo()
    assert masks(tmp_path) == made


def test_a_click_makes_a_mask_and_a_further_one_adds_to_it(studio: Studio) -> None:
    inside = np.argwhere(truth(0))
    y, x = (int(value) for value in inside[len(inside) // 2])
    one = studio.mark(0, Marks(clicks=(Click(x, y),)), object_id=1)
    assert one.mask[y, x] == 1
    assert studio.mask(0).kind == "reference"
    marks = studio.view().marks
    assert marks is not None
    assert marks["clicks"] == [{"x": x, "y": y, "object": True}]
    away = (2, 2)
    two = studio.mark(0, Marks(clicks=(Click(x, y), Click(*away, is_object=False))), object_id=1)
    assert two.mask[y, x] == 1
    assert two.mask[away[1], away[0]] == 0
    studio.undo()
    assert np.array_equal(studio.mask(0).mask, one.mask)
    # the same call again begins where the first one began, and so comes to the same
    again = studio.mark(0, Marks(clicks=(Click(x, y), Click(*away, is_object=False))), object_id=1)
    assert np.array_equal(again.mask, two.mask)


def test_a_preview_of_marks_changes_nothing(studio: Studio) -> None:
    before = studio.view()
    y, x = (int(value) for value in np.argwhere(truth(0))[40])
    made = studio.mark(0, Marks(clicks=(Click(x, y),)), object_id=1, preview=True)
    assert made.mask.any()
    after = studio.view()
    assert (after.revision, after.undo, after.references) == (before.revision, None, ())


def test_a_picture_in_any_colours_is_imported(studio: Studio, tmp_path: Path) -> None:
    picture = np.zeros((72, 128, 3), np.uint8)
    picture[10:30, 20:50] = (250, 10, 10)
    path = tmp_path / "painted.png"
    Image.fromarray(picture).save(path)
    studio.import_mask(6, path)
    assert np.array_equal(studio.mask(6).mask > 0, picture[..., 0] > 0)


def test_the_preview_is_what_a_render_of_the_frame_shows(
    studio: Studio, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.save_mask(0, truth(0), label="brush")
    options = {"edges": "median", "key": "blue"}
    early = studio.preview(0, options)
    finished(studio, studio.propagate("both", 0))
    monkeypatch.chdir(tmp_path)
    rendered = tmp_path / "frame.png"
    command_line = CommandLine(tmp_path)
    for index in (0, 7):
        asked = ("--frame", str(index), "--edges", "median", "--key", "blue", "-o", rendered)
        command_line("greenback", film, *asked)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(studio.preview(index, options)))),
            np.asarray(Image.open(rendered)),
        )
    small = Image.open(io.BytesIO(studio.preview(0, options, width=64)))
    assert small.size == (64, 36)
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(early))),
        np.asarray(Image.open(io.BytesIO(studio.preview(0, options)))),
    )


def test_an_export_finishes_masks_first_and_is_verified(studio: Studio, tmp_path: Path) -> None:
    studio.save_mask(0, truth(0), label="brush")
    job = finished(studio, studio.render("greenback", {"edges": "median"}))
    assert job.state == "done", job.message
    assert len(masks(tmp_path)) == FRAMES
    (output,) = job.outputs
    assert output.name == "greenback.mp4"
    assert f"{FRAMES} frames verified" in output.verified
    assert studio.output_path(output.id) == tmp_path / "workspace" / "scene" / "greenback.mp4"


def test_an_export_is_of_the_chosen_range(studio: Studio, tmp_path: Path) -> None:
    studio.save_mask(5, truth(5), label="brush")
    studio.set_range(4, 8)
    job = finished(studio, studio.render("maskvideo", {}))
    assert job.state == "done", job.message
    assert job.outputs[0].name == "maskvideo.0000004-0000008.mkv"
    assert len(masks(tmp_path)) == 5


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("movie", {}, "movie"),
        ("package:nothing", {}, "nothing"),
        ("greenback", {"band": "wide"}, "band"),
        ("greenback", {"band": True}, "band"),
        ("greenback", {"band": 0}, "band"),
        ("greenback", {"spam": 1}, "spam"),
        ("greenback", {"objects": [1, "2"]}, "objects"),
        ("greenback", {"background": "/etc/passwd"}, "background"),
    ],
)
def test_options_that_cannot_be_are_refused(
    studio: Studio, name: str, options: dict[str, Any], says: str
) -> None:
    studio.save_mask(0, truth(0), label="brush")
    with pytest.raises(UsageError, match=says):
        studio.render(name, options)
    assert studio.jobs() == []


def test_jobs_wait_their_turn_and_can_be_taken_off(studio: Studio) -> None:
    studio.save_mask(0, truth(0), label="brush")
    first = studio.propagate("both", 0)
    second, third = studio.render("overlay", {}), studio.render("maskvideo", {})
    studio.stop(second.id)
    assert finished(studio, third).state == "done"
    assert [job.state for job in studio.jobs()] == ["done", "stopped", "done"]
    assert first.id < second.id
    with pytest.raises(UsageError, match="no job 99"):
        studio.stop(99)


def test_a_job_that_fails_says_why_and_the_next_one_runs(studio: Studio, tmp_path: Path) -> None:
    studio.save_mask(0, truth(0), label="brush")
    (folder,) = (path.parent for path in tmp_path.glob("workspace/*/studio"))
    (folder / "greenback.mp4").mkdir()
    failed = finished(studio, studio.render("greenback", {}))
    assert failed.state == "failed"
    assert "greenback.mp4' cannot be written: is a folder" in failed.message
    assert failed.hint
    assert finished(studio, studio.render("maskvideo", {})).state == "done"


@pytest.mark.parametrize("kind", ["propagate", "render"])
def test_masks_are_not_taken_away_while_a_job_makes_or_reads_them(
    studio: Studio, kind: str
) -> None:
    studio.save_mask(0, truth(0), label="brush")
    finished(studio, studio.propagate("both", 0))
    studio.save_mask(9, truth(9), label="brush")
    has_begun, go_on = threading.Event(), threading.Event()

    def listen(event: Mapping[str, Any]) -> None:
        if event["type"] == "progress":
            has_begun.set()
            go_on.wait(30)

    studio.subscribe(listen)
    job = studio.propagate("both", 0) if kind == "propagate" else studio.render("overlay", {})
    assert has_begun.wait(30)
    # the stroke alone can be taken back, and is not missed by what runs
    studio.undo()
    for call in (studio.undo, lambda: studio.clear("all")):
        with pytest.raises(UsageError, match="being made or read"):
            call()
    go_on.set()
    assert finished(studio, job).state == "done"
    studio.undo()


def test_a_stroke_is_taken_back_while_masks_are_being_saved(studio: Studio, tmp_path: Path) -> None:
    studio.save_mask(0, truth(0), label="brush")
    studio.save_mask(13, truth(13), label="brush")
    studio.set_reference(13, enabled=False)
    saved, go_on = threading.Event(), threading.Event()

    def listen(event: Mapping[str, Any]) -> None:
        if event["type"] == "saved" and event["index"] == 2:
            time.sleep(1.1)  # the manifest is written about once a second
        if event["type"] == "saved" and event["index"] == 4:
            saved.set()
            go_on.wait(30)

    studio.subscribe(listen)
    job = studio.propagate("forward", 0)
    assert saved.wait(30)
    assert (tmp_path / "workspace" / "scene" / "manifest.json").is_file()
    studio.undo()
    assert studio.view().references[1].enabled
    assert studio.view().undo == "brush"
    studio.redo()
    go_on.set()
    assert finished(studio, job).state == "done"
    assert studio.view().undo == "propagate"
    assert len(masks(tmp_path)) == FRAMES


def test_a_frame_that_was_emptied_stays_empty_and_does_not_stop_the_rest(
    studio: Studio, tmp_path: Path
) -> None:
    """Also when it is the first of all references."""
    studio.save_mask(0, truth(0) * 0, label="erase")
    with pytest.raises(UsageError, match="no reference"):
        studio.propagate("both", 0)
    studio.save_mask(5, truth(5), label="brush")
    assert finished(studio, studio.propagate("both", 0)).state == "done"
    folder = tmp_path / "workspace" / "scene" / "masks"
    assert not load_mask(folder / "0000000.png").any()
    assert load_mask(folder / "0000001.png").any()
    assert len(masks(tmp_path)) == FRAMES


@pytest.mark.parametrize("direction", ["sideways", "", "Forward"])
def test_directions_have_names(studio: Studio, direction: str) -> None:
    studio.save_mask(0, truth(0), label="brush")
    with pytest.raises(UsageError, match="not a direction"):
        studio.propagate(direction, 0)


def test_commands_are_those_that_do_the_same(studio: Studio) -> None:
    segment, greenback = (spelled(one, as_python) for one in studio.commands())
    assert "references" in segment
    assert "update" in segment
    assert "start" not in greenback
    studio.set_range(4, 8)
    assert "start=4" in spelled(studio.commands()[1], as_python)
    assert "stop=9" in spelled(studio.commands()[1], as_python)
    assert "premiere" in spelled(studio.commands("package:premiere")[1], as_python)
    assert "alpha" in spelled(studio.commands("alpha")[1], as_python)
    with pytest.raises(UsageError, match="movie"):
        studio.commands("movie")


def test_an_object_that_is_on_no_mask_is_none_to_a_render(studio: Studio) -> None:
    studio.save_mask(0, truth(0), label="brush")
    for _ in range(3):
        studio.add_object()
    assert studio.check_render("maskvideo", {"style": "rgb"}) is not None
    job = finished(studio, studio.render("maskvideo", {"style": "rgb", "each_object": False}))
    assert job.state == "done", job.message
    four = truth(3) * 0
    for place in range(4):
        four[place * 10 : place * 10 + 8] = place + 1
    studio.save_mask(3, four, label="brush")
    with pytest.raises(UsageError, match="up to three objects, these are 4"):
        studio.check_render("maskvideo", {"style": "rgb"})


def test_a_package_is_of_the_whole_clip_and_says_so(studio: Studio) -> None:
    studio.save_mask(0, truth(0), label="brush")
    studio.set_range(4, 8)
    with pytest.raises(UsageError, match="in and out are set"):
        studio.render("package:premiere", {})
    studio.set_range(None, 0)
    with pytest.raises(UsageError, match="in and out are set"):
        studio.render("package:premiere", {})
    studio.set_range(0, FRAMES - 1)
    job = finished(studio, studio.render("package:premiere", {"edges": "median"}))
    assert job.state == "done", job.message
    assert Path(job.outputs[0].path).is_dir()


def test_at_the_end_of_the_range_forward_means_what_leads_there(
    studio: Studio, tmp_path: Path
) -> None:
    studio.save_mask(2, truth(2), label="brush")
    studio.set_range(0, 6)
    finished(studio, studio.propagate("forward", 6))
    assert list(masks(tmp_path)) == [f"{index:07d}.png" for index in range(2, 7)]
    finished(studio, studio.propagate("backward", 0))
    assert len(masks(tmp_path)) == 7


def test_without_a_reference_there_is_nothing_to_propagate_or_render(studio: Studio) -> None:
    with pytest.raises(UsageError, match="no reference"):
        studio.propagate("both", 0)
    with pytest.raises(UsageError, match="no reference"):
        studio.render("greenback", {})


def test_work_of_the_command_line_is_taken_up(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_mask(tmp_path / "first.png", truth(0), Palette.davis())
    command_line = CommandLine(tmp_path)
    command_line("segment", film, "--first-mask", "first.png", "--propagator", "builtin")
    before = masks(tmp_path)
    studio = open_studio(film, tmp_path)
    view = studio.view()
    assert [one.index for one in view.references] == [0]
    assert view.masks.done == ((0, FRAMES),)
    studio.clear("propagated")
    studio.undo()
    assert masks(tmp_path) == before
    studio.close()


def test_masks_made_in_another_way_are_not_mixed_with_new_ones(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_mask(tmp_path / "first.png", truth(0), Palette.davis())
    command_line = CommandLine(tmp_path)
    command_line("segment", film, "--first-mask", "first.png", "--stop", "6")
    before = masks(tmp_path)
    studio = open_studio(film, tmp_path)
    failed = finished(studio, studio.propagate("both", 0))
    assert failed.state == "failed"
    assert "frame range" in failed.message
    assert "clear_memory" in failed.hint
    assert masks(tmp_path) == before
    studio.clear("propagated")
    assert finished(studio, studio.propagate("both", 0)).state == "done"
    assert len(masks(tmp_path)) == FRAMES
    studio.close()


KILLED = """
    import sys, time
    from pathlib import Path
    sys.path[:0] = {paths!r}
    from studio.test_studio import truth
    from support.studios import open_studio
    studio = open_studio(Path({film!r}), Path({folder!r}))
    studio.save_mask(0, truth(0), label="brush")
    studio.add_object(name="second")
    studio.subscribe(lambda event: print(event["type"], flush=True))
    studio.propagate("both", 0)
    time.sleep(60)
"""


def test_nothing_is_lost_by_a_kill(film: Path, tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    code = KILLED.format(
        paths=[str(tests), str(tests.parent)], film=str(film), folder=str(tmp_path)
    )
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        saved = 0
        for line in process.stdout:
            saved += line.strip() == "saved"
            if saved == 4:
                break
        process.send_signal(signal.SIGKILL)
    studio = open_studio(film, tmp_path)
    view = studio.view()
    assert [one.name for one in view.objects] == ["Object 1", "second"]
    assert [one.index for one in view.references] == [0]
    assert len(masks(tmp_path)) >= 4
    assert finished(studio, studio.propagate("both", 0)).state == "done"
    assert len(masks(tmp_path)) == FRAMES
    while studio.view().undo is not None:
        studio.undo()
    assert masks(tmp_path) == {}
    studio.close()


def test_closing_ends_what_is_going_on(film: Path, tmp_path: Path) -> None:
    studio = open_studio(film, tmp_path)
    studio.save_mask(0, truth(0), label="brush")
    studio.propagate("both", 0)
    studio.render("overlay", {})
    studio.close()
    open_studio(film, tmp_path).close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_clip_that_is_gone_or_another_is_said_in_the_same_words_everywhere(
    film: Path, tmp_path: Path, is_replaced: bool
) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy2(film, clip)
    studio = open_studio(clip, tmp_path)
    try:
        studio.save_mask(0, truth(0), label="brush")
        kept = clip.rename(tmp_path / "kept.mp4")
        if is_replaced:
            clip.write_bytes(kept.read_bytes()[::-1])
        calls: list[Callable[[], object]] = [
            lambda: studio.mark(3, Marks(clicks=(Click(60, 30),)), object_id=1),
            lambda: studio.preview(0, {}),
            lambda: studio.check_render("greenback", {}),
            lambda: studio.render("alpha", {}),
        ]
        for call in calls:
            with pytest.raises(MediaError, match="was replaced, changed or removed") as told:
                call()
            assert "put it back" in told.value.hint
        failed = finished(studio, studio.propagate("both", 0))
        assert "was replaced, changed or removed" in failed.message
        # nothing is lost, and it goes on when the clip is there again
        kept.replace(clip)
        assert finished(studio, studio.propagate("both", 0)).state == "done"
        assert studio.preview(0, {})
    finally:
        studio.close()


def test_one_frame_is_one_frame() -> None:
    assert _verified(1, [Check("timestamps", True, "")]) == "1 frame verified: timestamps"
    assert _verified(2, [Check("timestamps", True, "")]) == "2 frames verified: timestamps"
