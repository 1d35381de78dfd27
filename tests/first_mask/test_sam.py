"""SAM 2 and EdgeTAM as methods for first masks, on tiny random weights: given what the library's
own processor gives, asked once per picture, and never against a mark.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine
from support.tiny_sam import FAMILIES, NEEDS_SAM, SIDE_PX, lacks, save_tiny

import vfx_matte
from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.first_mask import Click, Marks, Stroke, method_names, open_first_mask
from vfx_matte.segment_anything import Family, OpenNetwork, open_network
from vfx_matte.workspace import load_mask

pytestmark = NEEDS_SAM
HEIGHT, WIDTH = 90, 130


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(family.name, tmp_path_factory.mktemp("weights") / family.name)


@pytest.fixture(scope="module")
def network(family: Family, folder: Path) -> OpenNetwork:
    return open_network(family, folder, for_clips=False, device="cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    noise[20:60, 30:80] = (220, 60, 40)
    return noise


def opened(image: np.ndarray, network: OpenNetwork) -> Any:  # noqa: ANN401
    return open_first_mask(image, network=None, clicker=network)


@pytest.mark.skipif(lacks("torchvision"), reason="the library's processor needs torchvision")
@pytest.mark.parametrize("kind", ["one click", "clicks", "box", "box and click"])
def test_the_numbers_are_those_of_the_librarys_own_processor(
    image: np.ndarray, family: Family, folder: Path, network: OpenNetwork, kind: str
) -> None:
    import torch
    import transformers
    from transformers import Sam2ImageProcessor, Sam2Processor

    points = {"one click": [(50, 33)], "clicks": [(50, 33), (9, 70)], "box and click": [(50, 33)]}
    box = (28, 18, 55, 44) if "box" in kind else None
    clicks = [Click(x, y, index == 0) for index, (x, y) in enumerate(points.get(kind, []))]
    # 1. the library
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": SIDE_PX, "width": SIDE_PX}))
    prompts: dict[str, Any] = {}
    if clicks:
        prompts["input_points"] = [[[[one.x, one.y] for one in clicks]]]
        prompts["input_labels"] = [[[int(one.is_object) for one in clicks]]]
    if box:
        prompts["input_boxes"] = [[[box[0], box[1], box[0] + box[2], box[1] + box[3]]]]
    own = getattr(transformers, family.picture_class).from_pretrained(folder).eval()
    inputs = processor(images=image, return_tensors="pt", **prompts)
    original = inputs.pop("original_sizes")
    with torch.inference_mode():
        found = own(**inputs, multimask_output=kind == "one click")
    best = int(found.iou_scores[0, 0].argmax())
    expected = processor.post_process_masks(
        found.pred_masks[:, :, best : best + 1], original, binarize=False
    )[0][0, 0].numpy()
    # 2. here
    method = opened(image, network)
    odds, score = method._predict(box, clicks, None)
    assert expected.std() > 0.05
    np.testing.assert_allclose(odds, np.clip(expected, odds.min(), odds.max()), atol=2e-3)
    assert score == pytest.approx(min(max(float(found.iou_scores[0, 0, best]), 0), 1), abs=1e-4)


def test_the_picture_is_encoded_once(
    image: np.ndarray, network: OpenNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode = network.network.get_image_embeddings

    def counted(pixels: Any) -> Any:  # noqa: ANN401
        calls.append(pixels.shape)
        return encode(pixels)

    monkeypatch.setattr(network.network, "get_image_embeddings", counted)
    method = opened(image, network)
    method.prepare()
    first = method.answer(Marks(clicks=(Click(50, 33),)))
    second = method.answer(Marks(box=(20, 10, 70, 60)))
    assert calls == [(1, 3, SIDE_PX, SIDE_PX)]
    assert not np.array_equal(first.mask, second.mask)
    again = opened(image, network).answer(Marks(clicks=(Click(50, 33),)))
    assert np.array_equal(again.probability, first.probability)
    assert again.confidence == first.confidence
    assert 0 <= first.confidence <= 1


@pytest.mark.parametrize("seed", range(6))
def test_marks_always_win_where_they_are(
    image: np.ndarray, network: OpenNetwork, seed: int
) -> None:
    random = np.random.default_rng(seed)
    where = {(int(x), int(y)) for x, y in random.integers(4, 86, (6, 2))}
    clicks = tuple(Click(x, y, index % 2 == 0) for index, (x, y) in enumerate(sorted(where)))
    stroke = Stroke(((95, 10), (120, 30), (100, 80)), is_object=bool(seed % 2))
    marks = Marks(clicks=clicks, strokes=(stroke,))
    answer = opened(image, network).answer(marks)
    for click in clicks:
        assert answer.probability[click.y, click.x] == float(click.is_object)
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.polylines(drawn, [np.array(stroke.points, np.int32)], isClosed=False, color=1)
    far = marks.labels((HEIGHT, WIDTH))
    assert (answer.mask[(drawn > 0) & (far == 1)] == 1).all()
    assert (answer.mask[(drawn > 0) & (far == -1)] == 0).all()
    boxed = opened(image, network).answer(Marks(box=(20, 10, 70, 60)))
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[10:70, 20:90] = False
    assert not boxed.mask[outside].any()


def test_a_stroke_is_one_point_for_the_network(
    image: np.ndarray, network: OpenNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = opened(image, network)
    asked = []
    predict = method._predict

    def noted(box: Any, points: Any, before: Any) -> Any:  # noqa: ANN401
        asked.append(list(points))
        return predict(box, points, before)

    monkeypatch.setattr(method, "_predict", noted)
    line = tuple((30 + index, 40) for index in range(50))
    method.answer(Marks(strokes=(Stroke(line),), clicks=(Click(5, 5, is_object=False),)))
    assert asked == [[Click(*line[25]), Click(5, 5, is_object=False)]]


@pytest.fixture
def blind(image: np.ndarray, network: OpenNetwork, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """A method whose network sees nothing, and is sure of it to 0.3."""
    method = opened(image, network)
    nothing = np.full(image.shape[:2], -0.5, np.float32)
    monkeypatch.setattr(method, "_predict", lambda *_: (nothing, 0.3))
    return method


def test_a_mark_that_the_network_does_not_follow_takes_what_looks_like_it(
    image: np.ndarray,
    blind: Any,  # noqa: ANN401
) -> None:
    """Corrected as by the other methods: not the mark's own disc alone."""
    answer = blind.answer(Marks(clicks=(Click(50, 40),)))
    disc = Marks(clicks=(Click(50, 40),)).labels(image.shape[:2]) > 0
    assert np.count_nonzero(answer.mask) > 4 * np.count_nonzero(disc)
    assert np.count_nonzero(answer.mask[20:60, 30:80]) > 0.9 * np.count_nonzero(answer.mask)
    assert answer.confidence == 0.3
    assert "mark what is missing" in answer.advice


