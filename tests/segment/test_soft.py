"""Soft results: kept beside the masks by `segment --soft`, used by renders; on disk, through stops,
and at the edge.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.breaking import Breaks
from support.command_line import CommandLine, Gray, paint, pictures, planes_of, two_objects
from support.examples import examples
from support.runs import BOTH, MASK, PALETTE, SOFT, plan_for, soft_plan
from support.wording import typed

from vfx_matte.errors import OutputError, WorkspaceError
from vfx_matte.masks import Palette, Probabilities
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.propagate.fake import FakePropagator
from vfx_matte.scene import Scene
from vfx_matte.workspace import ClipWorkspace, Manifest, Workspace, load_soft, save_mask, save_soft

FAKE = ("--propagator", "fake")
SEGMENT = ("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)


# ---------------------------------------------------------------- one file


@examples(30)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    top=st.integers(0, 255),
    seed=st.integers(0, 9999),
)
def test_saved_probabilities_come_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, top: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("s") / "new" / "0000001.png"
    soft = np.random.default_rng(seed).integers(0, top + 1, (height, width)).astype(np.uint8)
    save_soft(path, soft)
    loaded = load_soft(path)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, soft)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_object_out_of_sight_takes_hardly_any_room(tmp_path: Path) -> None:
    save_soft(tmp_path / "nothing.png", np.zeros((1080, 1920), np.uint8))
    assert (tmp_path / "nothing.png").stat().st_size < 2500
    with Image.open(tmp_path / "nothing.png") as picture:
        assert (picture.mode, picture.size) == ("1", (1920, 1080))
    loaded = load_soft(tmp_path / "nothing.png")
    assert loaded.shape == (1080, 1920)
    assert not loaded.any()


def test_only_probabilities_are_saved_and_loaded(tmp_path: Path) -> None:
    for wrong in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 1), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            save_soft(tmp_path / "s.png", wrong)
    save_mask(tmp_path / "palette.png", MASK, PALETTE)
    save_soft(
        tmp_path / "whole.png", np.random.default_rng(0).integers(0, 255, (90, 90)).astype(np.uint8)
    )
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    for name in ("palette.png", "cut.png", "missing.png"):
        with pytest.raises(WorkspaceError, match=name) as caught:
            load_soft(tmp_path / name)
        assert "--no-soft-edges" in typed(caught.value.hint)


# ---------------------------------------------------------------- runs


def save(clip: ClipWorkspace, plan: Manifest, *frames: int, **how: bool) -> None:
    with clip.start_run(plan, palette=PALETTE, **how) as run:
        for frame_index in frames:
            run.save_mask(frame_index, MASK, SOFT if plan.is_soft else None)


def test_a_soft_run_keeps_every_object(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path / "w").clip(source)
    save(clip, soft_plan(source), *range(10))
    assert clip.soft_path(2, 3) == clip.folder / "masks" / "soft" / "2" / "0000003.png"
    store = clip.mask_store()
    assert store.is_soft
    store.check_soft([1, 2])
    np.testing.assert_array_equal(store.soft(1, 3), SOFT[1])
    assert not store.soft(2, 3).any()
    assert not list(clip.folder.rglob("*.part"))


def test_what_is_saved_is_what_the_run_is_for(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    with clip.start_run(soft_plan(source), palette=PALETTE) as run:
        assert run.is_soft
        for wrong in (None, {}, {1: SOFT[1]}, {**SOFT, 3: SOFT[1]}):
            with pytest.raises(ValueError, match=r"expected those of \[1, 2\]"):
                run.save_mask(0, MASK, wrong)
        assert run.missing == ((0, 10),)
    with clip.start_run(plan_for(source), palette=PALETTE) as run:
        assert not run.is_soft
        with pytest.raises(ValueError, match=r"objects \[1, 2\], expected those of \[\]"):
            run.save_mask(0, MASK, SOFT)
        run.save_mask(0, MASK)
    with pytest.raises(WorkspaceError, match="holds no soft results") as caught:
        clip.mask_store().check_soft([1])
    assert "--soft" in typed(caught.value.hint)


@pytest.mark.parametrize("was_soft", [True, False])
@pytest.mark.parametrize("resume", [True, False])
def test_soft_and_plain_work_never_mix(
    tmp_path: Path,
    source: Path,
    was_soft: bool,
    resume: bool,
) -> None:
    clip = Workspace(tmp_path).clip(source)
    plans = [plan_for(source, settings={}, objects=BOTH), soft_plan(source)]
    save(clip, plans[was_soft], 0, 1)
    before = {path: path.read_bytes() for path in clip.folder.rglob("*") if path.is_file()}
    with pytest.raises(WorkspaceError, match="these differ: setting soft") as caught:
        clip.start_run(plans[not was_soft], palette=PALETTE, resume=resume)
    assert "--fresh" in typed(caught.value.hint)
    assert {path: path.read_bytes() for path in clip.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("lost", ["mask", "soft of 1", "soft of 2", "empty soft of 1"])
def test_a_frame_is_done_only_with_all_its_files(tmp_path: Path, source: Path, lost: str) -> None:
    clip = Workspace(tmp_path).clip(source)
    save(clip, soft_plan(source), *range(10))
    path = clip.mask_path(4) if lost == "mask" else clip.soft_path(int(lost[-1]), 4)
    path.unlink()
    if lost.startswith("empty"):
        path.touch()
    elif lost != "mask":
        with pytest.raises(
            WorkspaceError, match=r"1 soft results are missing, the first is .*0000004\.png"
        ) as caught:
            clip.mask_store().check_soft([1, 2])
        assert "--resume" in typed(caught.value.hint)
    else:
        clip.soft_path(2, 4).unlink()
        # a frame without a mask shows nothing and needs nothing
        clip.mask_store().check_soft([1, 2])
    with clip.start_run(soft_plan(source), palette=PALETTE, resume=True) as run:
        assert run.missing == ((4, 5),)
        run.save_mask(4, MASK, SOFT)
    clip.mask_store().check_soft([1, 2])
    np.testing.assert_array_equal(clip.mask_store().soft(1, 4), SOFT[1])


def test_the_mask_comes_last(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask on disk says that its probabilities are there, too."""
    clip = Workspace(tmp_path).clip(source)

    def fail(path: Path, soft: Gray) -> None:
        if path == clip.soft_path(2, 1):
            raise OutputError("the disk is full")
        save_soft(path, soft)

    monkeypatch.setattr("vfx_matte.workspace.run.save_soft", fail)
    with pytest.raises(OutputError):
        save(clip, soft_plan(source), 0, 1)
    assert [path.name for path in clip.masks_folder.glob("*.png")] == ["0000000.png"]
    with clip.start_run(soft_plan(source), palette=PALETTE, resume=True) as run:
        assert run.missing == ((1, 10),)


