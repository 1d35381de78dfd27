"""Commands that are stopped halfway: by Ctrl-C, by a kill, by each other.

Real processes, real signals.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.clips import write_clip
from support.command_line import CommandLine, paint, segment, two_objects

from vfx_matte.masks import Palette, overlap
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.scene import Scene
from vfx_matte.workspace import save_mask

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX"),
]

FRAMES = 40
SCENE = Scene(width=192, height=108, frame_count=FRAMES)
SEGMENT = ("segment", "scene.mp4", "--first-mask", "m.png", "--propagator", "builtin")


@pytest.fixture(scope="module")
def scene_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    make_film(
        path, (SCENE.frame(index)[0] for index in range(FRAMES)), SCENE.timeline, SCENE.sound()
    )
    return path


@pytest.fixture
def scene(cli: CommandLine, take: Callable[..., Path], scene_clip: Path) -> CommandLine:
    take(scene_clip)
    save_mask(Path("m.png"), SCENE.truth_mask(0), Palette.davis())
    return cli


def recorded(cli: CommandLine) -> set[int]:
    """The frames that the manifest counts as done."""
    path = cli.folder / "workspace/scene/manifest.json"
    ranges = json.loads(path.read_text())["done"] if path.exists() else []
    return {index for start, stop in ranges for index in range(start, stop)}


@contextmanager
def started(cli: CommandLine, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    child = cli.start(*arguments)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_segment_that_was_stopped_goes_on(scene: CommandLine, how: signal.Signals) -> None:
    """What was finished stays as it is, the rest is made, and the result is as good as that of a
    run nobody disturbed.
    """
    with started(scene, *SEGMENT) as child:
        ran = scene.stop(
            child,
            how,
            when=lambda: bool(recorded(scene)) or len(scene.mask_numbers(clip="scene")) > 5,
        )
    done = recorded(scene)
    on_disk = set(scene.mask_numbers(clip="scene"))
    assert done <= on_disk
    assert 0 < len(on_disk) < FRAMES, "it was stopped halfway"
    if how is signal.SIGINT:
        assert ran.code == 130
        assert ran.error == "stopped"
        assert "--resume" in ran.hint
        assert "Traceback" not in ran.stderr
        assert len(on_disk - done) <= 1, (
            "only the frame that was just being saved is not counted yet"
        )
    masks = Path("workspace/scene/masks")
    stamps = {index: (masks / f"{index:07d}.png").stat().st_mtime_ns for index in done}
    resumed = scene(*SEGMENT, "--resume")
    assert f"{FRAMES - len(done)} computed now" in resumed.stdout
    assert {index: (masks / f"{index:07d}.png").stat().st_mtime_ns for index in done} == stamps
    assert scene.mask_numbers(clip="scene") == list(range(FRAMES))
    assert not list(masks.glob(".*"))
    overlaps = [
        overlap(scene.mask(index, clip="scene") > 0, SCENE.truth_mask(index) > 0)
        for index in range(FRAMES)
    ]
    assert np.mean(overlaps) > 0.85
    scene("maskvideo", "scene.mp4")


def test_one_run_at_a_time(scene: CommandLine) -> None:
    """A second `segment` on the clip is refused while the first runs, and the system lets go when
    the first is killed.
    """
    with started(scene, *SEGMENT) as child:

        def second() -> bool:
            if not scene.mask_numbers(clip="scene"):
                return False
            for way in ("--resume", "--fresh"):
                refused = scene.fails(*SEGMENT, way, code=2)
                assert "another run" in refused.error
                assert "wait" in refused.hint
            return True

        scene.stop(child, signal.SIGKILL, when=second)
    assert not Path("workspace/scene/masks.previous").exists()
    scene(*SEGMENT, "--resume")
    assert scene.mask_numbers(clip="scene") == list(range(FRAMES))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmented clip whose renders take seconds with a slow preset, and renders of it that were
    finished before.
    """
    folder = tmp_path_factory.mktemp("rendered")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli = CommandLine(folder)
        write_clip(
            folder / "clip.mp4",
            size=(320, 240),
            pts=range(0, 150 * 1001, 1001),
            options={"preset": "ultrafast"},
        )
        segment(cli, "clip.mp4", size=(320, 240), start=20)
        cli("greenback", "--preset", "ultrafast", "--edges", "median")
        cli("alpha", "-o", "frames", "--edges", "median")
    return folder