def test_a_box_in_which_nothing_is_found_asks_for_a_mark(blind: Any) -> None:  # noqa: ANN401
    """There is a box already, so drawing one is no advice; as the built-in method says."""
    answer = blind.answer(Marks(box=(20, 10, 70, 60)))
    assert not answer.mask.any()
    assert answer.confidence == 0
    assert answer.advice == "nothing stands out in the box: mark the object too"


def test_a_further_mark_changes_the_mask_where_it_is_and_nowhere_else(
    image: np.ndarray, network: OpenNetwork
) -> None:
    before = np.zeros((HEIGHT, WIDTH), np.float32)
    before[20:60, 30:80] = 1
    before[70:85, 100:125] = 1
    method = opened(image, network)
    grown = method.answer(Marks(clicks=(Click(10, 10),)), before)
    assert (grown.mask[before > 0] == 1).all(), "an object mark takes nothing away"
    assert grown.mask[10, 10] == 1
    reduced = method.answer(Marks(clicks=(Click(110, 78, is_object=False),)), before)
    assert reduced.mask[78, 110] == 0
    assert not (reduced.mask[before == 0]).any(), "a background mark adds nothing"
    assert (reduced.mask[20:60, 30:80] == 1).all(), "what is not connected to the mark stays"


def test_nothing_to_start_from_is_refused(image: np.ndarray, network: OpenNetwork) -> None:
    method = opened(image, network)
    with pytest.raises(UsageError, match="nothing says where the object is"):
        method.answer(Marks(clicks=(Click(5, 5, is_object=False),)))
    empty = np.zeros((HEIGHT, WIDTH), np.float32)
    with pytest.raises(UsageError, match="the mask to start from is empty"):
        method.answer(Marks(clicks=(Click(5, 5, is_object=False),)), empty)
    assert method.answer(Marks(clicks=(Click(5, 5),)), empty).mask[5, 5] == 1
    assert method.subjects() == []


