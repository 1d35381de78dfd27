"""SAM 2 and EdgeTAM as propagators, on tiny random weights: the numbers of the library's own way
through a clip, in flat memory, and walks that go on bit for bit.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_sam import FAMILIES, NEEDS_SAM, SIDE_PX, lacks, save_tiny

from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.walk_state import ResumableWalk
from vfx_matte.segment_anything import Family

pytestmark = NEEDS_SAM


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(family.name, tmp_path_factory.mktemp("网络") / family.name)


def opened(family: Family, folder: Path, *, num_objects: int = 2, **more: Any) -> Any:  # noqa: ANN401
    from vfx_matte.propagate.sam.propagator import SamPropagator

    return SamPropagator(
        num_objects=num_objects, family=family, weights=folder, device="cpu", **more
    )


def clip(frames: int, shape: tuple[int, int] = (72, 100)) -> list[Image]:
    """Two coloured squares that move over noise."""
    random = np.random.default_rng(7)
    ground = random.integers(0, 90, (*shape, 3)).astype(np.uint8)
    found = []
    for index in range(frames):
        image = ground.copy()
        image[10:30, 5 + index % 60 : 30 + index % 60] = (220, 40, 30)
        image[40:66, 60 - index % 50 : 90 - index % 50] = (30, 60, 230)
        found.append(image)
    return found


def mask_of(shape: tuple[int, int] = (72, 100)) -> Mask:
    mask = np.zeros(shape, np.uint8)
    mask[10:30, 5:30], mask[40:66, 60:90] = 1, 2
    return mask


@pytest.mark.skipif(lacks("torchvision"), reason="the library's processor needs torchvision")
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_the_numbers_are_those_of_the_librarys_own_way_through_a_clip(
    family: Family, folder: Path, *, backward: bool
) -> None:
    """Its processor prepares pictures and masks, its session holds the whole clip and all that was
    ever found, its iterator goes through, backward too; here one frame at a time.
    """
    import torch
    import transformers
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    images, mask = clip(20), mask_of()
    # 1. the library
    network = getattr(transformers, family.clip_class).from_pretrained(folder).eval()
    size = {"height": SIDE_PX, "width": SIDE_PX}
    processor = Sam2VideoProcessor(
        Sam2ImageProcessor(size=size, mask_size=size), Sam2VideoVideoProcessor(size=size)
    )
    frames = processor.video_processor(
        videos=[torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)],
        device="cpu",
        return_tensors="pt",
    ).pixel_values_videos[0]
    session = getattr(transformers, family.session_class)(
        video=frames, video_height=72, video_width=100, dtype=torch.float32
    )
    origin = len(images) - 1 if backward else 0
    processor.process_new_mask_for_video_frame(
        session, origin, [1, 2], [(mask == 1).astype(float), (mask == 2).astype(float)]
    )
    network(inference_session=session, frame_idx=origin)
    expected = {}
    for found in network.propagate_in_video_iterator(
        session, start_frame_idx=origin, reverse=backward
    ):
        large = torch.nn.functional.interpolate(
            found.pred_masks, (72, 100), mode="bilinear", align_corners=False
        )[:, 0]
        expected[found.frame_idx] = torch.softmax(
            torch.cat([torch.zeros(1, 72, 100), large]), dim=0
        ).numpy()
    # 2. frame by frame
    propagator = opened(family, folder)
    order = range(origin, -1, -1) if backward else range(len(images))
    spread = []
    for index in order:
        given = propagator.step(images[index], mask if index == origin else None)
        if index != origin:
            np.testing.assert_allclose(given, expected[index], atol=2e-4)
            spread.append(given.std())
    assert min(spread) > 0.01


def held(propagator: Any) -> tuple[int, int]:  # noqa: ANN401
    """(tensors, bytes) that a propagator holds beside its network, wherever they are."""
    import torch

    own = {id(value) for value in propagator._open.network.state_dict().values()}
    seen: set[int] = set()
    storages: dict[int, int] = {}
    entries = 0

    def walk(thing: Any) -> None:  # noqa: ANN401
        nonlocal entries
        if id(thing) in seen or thing is propagator._open.network:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            if id(thing) not in own:
                entries += 1
                storages[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
        elif isinstance(thing, dict):
            entries += len(thing)
            for value in thing.values():
                walk(value)
        elif isinstance(thing, list | tuple | set):
            entries += len(thing)
            for value in thing:
                walk(value)
        elif type(thing).__module__.startswith(("transformers.models", "vfx_matte")):
            names = getattr(type(thing), "__slots__", ()) or vars(thing)
            for name in names:
                walk(getattr(thing, name))

    walk(propagator)
    return entries, sum(storages.values())


@pytest.mark.slow
def test_memory_is_flat_over_two_hundred_frames(family: Family, folder: Path) -> None:
    """Whatever a session holds, every dictionary's and list's entries counted, and the bytes of all
    tensors; and all tensors that are alive anywhere.
    """
    import gc

    import torch

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    images = clip(200)
    propagator = opened(family, folder)
    propagator.remember(images[0], mask_of())
    counts = {}
    for index, image in enumerate(images):
        propagator.step(image, mask_of() if index == 0 else None)
        if index in (40, 41, 120, 199):
            counts[index] = (*held(propagator), alive())
    assert counts[40] == counts[41] == counts[120] == counts[199]
    assert counts[199][1] < 2_000_000


def test_a_walk_goes_on_bit_for_bit_in_another_process(family: Family, folder: Path) -> None:
    images, mask = clip(24), mask_of()
    first = np.where(mask == 1, mask, 0).astype(np.uint8)

    def begun() -> Any:  # noqa: ANN401
        propagator = opened(family, folder)
        propagator.remember(images[0], first)
        propagator.remember(images[10], mask)
        propagator.attend({0: 0, 1: 10})
        return propagator

    whole, results = begun(), []
    state: Any = None
    for index, image in enumerate(images):
        results.append(whole.step(image, {0: first, 10: mask}.get(index)))
        if index == 15:
            state = whole.walk_state()
    assert isinstance(whole, ResumableWalk)
    again = begun()
    again.restore_walk(_as_written(state))
    for index in range(16, 24):
        assert np.array_equal(again.step(images[index]), results[index]), index


def _as_written(state: Any) -> Any:  # noqa: ANN401
    """Plain data alone: what is neither an array nor JSON is an error."""
    if isinstance(state, np.ndarray):
        return state.copy()
    if isinstance(state, dict):
        return {str(key): _as_written(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_as_written(value) for value in state]
    return json.loads(json.dumps(state))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _state: {},
        lambda state: {**state, "objects": []},
        lambda state: {**state, "time": 0},
        lambda state: {**state, "laid": [[1, 99]]},
        lambda state: {**state, "codes": {"maskmem_pos_enc": {"type": "int8", "values": [1]}}},
        lambda state: {**state, "objects": [{**state["objects"][0], "cond_frame_outputs": []}]},
    ],
)
def test_what_is_no_state_of_such_a_walk_is_refused(
    family: Family,
    folder: Path,
    spoil: Any,  # noqa: ANN401
) -> None:
    images = clip(3)
    propagator = opened(family, folder)
    propagator.step(images[0], mask_of())
    propagator.step(images[1])
    state = propagator.walk_state()
    with pytest.raises((ValueError, KeyError, TypeError, IndexError, AttributeError)):
        propagator.restore_walk(spoil(state))
    propagator.forget_temporary()
    propagator.step(images[0], mask_of())


def test_references_on_both_sides_are_used_and_their_order_does_not_matter(
    family: Family, folder: Path
) -> None:
    images, mask = clip(12), mask_of()
    other = np.roll(mask, 9, axis=1)
    results = []
    for order in ((0, 1), (1, 0), (0,)):
        propagator = opened(family, folder)
        for number in order:
            propagator.remember(images[11 * number], (mask, other)[number])
        propagator.attend({place: 11 * number for place, number in enumerate(order)})
        propagator.step(images[0], mask)
        results.append([propagator.step(image) for image in images[1:4]])
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
    assert np.abs(np.subtract(results[0], results[2])).max() > 3e-4


def test_a_reference_that_a_walk_reaches_without_its_mask_does_not_answer_for_it(
    family: Family, folder: Path
) -> None:
    """The walk is compared with that reference: its own mask would be no comparison."""
    images, mask = clip(6), mask_of()
    other = np.roll(mask, 30, axis=1)
    results = []
    for shown in (mask, other):
        propagator = opened(family, folder)
        propagator.remember(images[0], mask)
        propagator.remember(images[1], shown)
        propagator.attend({0: 0, 1: 1})
        propagator.step(images[0], mask)
        results.append(propagator.step(images[1]))
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_another_size_is_rounded_to_what_the_network_takes(family: Family, folder: Path) -> None:
    lines: list[str] = []
    small = opened(family, folder, size=50, notify=lines.append)
    image, mask = clip(2)[0], mask_of()
    small.step(image, mask)
    assert small.step(clip(2)[1]).shape == (3, 72, 100)
    assert small._open.size == 64
    assert lines == [f"{family.title} works at 64 px, as 50 is no step of its"]
    large = opened(family, folder, size=192, notify=lines.append)
    large.step(image, mask)
    assert large.step(clip(2)[1]).std() > 0.01
    assert len(lines) == 1


def test_half_precision_as_on_a_gpu(
    family: Family, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 by autocast, here on the CPU: the same masks but for its rounding, and a state that
    keeps what is in half precision.
    """
    import torch

    images, mask = clip(8), mask_of()

    def run() -> tuple[list[np.ndarray], Any]:
        propagator = opened(family, folder)
        found = [propagator.step(images[0], mask), *(propagator.step(one) for one in images[1:6])]
        return found, propagator

    exact, _ = run()

    @contextlib.contextmanager
    def computing(*_: object, **__: object) -> Iterator[None]:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            yield

    monkeypatch.setattr("vfx_matte.propagate.sam.propagator.computing", computing)
    half, propagator = run()
    assert half[-1].dtype == np.float32
    assert 0 < np.abs(np.subtract(half, exact)).max() < 0.2
    state = _as_written(propagator.walk_state())
    expected = propagator.step(images[6])
    again = opened(family, folder)
    again.restore_walk(state)
    assert np.array_equal(again.step(images[6]), expected)


def test_weights_that_are_none_or_of_another_network_are_named(
    family: Family, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=rf"{family.title} needs a network, but .* has no config"):
        opened(family, tmp_path / "nothing")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "vitmatte"}')
    with pytest.raises(WeightsError, match=r"says model_type 'vitmatte', expected \w+_video or"):
        opened(family, other)
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_bytes((folder / "config.json").read_bytes())
    whole = (folder / "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=f"is not a network of {family.title}"):
        opened(family, half)
