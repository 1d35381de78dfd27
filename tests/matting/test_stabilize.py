"""Steadied mattes: edges that stand still flicker less, edges that move do not lag, cuts and lost
tracks leave no ghost.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Matte
from vfx_matte.matting import Stabilizer

ONE = 65535
SHAPE = (240, 320)


def texture(seed: int, shape: tuple[int, int] = (400, 600)) -> np.ndarray:
    """Smooth colour noise around mid-gray: float32 (H, W, 3)."""
    noise = np.random.default_rng(seed).standard_normal((*shape, 3)).astype(np.float32)
    return 128 + cv2.GaussianBlur(noise, (0, 0), 3) * 300


def frame(x: float, *, subject: int = 1, backdrop: int = 2) -> tuple[Image, np.ndarray]:
    """A textured square of 120 px whose left edge is at x, carried along with its texture; and its
    true alpha, 0..1.
    """
    height, width = SHAPE
    shift = np.float32([[1, 0, x - 100], [0, 1, 0]])
    front = cv2.warpAffine(texture(subject), shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    square = np.zeros((height, 600), np.float32)
    square[60:180, 100:220] = 1
    alpha = cv2.warpAffine(cv2.GaussianBlur(square, (0, 0), 1.5), shift, (width, height))
    image = alpha[..., None] * front + (1 - alpha[..., None]) * texture(backdrop)[:height, :width]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), alpha


def matte(alpha: np.ndarray) -> Matte:
    return Matte(np.rint(alpha * ONE).astype(np.uint16))


def jittered(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same edge, displaced by smooth noise of about a pixel."""
    push = (
        cv2.GaussianBlur(
            rng.standard_normal((2, *SHAPE)).astype(np.float32).transpose(1, 2, 0), (0, 0), 6
        )
        * 18
    )
    x, y = np.meshgrid(np.arange(SHAPE[1], dtype=np.float32), np.arange(SHAPE[0], dtype=np.float32))
    return cv2.remap(alpha, x + push[..., 0], y + push[..., 1], cv2.INTER_LINEAR)


@pytest.mark.parametrize(("strength", "times"), [(0.5, 1.4), (1.0, 2.2)])
def test_a_noisy_edge_that_stands_still_flickers_less(strength: float, times: float) -> None:
    rng, steady = np.random.default_rng(0), Stabilizer(strength)
    image, truth = frame(90)
    raw = [jittered(truth, rng) for _ in range(14)]
    noise = rng.normal(0, 1.5, (14, *image.shape))
    pictures = [np.clip(image + one, 0, 255).astype(np.uint8) for one in noise]
    smooth = [
        steady(matte(one), picture).alpha / ONE for one, picture in zip(raw, pictures, strict=True)
    ]

    def flicker(mattes: list[np.ndarray]) -> float:
        return float(
            np.mean(
                [np.abs(after - before).sum() for before, after in itertools.pairwise(mattes[5:])]
            )
        )

    assert flicker(smooth) * times < flicker(raw)
    errors = [
        np.mean([np.abs(one - truth).sum() for one in mattes[5:]]) for mattes in (smooth, raw)
    ]
    assert errors[0] < errors[1], "and is nearer to the truth"


@pytest.mark.parametrize("speed", [1.5, 4, -7])
def test_a_moving_edge_does_not_lag(speed: float) -> None:
    steady, start = Stabilizer(1.0), 60 if speed > 0 else 150
    behind = []
    for index in range(10):
        image, truth = frame(start + speed * index)
        result = steady(matte(truth), image).alpha / ONE
        columns = np.arange(SHAPE[1])
        centre, wanted = ((one.sum(axis=0) * columns).sum() / one.sum() for one in (result, truth))
        behind.append(float(centre - wanted))
        assert np.abs(result - truth).mean() < 0.002
    assert np.abs(behind).max() < 0.15, (
        "a lag of one frame at strength 1 would be four times the speed"
    )


def test_a_cut_leaves_no_ghost() -> None:
    steady = Stabilizer(1.0)
    for _ in range(4):
        image, truth = frame(60)
        steady(matte(truth), image)
    image, truth = frame(150, subject=5, backdrop=6)
    image = 255 - image
    result = steady(matte(truth), image).alpha / ONE
    assert np.abs(result - truth).max() < 0.25
    assert np.abs(result - truth).mean() < 0.01


def test_known_pixels_stay_known() -> None:
    """Where alpha is 0 or 1 for the whole surroundings in both frames it stays exactly that."""
    steady = Stabilizer(1.0)
    for index in range(3):
        image, truth = frame(80 + index)
        result = steady(matte(truth), image).alpha
    inside = cv2.erode((truth == 1).astype(np.uint8), np.ones((15, 15), np.uint8)) == 1
    outside = cv2.dilate((truth > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert (result[inside] == ONE).all()
    assert not result[outside].any()


def test_off_is_off_and_reset_forgets() -> None:
    first, second = frame(60), frame(64)
    still = Stabilizer(0.0)
    assert still(matte(first[1]), first[0]).alpha is not None
    given = matte(second[1])
    assert still(given, second[0]) is given
    steady = Stabilizer(1.0)
    steady(matte(first[1]), first[0])
    steady.reset()
    np.testing.assert_array_equal(steady(given, second[0]).alpha, given.alpha)


def test_eight_bits_stay_eight_bits() -> None:
    steady = Stabilizer(1.0)
    for x in (60, 62):
        image, truth = frame(x)
        result = steady(Matte(np.rint(truth * 255).astype(np.uint8)), image).alpha
        assert result.dtype == np.uint8
        assert result.shape == SHAPE


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match=r"stabilize is 1\.5"):
        Stabilizer(1.5)
    with pytest.raises(ValueError, match="expected"):
        Stabilizer(1.0)(matte(np.zeros((4, 5))), np.zeros((5, 4, 3), np.uint8))