@pytest.fixture
def clip(cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]) -> Path:
    return take(
        make_clip("clip.mp4", pts=tuple(range(0, 4 * 512, 512)), time_base=Fraction(1, 15360))
    )


def test_through_the_command_line_and_python(
    cli: CommandLine, clip: Path, family: Family, folder: Path
) -> None:
    shutil.copytree(folder, Path("model") / family.folders[-1])
    marks = ("--fg", "20,20", "--bg", "90,60", "--box", "4,4,90,58")
    cli("mask", clip, *marks[:4], "-o", "m.png", "--method", family.name)
    made = load_mask(Path("m.png"))
    assert (made[20, 20], made[60, 90]) == (1, 0)
    cli("mask", clip, *marks[4:], "-o", "b.png", "--method", family.name)
    assert load_mask(Path("b.png")).any()
    # a second object beside the first one, which stays
    cli("mask", clip, "--fg", "88,8", "--object", "2", "-o", "m.png", "--method", family.name)
    both = load_mask(Path("m.png"))
    assert both[8, 88] == 2
    assert both[20, 20] == 1
    found = vfx_matte.mask(
        str(clip), fg=[(20, 20)], bg=[(90, 60)], network=None, method=family.name
    )
    assert np.array_equal(found.mask, made)


def test_what_a_method_lacks_is_named(
    cli: CommandLine, clip: Path, family: Family, folder: Path
) -> None:
    before = cli.files()
    ran = cli.fails("mask", clip, "--fg", "20,20", "--method", family.name, code=2)
    assert f"{family.title} needs a network, but 'model/{family.folders[0]}' has no" in ran.error
    assert f"vfx-matte weights fetch {family.folders[0]}" in ran.stderr
    assert cli.files() == before
    shutil.copytree(folder, Path("model") / family.folders[0])
    (Path("model") / family.folders[0] / "model.safetensors").write_bytes(b"none")
    ran = cli.fails("mask", clip, "--fg", "20,20", "--method", family.name, code=1)
    assert f"is not a network of {family.title}" in ran.error
    with pytest.raises(WeightsError):
        vfx_matte.mask(str(clip), fg=[(20, 20)], network=None, method=family.name)


def test_methods_have_names(cli: CommandLine, clip: Path) -> None:
    assert method_names() == ("auto", "sam2", "edgetam", "salient", "graph")
    ran = cli.fails("mask", clip, "--fg", "20,20", "--method", "sam", code=2)
    assert "unknown method 'sam'" in ran.error
    cli("mask", clip, "--box", "8,8,60,40", "-o", "g.png", "--method", "graph")
    with pytest.raises(UsageError, match="method 'salient' needs U²-Netp, which is not there"):
        vfx_matte.mask(str(clip), fg=[(20, 20)], network=None, method="salient")
