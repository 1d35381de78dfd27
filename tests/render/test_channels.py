"""Mask videos and packages of soft results, for every number of objects and for ids with gaps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command_line import SIZE, CommandLine, pictures

from vfx_matte.errors import UsageError
from vfx_matte.masks import Palette
from vfx_matte.pipeline.render.channels import describe_channels, object_channels

pytestmark = pytest.mark.slow

SETS = [(1,), (1, 2), (1, 5), (2, 3), (1, 2, 3), (2, 7, 9), (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("objects", "channels"),
    [
        ((1,), {1: 0}),
        ((1, 2), {1: 0, 2: 1}),
        ((3, 2), {2: 1, 3: 2}),
        ((5, 1), {1: 0, 5: 1}),
        ((7,), {7: 0}),
        ((2, 3, 9), {2: 0, 3: 1, 9: 2}),
    ],
)
def test_the_channel_of_each_object(objects: tuple[int, ...], channels: dict[int, int]) -> None:
    assert object_channels(objects) == channels


@pytest.mark.parametrize("objects", [(), (1, 2, 3, 4)])
def test_other_numbers_of_objects_fit_no_channels(objects: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=f"these are {len(objects)}"):
        object_channels(objects)


def test_channels_in_words() -> None:
    assert (
        describe_channels({1: 0, 5: 1, 9: 2})
        == "object 1 is red, object 5 is green, object 9 is blue"
    )


def ids_of(objects: tuple[int, ...]) -> np.ndarray:
    """Vertical bars, one an object, on background: uint8 (H, W)."""
    width, height = SIZE
    ids = np.zeros((height, width), np.uint8)
    for number, object_id in enumerate(objects):
        ids[16:48, 6 + 22 * number : 22 + 22 * number] = object_id
    return ids


@pytest.fixture
def soft(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> Callable[[tuple[int, ...]], None]:
    """Makes the soft results of these objects for clip.mp4."""

    def segmented(objects: tuple[int, ...]) -> None:
        take(clip)
        picture = Image.fromarray(ids_of(objects))
        picture.putpalette(Palette.davis().colors.tobytes())
        picture.save("m.png")
        cli("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake", "--soft")

    return segmented


def shown(path: Path, index: int = 4) -> np.ndarray:
    """One frame of a mask video as R'G'B': uint8 (H, W, 3)."""
    return list(pictures(path))[index].to_ndarray(format="rgb24")


def inside(ids: np.ndarray, object_id: int) -> np.ndarray:
    """The middle of an object, where no edge reaches."""
    rows, columns = np.nonzero(ids == object_id)
    middle = np.zeros(ids.shape, bool)
    middle[rows.min() + 5 : rows.max() - 4, columns.min() + 5 : columns.max() - 4] = True
    return middle


@pytest.mark.parametrize("objects", SETS)
def test_every_style_shows_every_object(
    cli: CommandLine, soft: Callable[..., None], objects: tuple[int, ...]
) -> None:
    soft(objects)
    ids = ids_of(objects)
    cli("maskvideo", "--style", "luma", "-o", "luma.mkv")
    assert all((shown(Path("luma.mkv"))[inside(ids, one)] > 200).all() for one in objects)
    cli("maskvideo", "--each-object", "-o", "one.mkv")
    for one in objects:
        alone = shown(Path(f"one.object-{one}.mkv"))
        assert all((alone[inside(ids, other)] > 200).all() == (other == one) for other in objects)
    if len(objects) > 3:
        ran = cli.fails("maskvideo", "--style", "rgb", "-o", "rgb.mkv", code=2)
        assert "1, 2, 3, 4" in ran.error
        assert "--object" in ran.hint
        cli("maskvideo", "--style", "rgb", "-o", "rgb.mkv", "--object", "4", "--object", "2")
        objects = (2, 4)
    else:
        ran = cli("maskvideo", "--style", "rgb", "-o", "rgb.mkv")
        assert any("is red" in note for note in ran.notes) == (max(objects) > 3)
    picture, channels = shown(Path("rgb.mkv")), object_channels(objects)
    for one, channel in channels.items():
        expected = [255 * (at == channel) for at in range(3)]
        assert np.abs(picture[inside(ids, one)].astype(int) - expected).max() < 40


@pytest.mark.parametrize("objects", [(1, 2), (1, 5), (1, 2, 3, 4)])
def test_resolve_gets_its_matte_by_every_door(
    cli: CommandLine, soft: Callable[..., None], objects: tuple[int, ...]
) -> None:
    soft(objects)
    ids, fits = ids_of(objects), len(objects) < 4
    cli("maskvideo", "--for", "resolve", "-o", "matte.mov")
    cli(
        "conform",
        "clip.mp4",
        "--for",
        "resolve",
        "--outputs",
        "maskvideo",
        "--fps",
        "25",
        "-o",
        "conformed",
    )
    cli("package", "--for", "resolve", "--outputs", "maskvideo", "-o", "package")
    note = Path("package/README.txt").read_text(encoding="utf-8")
    assert (f"object {objects[-1]} is green" in " ".join(note.split())) == fits
    found = ["matte.mov", "conformed/maskvideo.mov", "package/media/clip-matte.mov"]
    for path in map(Path, found):
        picture = shown(path).astype(int)
        for number, one in enumerate(objects):
            expected = [255 * (at == number) for at in range(3)] if fits else [255] * 3
            assert np.abs(np.median(picture[inside(ids, one)], axis=0) - expected).max() < 40, path


def test_an_object_that_is_not_there_is_said_as_chosen(
    cli: CommandLine, soft: Callable[..., None]
) -> None:
    soft((1, 5))
    ran = cli.fails("maskvideo", "--style", "rgb", "--object", "3", "-o", "rgb.mkv", code=2)
    assert ran.error == "there is no object 3"
    assert "1, 5" in ran.hint
