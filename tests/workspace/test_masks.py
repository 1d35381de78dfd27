"""Masks: the nouns, and understanding what a painted picture means."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from support.examples import examples
from support.wording import typed

from vfx_matte.errors import MaskError
from vfx_matte.masks import Matte, Palette, hex_color, object_ids, parse_hex_color, resize_nearest
from vfx_matte.references.known_colors import KnownColors
from vfx_matte.references.reading import (
    MaskPicture,
    MaskReading,
    read_mask_colors,
    read_references,
)

SHAPE = (180, 240)
PAINTS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (255, 0, 255),
    (255, 255, 255),
    (255, 128, 0),
]
Pixels = npt.NDArray[Any]
Color = tuple[int, int, int] | int
Shapes = list[tuple[str, tuple[int, int, int, int]]]


def draw(
    kind: str, box: tuple[int, int, int, int], color: Color, canvas: ImageDraw.ImageDraw
) -> None:
    x0, y0, x1, y1 = box
    if kind == "ellipse":
        canvas.ellipse(box, fill=color)
    elif kind == "triangle":
        canvas.polygon([(x0, y1), ((x0 + x1) // 2, y0), (x1, y1)], fill=color)
    elif kind == "diamond":
        canvas.polygon(
            [
                (x0, (y0 + y1) // 2),
                ((x0 + x1) // 2, y0),
                (x1, (y0 + y1) // 2),
                ((x0 + x1) // 2, y1),
            ],
            fill=color,
        )
    else:
        canvas.rectangle(box, fill=color)


@st.composite
def shapes(draw_from: st.DrawFn, most: int = 5) -> Shapes:
    """Shapes in their own cells of a 3×2 grid or overlapping their right neighbour, at 4× the size
    of SHAPE.
    """
    count = draw_from(st.integers(1, most))
    cells = draw_from(st.permutations(range(6)))[:count]
    found = []
    for cell in cells:
        left, top = cell % 3 * 320 + 8, cell // 3 * 360 + 8
        width, height = draw_from(st.integers(80, 360)), draw_from(st.integers(80, 330))
        x, y = left + draw_from(st.integers(0, 60)), top + draw_from(st.integers(0, 20))
        kind = draw_from(st.sampled_from(["ellipse", "triangle", "diamond", "rectangle"]))
        found.append((kind, (x, y, min(x + width, 950), min(y + height, 710))))
    return found


def paint(found: Shapes, colors: list[Color], mode: str) -> tuple[Pixels, Pixels]:
    """The anti-aliased picture, and which shape (1-based) is most of each pixel: uint8, 255 where
    two hold half each.
    """
    big = Image.new(mode, (SHAPE[1] * 4, SHAPE[0] * 4))
    labels = Image.new("L", big.size)
    for index, ((kind, box), color) in enumerate(zip(found, colors, strict=True)):
        draw(kind, box, color, ImageDraw.Draw(big))
        draw(kind, box, index + 1, ImageDraw.Draw(labels))
    blocks = (
        np.asarray(labels)
        .reshape(SHAPE[0], 4, SHAPE[1], 4)
        .transpose(0, 2, 1, 3)
        .reshape(*SHAPE, 16)
    )
    counts = np.stack([(blocks == index).sum(axis=2) for index in range(len(found) + 1)])
    truth = np.where(counts.max(axis=0) > 8, counts.argmax(axis=0), 255).astype(np.uint8)
    return np.asarray(big.resize((SHAPE[1], SHAPE[0]), Image.Resampling.BOX)), truth


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def iou(first: Pixels, second: Pixels) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def read(
    pixels: Pixels, shape: tuple[int, int] | None = None, *, allow_empty: bool = False
) -> MaskReading:
    return read_mask_colors(
        MaskPicture(pixels), shape=shape or pixels.shape[:2], allow_empty=allow_empty
    )


def assert_same_objects(
    reading: MaskReading, truth: Pixels, colors: list[Color], least: float
) -> None:
    assert len(reading.colors) == len(colors), (reading.colors, colors)
    by_color = {color: object_id for object_id, color in reading.colors.items()}
    for index, color in enumerate(colors):
        nearest = min(
            by_color, key=lambda known: max(abs(a - b) for a, b in zip(known, color, strict=True))
        )
        assert iou((reading.mask == by_color[nearest]) & (truth < 255), truth == index + 1) > least


@examples(40)
@given(found=shapes(), order=st.permutations(PAINTS))
def test_soft_edges_in_colour_make_no_objects(found: Shapes, order: list[Color]) -> None:
    colors = list(order[: len(found)])
    pixels, truth = paint(found, colors, "RGB")
    colors = [color for index, color in enumerate(colors) if (truth == index + 1).sum() > 60]
    if len(colors) < len(found):
        return  # one shape hides another
    reading = read(pixels)
    assert reading.kind in ("rgb", "gray", "binary")
    assert_same_objects(reading, truth, colors, 0.97)


@pytest.mark.slow
# what is left of the magenta ellipse is a crescent without a 5×5 spot
@example(
    found=[
        ("triangle", (701, 23, 950, 113)),
        ("ellipse", (329, 385, 409, 475)),
        ("rectangle", (60, 8, 166, 338)),
        ("rectangle", (684, 368, 764, 503)),
        ("ellipse", (30, 386, 390, 467)),
    ],
    order=[(255, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0)],
    quality=90,
)
@examples(40)
@given(found=shapes(), order=st.permutations(PAINTS[:7]), quality=st.integers(60, 95))
def test_jpeg_noise_makes_no_objects(found: Shapes, order: list[Color], quality: int) -> None:
    colors = list(order[: len(found)])
    pixels, truth = paint(found, colors, "RGB")
    # below quality 75 the noise of a small shape is as wide as a soft edge is
    least_px = 200 if quality >= 75 else 300
    if any((truth == index + 1).sum() < least_px for index in range(len(colors))):
        return
    assert_same_objects(read(through_jpeg(pixels, quality)), truth, colors, 0.9)


@examples(40)
@given(
    found=shapes(), level=st.integers(100, 255), quality=st.one_of(st.none(), st.integers(50, 95))
)
def test_soft_grey_is_one_object(found: Shapes, level: int, quality: int | None) -> None:
    pixels, truth = paint(found, [level] * len(found), "L")
    reading = read(pixels if quality is None else through_jpeg(pixels, quality))
    assert list(reading.colors) == [1]
    assert iou((reading.mask == 1) & (truth < 255), (truth > 0) & (truth < 255)) > 0.95


@examples(50)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 254), davis=st.booleans())
def test_palette_indices_are_ids(seed: int, count: int, davis: bool) -> None:
    """Where no other index than 0 is black, and none is 255, which is void."""
    random = np.random.default_rng(seed)
    indices = random.integers(0, count + 1, (12, 9)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    indices[0, 0] = 1
    palette = (
        Palette.davis().colors if davis else random.integers(32, 256, (256, 3)).astype(np.uint8)
    )
    reading = read_mask_colors(MaskPicture(indices, palette), shape=indices.shape)
    assert reading.kind == "palette"
    np.testing.assert_array_equal(reading.mask, indices)
    assert reading.coverage == {i: int((indices == i).sum()) for i in object_ids(indices)}
    assert reading.colors == {i: tuple(palette[i].tolist()) for i in object_ids(indices)}


@examples(30)
@given(count=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_davis_colours_keep_their_ids(count: int, seed: int) -> None:
    labels = (
        np.random.default_rng(seed)
        .integers(0, count + 1, (6, 8))
        .repeat(12, 0)
        .repeat(12, 1)
        .astype(np.uint8)
    )
    labels[:12, :12] = 1
    labels[12:24, :12] = 0
    np.testing.assert_array_equal(read(Palette.davis().paint(labels)).mask, labels)


@examples(30)
@given(order=st.permutations(PAINTS[:6]), areas=st.permutations(range(6)))
def test_ids_depend_on_colours_not_on_place_or_area(order: list[Color], areas: list[int]) -> None:
    def ids(colors: Sequence[Color], widths: Sequence[int]) -> dict[tuple[int, int, int], int]:
        pixels = np.zeros((60, 300, 3), np.uint8)
        x = 5
        for color, width in zip(colors, widths, strict=True):
            pixels[10:50, x : x + 10 + 6 * width] = color
            x += 14 + 6 * width
        return {color: object_id for object_id, color in read(pixels).colors.items()}

    assert ids(order, areas) == ids(PAINTS[:6], range(6))


def disc(shape: tuple[int, int] = (80, 100), radius: float = 25.0) -> Pixels:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - shape[0] / 2, x - shape[1] / 2) < radius


@pytest.mark.parametrize(
    "pixels",
    [
        disc(),
        disc().astype(np.uint8),
        disc().astype(np.uint8) * 255,
        disc().astype(np.uint8) * 180,
        disc().astype(np.uint16) * 65535,
        disc().astype(np.uint16),
        np.repeat(disc()[..., None] * np.uint8(255), 3, axis=2),
        disc()[..., None] * np.array([200, 30, 90], np.uint8),
    ],
)
def test_hard_masks_of_every_depth(pixels: Pixels) -> None:
    reading = read(pixels)
    np.testing.assert_array_equal(reading.mask, disc())
    assert reading.coverage == {1: int(disc().sum())}


def test_small_grey_values_are_ids() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[5:20, 5:20], labels[30:50, 5:20], labels[5:8, 40:42] = 1, 4, 2
    reading = read(labels)
    np.testing.assert_array_equal(reading.mask, labels)
    assert reading.colors[4] == tuple(Palette.davis().colors[4].tolist())


def test_flat_grey_levels_are_objects_and_soft_ones_are_not() -> None:
    levels = np.zeros((120, 160), np.uint8)
    levels[20:100, 20:70], levels[20:100, 90:140] = 128, 255
    reading = read(levels)
    assert reading.colors == {1: (128, 128, 128), 2: (255, 255, 255)}
    np.testing.assert_array_equal(reading.mask, (levels > 0) + (levels > 200).astype(np.uint8))
    outlined = np.zeros((120, 160), np.uint8)
    outlined[20:100, 20:140], outlined[22:98, 22:138] = 128, 255
    assert read(outlined).coverage == {1: 80 * 120}
    outlined[20:100, 20:140] = 127
    outlined[22:98, 22:138] = 255
    assert read(outlined).coverage == {1: 76 * 116}


def test_wide_feather_is_one_object_cut_at_half() -> None:
    y, x = np.mgrid[:200, :300]
    ramp = np.clip((90 - np.hypot(y - 100, x - 150)) / 60, 0, 1)
    reading = read(np.rint(ramp * 255).astype(np.uint8))
    assert list(reading.coverage) == [1]
    assert iou(reading.mask == 1, ramp >= 0.5) > 0.999


def test_blend_of_two_objects_is_not_a_third_one() -> None:
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[10:50, 10:40], pixels[10:50, 40:70] = (254, 0, 0), (0, 0, 254)
    pixels[10:50, 40] = (127, 0, 127)
    pixels[60:80, 10:40] = (127, 0, 127)
    pixels[60:80, 40] = (70, 0, 70)
    reading = read(pixels)
    assert len(reading.colors) == 3
    purple = next(
        object_id for object_id, color in reading.colors.items() if color == (127, 0, 127)
    )
    assert not (reading.mask[:55] == purple).any()
    assert (reading.mask[60:80, 10:40] == purple).all()


def test_alpha_is_the_mask_of_a_photographic_cut_out() -> None:
    random = np.random.default_rng(1)
    photo = random.integers(0, 256, (80, 100, 3)).astype(np.uint8)
    reading = read(np.dstack([photo, disc() * np.uint8(255)]))
    assert (reading.kind, reading.colors) == ("alpha", {1: (255, 255, 255)})
    np.testing.assert_array_equal(reading.mask, disc())


def test_alpha_over_flat_colours_is_several_objects() -> None:
    pixels = np.zeros((80, 100, 4), np.uint8)
    pixels[..., :3] = (90, 90, 90)
    pixels[10:40, 10:40], pixels[10:40, 50:80] = (255, 0, 0, 255), (0, 255, 0, 255)
    reading = read(pixels)
    assert (reading.kind, reading.colors) == ("alpha", {1: (255, 0, 0), 2: (0, 255, 0)})
    assert reading.coverage == {1: 900, 2: 900}


def test_opaque_alpha_is_ignored() -> None:
    pixels = np.dstack(
        [np.repeat(disc()[..., None] * np.uint8(255), 3, axis=2), np.full((80, 100), 255, np.uint8)]
    )
    np.testing.assert_array_equal(read(pixels).mask, disc())


def test_without_black_the_border_is_the_background() -> None:
    pixels = np.full((60, 80, 3), 255, np.uint8)
    pixels[20:40, 20:60] = (200, 0, 0)
    reading = read(pixels)
    assert reading.coverage == {1: 800}
    assert any("#ffffff" in notice for notice in reading.notices)
    gray = np.where(disc(), 90, 200).astype(np.uint8)
    np.testing.assert_array_equal(read(gray).mask, disc())


def test_a_soft_palette_picture_is_read_by_its_colours() -> None:
    soft, truth = paint([("ellipse", (100, 100, 700, 600))], [255], "L")
    quantised = Image.fromarray(soft).quantize(32)
    palette = np.array(quantised.getpalette(), np.uint8).reshape(-1, 3)
    reading = read_mask_colors(MaskPicture(np.asarray(quantised), palette), shape=SHAPE)
    assert list(reading.coverage) == [1]
    assert iou(reading.mask == 1, truth == 1) > 0.98
    assert "soft edges" in reading.notices[0]


@pytest.mark.parametrize(("scale", "least"), [(0.5, 0.97), (2.0, 0.97), (0.37, 0.95)])
def test_other_sizes_of_the_same_aspect(scale: float, least: float) -> None:
    pixels, truth = paint(
        [("ellipse", (100, 100, 700, 600)), ("rectangle", (640, 300, 900, 600))], [255, 255], "L"
    )
    size = (round(SHAPE[1] * scale), round(SHAPE[0] * scale))
    resized = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    assert iou(read(resized, SHAPE).mask == 1, truth > 0) > least
    indices = np.asarray(Image.fromarray(truth).resize(size, Image.Resampling.NEAREST))
    reading = read_mask_colors(MaskPicture(indices, Palette.davis().colors), shape=SHAPE)
    assert iou(reading.mask == 2, truth == 2) > 0.9


@pytest.mark.parametrize(
    ("shape", "clip"),
    [((480, 853), (1080, 1920)), ((540, 960), (1080, 1920)), ((75, 100), (480, 640))],
)
def test_rounded_sizes_fit(shape: tuple[int, int], clip: tuple[int, int]) -> None:
    assert read(np.ones(shape, bool), clip).mask.shape == clip


@pytest.mark.parametrize(
    ("shape", "hint"), [((480, 640), "still"), ((1920, 1080), "turn"), ((1080, 1880), "still")]
)
def test_another_aspect_shows_both_sizes(shape: tuple[int, int], hint: str) -> None:
    with pytest.raises(MaskError, match=rf"{shape[1]}×{shape[0]}.*1920×1080") as caught:
        read(np.ones(shape, bool), (1080, 1920))
    assert hint in typed(caught.value.hint)


def test_an_empty_mask_is_an_error_unless_allowed() -> None:
    for pixels in (
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 3), np.uint8),
        np.zeros((20, 30, 4), np.uint8),
    ):
        with pytest.raises(MaskError, match="empty"):
            read(pixels)
        assert read(pixels, allow_empty=True).coverage == {}


def test_a_photograph_is_refused() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    with pytest.raises(MaskError, match="photograph"):
        read(photo)


def stripes(*colors: tuple[int, int, int]) -> MaskPicture:
    pixels = np.zeros((40, 100, 3), np.uint8)
    for index, color in enumerate(colors):
        pixels[10:30, 5 + 20 * index : 20 + 20 * index] = color
    return MaskPicture(pixels)


def test_references_agree_on_colours() -> None:
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    jpeg = MaskPicture(through_jpeg(stripes(blue, red).pixels, 95))
    pictures = [
        (0, stripes(blue)),
        (7, stripes(red, blue)),
        (9, stripes()),
        (20, stripes(green)),
        (30, jpeg),
    ]
    found = dict(read_references(pictures, shape=(40, 100)))
    assert [sorted(reading.coverage) for reading in found.values()] == [
        [1],
        [1, 2],
        [],
        [3],
        [1, 2],
    ]
    assert found[7].colors == {1: blue, 2: red}
    with pytest.raises(MaskError, match="frame 4: mask is empty"):
        list(read_references([(4, stripes())], shape=(40, 100)))


def test_palette_references_say_when_an_id_changes_its_colour() -> None:
    indices = disc().astype(np.uint8)
    known = KnownColors()
    read_mask_colors(stripes((255, 0, 0)), shape=(40, 100), known=known)
    reading = read_mask_colors(
        MaskPicture(indices, Palette.davis().colors), shape=indices.shape, known=known
    )
    assert reading.notices == ("object 1 is #800000 here and was #ff0000 on an earlier mask",)


def test_more_than_255_objects_is_an_error() -> None:
    known = KnownColors({(i, 0, 0): i for i in range(1, 256)})
    with pytest.raises(MaskError, match="255 objects"):
        known.identify([(0, 250, 250)])


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)]
)
def test_mask_picture_checks_its_array(pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="mask picture is"):
        MaskPicture(pixels)


def test_davis_palette_and_ids() -> None:
    palette = Palette.davis()
    assert palette.colors[:5].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
    ]
    assert palette.colors[8].tolist() == [64, 0, 0]
    assert palette.colors[255].tolist() == [224, 224, 192]
    mask = np.array([[0, 3], [1, 3]], np.uint8)
    assert object_ids(mask) == (1, 3)
    assert palette.paint(mask)[1, 0].tolist() == [128, 0, 0]


def test_a_mask_at_another_size_takes_the_nearest_pixels() -> None:
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert resize_nearest(mask, (2, 3)) is mask
    assert resize_nearest(mask, (4, 6)).tolist() == np.kron(mask, np.ones((2, 2), int)).tolist()
    assert resize_nearest(resize_nearest(mask, (6, 9)), (2, 3)).tolist() == mask.tolist()


def test_colours_are_written_and_read_as_rrggbb() -> None:
    assert hex_color((255, 128, 1)) == "#ff8001"
    assert parse_hex_color("#Ff8001") == (255, 128, 1)
    for wrong in ("ff8001", "#ff80", "#ff80011", "#gg8001", "", "#ff800\uff11"):
        assert parse_hex_color(wrong) is None


def test_matte_and_palette_check_themselves() -> None:
    assert Matte(np.zeros((2, 2), np.uint16)).full == 65535
    with pytest.raises(ValueError, match="expected uint8 or uint16"):
        Matte(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="palette is"):
        Palette(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_thin_soft_strokes_are_objects(width: int) -> None:
    big = Image.new("RGB", (1600, 1200))
    canvas = ImageDraw.Draw(big)
    canvas.line([(40, 50), (900, 1100), (1500, 300)], fill=(255, 0, 0), width=width * 4)
    pixels = np.asarray(big.resize((400, 300), Image.Resampling.BOX))
    alone = read(pixels)
    assert list(alone.coverage) == [1]
    canvas.ellipse((800, 100, 1300, 500), fill=(0, 255, 0))
    pixels = np.asarray(big.resize((400, 300), Image.Resampling.BOX))
    beside = read(pixels)
    np.testing.assert_array_equal(beside.mask == 1, alone.mask == 1)
    assert list(beside.coverage) == [1, 2]


@pytest.mark.parametrize("codec", ["PNG", "JPEG", "WEBP"])
def test_feathered_colour_is_one_object(codec: str) -> None:
    y, x = np.mgrid[:240, :427]
    amount = np.clip(
        (110 + 20 * np.sin(5 * np.arctan2(y - 120, x - 210)) - np.hypot(y - 120, x - 210)) / 16,
        0,
        1,
    )
    buffer = io.BytesIO()
    Image.fromarray(np.rint(amount[..., None] * (0, 120, 255)).astype(np.uint8)).save(
        buffer, codec, quality=50
    )
    reading = read(np.asarray(Image.open(buffer).convert("RGB")))
    assert list(reading.coverage) == [1]
    assert iou(reading.mask == 1, amount >= 0.5) > 0.97
