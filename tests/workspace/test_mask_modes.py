"""One drawing in every wrapping that programs save masks in: modes, palettes, alpha, deep numbers,
void; and what is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.command_line import CommandLine, paint, two_objects
from support.wording import typed

from vfx_matte.api.masks import segment as segment_from_python
from vfx_matte.errors import MaskError
from vfx_matte.masks import Palette
from vfx_matte.references.files import load_mask_picture, parse_color_argument
from vfx_matte.references.picture_modes import as_mask_picture
from vfx_matte.references.reading import MaskPicture, MaskReading, read_references

SHAPE = (72, 96)
Gray = npt.NDArray[np.uint8]


def drawing() -> Gray:
    """A disc (1) and a box (2) on background: uint8 (H, W)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ids = np.zeros(SHAPE, np.uint8)
    ids[(x - 30) ** 2 + (y - 35) ** 2 < 400] = 1
    ids[20:52, 58:88] = 2
    return ids


IDS = drawing()
ONE = (IDS > 0).astype(np.uint8)
WHITE = ONE * np.uint8(255)
COLORS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[IDS]


def read(*pictures: MaskPicture, **how: object) -> list[MaskReading]:
    return [reading for _, reading in read_references(enumerate(pictures), shape=SHAPE, **how)]


def opened(path: Path) -> MaskPicture:
    return load_mask_picture(path, shape=SHAPE)


def soft(levels: Gray, resample: Image.Resampling = Image.Resampling.BILINEAR) -> Gray:
    """The same with anti-aliased edges."""
    large = np.kron(levels, np.ones((4, 4, *[1] * (levels.ndim - 2)), np.uint8))
    return np.asarray(Image.fromarray(large).resize(SHAPE[::-1], resample))


