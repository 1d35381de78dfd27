"""Pictures are prepared, and answers read, as the libraries' own processors do: the same tensors
in, the same instances out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny_detectors
from support.tiny_detectors import NEEDS_PACKAGES, QUIET, picture

from vfx_matte.detect.base import Detection
from vfx_matte.detect.instances import LEAST_SCORE
from vfx_matte.detect.registry import open_detector, registered
from vfx_matte.masks import Image, overlap
from vfx_matte.pretrained import size_with_aspect

pytestmark = [NEEDS_PACKAGES, QUIET]

# the tiny networks see 48 to 96 px; above and below, in every proportion
SHAPES = [(70, 90), (90, 70), (48, 64), (64, 64), (37, 91), (20, 31)]
LARGE = [(213, 160), (97, 300)]


class Recorder:
    """Stands before a network: keeps what it is given and what it gives."""

    def __init__(self, network: Callable[..., Any]) -> None:
        self.network = network
        self.inputs: dict[str, Any] = {}
        self.output: Any = None

    def __call__(self, **inputs: Any) -> Any:  # noqa: ANN401  tensors of an optional package
        self.inputs = inputs
        self.output = self.network(**inputs)
        return self.output


class Opened:
    """A detector with a recorder in it, and the library's processor of the same folder."""

    def __init__(self, name: str, processor: str, folder: Path) -> None:
        import transformers

        weights = tiny_detectors.make(name, folder / name)
        self.detector: Any = open_detector(registered(name), weights=weights, device="cpu")
        self.recorder = Recorder(self.detector._network._network)
        self.detector._network._network = self.recorder
        self.processor = getattr(transformers, processor).from_pretrained(weights)
        self.names = self.detector._network.names

    def detect(self, image: Image) -> list[Detection]:
        found: list[Detection] = self.detector.detect(image)
        return found