def test_fresh_keeps_both_together(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    previous = clip.folder / "masks.previous"
    save(clip, soft_plan(source), *range(10))
    save(clip, plan_for(source), *range(10), fresh=True)
    assert not clip.soft_folder(1).exists(), (
        "no soft result of another run is left beside these masks"
    )
    assert not clip.mask_store().is_soft
    assert len(list(previous.glob("soft/*/*.png"))) == 20
    np.testing.assert_array_equal(load_soft(previous / "soft" / "1" / "0000009.png"), SOFT[1])
    save(clip, soft_plan(source), 7, fresh=True)
    assert sorted(path.name for path in previous.iterdir()) == [
        f"{number:07d}.png" for number in range(10)
    ]
    clip.mask_store().check_soft([1, 2])


CHILD = """
import sys
from pathlib import Path
from support.runs import MASK, PALETTE, SOFT, soft_plan
from vfx_matte.workspace import Workspace
source, root = map(Path, sys.argv[1:])
plan = soft_plan(source, frames=100000)
with Workspace(root).clip(source).start_run(plan, palette=PALETTE) as run:
    for frame_index in range(100000):
        run.save_mask(frame_index, MASK, SOFT)
"""


@pytest.mark.slow
def test_a_killed_soft_run_goes_on(tmp_path: Path, source: Path) -> None:
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(tmp_path / "w")], env=environment
    )
    clip = Workspace(tmp_path / "w").clip(source)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        known = clip.manifest()
        if known is not None and known.done:
            break
        time.sleep(0.02)
    child.kill()
    child.wait()
    known = clip.manifest()
    assert known is not None
    (done,) = known.done
    assert done[1] > 0
    for mask in clip.masks_folder.glob("[0-9]*.png"):
        assert clip.soft_path(1, int(mask.stem)).exists()
        assert clip.soft_path(2, int(mask.stem)).exists()
    with clip.start_run(soft_plan(source, frames=100_000), palette=PALETTE, resume=True) as run:
        assert run.missing == ((done[1], 100_000),)
        run.save_mask(done[1], MASK, SOFT)
    assert not list(clip.folder.rglob("*.part"))
    clip.mask_store().check_soft([1, 2])