def with_palette(indices: Gray, *colors: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette([value for color in colors for value in color])
    return picture


def with_alpha(colors: Gray, alpha: Gray) -> Image.Image:
    return Image.fromarray(
        np.dstack([colors if colors.ndim == 3 else np.dstack([colors] * 3), alpha])
    )


def corners() -> Gray:
    """Opaque but for three corners."""
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[:4, :4] = alpha[:4, -4:] = alpha[-4:, :4] = 0
    return alpha


def margin() -> Gray:
    """Opaque but for two pixels all around."""
    alpha = np.zeros(SHAPE, np.uint8)
    alpha[2:-2, 2:-2] = 255
    return alpha


def nearly_opaque() -> Gray:
    return np.random.default_rng(0).integers(250, 256, SHAPE).astype(np.uint8)


# ---------------------------------------------------------------- palettes

BLACK, RED, LIME, WHITE_COLOR = (0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255)

ONE_OBJECT: dict[str, Callable[[], Image.Image]] = {
    "white first": lambda: with_palette(1 - ONE, WHITE_COLOR, BLACK),
    "quantized": lambda: Image.fromarray(WHITE).convert("RGB").quantize(2),
    "adaptive": lambda: (
        Image.fromarray(WHITE).convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    ),
    "grey ramp": lambda: Image.fromarray(WHITE).convert("P"),
    "object first on white": lambda: with_palette(1 - ONE, RED, WHITE_COLOR),
    "only 255": lambda: with_palette(WHITE, *map(tuple, Palette.davis().colors.tolist())),
    "nearly opaque": lambda: with_alpha(WHITE, nearly_opaque()),
    "corners": lambda: with_alpha(WHITE, corners()),
    "margin": lambda: with_alpha(WHITE, margin()),
    "layer": lambda: with_alpha(np.full_like(WHITE, 255), WHITE),
    "black layer": lambda: with_alpha(np.zeros_like(WHITE), WHITE),
    "grey and alpha": lambda: Image.merge(
        "LA", (Image.new("L", SHAPE[::-1], 90), Image.fromarray(WHITE))
    ),
    "1 bit": lambda: Image.fromarray(WHITE).convert("1"),
    "16 bit": lambda: Image.fromarray(WHITE.astype(np.uint16) * 257),
    "soft 16 bit": lambda: Image.fromarray(soft(WHITE).astype(np.uint16) * 257),
}
TWO_OBJECTS: dict[str, Callable[[], Image.Image]] = {
    "quantized": lambda: Image.fromarray(COLORS).quantize(3),
    "soft, quantized": lambda: Image.fromarray(soft(COLORS)).quantize(64),
    "white border first": lambda: with_palette(IDS, WHITE_COLOR, RED, LIME),
    "black last": lambda: with_palette((IDS + 2) % 3, RED, LIME, BLACK),
    "corners": lambda: with_alpha(COLORS, corners()),
    "corners on white": lambda: with_alpha(
        np.where(IDS[..., None] > 0, COLORS, 255).astype(np.uint8), corners()
    ),
    "margin": lambda: with_alpha(COLORS, margin()),
    "layer": lambda: with_alpha(COLORS, WHITE),
    "soft": lambda: Image.fromarray(soft(COLORS, Image.Resampling.LANCZOS)),
    "levels": lambda: Image.fromarray(np.array([0, 128, 255], np.uint8)[IDS]),
    "levels as palette": lambda: Image.fromarray(np.array([0, 128, 255], np.uint8)[IDS]).convert(
        "P"
    ),
    "CMYK": lambda: Image.fromarray(COLORS).convert("CMYK"),
}


@pytest.mark.parametrize("name", ONE_OBJECT)
def test_one_object_in_every_wrapping(tmp_path: Path, name: str) -> None:
    picture = ONE_OBJECT[name]()
    for suffix in ("png", "tif", *(("gif", "bmp") if picture.mode in ("P", "1") else ())):
        picture.save(tmp_path / f"m.{suffix}")
        (reading,) = read(opened(tmp_path / f"m.{suffix}"))
        np.testing.assert_array_equal(reading.mask > 0, ONE, err_msg=suffix)
        assert len(reading.coverage) == 1


@pytest.mark.parametrize("name", TWO_OBJECTS)
def test_two_objects_in_every_wrapping(tmp_path: Path, name: str) -> None:
    picture = TWO_OBJECTS[name]()
    suffix = "tif" if picture.mode == "CMYK" else "png"
    picture.save(tmp_path / f"m.{suffix}")
    (reading,) = read(opened(tmp_path / f"m.{suffix}"))
    different = (reading.mask != IDS).sum()
    assert different == 0 or ("soft" in name and different < 20)
    assert list(reading.coverage) == [1, 2]


def test_what_is_not_the_plain_reading_is_said(tmp_path: Path) -> None:
    said = {
        "white first": "index 1 (#000000) is the background",
        "object first on white": "index 1 (#ffffff) is the background",
        "corners": "transparent",
        "nearly opaque": "",
        "layer": "",
        "16 bit": "",
    }
    for name, words in said.items():
        ONE_OBJECT[name]().save(tmp_path / "m.png")
        (reading,) = read(opened(tmp_path / "m.png"))
        assert [words in line for line in reading.notices] == [True] * bool(words), (
            name,
            reading.notices,
        )


@pytest.mark.parametrize("index", [0, 1])
def test_a_transparent_index_is_the_background(tmp_path: Path, index: int) -> None:
    indices = ONE if index == 0 else 1 - ONE
    for suffix in ("png", "gif"):
        with_palette(indices, RED, LIME).save(tmp_path / f"m.{suffix}", transparency=index)
        (reading,) = read(opened(tmp_path / f"m.{suffix}"))
        np.testing.assert_array_equal(reading.mask > 0, ONE)


def test_a_transparent_colour_is_the_background(tmp_path: Path) -> None:
    on_white = np.where(IDS[..., None] > 0, COLORS, 255).astype(np.uint8)
    Image.fromarray(on_white).save(tmp_path / "m.png", transparency=(255, 255, 255))
    (reading,) = read(opened(tmp_path / "m.png"))
    np.testing.assert_array_equal(reading.mask, IDS)


def test_a_palette_in_another_order_than_before_keeps_its_objects() -> None:
    first = with_palette(IDS, BLACK, RED, LIME)
    second = with_palette(np.array([0, 2, 1], np.uint8)[IDS], BLACK, LIME, RED)
    pictures = [
        MaskPicture(np.asarray(one), np.array(one.getpalette(), np.uint8).reshape(-1, 3))
        for one in (first, second)
    ]
    readings = read(*pictures)
    np.testing.assert_array_equal(readings[1].mask, IDS)
    assert any("another order" in line for line in readings[1].notices)


def test_white_is_black_in_some_tiff_files(tmp_path: Path) -> None:
    """Photometric 0: the smallest value is white. Pillow turns 8 bits round, not 16."""
    for pixels in (255 - WHITE, 65535 - WHITE.astype(np.uint16) * 257):
        Image.fromarray(pixels).save(tmp_path / "m.tif")
        data = bytearray((tmp_path / "m.tif").read_bytes())
        start = int.from_bytes(data[4:8], "little")
        for entry in range(
            start + 2, start + 2 + 12 * int.from_bytes(data[start : start + 2], "little"), 12
        ):
            if int.from_bytes(data[entry : entry + 2], "little") == 262:
                data[entry + 8 : entry + 12] = bytes(4)
        (tmp_path / "m.tif").write_bytes(data)
        (reading,) = read(opened(tmp_path / "m.tif"))
        np.testing.assert_array_equal(reading.mask > 0, ONE)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("numbers", "kind", "ids"),
    [
        ([0, 1000, 1001], np.uint16, [1, 2]),
        ([0, 100, 101], np.uint16, [100, 101]),
        ([7, 26001, 26002], np.uint16, [1, 2]),
        ([0, 300, 65535], np.uint16, [1, 2]),
        ([0, 70001, 70002], np.int32, [1, 2]),
        ([-1, 4, 5], np.int32, [4, 5]),
        ([0, 3, 70000], np.float32, [1, 2]),
        ([0, 0.5, 1], np.float32, [1, 2]),
    ],
)
def test_deep_numbers_never_merge(
    tmp_path: Path, numbers: list[float], kind: type, ids: list[int]
) -> None:
    Image.fromarray(np.array(numbers, kind)[IDS]).save(tmp_path / "m.tif")
    (reading,) = read(opened(tmp_path / "m.tif"))
    np.testing.assert_array_equal(reading.mask, np.array([0, *ids], np.uint8)[IDS])
    assert any("numbers are object ids" in line for line in reading.notices) == (
        max(numbers) not in (5, 101)
    )


