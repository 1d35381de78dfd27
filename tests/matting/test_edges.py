"""Edges from the command line: every render shows the same alpha, own colours leave no fringe,
spill goes, noise settles.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.command_line import BLACK, RED, CommandLine, paint, pictures, planes_of, two_objects

pytestmark = pytest.mark.slow

SHAPE = (128, 192)
FRAMES = 4
BLUR = 1.6
FRONT, BACK = (200, 90, 70), (60, 120, 190)
Floats = npt.NDArray[np.float64]


def true_alpha(index: int) -> Floats:
    """A soft disc that moves by two pixels per frame."""
    disc = np.zeros(SHAPE, np.float64)
    cv2.circle(disc, (80 + 2 * index, 64), 34, 1, -1)
    return np.asarray(cv2.GaussianBlur(disc, (0, 0), BLUR), np.float64)


def write_soft_clip(
    path: Path, *, front: tuple[int, int, int] = FRONT, pixel_format: str = "yuv444p10le"
) -> None:
    """Frames that are alpha·front + (1 - alpha)·back, without loss but for their own depth and
    sampling.
    """
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = SHAPE[1], SHAPE[0], pixel_format
        for index in range(FRAMES):
            weight = true_alpha(index)[..., None]
            mixed = (
                weight * np.array(front)
                + (1 - weight) * np.array(BACK)
                + rng.normal(0, 0.7, (*SHAPE, 3))
            )
            frame = av.VideoFrame.from_ndarray(
                np.rint(mixed.clip(0, 255)).astype(np.uint8), format="rgb24"
            )
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.fixture
def soft(cli: CommandLine) -> CommandLine:
    """A working directory with clip.mkv, a soft disc, and its hard masks."""

    def make() -> None:
        write_soft_clip(cli.folder / "clip.mkv")
        mask_all(cli)

    cli.once("a soft disc", make)
    return cli


def mask_all(cli: CommandLine) -> None:
    """Give every frame the mask alpha >= 0.5."""
    masks = [f"{index:07d}.png" for index in range(FRAMES)]
    for index, name in enumerate(masks):
        paint(
            cli.folder / "painted" / name, (true_alpha(index) >= 0.5).astype(np.uint8), (BLACK, RED)
        )
    cli("segment", "clip.mkv", "--first-mask", f"painted/{masks[0]}", "--propagator", "fake")
    for name in masks:
        with (
            Image.open(cli.folder / "workspace" / "clip" / "masks" / name) as old,
            Image.open(cli.folder / "painted" / name) as new,
        ):
            ids = Image.fromarray((np.array(new)[..., 0] > 0).astype(np.uint8), mode=None)
            ids.putpalette(old.getpalette() or [])
            ids.save(cli.folder / "workspace" / "clip" / "masks" / name)


def luma(path: Path) -> list[Floats]:
    """Alpha of every frame of a gray mask video, 0..1."""
    return [
        planes_of(frame)[0] / np.iinfo(planes_of(frame)[0].dtype).max for frame in pictures(path)
    ]


def rgb(path: Path, index: int) -> Floats:
    return np.asarray(list(pictures(path))[index].to_ndarray(format="rgb24"), np.float64)


def test_guided_finds_the_alpha_that_the_clip_was_made_with(soft: CommandLine) -> None:
    """Also: decoded only when the edges ask for the picture, and nearer to the truth than the mask
    is.
    """
    for name in ("guided", "median", "hard", "feather"):
        soft("maskvideo", "-o", f"{name}.mkv", "--edges", name)
    errors = {
        name: np.mean(
            [
                np.abs(one - true_alpha(index)).sum()
                for index, one in enumerate(luma(Path(f"{name}.mkv")))
            ]
        )
        for name in ("guided", "median", "hard", "feather")
    }
    assert errors["guided"] * 3 < min(errors["hard"], errors["median"], errors["feather"]), errors


def test_every_render_shows_the_same_alpha(soft: CommandLine) -> None:
    options = ("--edges", "guided", "--stabilize", "0.5")
    soft("maskvideo", "-o", "luma.mkv", *options)
    soft("alpha", "-o", "cut.mkv", *options)
    soft("maskvideo", "--style", "rgb", "-o", "rgb.mkv", *options)
    soft("greenback", "-o", "green.mkv", "--codec", "ffv1", "--no-foreground", *options)
    cut, green, source = (
        list(pictures(Path(name))) for name in ("cut.mkv", "green.mkv", "clip.mkv")
    )
    for index, alpha in enumerate(luma(Path("luma.mkv"))):
        plane = planes_of(cut[index])[3]
        np.testing.assert_allclose(plane / 1023, alpha, atol=0.002)
        np.testing.assert_allclose(rgb(Path("rgb.mkv"), index)[..., 0] / 255, alpha, atol=0.004)
        key, before = (planes_of(one)[0].astype(float) for one in (green[index], source[index]))
        np.testing.assert_allclose(key, key[0, 0] + (before - key[0, 0]) * alpha, atol=1.01)


@pytest.mark.parametrize(
    ("pixel_format", "most", "times"), [("yuv444p10le", 8, 2.5), ("yuv420p", 15, 1.3)]
)
def test_own_colours_leave_no_fringe(
    cli: CommandLine, pixel_format: str, most: float, times: float
) -> None:
    """Laid over green, soft pixels are front·α + green·(1 - α) of the true α; where α is 1 they are
    the source's samples.

    With 4:2:0 the key's own chroma runs into the edge, whatever the method.
    """
    write_soft_clip(cli.folder / "clip.mkv", pixel_format=pixel_format)
    mask_all(cli)
    cli("greenback", "-o", "with.mkv", "--codec", "ffv1", "--edges", "guided")
    cli("greenback", "-o", "without.mkv", "--codec", "ffv1", "--edges", "guided", "--no-foreground")
    cli("maskvideo", "-o", "alpha.mkv", "--edges", "guided")
    errors = []
    for index, found in enumerate(luma(Path("alpha.mkv"))):
        alpha = true_alpha(index)
        wanted = alpha[..., None] * np.array(FRONT) + (1 - alpha[..., None]) * np.array((0, 255, 0))
        soft = (alpha > 0.05) & (alpha < 0.95)
        errors.append(
            [
                np.abs(rgb(Path(name), index) - wanted)[soft].mean()
                for name in ("with.mkv", "without.mkv")
            ]
        )
        samples, before = (
            planes_of(list(pictures(Path(name)))[index])[0] for name in ("with.mkv", "clip.mkv")
        )
        np.testing.assert_array_equal(samples[found == 1], before[found == 1])
    clean, fringed = np.mean(errors, axis=0)
    assert clean < most
    assert clean * times < fringed


def test_straight_alpha_carries_the_subjects_colour(soft: CommandLine) -> None:
    soft("alpha", "-o", "stills", "--edges", "guided")
    soft("alpha", "-o", "fringed", "--edges", "guided", "--no-foreground")
    alpha = true_alpha(1)
    soft_pixels = (alpha > 0.1) & (alpha < 0.9)
    errors = []
    for folder in ("stills", "fringed"):
        with Image.open(sorted(Path(folder).glob("*.png"))[1]) as still:
            samples = np.array(still, np.float64)
        errors.append(
            np.abs(samples[..., :3] * 255 / max(255, samples.max()) - np.array(FRONT))[
                soft_pixels
            ].mean()
        )
    assert errors[0] < 8
    assert errors[0] * 3 < errors[1]


def test_spill_goes_from_the_subject(cli: CommandLine) -> None:
    """A subject with green light on it; the strength of config.ini halves what the command line
    takes off whole.
    """
    write_soft_clip(cli.folder / "clip.mkv", front=(150, 200, 110))
    mask_all(cli)
    means = {}
    for name, options in {
        "as it is": (),
        "off": ("--despill", "off"),
        "whole": ("--despill", "green"),
        "half": ("--despill", "green", "--despill-strength", "0.5"),
        "blue": ("--despill", "blue"),
    }.items():
        cli("greenback", "-o", "x.mkv", "--codec", "ffv1", "--key", "magenta", *options)
        means[name] = rgb(Path("x.mkv"), 0)[54:74, 70:90].mean(axis=(0, 1))
    np.testing.assert_allclose(means["as it is"], (150, 200, 110), atol=2)
    for name, green in {"off": 200, "whole": 130, "half": 165, "blue": 200}.items():
        np.testing.assert_allclose(means[name], (150, green, 110), atol=2, err_msg=name)
    (cli.folder / "config.ini").write_text("[edges]\ndespill = green\ndespill_strength = 0.5\n")
    cli("greenback", "-o", "x.mkv", "--codec", "ffv1", "--key", "magenta")
    np.testing.assert_allclose(
        rgb(Path("x.mkv"), 0)[54:74, 70:90].mean(axis=(0, 1)), (150, 165, 110), atol=2
    )


def test_stabilize_settles_edges_that_jump(soft: CommandLine) -> None:
    """Masks grown and shrunk in turn: the area swings less, and most with a strength of 1."""
    folder = soft.folder / "workspace" / "clip" / "masks"
    for index in range(FRAMES):
        with Image.open(folder / f"{index:07d}.png") as old:
            ids, palette = np.array(old), old.getpalette()
        kernel = np.ones((5, 5), np.uint8)
        changed = Image.fromarray(cv2.dilate(ids, kernel) if index % 2 else cv2.erode(ids, kernel))
        changed.putpalette(palette or [])
        changed.save(folder / f"{index:07d}.png")
    swings = []
    for strength in ("0", "0.5", "1"):
        soft("maskvideo", "-o", "m.mkv", "--edges", "median", "--stabilize", strength)
        swings.append(np.abs(np.diff([one.sum() for one in luma(Path("m.mkv"))])).mean())
    assert swings[1] < 0.9 * swings[0]
    assert swings[2] < 0.8 * swings[0]


def test_config_and_command_line(soft: CommandLine) -> None:
    (soft.folder / "config.ini").write_text("[edges]\nmethod = guided\nband = 12\n")
    soft("maskvideo", "-o", "ini.mkv")
    soft("maskvideo", "-o", "line.mkv", "--edges", "guided", "--band", "12")
    soft("maskvideo", "-o", "narrow.mkv", "--band", "2")
    soft("maskvideo", "-o", "hard.mkv", "--edges", "hard")
    ini, line, narrow, hard = (
        luma(Path(f"{name}.mkv"))[1] for name in ("ini", "line", "narrow", "hard")
    )
    np.testing.assert_array_equal(ini, line)
    assert ((narrow > 0) & (narrow < 1)).sum() < ((ini > 0) & (ini < 1)).sum() / 2
    np.testing.assert_array_equal(hard, true_alpha(1) >= 0.5)


@pytest.mark.parametrize(
    "options",
    [
        ("--edges", "sharp"),
        ("--edges", "guided", "--band", "0"),
        ("--edges", "hard", "--soft-edges"),
        ("--median", "3", "--band", "9"),
        ("--despill", "red"),
        ("--despill", "green", "--despill-strength", "2"),
        ("--stabilize", "1.5"),
    ],
)
def test_impossible_options_are_refused(project: CommandLine, options: tuple[str, ...]) -> None:
    ran = project.fails("greenback", "-o", "x.mkv", *options, code=2)
    assert options[-1] in ran.error or "exclude" in ran.error or "--band" in ran.error
    assert not Path("x.mkv").exists()


def test_each_object_has_its_own_edge(project: CommandLine) -> None:
    project("maskvideo", "--each-object", "--edges", "guided", "--band", "6", "-o", "m.mkv")
    for object_id in (1, 2):
        alpha = luma(Path(f"m.object-{object_id}.mkv"))[5]
        mask = two_objects() == object_id
        assert alpha[cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) == 1].min() == 1
        assert alpha[cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0].max() == 0
