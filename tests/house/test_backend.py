"""Device choice, and one suite of array jobs for every device: NumPy gives the expected result, the
others must equal it.

Where there is no GPU, `StrictArray` stands in for CuPy's array: it refuses to meet a host array, as
CuPy does, so a table left on the host or a call into OpenCV is found anywhere. What it cannot show
is CuPy's own behaviour; the gpu tests do that.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from support.notices import Notices

from vfx_matte import backend
from vfx_matte.backend import (
    Device,
    both,
    bounding_box,
    box_mean,
    box_sum,
    choose_device,
    components,
    enlarged,
    frames_at_once,
    keep_freed_memory,
    shrunk,
    side_by_side,
    squared_distance,
    to_device,
    to_numpy,
    xp,
)
from vfx_matte.composite.mix import (
    channel_mattes,
    luma_matte,
    over_color,
    over_picture,
    overlay,
    paint_mask,
    with_alpha,
)
from vfx_matte.errors import DeviceError, UsageError
from vfx_matte.masks import Matte, Palette
from vfx_matte.matting import (
    despill,
    estimate_foreground,
    make_matte,
    refine,
    refine_objects,
    refine_soft,
)
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.settings.options import MatteSettings

# --- choosing a device


class Driver:
    """A CUDA driver library that answers what a test wants."""

    def __init__(self, *, init: int = 0, count_status: int = 0, devices: int = 1) -> None:
        self.init, self.count_status, self.devices = init, count_status, devices

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: ANN401, N802
        count._obj.value = self.devices
        return self.count_status


def install_cupy(monkeypatch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    """Make `import cupy` give this module, and fail the test when it is imported although it is
    None.
    """

    def find_spec(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec:
        assert name == "cupy"
        return importlib.machinery.ModuleSpec("cupy", None)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_without_cupy_the_cpu_is_taken_silently(
    monkeypatch: pytest.MonkeyPatch, notices: Notices
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert choose_device(notify=notices) is Device.CPU
    assert not notices
    with pytest.raises(DeviceError, match="needs CuPy") as caught:
        choose_device("cuda", notify=notices)
    assert "pip install" in caught.value.hint


def no_driver(name: str) -> Driver:
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (no_driver, "no NVIDIA driver"),
        (lambda _: Driver(init=100), "error 100"),
        (lambda _: Driver(devices=0), "no NVIDIA GPU"),
        (lambda _: Driver(count_status=3), "no NVIDIA GPU"),
    ],
)
def test_cupy_without_a_working_driver_is_one_notice_and_no_import(
    monkeypatch: pytest.MonkeyPatch, notices: Notices, load: Callable[[str], Driver], reason: str
) -> None:
    install_cupy(monkeypatch, None)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert choose_device("auto", notify=notices) is Device.CPU
    assert len(notices) == 1
    assert reason in notices[0]
    assert "NumPy" in notices[0]
    with pytest.raises(DeviceError, match=reason):
        choose_device("cuda", notify=notices)


def test_cupy_that_fails_is_a_notice(monkeypatch: pytest.MonkeyPatch, notices: Notices) -> None:
    broken = ModuleType("cupy")
    broken.zeros = lambda _: (_ for _ in ()).throw(RuntimeError("libnvrtc.so.12 is missing"))
    install_cupy(monkeypatch, broken)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    assert choose_device(notify=notices) is Device.CPU
    assert ["libnvrtc.so.12 is missing" in notice for notice in notices] == [True]


def test_a_working_gpu_is_taken_and_the_cpu_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, notices: Notices
) -> None:
    working = ModuleType("cupy")
    working.zeros = np.zeros
    install_cupy(monkeypatch, working)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    assert choose_device("auto", notify=notices) is Device.CUDA
    assert choose_device("cuda", notify=notices) is Device.CUDA
    assert choose_device("cpu", notify=notices) is Device.CPU
    assert not notices


def test_an_unknown_device_is_refused(notices: Notices) -> None:
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        choose_device("gpu", notify=notices)


def test_host_arrays_stay_where_they_are() -> None:
    array = np.zeros((2, 2), np.uint8)
    assert xp(array) is np
    assert to_numpy(array) is array
    assert to_device(array, Device.CPU) is array


# --- primitives on the host
# ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory"
)
def test_freed_memory_is_kept_for_the_next_array() -> None:
    """Pages that are taken again are not cleared again; without it every round takes new ones."""
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from vfx_matte.backend import keep_freed_memory\n"
        "if sys.argv[1] == 'keep':\n"
        "    keep_freed_memory()\n"
        "def use():\n"
        "    planes = [np.ones((720, 1280), np.float32) for _ in range(8)]\n"
        "use()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20):\n"
        "    use()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    faults = {
        asked: int(
            subprocess.run(
                [sys.executable, "-c", script, asked], capture_output=True, check=True
            ).stdout
        )
        for asked in ("keep", "leave")
    }
    assert faults["keep"] * 10 < faults["leave"]


def test_asking_for_memory_to_be_kept_harms_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library that cannot be asked is left alone."""

    def load(_: object) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    keep_freed_memory.__wrapped__()


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("four_threads")
def test_work_side_by_side_is_done_in_threads_and_given_in_order() -> None:
    meeting = threading.Barrier(3, timeout=60)  # nobody passes it before three are there

    def work(item: int) -> tuple[int, bool]:
        if item < 3:
            meeting.wait()
        return item * item, threading.current_thread() is threading.main_thread()

    before = threading.active_count()
    assert side_by_side(work, range(20), on=np.zeros(1)) == [
        (item * item, False) for item in range(20)
    ]
    assert threading.active_count() == before
    meet = threading.Barrier(2, timeout=60)
    assert both(lambda: meet.wait() >= 0, lambda: (meet.wait(), "other")[1], on=np.zeros(1)) == (
        True,
        "other",
    )
    assert threading.active_count() == before