@pytest.fixture
def slow(cli: CommandLine, rendered: Path) -> CommandLine:
    """A copy of it to stop renders in."""
    shutil.copytree(rendered, cli.folder, dirs_exist_ok=True)
    return cli


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (
            ("greenback", "--preset", "placebo", "--edges", "median"),
            "workspace/clip/.vfx-matte-*.part/**/greenback.mp4",
        ),
        (("alpha", "-o", "frames", "--edges", "median"), ".vfx-matte-*.part/**/frames"),
    ],
    ids=["greenback", "alpha"],
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_a_render_that_was_stopped_keeps_the_earlier_result(
    slow: CommandLine, how: signal.Signals, command: tuple[str, ...], part: str
) -> None:
    before = slow.files()
    with started(slow, *command) as child:
        ran = slow.stop(child, how, when=lambda: any(slow.folder.glob(part)))
    after = slow.files()
    assert {name: data for name, data in after.items() if ".part" not in name} == before
    if how is signal.SIGINT:
        assert ran.code == 130
        assert ran.error == "stopped"
        assert "Traceback" not in ran.stderr
        assert after == before, "no .part is left"
    slow(*("ultrafast" if word == "placebo" else word for word in command))
    assert not [name for name in slow.files() if ".part" in name]


def test_a_terminal_sees_the_progress(scene: CommandLine) -> None:
    """Frames, rate and time left on stderr, and after Ctrl-C the error below; stdout stays free of
    it.
    """
    import pty

    terminal, end = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    command = [sys.executable, "-m", "vfx_matte", *SEGMENT]
    child = subprocess.Popen(
        command, cwd=scene.folder, env=environment, stdout=subprocess.PIPE, stderr=end
    )
    os.close(end)
    seen = b""
    try:
        while f"/{FRAMES}" not in seen.decode(errors="ignore") or not scene.mask_numbers(
            clip="scene"
        ):
            seen += os.read(terminal, 4096)
        child.send_signal(signal.SIGINT)
        stdout, _ = child.communicate(timeout=60)
        while b"hint: " not in seen:
            seen += os.read(terminal, 4096)
    finally:
        child.kill()
        os.close(terminal)
    assert child.returncode == 130
    assert stdout == b""
    shown = seen.decode()
    assert "segment" in shown
    assert "fps" in shown
    assert shown.rindex("error: stopped") > shown.rindex("fps")
    assert "--resume" in shown


def test_a_reader_that_goes_away_is_no_error(cli: CommandLine) -> None:
    """`vfx-matte config | head -1`: no traceback."""
    with started(cli, "config") as child:
        assert child.stdout is not None
        child.stdout.close()
        child.stdout = None
        _, stderr = child.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert "Exception" not in stderr


def test_the_program_ends_with_its_exit_code(cli: CommandLine) -> None:
    """A process of its own: data on stdout, the error on stderr, the code for scripts."""
    with started(cli, "--version") as child:
        stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (0, "")
    assert stdout.startswith("vfx-matte ")
    with started(cli, "probe", "nothing.mp4") as child:
        stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (2, "")
    assert stderr.startswith("error: there is no clip 'nothing.mp4'\nhint: ")


def test_a_clip_may_be_named_with_a_leading_dash(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "-clip.mp4")
    paint(Path("-m.png"), two_objects())
    with started(
        cli, "segment", "--first-mask", "-m.png", "--propagator", "fake", "--", "-clip.mp4"
    ) as child:
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 0, stderr
    cli("maskvideo", "-o", "-out.mkv", "--", "-clip.mp4")
    assert Path("-out.mkv").exists()
