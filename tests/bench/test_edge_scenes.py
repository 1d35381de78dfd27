"""scene.edges: truth that holds exactly, edges that are of the kind they say, backgrounds and
subjects that move.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.scenes.edges import EDGE_KINDS, EdgeScene


def soft_share(kind: str, seed: int = 0) -> float:
    """Soft pixels as a share of the subject's area."""
    alpha = EdgeScene(kind, 320, 180, seed).frame(0).alpha
    return float(((alpha > 0.02) & (alpha < 0.98)).sum() / alpha.sum())


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_the_picture_is_its_foreground_over_its_background(kind: str) -> None:
    frame = EdgeScene(kind, 192, 108, 3).frame(2)
    composed = frame.covered + frame.background * (1 - frame.alpha[..., None])
    np.testing.assert_allclose(frame.image, composed.clip(0, 255), atol=0.501)
    assert frame.image.dtype == np.uint8
    assert (frame.alpha.dtype, frame.alpha.min(), frame.alpha.max()) == (np.float32, 0, 1)
    assert 0.05 < frame.alpha.mean() < 0.6
    np.testing.assert_allclose(frame.over(frame.background), composed, atol=1e-3)
    white = frame.over(np.full_like(frame.background, 255.0))
    assert (white[frame.alpha == 0] == 255).all()


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_colours_of_the_foreground_are_colours(kind: str) -> None:
    """Premultiplied colours never exceed alpha by more than the noise."""
    frame = EdgeScene(kind, 192, 108, 4).frame(0)
    assert (frame.covered <= frame.alpha[..., None] * (255 + 9) + 0.01).all()
    assert (frame.covered >= -9 * frame.alpha[..., None] - 0.01).all()


@pytest.mark.slow
def test_kinds_differ_in_how_soft_they_are() -> None:
    shares = {kind: np.mean([soft_share(kind, seed) for seed in (0, 1, 2)]) for kind in EDGE_KINDS}
    assert shares["hair"] > 4 * shares["hard"]
    assert min(shares[kind] for kind in EDGE_KINDS if kind != "hard") > 1.5 * shares["hard"]


def test_motion_is_blurred_along_it_and_the_blur_is_the_mean_of_the_exposure() -> None:
    """The alpha of a frame lies between those that a shutter of no length would see at its two ends
    or in between.
    """
    scene = EdgeScene("motion blur", 320, 180, 1)
    frame = scene.frame(5)
    moments = np.stack([scene._posed(5 + part)[..., 3] for part in np.linspace(0, 0.5, 25)])
    assert (frame.alpha <= moments.max(axis=0) + 0.02).all()
    assert (frame.alpha >= moments.min(axis=0) - 0.02).all()


def test_subject_and_background_move_and_otherwise() -> None:
    scene = EdgeScene("hard", 320, 180, 2)
    one, two = scene.frame(0), scene.frame(6)
    assert np.abs(one.alpha - two.alpha).mean() > 0.002
    assert np.abs(one.background - two.background).mean() > 3


def test_equal_arguments_give_equal_frames_in_any_order() -> None:
    first, second = EdgeScene("glass", 128, 96, 9), EdgeScene("glass", 128, 96, 9)
    second.frame(1)
    np.testing.assert_array_equal(first.frame(3).image, second.frame(3).image)
    assert (first.frame(3).image != EdgeScene("glass", 128, 96, 10).frame(3).image).any()


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="'fog' is unknown"):
        EdgeScene("fog")
    with pytest.raises(ValueError, match="at least 64"):
        EdgeScene("hair", 32, 64)
    with pytest.raises(ValueError, match="negative"):
        EdgeScene("hair", 64, 64).frame(-1)
