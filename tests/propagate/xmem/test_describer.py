"""`suggest` with XMem's keys, and the built-in keys in XMem's own formula."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine, paint, pictures

torch = pytest.importorskip("torch")

from support.xmem_memory import next_references  # noqa: E402

from vfx_matte.masks import Palette  # noqa: E402
from vfx_matte.propagate.builtin.describer import BuiltinDescriber, BuiltinKeys  # noqa: E402
from vfx_matte.propagate.xmem.frame_keys import dissimilarity  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemPropagator  # noqa: E402
from vfx_matte.propagate.xmem.store import Rows  # noqa: E402
from vfx_matte.workspace import load_mask, save_mask  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("weights") / "XMem.pth"
    torch.save(XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict(), path)
    return path


@pytest.fixture
def masked(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> CommandLine:
    """clip.mp4 with a mask in the workspace for each of its 12 frames, of different places and
    sizes; 2 is the reference.
    """
    take(make_clip("clip.mp4", pts=tuple(range(0, 12 * 512, 512)), time_base=Fraction(1, 15360)))
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 8:32] = 1
    paint(Path("m.png"), mask)
    cli("segment", "clip.mp4", "--mask", "2=m.png", "--propagator", "fake")
    for index in range(12):
        if index != 2:
            mask = np.zeros((64, 96), np.uint8)
            mask[10 : 30 + 2 * index, 5 * index : 5 * index + 25] = 1 + index % 2
            save_mask(Path(f"workspace/clip/masks/{index:07d}.png"), mask, Palette.davis())
    return cli


@pytest.mark.parametrize(("size", "alpha"), [(-1, 0.5), (32, 1.0)])
def test_the_ranking_is_that_of_the_algorithm_on_every_frame(
    masked: CommandLine, weights: Path, size: int, alpha: float
) -> None:
    arguments = (
        "--propagator",
        "xmem",
        "--weights",
        weights,
        "--size",
        str(size),
        "--alpha",
        str(alpha),
        "--device",
        "cpu",
    )
    found = json.loads(masked("suggest", "clip.mp4", "--json", "-k", "4", *arguments).stdout)
    network = XMemPropagator(num_objects=2, weights=weights, size=size)
    frames = [
        (
            frame.to_ndarray(format="rgb24"),
            load_mask(Path(f"workspace/clip/masks/{index:07d}.png")),
        )
        for index, frame in enumerate(pictures(Path("clip.mp4")))
    ]
    keys = [network.frame_keys(image, mask) for image, mask in frames]
    expected = next_references(network, frames, previous=[2], count=4, alpha=alpha)
    assert [one["frame"] for one in found["suggestions"]] == expected
    first = found["suggestions"][0]
    known = keys[2].composite(alpha)
    assert first["distance"] == pytest.approx(
        dissimilarity(keys[first["frame"]].composite(alpha), known), rel=0.05
    )
    assert found["propagator"] == "xmem"
    assert Path("workspace/clip/suggest.png").is_file()


def test_auto_is_the_one_that_made_the_masks(masked: CommandLine, weights: Path) -> None:
    assert (
        json.loads(masked("suggest", "clip.mp4", "--json", "--weights", weights).stdout)[
            "propagator"
        ]
        == "builtin"
    )
    arguments = (
        "--propagator",
        "xmem",
        "--weights",
        weights,
        "--size",
        "32",
        "--stop",
        "4",
        "--fresh",
    )
    masked("segment", "clip.mp4", "--mask", "2=m.png", *arguments)
    ran = masked("suggest", "clip.mp4", "--json", "--weights", weights, "-k", "1")
    found = json.loads(ran.stdout)
    assert found["propagator"] == "xmem"
    assert "--propagator xmem" in found["segment_command"]
    gone = masked("suggest", "clip.mp4", "--json", "--weights", "gone.pth", "-k", "1")
    assert json.loads(gone.stdout)["propagator"] == "builtin"
    assert any(
        "the masks are those of the XMem propagator" in note and "gone.pth" in note
        for note in gone.notes
    )


def test_the_segment_command_repeats_how_the_masks_were_made(
    masked: CommandLine, weights: Path
) -> None:
    """Pasted, it makes a run with the same settings, soft results included."""
    choices = (
        "--size",
        "32",
        "--memory",
        "xmem",
        "--mem-every",
        "3",
        "--no-long-term",
        "--flip",
        "--soft",
        "--stop",
        "4",
    )
    masked(
        "segment",
        "clip.mp4",
        "--mask",
        "2=m.png",
        "--propagator",
        "xmem",
        "--weights",
        weights,
        *choices,
        "--fresh",
    )
    manifest = Path("workspace/clip/manifest.json")
    earlier = json.loads(manifest.read_text(encoding="utf-8"))
    found = json.loads(
        masked("suggest", "clip.mp4", "--json", "--weights", weights, "-k", "1").stdout
    )
    Path(found["suggestions"][0]["mask"]).write_bytes(Path("m.png").read_bytes())
    masked(*shlex.split(found["segment_command"])[1:])
    again = json.loads(manifest.read_text(encoding="utf-8"))
    assert again["settings"] == earlier["settings"]
    assert (again["propagator"], again["stop"], len(again["references"])) == ("xmem", 4, 2)


def test_weights_that_are_not_there_are_named(masked: CommandLine) -> None:
    ran = masked.fails(
        "suggest", "clip.mp4", "--propagator", "xmem", "--weights", "gone.pth", code=1
    )
    assert "gone.pth" in ran.error


def test_the_builtin_distance_is_the_same_formula_with_one_feature_selected_at_a_time() -> None:
    """Each position listed once per feature, with shrinkage 1 and a selection of that feature
    alone.
    """
    random = np.random.default_rng(1)
    describer, alpha = BuiltinDescriber(), 0.4
    frames = []
    for _ in range(2):
        image = random.integers(0, 256, (6, 10, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        frames.append(
            describer.describe(
                image, random.integers(0, 2, (6, 10), np.uint8).repeat(8, 0).repeat(8, 1)
            )
        )

    def rows(keys: BuiltinKeys) -> Rows:
        key = torch.from_numpy(keys.composite(alpha))
        features = key.shape[1]
        selection = torch.eye(features).repeat_interleave(len(key), 0)
        return Rows(key.repeat(features, 1), torch.ones(features * len(key), 1), selection)

    # similarities are divided by √CK
    expected = dissimilarity(rows(frames[0]), rows(frames[1])) * math.sqrt(5)
    assert describer.distance(*frames, alpha=alpha) == pytest.approx(expected, rel=1e-3)