# ---------------------------------------------------------------- segment --soft


def softs(cli: CommandLine, object_id: int) -> list[Path]:
    return sorted((cli.folder / "workspace/clip/masks/soft" / str(object_id)).glob("*.png"))


def test_probabilities_are_kept_by_the_users_numbers(
    film: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Objects 3 and 7, whose probability is 1/3 and 0.9 inside: round(255 p), in the folder of the
    number they have.
    """
    step = FakePropagator.step

    def unsure(fake: FakePropagator, *given: Gray, last: bool = False) -> Probabilities:
        return np.asarray(
            step(fake, *given, last=last) * np.array([1, 1 / 3, 0.9], np.float32)[:, None, None],
            np.float32,
        )

    monkeypatch.setattr(FakePropagator, "step", unsure)
    ids = np.array([0, 7, 3], np.uint8)[two_objects()]
    save_mask(Path("m.png"), ids, Palette.davis())
    film(*SEGMENT, "--soft")
    assert [len(softs(film, 3)), len(softs(film, 7))] == [12, 12]
    np.testing.assert_array_equal(film.mask(11), ids)
    np.testing.assert_array_equal(load_soft(softs(film, 3)[11]), np.where(ids == 3, 85, 0))
    np.testing.assert_array_equal(load_soft(softs(film, 7)[11]), np.where(ids == 7, 230, 0))
    assert film.manifest()["settings"]["soft"] is True


def test_without_soft_nothing_of_it_is_there(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    film(*SEGMENT)
    assert not Path("workspace/clip/masks/soft").exists()
    assert "soft" not in film.manifest()["settings"]
    before = film.files()
    for way in ((), ("--resume",)):
        ran = film.fails(*SEGMENT, "--soft", *way, code=2)
        assert ran.error.endswith("these differ: setting soft")
    ran = film.fails("greenback", "--soft-edges", code=2)
    assert "holds no soft results" in ran.error
    assert "segment --soft" in ran.hint
    assert film.files() == before
    assert not any("edges" in note for note in film("maskvideo").notes)


def test_config_ini_says_soft(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    Path("config.ini").write_text("[segment]\nsoft = yes\n[edges]\nsoft = no\n")
    film(*SEGMENT)
    assert len(softs(film, 1)) == 12
    assert not any("edges" in note for note in film("maskvideo").notes)
    assert film.fails(*SEGMENT, "--no-soft", "--resume", code=2).error.endswith("setting soft")
    softs(film, 1)[3].unlink()
    film("maskvideo")
    film.fails("maskvideo", "--soft-edges", code=2)


def test_a_soft_run_goes_on_where_it_stopped(film: CommandLine, breaks: Breaks) -> None:
    paint(Path("m.png"), two_objects())
    film(*SEGMENT, "--soft")
    whole = film.files("workspace/clip/masks")
    shutil.rmtree("workspace")
    breaks.steps, breaks.at = 0, 6
    assert film.run(*SEGMENT, "--soft").code == 1
    assert len(softs(film, 1)) == len(film.mask_numbers()) == 5
    rendered = film("maskvideo", "--soft-edges")
    assert any("7 of 12 frames have no mask" in note for note in rendered.notes)
    breaks.at = None
    assert "7 computed now" in film(*SEGMENT, "--soft", "--resume").stdout
    assert film.files("workspace/clip/masks") == whole
    softs(film, 2)[3].unlink()
    assert "1 computed now" in film(*SEGMENT, "--soft", "--resume").stdout
    assert film.files("workspace/clip/masks") == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("greenback",), ("alpha",), ("alpha", "-o", "frames"), ("maskvideo", "--each-object")],
)
def test_a_lost_or_damaged_soft_result_stops_the_render(
    film: CommandLine,
    command: tuple[str, ...],
) -> None:
    paint(Path("m.png"), two_objects())
    film(*SEGMENT, "--soft")
    whole = softs(film, 1)[7].read_bytes()
    softs(film, 1)[7].write_bytes(whole[:60])
    before = film.files()
    ran = film.fails(*command, code=2)
    assert "0000007.png" in ran.error
    assert "--no-soft-edges" in ran.hint
    assert film.files() == before
    softs(film, 1)[7].write_bytes(whole)
    softs(film, 2)[7].unlink()
    before = film.files()
    ran = film.fails(*command, code=2)
    assert "missing" in ran.error
    assert "--resume" in ran.hint
    assert film.files() == before, "not even one of several files was made"
    film(*command, "--no-soft-edges")
    film(*command, "--object", "1")
    film("overlay")
    film("maskvideo", "--style", "palette")


def test_a_soft_result_of_another_size_is_refused(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    film(*SEGMENT, "--soft")
    save_soft(softs(film, 1)[0], np.ones((10, 10), np.uint8))
    assert "10×10, the clip is 96×64" in film.fails("greenback", code=2).error


@pytest.mark.slow
def test_the_notice_is_given_once(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    film(*SEGMENT, "--soft")
    for command, times in (
        (("maskvideo", "--each-object"), 1),
        (("alpha",), 1),
        (("greenback", "--soft-edges"), 0),
        (("overlay",), 0),
    ):
        notes = [note for note in film(*command).notes if "edges are soft" in note]
        assert len(notes) == times, command


# ---------------------------------------------------------------- edges, against a matte that is
# known


FRAMES = 8
SCENE = Scene(width=320, height=180, frame_count=FRAMES)
Plane = npt.NDArray[np.float64]


@pytest.fixture
def scene(cli: CommandLine, scene_work: Path) -> CommandLine:
    """A working directory with scene.mp4 and its masks and soft results from the built-in
    propagator.
    """
    shutil.copytree(scene_work, cli.folder, dirs_exist_ok=True)
    return cli


@pytest.fixture(scope="module")
def scene_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_film(
            Path("scene.mp4"),
            (SCENE.frame(index)[0] for index in range(FRAMES)),
            SCENE.timeline,
            SCENE.sound(),
        )
        save_mask(Path("m.png"), SCENE.truth_mask(0), Palette.davis())
        CommandLine(folder)(
            "segment", "scene.mp4", "--first-mask", "m.png", "--propagator", "builtin", "--soft"
        )
        yield folder


def alphas(path: Path) -> list[Plane]:
    """The alpha plane of every frame in 0..1, read by PyAV alone."""
    return [
        planes_of(frame)[3] / np.iinfo(planes_of(frame)[3].dtype).max for frame in pictures(path)
    ]


def near_edge(mask: Gray, distance_px: float) -> npt.NDArray[np.bool_]:
    """Pixels that have another kind of pixel within a distance."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(distance_px) + 1,) * 2)
    changed: npt.NDArray[np.bool_] = cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)
    return changed