def test_deep_numbers_mean_the_same_on_every_mask() -> None:
    numbers = [
        np.array(values, np.uint16)[IDS]
        for values in ([0, 5000, 0], [0, 4000, 5000], [0, 4001, 4000])
    ]
    readings = read(*map(MaskPicture, numbers))
    assert [sorted(one.coverage) for one in readings] == [[1], [1, 2], [2, 3]]
    np.testing.assert_array_equal(readings[1].mask, np.array([0, 2, 1], np.uint8)[IDS])
    np.testing.assert_array_equal(readings[2].mask, np.array([0, 3, 2], np.uint8)[IDS])


def test_more_than_255_numbers_are_refused() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    many = (y // 4 * 24 + x // 4 + 1000).astype(np.uint16)
    with pytest.raises(MaskError, match=r"4\d\d different numbers") as caught:
        read(MaskPicture(many))
    assert caught.value.hint


def test_soft_levels_of_floats_are_levels() -> None:
    for full in (1.0, 255.0):
        values = soft(WHITE).astype(np.float32) / 255 * full
        (reading,) = read(as_mask_picture(Image.fromarray(values)))
        np.testing.assert_array_equal(reading.mask, ONE)


# ---------------------------------------------------------------- void


def with_void(ids: Gray) -> tuple[Gray, Gray]:
    """The ids with a border of 255 around every object, and the truth without it."""
    edge = np.zeros(ids.shape, bool)
    for rows, columns in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        edge |= np.roll(ids, (rows, columns), (0, 1)) != ids
    return np.where(edge, 255, ids).astype(np.uint8), np.where(edge, 0, ids).astype(np.uint8)


@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 1, 15]])
def test_255_beside_labels_is_void(ids: list[int]) -> None:
    labels, truth = with_void(np.array(ids, np.uint8)[IDS])
    for picture in (
        MaskPicture(labels, Palette.davis().colors),
        MaskPicture(labels),
        MaskPicture(labels.astype(np.uint16)),
    ):
        (reading,) = read(picture)
        np.testing.assert_array_equal(reading.mask, truth)
        assert any("void" in line for line in reading.notices)


def test_a_white_index_255_is_paint() -> None:
    """Fixed colour cubes, as FFmpeg's pal8 has, end with white."""
    cube = np.array([(index >> 5, index >> 2 & 7, index & 3) for index in range(256)]) * (
        36,
        36,
        85,
    )
    cube[255] = 255
    (reading,) = read(MaskPicture(np.array([0, 36, 255], np.uint8)[IDS], cube.astype(np.uint8)))
    np.testing.assert_array_equal(reading.mask, np.array([0, 36, 255], np.uint8)[IDS])


# ---------------------------------------------------------------- several masks


def test_an_object_in_another_colour_is_said_and_can_be_mapped() -> None:
    later = MaskPicture(np.where(IDS == 1, 255, 0).astype(np.uint8))
    first, second = read(MaskPicture(COLORS), later)
    assert list(second.coverage) == [3]
    assert any(
        "#ffffff is on no earlier mask" in line and "--map-color ffffff=1" in typed(line)
        for line in second.notices
    )
    assert not first.notices
    first, second = read(
        MaskPicture(COLORS), later, given=dict([parse_color_argument("#ffffff=1")])
    )
    assert (list(first.coverage), list(second.coverage)) == ([1, 2], [1])
    assert not second.notices
    (swapped,) = read(MaskPicture(COLORS), given={(255, 0, 0): 2, (0, 255, 0): 1})
    np.testing.assert_array_equal(swapped.mask, np.array([0, 2, 1], np.uint8)[IDS])
    (without,) = read(MaskPicture(COLORS), given={(255, 0, 0): 0})
    np.testing.assert_array_equal(without.mask, np.where(IDS == 2, without.mask.max(), 0))
    (by_index,) = read(MaskPicture(IDS, Palette.davis().colors), given={(128, 0, 0): 9})
    np.testing.assert_array_equal(by_index.mask, np.array([0, 9, 2], np.uint8)[IDS])


