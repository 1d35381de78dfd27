"""CVAT's functions, called as an agent's worker process calls them: by cvat-cli's own entry
points.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import scripted_detector
from support.drifting_squares import Clip, draw

pytest.importorskip("cvat_cli")

import attrs
import cvat_sdk.auto_annotation as cvataa
import PIL.Image
from cvat_cli._internal import agent, agent_driver_detection, agent_driver_interaction
from cvat_cli._internal.agent_driver import BadArError
from cvat_cli._internal.agent_driver_tracking import _worker_job_init_tracking, _worker_job_track
from cvat_cli._internal.common import FunctionLoader
from cvat_sdk.auto_annotation.driver import _DetectionFunctionContextImpl
from cvat_sdk.masks import decode_mask, encode_mask

from vfx_matte.errors import MaskError
from vfx_matte.labelling.cvat.parameters import explains
from vfx_matte.masks import Image, Mask, overlap
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import TrackSession

MODULE = "vfx_matte.labelling.cvat"
TASK = 3
BUILTIN = PropagatorOptions(name="builtin", values={"network": False})
LENGTH = 8


def load(**parameters: object) -> Any:  # noqa: ANN401
    """Start a worker in this process, as `run-agent` does in one of its own."""
    numbers = count()
    agent._worker_init(FunctionLoader(MODULE, None, parameters), lambda: f"state-{next(numbers)}")
    return agent._worker_job_get_function_spec()


def opened(image: Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(image)


def mask_shape(region: np.ndarray) -> cvataa.TrackableShape:
    return cvataa.TrackableShape(type="mask", points=encode_mask(region))


def region_of(shape: cvataa.TrackableShape | None, image: Image) -> np.ndarray:
    assert shape is not None
    height, width = image.shape[:2]
    return decode_mask(shape.points, image_width=width, image_height=height)


def track(states: list[str], index: int) -> list[cvataa.TrackableShape | None]:
    return _worker_job_track(TASK, opened(draw(index)[0]), states)


def direct(mask: Mask) -> Iterator[Mask]:
    session = TrackSession(Clip(LENGTH), {0: mask}, start=0, stop=LENGTH, propagator=BUILTIN)
    return (frame.mask for frame in session.frames())


def test_masks_are_those_of_a_session_that_has_all_frames() -> None:
    spec = load(propagator="builtin", network=False)
    assert spec.supported_shape_types == {"mask", "polygon"}
    image, mask = draw(0)
    shapes = [mask_shape(mask == object_id) for object_id in (1, 2)]
    states = _worker_job_init_tracking(TASK, opened(image), shapes)
    assert states == ["state-0", "state-1"]
    expected = list(direct(mask))
    for index in range(1, LENGTH):
        truth = draw(index)[1]
        for object_id, shape in enumerate(track(states, index), start=1):
            found = region_of(shape, image)
            np.testing.assert_array_equal(found, expected[index] == object_id)
            assert overlap(found, truth == object_id) > 0.8


def test_a_mask_is_where_its_inclusive_box_says() -> None:
    """The last column and row are x2 and y2 themselves: a mask that touches the lower right corner
    is the test of it.
    """
    load(propagator="fake")
    image = np.zeros((20, 30, 3), np.uint8)
    region = np.zeros((20, 30), bool)
    region[15:, 20:] = True
    region[17, 25] = False
    runs = [0, 25, 1, 24]
    shape = cvataa.TrackableShape(type="mask", points=[*runs, 20, 15, 29, 19])
    states = _worker_job_init_tracking(TASK, opened(image), [shape])
    (found,) = _worker_job_track(TASK, opened(image + 1), states)
    np.testing.assert_array_equal(region_of(found, image), region)
    assert found is not None
    assert found.points == [*runs, 20, 15, 29, 19]


def test_a_mask_without_its_last_run_is_read() -> None:
    load(propagator="fake")
    image = np.zeros((4, 4, 3), np.uint8)
    for runs in ([1, 2], [1, 1, 1]):
        shape = cvataa.TrackableShape(type="mask", points=[*runs, 0, 0, 3, 1])
        states = _worker_job_init_tracking(TASK, opened(image), [shape])
        (found,) = _worker_job_track(TASK, opened(image + 1), states)
        region = region_of(found, image)
        assert region.sum() == runs[1]
        assert region[0, 1]


def test_polygons_come_back_as_polygons() -> None:
    load(propagator="builtin", network=False)
    image, mask = draw(0)
    left, top = 8, 6
    square = [left, top, left + 14, top, left + 14, top + 14, left, top + 14]
    states = _worker_job_init_tracking(
        TASK, opened(image), [cvataa.TrackableShape(type="polygon", points=square)]
    )
    for index in range(1, LENGTH):
        (shape,) = track(states, index)
        assert shape is not None
        assert shape.type == "polygon"
        corners = np.array(shape.points).reshape(-1, 2)
        assert 3 <= len(corners) < 30
        drawn = np.zeros(mask.shape, np.uint8)
        # OpenCV's corners are pixel centres
        cv2.fillPoly(drawn, [np.round((corners - 0.5) * 16).astype(np.int32)], 1, shift=4)
        assert overlap(drawn > 0, draw(index)[1] == 1) > 0.75


def test_masks_that_lie_over_each_other_are_both_tracked_whole() -> None:
    load(propagator="builtin", network=False)
    image, mask = draw(0)
    square = mask == 1
    part = square & (np.arange(mask.shape[1]) < 14)
    states = _worker_job_init_tracking(TASK, opened(image), [mask_shape(square), mask_shape(part)])
    whole, piece = (list(direct(region.astype(np.uint8))) for region in (square, part))
    for index in range(1, LENGTH):
        first, second = track(states, index)
        np.testing.assert_array_equal(region_of(first, image), whole[index] > 0)
        np.testing.assert_array_equal(region_of(second, image), piece[index] > 0)


def test_shapes_of_several_frames_go_on_together() -> None:
    load(propagator="builtin", network=False)
    mask = draw(0)[1]
    (first,) = _worker_job_init_tracking(TASK, opened(draw(0)[0]), [mask_shape(mask == 1)])
    for index in (1, 2):
        track([first], index)
    image, mask = draw(2)
    (second,) = _worker_job_init_tracking(TASK, opened(image), [mask_shape(mask == 2)])
    for index in range(3, LENGTH):
        truth = draw(index)[1]
        one, other = track([first, second], index)
        assert overlap(region_of(one, image), truth == 1) > 0.8
        assert overlap(region_of(other, image), truth == 2) > 0.8


def test_what_has_left_the_picture_is_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    load(propagator="builtin", network=False)
    image, mask = draw(0)
    states = _worker_job_init_tracking(TASK, opened(image), [mask_shape(mask == 1)])
    # the next frame is of another clip, and of one colour
    grey = np.full_like(image, 90)
    found = [_worker_job_track(TASK, opened(grey + step), states)[0] for step in range(3)]
    assert None in found


def test_pictures_need_not_be_rgb() -> None:
    load(propagator="builtin", network=False)
    image, mask = draw(0)
    transparent = opened(image).convert("RGBA")
    states = _worker_job_init_tracking(TASK, transparent, [mask_shape(mask == 1)])
    (found,) = _worker_job_track(TASK, opened(draw(1)[0]).convert("P"), states)
    assert overlap(region_of(found, image), draw(1)[1] == 1) > 0.7


def test_a_forgotten_track_says_so_to_the_user() -> None:
    load(propagator="fake", max_tracks=1)
    states = []
    for index in range(2):
        image, mask = draw(index)
        states += _worker_job_init_tracking(TASK, opened(image), [mask_shape(mask == 1)])
        track(states[-1:], index + 1)
    # an agent passes the text of this error, and of no other, on to the server
    with pytest.raises(cvataa.BadFunctionError, match=r"forgotten.*-p max_tracks=int:2 keeps"):
        track(states[:1], 5)
    assert track(states[1:], 5) != [None]
    with pytest.raises(BadArError):
        track(["nonesuch"], 5)


@pytest.mark.parametrize(
    ("kind", "points", "message"),
    [
        ("mask", [0, 4, 30, 30, 33, 33], "the mask is damaged"),
        ("mask", [0, 99, 0, 0, 1, 1], "the mask is damaged"),
        ("mask", [1.5, 2.5, 0, 0, 1, 1], "the mask is damaged"),
        ("mask", [0, 10**13, 0, 0, 1, 1], "the mask is damaged"),
        ("mask", [0, float("nan"), 0, 0, 1, 1], "the mask is damaged"),
        ("mask", [6, -2, 0, 0, 1, 1], "the mask is damaged"),
        ("mask", [0, 4, 0, 0, 10**6, 10**6], "the mask is damaged"),
        ("mask", [4], "the mask is damaged"),
        ("mask", [], "the mask is damaged"),
        ("mask", [4, 0, 0, 1, 1], "nothing to track"),
        ("polygon", [1, 1, 2, 2], "polygon"),
        ("polygon", [1, 1, float("inf"), 2, 3, 3], "polygon"),
        ("polygon", [100, 100, 200, 100, 200, 200], "nothing to track"),
    ],
)
def test_damaged_shapes_are_refused(kind: str, points: list[float], message: str) -> None:
    load(propagator="fake")
    image = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(cvataa.BadFunctionError, match=message):
        _worker_job_init_tracking(
            TASK, opened(image), [cvataa.TrackableShape(type=kind, points=points)]
        )


# Clicks and boxes.


@attrs.frozen
class Prompts(cvataa.InteractionPrompts):
    pos_points: tuple[tuple[float, float], ...] = ()
    neg_points: tuple[tuple[float, float], ...] = ()
    bounding_box: tuple[tuple[float, float], tuple[float, float]] | None = None


def scene() -> tuple[Image, np.ndarray]:
    """A red disc on a textured ground, and its region."""
    noise = np.random.default_rng(5).integers(60, 120, (24, 32, 3), np.uint8)
    image = cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)
    drawn = np.zeros((96, 128), np.uint8)
    cv2.circle(drawn, (60, 50), 22, 1, -1)
    image[drawn > 0] = (220, 40, 40)
    return image, drawn > 0


def interact(key: str, image: Image, prompts: Prompts) -> list[cvataa.InteractionResultShape]:
    """As an agent does: from what is kept of the picture, or with the picture."""
    found = agent_driver_interaction._worker_job_interact_from_cache(key, prompts)
    if found is not None:
        return found
    return agent_driver_interaction._worker_job_interact(key, opened(image), prompts)


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(pos_points=((60.4, 50.9),)),
        Prompts(pos_points=((60, 50),), neg_points=((10, 10), (128, 96))),
        Prompts(bounding_box=((36.5, 26.5), (84.2, 74))),
        Prompts(bounding_box=((84, 74), (36, 26)), pos_points=((60, 50),)),
    ],
    ids=["point", "both", "box", "box and point"],
)
def test_clicks_and_boxes_give_a_mask(prompts: Prompts, tmp_path: Path) -> None:
    spec = load(kind="interactor", method="graph", model=str(tmp_path))
    assert (spec.min_pos_points, spec.min_neg_points, spec.min_bounding_boxes) == (0, 0, 0)
    image, region = scene()
    (shape,) = interact("one", image, prompts)
    assert shape.type == "mask"
    assert overlap(decode_mask(shape.points, image_width=128, image_height=96), region) > 0.9
    (confidence,) = shape.attributes
    assert confidence.spec_id == cvataa.InteractionResultAttributes.CONFIDENCE
    assert 0 <= float(confidence.value) <= 1


def test_no_mark_is_no_shape_and_bad_marks_are_explained(tmp_path: Path) -> None:
    load(kind="interactor", method="graph", model=str(tmp_path))
    image, _ = scene()
    assert interact("one", image, Prompts()) == []
    with pytest.raises(cvataa.BadFunctionError, match="lies outside the box"):
        interact("one", image, Prompts(pos_points=((5, 5),), bounding_box=((30, 20), (90, 80))))
    with pytest.raises(cvataa.BadFunctionError, match="both as the object and as background"):
        interact("one", image, Prompts(pos_points=((5, 5),), neg_points=((5.5, 5.2),)))
    with pytest.raises(cvataa.BadFunctionError):
        interact("one", image, Prompts(neg_points=((5, 5),)))


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(pos_points=((128.5, 50),)),
        Prompts(pos_points=((60, 50),), neg_points=((60, -1),)),
        Prompts(pos_points=((1e9, 1e9),)),
        Prompts(pos_points=((float("nan"), 50),)),
        Prompts(bounding_box=((130, 10), (190, 60))),
        Prompts(bounding_box=((float("nan"), 10), (60, 60))),
        Prompts(bounding_box=((30, 20), (float("inf"), 80))),
    ],
)
def test_marks_that_are_not_in_the_picture_are_refused(prompts: Prompts, tmp_path: Path) -> None:
    load(kind="interactor", method="graph", model=str(tmp_path))
    image, _ = scene()
    with pytest.raises(cvataa.BadFunctionError, match=r"outside|no corners|2×2 pixels inside"):
        interact("one", image, prompts)


def test_people_in_cvat_see_no_folder_of_the_agents_machine(tmp_path: Path) -> None:
    @explains
    def fail() -> None:
        raise MaskError(f"{str(tmp_path / 'xmem.pth')!r} is damaged", hint="fetch it again")

    with pytest.raises(cvataa.BadFunctionError) as caught:
        fail()
    assert str(caught.value) == "'…/xmem.pth' is damaged; fetch it again"


def test_few_pictures_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vfx_matte.labelling.cvat.interaction import PictureOpener

    asked: list[Image] = []
    real = PictureOpener.open

    def noted(self: PictureOpener, image: Image) -> Any:  # noqa: ANN401
        asked.append(image)
        return real(self, image)

    monkeypatch.setattr(PictureOpener, "open", noted)
    load(kind="interactor", method="graph", model=str(tmp_path))
    image, region = scene()
    prompts = Prompts(pos_points=((60, 50),))
    for key in ("a", "b", "a", "c", "a", "d"):
        interact(key, image, prompts)
    assert len(asked) == 4
    # "b" was dropped, and is opened again from the picture that CVAT keeps
    (shape,) = interact("b", image, prompts)
    assert len(asked) == 5
    assert overlap(decode_mask(shape.points, image_width=128, image_height=96), region) > 0.9


# Detection.


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> scripted_detector.Script:
    made = scripted_detector.Script.of_clip(
        [draw(index) for index in range(4)], {1: "dog", 2: "person"}
    )
    scripted_detector.register(made, tmp_path, monkeypatch)
    return made


def detect(index: int, **context: object) -> list[Any]:
    return list(
        agent_driver_detection._worker_job_detect(
            _DetectionFunctionContextImpl(frame_name="x", **context), opened(draw(index)[0])
        )
    )


def test_detections_are_shapes_with_labels(script: scripted_detector.Script) -> None:
    spec = load(kind="detector", detector="scripted", model="/")
    assert [(label.name, str(label.type)) for label in spec.labels] == [
        ("dog", "mask"), ("person", "mask")
    ]  # fmt: skip
    names = {label.id: label.name for label in spec.labels}
    truth = draw(2)[1]
    found = {names[shape.label_id]: shape for shape in detect(2)}
    assert set(found) == {"dog", "person"}
    for object_id, name in ((1, "dog"), (2, "person")):
        shape = found[name]
        assert str(shape.type) == "mask"
        region = decode_mask(shape.points, image_width=64, image_height=48)
        np.testing.assert_array_equal(region, truth == object_id)
        assert 0.8 < shape.score <= 0.9


def test_detections_as_polygons_and_by_threshold(script: scripted_detector.Script) -> None:
    script.doubt(2, frames=[1], score=0.55)
    load(kind="detector", detector="scripted", model="/")
    assert len(detect(1)) == 2
    (sure,) = detect(1, conf_threshold=0.7, conv_mask_to_poly=True)
    assert str(sure.type) == "polygon"
    corners = np.array(sure.points).reshape(-1, 2)
    assert abs(cv2.contourArea(corners.astype(np.float32)) - 14 * 14) < 15
    spec = load(kind="detector", detector="scripted", model="/", shape="polygon", classes="dog")
    assert [(label.name, str(label.type)) for label in spec.labels] == [("dog", "polygon")]
    (dog,) = detect(1)
    assert str(dog.type) == "polygon"


def test_a_detector_without_classes_gets_the_users_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scripted_detector.Script.of_clip([draw(0)])
    scripted_detector.register(made, tmp_path, monkeypatch)
    spec = load(kind="detector", detector="scripted", model="/", label="car")
    assert [label.name for label in spec.labels] == ["car"]
    assert {shape.label_id for shape in detect(0)} == {spec.labels[0].id}


# Parameters.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "trackr"}, "kind 'trackr'.*tracker"),
        ({"propagator": "nonesuch"}, "propagator 'nonesuch'"),
        ({"max_track": 3}, "no parameter 'max_track'.*max_tracks"),
        ({"max_tracks": 0}, "-p max_tracks is 0"),
        ({"max_tracks": "3"}, "-p max_tracks=int:VALUE"),
        ({"memory": "long"}, "long"),
        ({"kind": "interactor", "method": "magic"}, "method 'magic'"),
        ({"kind": "interactor", "methd": "graph"}, "no parameter 'methd'"),
        ({"kind": "detector", "detector": "nonesuch"}, "detector 'nonesuch'"),
        ({"kind": "detector", "threshold": 2.0}, "threshold"),
        ({"kind": "detector", "threshold": "0.5"}, "threshold"),
        ({"kind": "detector", "shape": "box"}, "shape 'box'"),
        (
            {"kind": "detector", "model": "/nonesuch"},
            "U²-Netp is not in /nonesuch.*vfx-matte weights fetch u2netp",
        ),
        ({"kind": "detector", "every": 3}, "no parameter 'every'"),
    ],
)
def test_wrong_parameters_end_with_a_message(parameters: dict[str, object], message: str) -> None:
    create = importlib.import_module(MODULE).create
    with pytest.raises(cvataa.BadFunctionError, match=message) as refusal:
        create(**parameters)
    # which ends `cvat-cli` without a traceback
    assert isinstance(refusal.value, SystemExit)
    assert refusal.value.code == str(refusal.value)
    assert "⟦" not in str(refusal.value)


def test_commands_in_messages_can_be_pasted() -> None:
    from vfx_matte.labelling.messages import typed
    from vfx_matte.wording import Named

    given = Named("weights fetch", ("a b",), {"force": True, "soft_edges": False, "at": ["1", "2"]})
    assert typed(given) == "vfx-matte weights fetch 'a b' --force --no-soft-edges --at 1 --at 2"