@pytest.mark.slow
def test_soft_edges_are_nearer_to_the_truth_than_hard_ones(scene: CommandLine) -> None:
    """The scene's own antialiased matte, motion blur and fur included, decides.

    The first mask was given, so it is left out.
    """
    scene("alpha", "-o", "soft.mkv", "--soft-edges")
    scene("alpha", "-o", "hard.mkv", "--no-soft-edges")
    soft, hard = alphas(Path("soft.mkv")), alphas(Path("hard.mkv"))
    assert len(soft) == len(hard) == FRAMES
    errors = []
    for index in range(1, FRAMES):
        truth, mask = SCENE.frame(index)[1], scene.mask(index, clip="scene")
        errors.append([np.abs(one[index] - truth).mean() for one in (soft, hard)])
        assert set(np.unique(hard[index])) == {0, 1}
        # the median may move the edge by a pixel or two, soft ones reach 4 px from it
        band = near_edge(mask, 8)
        np.testing.assert_array_equal(soft[index][~band], mask[~band])
        between = (soft[index] > 0) & (soft[index] < 1)
        assert between.any()
        assert soft[index].sum() == pytest.approx(mask.sum(), rel=0.01)
    soft_error, hard_error = np.mean(errors, axis=0)
    assert soft_error < 0.8 * hard_error