def test_masks_that_look_wrong_are_said() -> None:
    nearly_all = np.full(SHAPE, 255, np.uint8)
    nearly_all[:6, :6] = 0
    first, second, third = read(
        MaskPicture(nearly_all),
        MaskPicture(np.zeros(SHAPE, np.uint8)),
        MaskPicture(np.kron(WHITE, np.ones((2, 2), np.uint8))),
    )
    assert any("99.5%" in line and "inverted" in line for line in first.notices)
    assert any("empty" in line for line in second.notices)
    assert third.notices == ("it is 192×144, brought to the clip's 96×72",)


@pytest.mark.parametrize(
    "text", ["", "white=1", "#fff=1", "#ffffff", "#ffffff=256", "#ffffff=-1", "#ffffff=x", "=1"]
)
def test_a_colour_argument_that_is_none(text: str) -> None:
    with pytest.raises(MaskError) as caught:
        parse_color_argument(text)
    assert repr(text) in caught.value.message
    assert "ffffff=1" in caught.value.hint


def test_map_color_on_the_command_line(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    paint(Path("first.png"), two_objects())
    paint(Path("later.png"), (two_objects() == 2).astype(np.uint8), ((0, 0, 0), (255, 255, 255)))
    masks = ("segment", "clip.mp4", "--mask", "0=first.png", "--mask", "6=later.png")
    ran = cli(*masks, "--colors")
    assert any("mask of frame 6" in note and "new object, 3" in note for note in ran.notes)
    ran = cli(*masks, "--map-color", "#ffffff=2", "--colors")
    assert not ran.notes
    cli(*masks, "--map-color", "ffffff=2", "--propagator", "fake")
    assert 3 not in cli.mask(9)
    assert 3 not in cli.mask(6)
    assert (
        cli.fails(*masks, "--map-color", "white", code=2).error == "colour 'white' is not COLOUR=ID"
    )
    command = json.loads(cli("suggest", "-k", "1", "--json", "--min-mask-percent", "0").stdout)[
        "segment_command"
    ]
    assert "--map-color ffffff=2" in command, "the command that is printed means the same"
    ran = cli.fails(*masks, "--map-color", "ffffff=1", "--propagator", "fake", "--resume", code=2)
    assert "reference masks" in ran.error + ran.hint, (
        "the same files that mean something else are other masks"
    )
    result = segment_from_python(
        "clip.mp4",
        references={0: "first.png", 6: "later.png"},
        map_color={"#ffffff": 2},
        propagator="fake",
        workspace="other",
    )
    assert list(result.objects) == [1, 2]


def test_a_folder_of_gif_masks(cli: CommandLine, take: Callable[..., Path], clip: Path) -> None:
    take(clip)
    paint(Path("gifs/0000.gif"), two_objects())
    paint(Path("gifs/0006.tga"), two_objects())
    rows = cli("segment", "clip.mp4", "--masks", "gifs", "--colors").stdout
    assert "0000.gif" in rows
    assert "0006.tga" in rows


@pytest.mark.parametrize("how", ["1", "web", "adaptive"])
def test_dithered_masks_are_named_as_such(how: str, tmp_path: Path) -> None:
    """Near-black and red that a few colours cannot show, but for a palette that has them."""
    y, x = np.mgrid[:72, :96]
    ids = ((x - 40) ** 2 + (y - 36) ** 2 < 26**2).astype(np.uint8)
    picture = Image.fromarray(np.array([(3, 2, 4), (250, 12, 8)], np.uint8)[ids])
    modes = {
        "1": picture.convert("1"),
        "web": picture.convert("P"),
        "adaptive": picture.quantize(8),
    }
    modes[how].save(tmp_path / "m.png")
    pictures = [(0, load_mask_picture(tmp_path / "m.png"))]
    if how == "adaptive":
        ((_, reading),) = read_references(pictures, shape=(72, 96))
        assert np.array_equal(reading.mask > 0, ids > 0)
        return
    with pytest.raises(MaskError, match="mask of frame 0: mask is dithered") as caught:
        list(read_references(pictures, shape=(72, 96)))
    assert "without dithering" in caught.value.hint


def test_a_dithered_edge_does_no_harm(tmp_path: Path) -> None:
    y, x = np.mgrid[:144, :192]
    level = np.clip((40 - np.hypot(x - 90, y - 70)) / 12 + 0.5, 0, 1)
    Image.fromarray((level * 255).astype(np.uint8)).convert("1").save(tmp_path / "m.png")
    ((_, reading),) = read_references(
        [(0, load_mask_picture(tmp_path / "m.png"))], shape=(144, 192)
    )
    assert abs(reading.coverage[1] / (level >= 0.5).sum() - 1) < 0.02