@pytest.fixture(scope="module")
def videomt(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened("videomt", "VideomtVideoProcessor", tmp_path_factory.mktemp("videomt"))


@pytest.fixture(scope="module")
def eomt(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened("eomt", "EomtImageProcessor", tmp_path_factory.mktemp("eomt"))


@pytest.fixture(scope="module")
def mask2former(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened("mask2former", "Mask2FormerImageProcessor", tmp_path_factory.mktemp("m2f"))


@pytest.fixture(scope="module")
def rf_detr(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened("rf-detr", "RfDetrImageProcessor", tmp_path_factory.mktemp("rf"))


def labels_and_scores(opened: Opened, info: list[dict[str, Any]]) -> list[tuple[str, float]]:
    told = [(opened.names[one["label_id"]], one["score"]) for one in info]
    return sorted(told, key=lambda one: -one[1])


def ours(found: list[Detection]) -> list[tuple[str, float]]:
    return [(one.class_name, pytest.approx(one.score, abs=2e-6)) for one in found]


def painted(opened: Opened, found: list[Detection], info: list[dict[str, Any]]) -> np.ndarray:
    """A map of ids as the library paints it, later segments over earlier ones, of our masks."""
    result = np.full(found[0].mask.shape, -1)
    for segment in info:
        (mask,) = [
            one.mask
            for one in found
            if opened.names[segment["label_id"]] == one.class_name
            and abs(one.score - segment["score"]) < 2e-6
        ]
        result[mask] = segment["id"]
    return result


@pytest.mark.parametrize("shape", SHAPES + LARGE)
def test_videomt(videomt: Opened, shape: tuple[int, int]) -> None:
    image = picture(*shape)
    found = videomt.detect(image)
    expected = videomt.processor(videos=[[image]], return_tensors="pt").pixel_values_videos
    given = videomt.recorder.inputs["pixel_values_videos"]
    assert given.shape == (1, 1, 3, tiny_detectors.SIDE, tiny_detectors.SIDE)
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-6)
    (told,) = videomt.processor.post_process_instance_segmentation(
        videomt.recorder.output, target_sizes=[shape], threshold=LEAST_SCORE
    )
    assert len(found) >= 3
    assert ours(found) == labels_and_scores(videomt, told["segments_info"])
    np.testing.assert_array_equal(
        painted(videomt, found, told["segments_info"]), told["segmentation"].numpy()
    )


def test_videomt_sees_a_still_clip_where_that_is_asked_for(tmp_path: Path) -> None:
    from vfx_matte.detect.videomt import Videomt

    weights = tiny_detectors.make("videomt", tmp_path / "videomt")
    image = picture(70, 101)
    once, twice = (
        Videomt(weights=weights, device="cpu", still_frames=frames).detect(image)
        for frames in (1, 2)
    )
    network = Videomt(weights=weights, device="cpu")._network
    pixels = network.preprocessing.tensor(image, tiny_detectors.SIDE, tiny_detectors.SIDE)
    clip = pixels[None].repeat(1, 2, 1, 1, 1)
    second = network(pixel_values_videos=clip).class_queries_logits[1].softmax(-1)[:, :-1]
    assert twice[0].score <= float(second.max())
    assert [one.score for one in once] != [one.score for one in twice]


@pytest.mark.parametrize("shape", SHAPES + LARGE)
def test_eomt(eomt: Opened, shape: tuple[int, int]) -> None:
    image = picture(*shape)
    found = eomt.detect(image)
    expected = eomt.processor(images=image, return_tensors="pt").pixel_values
    given = eomt.recorder.inputs["pixel_values"]
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-6)
    (told,) = eomt.processor.post_process_instance_segmentation(
        eomt.recorder.output, target_sizes=[shape], threshold=LEAST_SCORE
    )
    assert len(found) >= 3
    assert ours(found) == labels_and_scores(eomt, told["segments_info"])
    np.testing.assert_array_equal(
        painted(eomt, found, told["segments_info"]), told["segmentation"].numpy()
    )


@pytest.mark.parametrize("shape", [*SHAPES, *LARGE, (384, 384), (1152, 384)])
def test_mask2former(mask2former: Opened, shape: tuple[int, int]) -> None:
    image = picture(*shape)
    found = mask2former.detect(image)
    expected = mask2former.processor(images=image, return_tensors="pt").pixel_values
    given = mask2former.recorder.inputs["pixel_values"]
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-6)
    (told,) = mask2former.processor.post_process_instance_segmentation(
        mask2former.recorder.output, target_sizes=[shape], threshold=LEAST_SCORE,
        return_binary_maps=True,
    )  # fmt: skip
    listed = best_of_each_mask(mask2former, told)
    assert len(found) >= 3
    assert ours(found) == [(name, score) for name, score, _ in listed]
    for one, (_, _, mask) in zip(found, listed, strict=True):
        # the library cuts masks out at 384 × 384 and takes the nearest pixel of those: where the
        # picture is three times as large, that is the middle one of three
        if (rows := shape[0] // 384) and (columns := shape[1] // 384):
            middle = np.s_[rows // 2 :: rows, columns // 2 :: columns]
            np.testing.assert_array_equal(one.mask[middle], mask[middle])
        else:
            assert overlap(one.mask, mask) > 0.75


@pytest.mark.parametrize("edges", [(40, 60), (64, 400)])
@pytest.mark.parametrize("shape", SHAPES)
def test_mask2former_in_the_pictures_own_proportions(
    mask2former: Opened, shape: tuple[int, int], edges: tuple[int, int]
) -> None:
    """As folders have it that name edges and no square."""
    import dataclasses

    network = mask2former.detector._network
    whole = network.preprocessing
    try:
        network.preprocessing = dataclasses.replace(
            whole, size=None, shortest_edge=edges[0], longest_edge=edges[1]
        )
        mask2former.detect(picture(*shape))
    finally:
        network.preprocessing = whole
    size = {"shortest_edge": edges[0], "longest_edge": edges[1]}
    expected = mask2former.processor(images=picture(*shape), size=size, return_tensors="pt")
    given = mask2former.recorder.inputs["pixel_values"]
    np.testing.assert_allclose(given.numpy(), expected.pixel_values.numpy(), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_rf_detr(rf_detr: Opened, shape: tuple[int, int]) -> None:
    image = picture(*shape)
    found = rf_detr.detect(image)
    expected = rf_detr.processor(images=image, return_tensors="pt").pixel_values
    given = rf_detr.recorder.inputs["pixel_values"]
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-6)
    (told,) = rf_detr.processor.post_process_instance_segmentation(
        rf_detr.recorder.output, target_sizes=[shape], threshold=LEAST_SCORE,
        return_binary_maps=True, top_k=10**6,
    )  # fmt: skip
    listed = [one for one in best_of_each_mask(rf_detr, told) if one[0] != "N/A"]
    assert len(found) >= 3
    assert ours(found) == [(name, score) for name, score, _ in listed]
    for one, (_, _, mask) in zip(found, listed, strict=True):
        np.testing.assert_array_equal(one.mask, mask)


def test_rf_detr_averages_large_pictures(rf_detr: Opened) -> None:
    """Of a checkerboard of single pixels the library takes one in eleven, black or white."""
    board = np.indices((528, 528)).sum(axis=0) % 2 * 255
    image = board[:, :, None].repeat(3, axis=2).astype(np.uint8)
    rf_detr.detect(image)
    given = rf_detr.recorder.inputs["pixel_values"][0].numpy()
    mean, deviation = (
        np.reshape(tiny_detectors.IMAGENET[key], (3, 1, 1)) for key in ("image_mean", "image_std")
    )
    np.testing.assert_allclose(given * deviation + mean, 0.5, atol=0.01)


def best_of_each_mask(opened: Opened, told: dict[str, Any]) -> list[tuple[str, float, np.ndarray]]:
    """The library's instances, the surest first. It lists a query once for each of its classes;
    here it is the surest one.
    """
    listed = sorted(
        (
            (opened.names[info["label_id"]], info["score"], mask.numpy() > 0)
            for info, mask in zip(told["segments_info"], told["segmentation"], strict=True)
        ),
        key=lambda one: -one[1],
    )
    best: list[tuple[str, float, np.ndarray]] = []
    for one in listed:
        if not any(np.array_equal(one[2], other[2]) for other in best):
            best.append(one)
    return best


@pytest.fixture(scope="module")
def mask_rcnn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        tiny_detectors.narrow_mask_rcnn(patch.setattr)
        yield tiny_detectors.make("mask-rcnn", tmp_path_factory.mktemp("mask-rcnn"))


@pytest.mark.parametrize("shape", [(70, 101), (101, 70), (213, 160)])
def test_mask_rcnn_gives_what_torchvision_does(mask_rcnn: Path, shape: tuple[int, int]) -> None:
    import torch
    from PIL import Image as PilImage
    from torchvision.models import detection

    facts = detection.MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1
    network = detection.maskrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=91
    )
    network.load_state_dict(torch.load(mask_rcnn, weights_only=True))
    image = picture(*shape)
    with torch.inference_mode():
        (told,) = network.eval()([facts.transforms()(PilImage.fromarray(image))])
    expected = [
        (facts.meta["categories"][label], score, mask[0].numpy() > 0.5)
        for label, score, mask in zip(
            told["labels"].tolist(), told["scores"].tolist(), told["masks"], strict=True
        )
        if facts.meta["categories"][label] != "N/A"
    ]
    expected = [one for one in expected if one[2].any()]
    found = open_detector(registered("mask-rcnn"), weights=mask_rcnn, device="cpu").detect(image)
    assert len(found) >= 3
    assert ours(found) == [(name, score) for name, score, _ in expected]
    for one, (_, _, mask) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.mask, mask)


def test_the_file_and_the_builder_are_torchvisions() -> None:
    from torchvision.models import detection

    from vfx_matte.detect import mask_rcnn as ours_of

    published = detection.MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url
    assert published.rpartition("/")[2] == ours_of.WEIGHTS_FILE == registered("mask-rcnn").weights
    assert getattr(detection, ours_of.BUILDER) is not None


def test_sizes_in_proportion_are_the_librarys() -> None:
    from transformers.image_transforms import get_size_with_aspect_ratio

    random = np.random.default_rng(2)
    for height, width in [*random.integers(60, 3000, (400, 2)).tolist(), (1080, 1920), (640, 640)]:
        for shortest, longest in ((800, 1333), (640, 640), (480, 800), (384, None)):
            assert size_with_aspect((height, width), shortest, longest) == (
                get_size_with_aspect_ratio((height, width), shortest, longest)
            )