@pytest.mark.usefixtures("four_threads")
def test_what_fails_side_by_side_is_raised_and_the_rest_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, cancelled = [], threading.Event()

    class Watched(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown(wait)

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("item 0")
        assert cancelled.wait(60)

    monkeypatch.setattr(backend, "ThreadPoolExecutor", Watched)
    with pytest.raises(ValueError, match="item 0"):
        side_by_side(work, range(500), on=np.zeros(1))
    assert len(begun) <= 5, "one failed, four waited"
    for one, other in ((lambda: 1 // 0, lambda: 1), (lambda: 1, lambda: 1 // 0)):
        with pytest.raises(ZeroDivisionError):
            both(one, other, on=np.zeros(1))


@pytest.mark.usefixtures("four_threads")
def test_frames_beside_each_other_leave_the_work_within_one_to_one_thread() -> None:
    def here(_: int) -> threading.Thread:
        return threading.current_thread()

    with frames_at_once() as threads:
        assert (threads, cv2.getNumThreads()) == (4, 1)
        assert set(side_by_side(here, range(5), on=np.zeros(1))) == {threading.main_thread()}
        # a second render meanwhile
        with frames_at_once() as others:
            assert others == 4
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 4
    with pytest.raises(ValueError, match="on the way"), frames_at_once():
        raise ValueError("on the way")
    assert cv2.getNumThreads() == 4


def test_one_thread_or_another_device_is_a_loop() -> None:
    before = cv2.getNumThreads()
    here = threading.current_thread
    cv2.setNumThreads(1)
    try:
        assert set(side_by_side(lambda _: here(), range(5), on=np.zeros(1))) == {
            threading.main_thread()
        }
        assert both(here, here, on=np.zeros(1)) == (threading.main_thread(),) * 2
        cv2.setNumThreads(4)
        not_numpy: Any = object()
        assert set(side_by_side(lambda _: here(), range(5), on=not_numpy)) == {
            threading.main_thread()
        }
        assert both(here, here, on=not_numpy) == (threading.main_thread(),) * 2
    finally:
        cv2.setNumThreads(before)


def test_bounding_box_holds_all_and_grows_within_the_array() -> None:
    array = np.zeros((11, 14), np.uint16)
    assert bounding_box(array) is None
    array[3, 5] = array[6, 12] = 256
    assert bounding_box(array) == (slice(3, 7), slice(5, 13))
    assert bounding_box(array, margin_px=2) == (slice(1, 9), slice(3, 14))
    assert bounding_box(array, step=(4, 2)) == (slice(0, 8), slice(4, 14))
    assert bounding_box(array, margin_px=3, step=(4, 4)) == (slice(0, 11), slice(0, 14))


def test_squared_distance_is_exact_and_saturates_without_a_zero() -> None:
    binary = np.ones((40, 60), np.uint8)
    assert (squared_distance(binary) == np.iinfo(np.int32).max).all()
    binary[7, 50] = binary[30, 3] = 0
    y, x = np.mgrid[:40, :60]
    exact = np.minimum((y - 7) ** 2 + (x - 50) ** 2, (y - 30) ** 2 + (x - 3) ** 2)
    np.testing.assert_array_equal(squared_distance(binary), exact)
    far = np.ones((2, 501), np.uint8)
    far[0, 0] = 0
    assert squared_distance(far)[1, 500] == 250_001


# --- the same jobs on every device
# ---------------------------------------------------------------------------------------


def mask_of_two() -> np.ndarray:
    mask = np.zeros((61, 83), np.uint8)
    cv2.ellipse(mask, (30, 28), (24, 20), 20, 0, 360, 3, -1)
    cv2.ellipse(mask, (70, 10), (20, 30), 0, 0, 360, 7, -1)
    noise = np.random.default_rng(1).random(mask.shape)
    mask[noise < 0.03] = 0
    mask[(noise > 0.99) & (np.arange(83) > 10)] = 7
    return mask


def picture_of(model: str, bits: int, shift: tuple[int, int], seed: int) -> Picture:
    layout = PixelLayout(model, bits, shift)
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    shapes = [layout.plane_shape(index, 61, 83) for index in range(layout.plane_count)]
    return Picture(
        tuple(rng.integers(0, layout.full + 1, shape).astype(dtype) for shape in shapes),
        layout,
        ColorTags(),
    )


Move = Callable[[Any], Any]
EVERY_STEP = MatteSettings(
    edges="median", median=7, grow=2, feather=5, fill_holes=4, remove_specks=4
)


def refined(move: Move) -> Iterator[Any]:
    mask = move(mask_of_two())
    empty = move(np.zeros((5, 5), np.uint8))
    for options in (
        MatteSettings(edges="median"),
        MatteSettings(edges="median", median=21),
        EVERY_STEP,
        MatteSettings(edges="median", grow=-3),
    ):
        for given in (mask, empty, empty + 1):
            yield refine(given, settings=options).alpha
            yield refine_objects(given, settings=options)
        yield refine(mask, objects=(3,), settings=options).alpha


def softened(move: Move) -> Iterator[Any]:
    ids = mask_of_two()
    soft = {at: cv2.GaussianBlur((ids == at) * np.uint8(255), (0, 0), 2.5) for at in (3, 7)}
    mask, softs = move(ids), {at: move(one) for at, one in soft.items()}
    empty = move(np.zeros((5, 5), np.uint8))
    for options in (
        MatteSettings(edges="median"),
        MatteSettings(edges="median", median=21),
        EVERY_STEP,
        MatteSettings(edges="median", grow=-3),
    ):
        for chosen in (None, (7,), ()):
            yield refine_soft(mask, softs, objects=chosen, settings=options).alpha
        for given in (empty, empty + 1):
            yield refine_soft(given, {1: empty + 9}, settings=options).alpha


def moved(picture: Picture, move: Move) -> Picture:
    return picture.with_planes(tuple(move(plane) for plane in picture.planes))


def composited(move: Move) -> Iterator[Any]:
    mask = move(mask_of_two())
    palette = Palette.davis()
    for model, bits, shift in (
        ("yuv", 8, (1, 1)),
        ("yuv", 10, (1, 0)),
        ("rgb", 16, (0, 0)),
        ("gray", 8, (0, 0)),
    ):
        picture = moved(picture_of(model, bits, shift, 1), move)
        background = moved(picture_of(model, bits, shift, 2), move)
        for options in (MatteSettings(edges="median"), EVERY_STEP):
            matte = refine(mask, objects=(7,), settings=options)
            yield from over_color(picture, matte, (0, 255, 0)).planes
            yield from over_picture(picture, matte, background).planes
            yield from luma_matte(matte, picture.layout, picture.color).planes
            yield from channel_mattes(None, matte, None, shape=picture.shape).planes
            yield from with_alpha(picture, matte, premultiplied=True).planes
        yield from overlay(picture, mask, palette, contour_px=2).planes
        yield from overlay(picture, mask & 0, palette).planes
    yield from over_color(picture, Matte(mask & 0), (0, 255, 0)).planes
    yield from paint_mask(mask, palette, background=(9, 9, 9)).planes
    yield from paint_mask(mask & 0, palette).planes


def primitives(move: Move) -> Iterator[Any]:
    binary = move((mask_of_two() != 0).astype(np.uint8))
    for size in (1, 3, 21, 101):
        yield box_sum(binary, size)
    yield squared_distance(binary)
    yield squared_distance(1 - binary)
    for diagonal in (False, True):
        labels, count = components(binary, diagonal=diagonal)
        areas = xp(labels).bincount(labels.reshape(-1), minlength=count + 1)
        # the order of labels is the device's own, the area of each pixel's component is not
        yield areas[labels]


JOBS = [primitives, refined, softened, composited]


def means(move: Move) -> Iterator[Any]:
    """The primitives in floats, on sizes that the factors divide and that they do not."""
    rng = np.random.default_rng(5)
    for shape in ((61, 83), (60, 84, 3), (7, 2)):
        values = move(rng.random(shape).astype(np.float32))
        for size in (1, 3, 15):
            yield box_mean(values, size)
        for factor in (1, 2, 6):
            small = shrunk(values, factor)
            yield small
            yield enlarged(small, factor, shape[:2])


def from_pictures(move: Move) -> Iterator[Any]:
    ids, rng = mask_of_two(), np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.random((61, 83, 3)).astype(np.float32), (0, 0), 2) * 200
    sides = np.where((ids != 0)[..., None], np.float32([150, 60, 20]), np.float32([20, 90, 140]))
    image = move(np.clip(cv2.GaussianBlur(sides, (0, 0), 1.5) + noise, 0, 255).astype(np.uint8))
    mask, soft = (
        move(ids),
        {at: move(cv2.GaussianBlur((ids == at) * np.uint8(255), (0, 0), 2.5)) for at in (3, 7)},
    )
    for options in (
        MatteSettings(edges="guided"),
        MatteSettings(edges="guided", band=20, median=7, grow=2, feather=3),
    ):
        yield make_matte(mask, image=image, settings=options).alpha / 65535
        yield make_matte(mask, image=image, soft=soft, objects=(7,), settings=options).alpha / 65535
        yield make_matte(mask & 0, image=image, settings=options).alpha / 65535


def cleaned(move: Move) -> Iterator[Any]:
    alpha = cv2.GaussianBlur((mask_of_two() != 0).astype(np.float32), (0, 0), 3)
    matte = Matte(move(np.rint(alpha * 65535).astype(np.uint16)))
    for model, bits, shift in (
        ("yuv", 8, (1, 1)),
        ("yuv", 10, (1, 0)),
        ("yuv", 8, (2, 0)),
        ("rgb", 16, (0, 0)),
        ("gray", 8, (0, 0)),
    ):
        picture = moved(picture_of(model, bits, shift, 1), move)
        for key in ("green", "blue"):
            for plane in despill(estimate_foreground(picture, matte), matte, key=key).planes:
                yield plane / picture.layout.full


FLOAT_JOBS: list[tuple[Callable[[Move], Iterator[Any]], float]] = [
    (means, 1e-5),
    (from_pictures, 0.02),
    (cleaned, 0.006),
]
"""With the largest difference that devices may have: sums of floats come in another order, and
uint8 means round.
"""


class StrictArray(np.ndarray):
    """An array on a device of its own: only its kind, scalars and Python numbers may come
    near it.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return on_device(getattr(ufunc, method))(*inputs, **kwargs)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        return strict(self.view(np.ndarray)[plain(key)])

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        self.view(np.ndarray)[plain(key)] = plain(value)


def plain(value: Any) -> Any:  # noqa: ANN401
    if type(value) is np.ndarray:
        raise TypeError("a host array meets a device array")
    if isinstance(value, tuple | list):
        return type(value)(plain(item) for item in value)
    return value.view(np.ndarray) if isinstance(value, StrictArray) else value


def strict(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, tuple):
        return tuple(strict(item) for item in value)
    return value.view(StrictArray) if isinstance(value, np.ndarray) else value


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return strict(
            function(*plain(args), **{name: plain(value) for name, value in kwargs.items()})
        )

    return call


class StrictModule(ModuleType):
    """Answers to the name of CuPy with NumPy's functions for StrictArray."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return on_device(getattr(np, name))

    def get_array_module(self, array: object) -> ModuleType:
        return self if isinstance(array, StrictArray) else np

    def asarray(self, array: Any, dtype: Any = None) -> StrictArray:  # noqa: ANN401
        return np.asarray(array, dtype).copy().view(StrictArray)

    def asnumpy(self, array: StrictArray) -> np.ndarray:
        return array.view(np.ndarray).copy()


def strict_ndimage() -> ModuleType:
    """cupyx.scipy.ndimage for StrictArray, with the signatures that CuPy documents."""

    def label(image: np.ndarray, structure: np.ndarray) -> tuple[np.ndarray, int]:
        assert structure[1].all()
        assert structure[:, 1].all()
        assert structure[::2, ::2].sum() in (0, 4)
        count, labels = cv2.connectedComponents(image, connectivity=8 if structure.all() else 4)
        return labels, count - 1

    def distance_transform_edt(image: np.ndarray) -> np.ndarray:
        return cv2.distanceTransform(image, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)

    def uniform_filter(values: np.ndarray, size: tuple[int, ...], mode: str) -> np.ndarray:
        assert mode == "nearest"
        assert len(size) == values.ndim
        assert size[0] == size[1]
        assert size[2:] in ((), (1,))
        return cv2.boxFilter(values, -1, size[:2], borderType=cv2.BORDER_REPLICATE).reshape(
            values.shape
        )

    def map_coordinates(values: np.ndarray, at: np.ndarray, order: int, mode: str) -> np.ndarray:
        assert (order, mode) == (1, "nearest")
        rows, columns = at.astype(np.float32)
        return cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    module = ModuleType("cupyx.scipy.ndimage")
    module.uniform_filter = on_device(uniform_filter)
    module.map_coordinates = on_device(map_coordinates)
    module.label = on_device(label)
    module.distance_transform_edt = on_device(distance_transform_edt)
    return module


@pytest.fixture
def strict_device(monkeypatch: pytest.MonkeyPatch) -> Move:
    cupy = StrictModule("cupy")
    for name, module in {
        "cupy": cupy,
        "cupyx": ModuleType("cupyx"),
        "cupyx.scipy": ModuleType("cupyx.scipy"),
        "cupyx.scipy.ndimage": strict_ndimage(),
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(backend, "_on_host", lambda array: type(array) is np.ndarray)
    monkeypatch.setattr(backend, "cv2", None)
    return cupy.asarray


@pytest.fixture
def gpu(gpu_device: Device) -> Move:
    """Moves an array to the GPU."""
    return lambda array: to_device(array, gpu_device)


@pytest.mark.parametrize("job", JOBS)
def test_array_code_never_mixes_devices(
    job: Callable[[Move], Iterator[Any]], request: pytest.FixtureRequest
) -> None:
    expected = list(job(lambda array: array))
    results = list(job(request.getfixturevalue("strict_device")))
    for result, wanted in zip(results, expected, strict=True):
        assert type(result) is StrictArray
        np.testing.assert_array_equal(to_numpy(result), wanted, strict=True)


@pytest.mark.parametrize(("job", "largest"), FLOAT_JOBS)
def test_float_array_code_never_mixes_devices(
    job: Callable[[Move], Iterator[Any]], largest: float, request: pytest.FixtureRequest
) -> None:
    expected = list(job(lambda array: array))
    results = list(job(request.getfixturevalue("strict_device")))
    for result, wanted in zip(results, expected, strict=True):
        assert type(result) is StrictArray
        assert result.dtype == wanted.dtype
        np.testing.assert_allclose(to_numpy(result), wanted, rtol=0, atol=largest)


def test_the_stand_in_refuses_host_arrays(strict_device: Move) -> None:
    array, host = strict_device(np.arange(4)), np.arange(4)
    for mix in (
        lambda: array + host,
        lambda: array[host],
        lambda: xp(array).where(array > 1, array, host),
    ):
        with pytest.raises(TypeError, match="host array meets"):
            mix()
    with pytest.raises(TypeError, match="host array meets"):
        array[:] = host


@pytest.mark.gpu
@pytest.mark.parametrize("job", JOBS)
def test_the_gpu_gives_what_the_cpu_gives(job: Callable[[Move], Iterator[Any]], gpu: Move) -> None:
    expected = list(job(lambda array: array))
    results = list(job(gpu))
    for result, wanted in zip(results, expected, strict=True):
        assert xp(result) is not np
        np.testing.assert_array_equal(to_numpy(result), wanted, strict=True)


@pytest.mark.gpu
@pytest.mark.parametrize(("job", "largest"), FLOAT_JOBS)
def test_the_gpu_gives_nearly_what_the_cpu_gives(
    job: Callable[[Move], Iterator[Any]], largest: float, gpu: Move
) -> None:
    expected = list(job(lambda array: array))
    results = list(job(gpu))
    for result, wanted in zip(results, expected, strict=True):
        assert xp(result) is not np
        assert result.dtype == wanted.dtype
        np.testing.assert_allclose(to_numpy(result), wanted, rtol=0, atol=largest)