@pytest.mark.slow
def test_the_luma_matte_and_the_stills_are_the_alpha(scene: CommandLine) -> None:
    scene("alpha", "-o", "cut.mkv")
    scene("alpha", "-o", "stills")
    scene("maskvideo", "-o", "luma.mkv")
    for index, (alpha, luma) in enumerate(
        zip(pictures(Path("cut.mkv")), pictures(Path("luma.mkv")), strict=True)
    ):
        plane = planes_of(alpha)[3]
        np.testing.assert_array_equal(planes_of(luma)[0], plane)
        with Image.open(sorted(Path("stills").glob("*.png"))[index]) as still:
            np.testing.assert_array_equal(np.array(still)[..., 3], plane)


@pytest.mark.slow
def test_the_green_screen_mixes_along_the_edge(
    scene: CommandLine, ffmpeg: Callable[..., None]
) -> None:
    """out = key + (source - key)·α in every sample of luma; read by the ffmpeg program."""
    scene("greenback", "-o", "green.mkv", "--codec", "ffv1", "--no-foreground")
    scene("alpha", "-o", "cut.mkv")
    for name in ("green.mkv", "scene.mp4"):
        ffmpeg(
            "-i",
            name,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-vf",
            "extractplanes=y",
            f"{name}.y",
        )
    shape = (FRAMES, SCENE.height, SCENE.width)
    green, before = (
        np.fromfile(f"{name}.y", np.uint8).reshape(shape).astype(float)
        for name in ("green.mkv", "scene.mp4")
    )
    key = green[0, 0, 0]
    for index, alpha in enumerate(alphas(Path("cut.mkv"))):
        np.testing.assert_allclose(green[index], key + (before[index] - key) * alpha, atol=1.01)


@pytest.mark.slow
def test_edges_can_still_be_treated(scene: CommandLine) -> None:
    """Growing and feathering act on soft edges; a wider alpha, a softer one."""
    sizes, widths = {}, {}
    for name, options in {
        "as it is": (),
        "grown": ("--grow", "3"),
        "shrunk": ("--shrink", "3"),
        "feathered": ("--feather", "9"),
    }.items():
        scene("alpha", "-o", "x.mkv", *options)
        alpha = alphas(Path("x.mkv"))[4]
        sizes[name], widths[name] = alpha.sum(), np.count_nonzero((alpha > 0.02) & (alpha < 0.98))
    assert sizes["shrunk"] < 0.97 * sizes["as it is"] < sizes["as it is"] < 0.97 * sizes["grown"]
    assert widths["feathered"] > 1.2 * widths["as it is"]
    assert sizes["feathered"] == pytest.approx(sizes["as it is"], rel=0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_stopped_soft_run_can_be_finished(cli: CommandLine, scene_work: Path) -> None:
    """Ctrl-C in a process of its own."""
    for name in ("scene.mp4", "m.png"):
        shutil.copy2(scene_work / name, cli.folder / name)
    command = ("segment", "scene.mp4", "--first-mask", "m.png", "--propagator", "builtin", "--soft")
    child = cli.start(*command)
    try:
        ran = cli.stop(child, signal.SIGINT, when=lambda: bool(cli.mask_numbers(clip="scene")))
    finally:
        child.kill()
    assert ran.code == 130
    cli(*command, "--resume")
    cli("maskvideo", "--soft-edges")
    assert len(list(Path("workspace/scene/masks/soft/1").iterdir())) == FRAMES
