"""Where a render may go: its own earlier file is replaced, nobody else's is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import write_clip
from support.command_line import CommandLine

from vfx_matte.media.writers.left_out import is_made_here

VIDEOS = (
    ("greenback", "x.mp4"),
    ("alpha", "x.mov"),
    ("maskvideo", "x.mkv"),
    ("alpha", "x.webm"),
)


def videos(path: Path) -> None:
    write_clip(path, codec="libvpx-vp9" if path.suffix == ".webm" else "libx264")


def texts(path: Path) -> None:
    path.write_text("notes of the day\n")


@pytest.mark.parametrize("other", [videos, texts])
@pytest.mark.parametrize(("command", "name"), VIDEOS)
def test_somebody_elses_file_is_not_replaced(
    project: CommandLine, command: str, name: str, other: Callable[[Path], None]
) -> None:
    other(Path(name))
    before = project.files()
    for part in ((), ("--start", "2", "--stop", "4")):
        ran = project.fails(command, "clip.mp4", "-o", name, *part, code=2)
        assert f"output '{name}' is there and was not made by vfx-matte" in ran.error
        assert "choose another name with -o, or delete it" in ran.hint
        assert project.files() == before


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name"), VIDEOS)
def test_a_render_replaces_its_own_earlier_file(
    project: CommandLine, command: str, name: str
) -> None:
    """Also one of other frames, of an earlier segmentation, or that was copied there."""
    Path(name).touch()  # a name that a script has reserved
    project(command, "clip.mp4", "-o", name, "--start", "2", "--stop", "4")
    part = Path(name).read_bytes()
    project(command, "clip.mp4", "-o", name)
    assert Path(name).read_bytes() != part
    Path("copied").mkdir()
    copy = Path("copied", name)
    copy.write_bytes(Path(name).read_bytes())
    project("segment", "clip.mp4", "--first-mask", "mask.png", "--propagator", "fake", "--fresh")
    project(command, "clip.mp4", "-o", str(copy))
    assert is_made_here(copy)


def test_a_frame_replaces_its_own_picture_and_no_other(project: CommandLine) -> None:
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save("photo.png")
    photo = Path("photo.png").read_bytes()
    ran = project.fails("greenback", "clip.mp4", "--frame", "2", "-o", "photo.png", code=2)
    assert "was not made by vfx-matte" in ran.error
    Path("cut").mkdir()
    Path("cut/0000002.png").write_bytes(photo)
    project.fails("greenback", "clip.mp4", "--frame", "2", "-o", "cut/%07d.png", code=2)
    assert Path("photo.png").read_bytes() == Path("cut/0000002.png").read_bytes() == photo
    # a mask that was made here is no render
    project("mask", "clip.mp4", "--fg", "20,20", "-o", "m.png", "--method", "graph")
    mask = Path("m.png").read_bytes()
    project.fails("greenback", "clip.mp4", "--frame", "2", "-o", "m.png", code=2)
    assert Path("m.png").read_bytes() == mask
    project("greenback", "clip.mp4", "--frame", "2", "-o", "one.PNG")
    first = Path("one.PNG").read_bytes()
    project("greenback", "clip.mp4", "--frame", "3", "-o", "one.PNG")
    assert Path("one.PNG").read_bytes() != first


def test_a_frame_of_a_video_leaves_the_video_alone(project: CommandLine) -> None:
    """Whose name says only what is shown."""
    texts(Path("x.mp4"))
    project("greenback", "clip.mp4", "--frame", "2", "-o", "x.mp4")
    assert Path("x.mp4").read_text() == "notes of the day\n"
    assert Path("x.0000002.png").is_file()


def test_in_the_folder_of_results_a_file_of_an_earlier_version_gives_way(
    project: CommandLine,
) -> None:
    """Whose files do not say yet who made them."""
    usual = project.folder / "workspace" / "clip" / "greenback.mp4"
    videos(usual)
    assert not is_made_here(usual)
    project("greenback", "clip.mp4")
    assert is_made_here(usual)
