"""Where arrays live: NumPy on the CPU, CuPy on a GPU.

An algorithm is written once: it calls `xp(array)` for the array module and works on whichever
device the array is on. The few primitives that both devices have under different names (box sums,
blurs, labels) are here, beside the choice. CuPy is imported only where an array is already its, or
the GPU was asked for.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import DeviceError, install_hint
from vfx_matte.wording import option

Array = npt.NDArray[Any]
"""A NumPy array, or a CuPy array with the same interface."""

Notify = Callable[[str], None]
"""Receives one line for people; the door decides where it goes."""

MOST_THREADS = 4
"""As many threads at most share one frame's work; more wait for the interpreter more than they
compute.
"""

# numbers of mallopt(3): blocks of this size and larger are mapped one by one (the largest that may
# be chosen), and free memory up to this size is kept
_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES = -3, 32 << 20
_TRIM_THRESHOLD, _KEPT_BYTES = -1, 64 << 20

_LOOK_UP_ROWS = 64

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")


DEVICES = ("auto", "cpu", "cuda")
"""What `choose_device` can be asked for."""


class Device(Enum):
    """The device that array code runs on, chosen once at the door."""

    CPU = "cpu"
    CUDA = "cuda"


def choose_device(name: str = "auto", *, notify: Notify) -> Device:
    """Decide the device for arrays of compositing and matting.

    Args:
        name: "auto" takes CUDA when a driver, a GPU and CuPy are all there, else the CPU; "cpu" and
            "cuda" insist.
        notify: receives one line when CuPy is installed but cannot be used, so that the fall-back
            is not silent.

    Raises:
        UsageError: for another name.
        DeviceError: when "cuda" was asked for and is not usable.
    """
    if name not in DEVICES:
        hint = f"give {option('device')} one of {', '.join(DEVICES)}"
        raise unknown_choice("device", name, DEVICES, hint=hint)
    if name == "cpu":
        return Device.CPU
    if importlib.util.find_spec("cupy") is None:
        if name == "cuda":
            raise DeviceError(
                "device 'cuda' needs CuPy, which is not installed",
                hint=install_hint("cuda12"),
            )
        return Device.CPU
    problem = _cuda_problem()
    # an installed CuPy was meant to be used, so falling back to the CPU is told
    if problem is None:
        return Device.CUDA
    if name == "cuda":
        raise DeviceError(
            f"device 'cuda' is not usable: {problem}", hint=f"use {option('device', 'cpu')}"
        )
    notify(f"CuPy is installed but {problem}; using NumPy on the CPU")
    return Device.CPU


def _cuda_problem() -> str | None:
    """Why CUDA cannot be used, or None."""
    # the driver, then the number of GPUs, then CuPy's own libraries: importing CuPy without a
    # driver can hang
    problem = driver_problem()
    if problem is not None:
        return problem
    try:
        import cupy

        # an import succeeds where CUDA libraries do not fit; the first allocation does not
        cupy.zeros(1)
    except (
        Exception
    ) as error:  # CuPy raises many unrelated types when its CUDA libraries do not fit
        return f"CuPy fails: {error}"
    return None


def driver_problem() -> str | None:
    """Why no NVIDIA GPU can be used, or None; the driver is asked, without any package."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return "there is no NVIDIA driver"
    status = driver.cuInit(0)
    if status != 0:
        return f"the NVIDIA driver answers with error {status}"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
        return "there is no NVIDIA GPU"
    return None


# NumPy is told from CuPy by type alone, so that CuPy is not imported for the question
def _on_host(array: object) -> bool:
    return isinstance(array, np.ndarray)


def xp(array: Array) -> ModuleType:
    """Return the array module (numpy or cupy) that `array` belongs to."""
    if _on_host(array):
        return np
    import cupy

    module: ModuleType = cupy.get_array_module(array)
    return module


def to_device(array: Array, device: Device) -> Array:
    """Return `array` on `device`, without a copy when it is there already."""
    if device is Device.CPU:
        return to_numpy(array)
    import cupy

    moved: Array = cupy.asarray(array)
    return moved


def to_numpy(array: Array) -> Array:
    """Return `array` as a NumPy array in host memory, without a copy when it is one."""
    if _on_host(array):
        return array
    import cupy

    host: Array = cupy.asnumpy(array)
    return host


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed for what comes next, where it has a way to be asked
    (glibc).

    Planes of a frame are freed and taken again dozens of times in a frame. Given back to the system
    in between, each page is cleared again before its next use: a tenth of a render's processor
    time.
    """
    try:
        ask = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    ask(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    ask(_TRIM_THRESHOLD, _KEPT_BYTES)


def opencv_threads() -> int:
    """How many threads OpenCV shares one picture's work among."""
    return int(cv2.getNumThreads())


class _FramesAtOnce:
    """The blocks of `frames_at_once` that run just now."""

    lock = threading.Lock()
    count = 0
    before = 0
    """How many threads OpenCV had before the first of them."""


@contextlib.contextmanager
def frames_at_once() -> Iterator[int]:
    """How many frames may be worked on beside each other: as many as OpenCV has threads, at most
    MOST_THREADS.

    While the block runs, work within one frame stays in one thread, OpenCV's own too, in the whole
    process: frames share the cores better than their parts do, and OpenCV's threads wait busily.
    """
    # blocks of several threads may overlap: the first one sets, the last one sets back
    with _FramesAtOnce.lock:
        if not _FramesAtOnce.count:
            _FramesAtOnce.before = opencv_threads()
            cv2.setNumThreads(1)
        _FramesAtOnce.count += 1
        threads = min(MOST_THREADS, _FramesAtOnce.before)
    try:
        yield threads
    finally:
        with _FramesAtOnce.lock:
            _FramesAtOnce.count -= 1
            if not _FramesAtOnce.count:
                cv2.setNumThreads(_FramesAtOnce.before)


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], *, on: Array
) -> list[Result]:
    """What `work` gives for every item, in the order of the items.

    For NumPy arrays a few threads share the items, as many as OpenCV is allowed
    (`cv2.setNumThreads`) but at most MOST_THREADS; NumPy and OpenCV release the interpreter while
    they compute. They live as long as this call. For CuPy arrays it is a loop, as the device is
    parallel in itself. `work` writes nothing that it reads for another item, so the result is that
    of the loop, bit for bit.

    Whatever `work` raises for the first item that fails is raised after what has begun is over; the
    rest is not begun.

    Args:
        work: computes one item.
        items: its arguments.
        on: an array of the kind that is computed with.
    """
    threads = min(len(items), MOST_THREADS, opencv_threads()) if _on_host(on) else 1
    if threads <= 1:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(threads, thread_name_prefix="vfx-matte side by side")
    try:
        return list(pool.map(work, items))
    finally:
        # after an error too: nothing may go on computing behind the back of whoever handles it
        pool.shutdown(cancel_futures=True)


def both(
    one: Callable[[], Result], other: Callable[[], Other], *, on: Array
) -> tuple[Result, Other]:
    """What two functions give, computed beside each other as `side_by_side` says, in one thread
    more.
    """
    if not _on_host(on) or opencv_threads() <= 1:
        return one(), other()
    with ThreadPoolExecutor(1, thread_name_prefix="vfx-matte side by side") as pool:
        beside = pool.submit(other)
        return one(), beside.result()


def begun(work: Callable[[], Result]) -> Callable[[], Result]:
    """Begin a call in a thread.

    Returns:
        A function that waits for the result, or raises what the call raised.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # handed to the one who waits, who raises it
            result.set_exception(error)

    # a daemon: Ctrl-C ends the program without waiting for a long clip to be read
    threading.Thread(target=run, name="vfx-matte begun", daemon=True).start()
    return result.result


Region = tuple[slice, slice]
"""Rows and columns of a rectangle inside an (H, W) array, as an index."""


def bounding_box(
    array: Array, *, margin_px: int = 0, step: tuple[int, int] = (1, 1)
) -> Region | None:
    """The smallest rectangle that holds every non-zero element of an array; None when there is
    none.

    Args:
        array: unsigned (H, W).
        margin_px: widens it on each side.
        step: (rows, columns) to whose multiples it then grows outwards, as subsampled planes need.
            It never leaves the array, so a side at the array's end may not be a multiple.
    """
    module = xp(array)
    rows = to_numpy(module.flatnonzero(array.max(axis=1)))
    if not rows.size:
        return None
    # only the rows that hold something are searched for columns
    columns = to_numpy(module.flatnonzero(array[int(rows[0]) : int(rows[-1]) + 1].max(axis=0)))

    down, across = (
        widened_span(int(found[0]), int(found[-1]) + 1, size, margin_px=margin_px, step=multiple)
        for found, size, multiple in zip((rows, columns), array.shape, step, strict=True)
    )
    return down, across


def widened_span(start: int, stop: int, size: int, *, margin_px: int, step: int) -> slice:
    """A stretch of `size` rows or columns with a margin on both sides, then outwards to multiples
    of `step`; it never leaves the `size`.
    """
    start, stop = max(0, start - margin_px), min(size, stop + margin_px)
    return slice(start // step * step, min(size, -(-stop // step) * step))


def box_sum(binary: Array, size_px: int) -> Array:
    """Count the ones in the square window around every pixel; beyond the border the edge pixels
    repeat.

    Args:
        binary: uint8 (H, W) of 0 and 1.
        size_px: odd side of the window.

    Returns:
        int32 (H, W).
    """
    if _on_host(binary):
        window = (size_px, size_px)
        return cv2.boxFilter(
            binary, cv2.CV_32S, window, normalize=False, borderType=cv2.BORDER_REPLICATE
        )
    module = xp(binary)
    # running sums along each axis in turn: the window's sum is the difference of two of them
    sums = module.pad(binary.astype(np.int32), size_px // 2, mode="edge")
    for axis in (0, 1):
        before = [(0, 0), (0, 0)]
        before[axis] = (1, 0)
        running = module.pad(module.cumsum(sums, axis=axis, dtype=np.int32), before)
        ends, starts = (slice(size_px, None), slice(None, -size_px))
        sums = (
            running[ends] - running[starts] if axis == 0 else running[:, ends] - running[:, starts]
        )
    counted: Array = sums
    return counted


def look_up(table: Array, codes: Array) -> Array:
    """What a table has for every code: `table[codes]`.

    Args:
        table: (n,), any dtype that OpenCV knows; on the codes' device.
        codes: uint8 or uint16 (H, W); those beyond the table get its last value.

    Returns:
        (H, W) of the table's dtype.
    """
    module = xp(codes)
    # OpenCV looks bytes up as they are; NumPy first makes an index of 8 bytes for each sample
    if module is np and codes.dtype == np.uint8 and table.size == 256 and codes.size:
        at_once: Array = cv2.LUT(codes, table).reshape(codes.shape)
        return at_once
    found: Array = module.empty(codes.shape, table.dtype)
    # a band at once: these indices of a whole 4K plane are 63 MiB
    for row in range(0, codes.shape[0], _LOOK_UP_ROWS):
        band = slice(row, row + _LOOK_UP_ROWS)
        if module is np:
            table.take(codes[band], mode="clip", out=found[band])
        else:
            found[band] = table[module.minimum(codes[band], table.size - 1)]
    return found


def vector_length(x: Array, y: Array) -> Array:
    """The length of the vectors (x, y), float32 like them.

    `cv2.magnitude` is not used for it: it rounds the last bit of some elements by where in memory
    its result happens to lie, so that equal runs would differ.
    """
    length: Array = xp(x).sqrt(x * x + y * y)
    return length


def box_mean(values: Array, size_px: int) -> Array:
    """The mean of the square window around every pixel; beyond the border the edge pixels repeat.

    Args:
        values: float32 (H, W) or (H, W, C).
        size_px: odd side of the window.

    Returns:
        The same shape and dtype.
    """
    if _on_host(values):
        return cv2.boxFilter(
            values, -1, (size_px, size_px), borderType=cv2.BORDER_REPLICATE
        ).reshape(values.shape)
    from cupyx.scipy.ndimage import uniform_filter

    mean: Array = uniform_filter(values, size=(size_px, size_px, 1)[: values.ndim], mode="nearest")
    return mean


def shrunk(values: Array, factor: int) -> Array:
    """Means of blocks of `factor` × `factor` pixels; incomplete blocks at the end repeat the edge
    pixels.

    Args:
        values: float32 or uint8, (H, W) or (H, W, C).
        factor: ≥ 1.

    Returns:
        (⌈H / factor⌉, ⌈W / factor⌉) or the same with C, of the same dtype; uint8 is rounded.
    """
    if factor == 1:
        return values
    # fill incomplete blocks up with copies of the edge, which keep a block's mean within its own
    # values
    missing = (-values.shape[0] % factor, -values.shape[1] % factor)
    if any(missing) and _on_host(values):
        # a fifth of the time of NumPy's, which counts for the small planes of a pyramid
        values = cv2.copyMakeBorder(
            values, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE
        ).reshape(values.shape[0] + missing[0], values.shape[1] + missing[1], *values.shape[2:])
    elif any(missing):
        sides = ((0, missing[0]), (0, missing[1]), (0, 0))[: values.ndim]
        values = xp(values).pad(values, sides, mode="edge")
    height, width = values.shape[0] // factor, values.shape[1] // factor
    # OpenCV's area filter is the mean of the block where the size is an exact multiple
    if _on_host(values):
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA).reshape(
            height, width, *values.shape[2:]
        )
    means: Array = values.reshape(height, factor, width, factor, *values.shape[2:]).mean(
        axis=(1, 3), dtype=np.float32
    )
    return xp(values).rint(means).astype(np.uint8) if values.dtype == np.uint8 else means


def enlarged(values: Array, factor: int, shape: tuple[int, int]) -> Array:
    """The inverse of `shrunk`, bilinear between the blocks' centres.

    Args:
        values: (h, w) or (h, w, C).
        factor: of `shrunk`.
        shape: (H, W) of the original, whose last blocks may be incomplete.
    """
    height, width = shape
    if factor == 1:
        return values[:height, :width]
    if _on_host(values):
        # whole blocks are enlarged, then what is beyond the picture is cut off
        size = (values.shape[1] * factor, values.shape[0] * factor)
        large: Array = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        return large.reshape(size[1], size[0], *values.shape[2:])[:height, :width]
    from cupyx.scipy.ndimage import map_coordinates

    module = xp(values)
    rows, columns = (
        (module.arange(length, dtype=np.float32) + 0.5) / factor - 0.5 for length in shape
    )
    # channel by channel, as map_coordinates knows no channels
    at = module.stack(module.meshgrid(rows, columns, indexing="ij"))
    channels = values.reshape(*values.shape[:2], -1)
    planes = [
        map_coordinates(channels[..., index], at, order=1, mode="nearest")
        for index in range(channels.shape[2])
    ]
    result: Array = module.stack(planes, axis=-1).reshape(height, width, *values.shape[2:])
    return result


def distance_to_zero(binary: Array) -> Array:
    """Euclidean distance from every pixel to the nearest zero pixel, in px; 0 on the zeros
    themselves.

    Algorithm on the CPU: Felzenszwalb and Huttenlocher, Theory of Computing 8 (2012), 415-428; on
    the GPU: PBA+.

    Args:
        binary: uint8 (H, W).

    Returns:
        float32 (H, W), all √(2³¹ − 1) when there is no zero.
    """
    if bool(binary.all()):
        # an answer of our own, as OpenCV and CuPy give different ones where there is no zero
        unreachable: Array = xp(binary).full(
            binary.shape, np.sqrt(np.iinfo(np.int32).max), np.float32
        )
        return unreachable
    if _on_host(binary):
        return cv2.distanceTransform(binary, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    from cupyx.scipy.ndimage import distance_transform_edt

    distance: Array = distance_transform_edt(binary).astype(np.float32)
    return distance


def squared_distance(binary: Array) -> Array:
    """The square of `distance_to_zero`, in px².

    Args:
        binary: uint8 (H, W).

    Returns:
        int32 (H, W), exact up to distances of 500 px and rounded in float32 beyond; all 2³¹ − 1
        when there is no zero.
    """
    module = xp(binary)
    if bool(binary.all()):
        unreachable: Array = module.full(binary.shape, np.iinfo(np.int32).max, np.int32)
        return unreachable
    distance = distance_to_zero(binary)
    # in place, as these planes are large; rounded, as the root of a whole number seldom is one
    distance *= distance
    squared: Array = module.rint(distance, out=distance).astype(np.int32)
    return squared


def components(binary: Array, *, diagonal: bool) -> tuple[Array, int]:
    """Number the connected components of the ones.

    Args:
        binary: uint8 (H, W).
        diagonal: whether pixels that share only a corner are connected (8- against 4-connectivity).

    Returns:
        int32 (H, W) labels, 0 where binary is 0, and the number of components; their order is the
        device's own.
    """
    if _on_host(binary):
        count, labels = cv2.connectedComponents(
            binary, connectivity=8 if diagonal else 4, ltype=cv2.CV_32S
        )
        # OpenCV counts the background as well
        return labels, count - 1
    from cupyx.scipy.ndimage import label

    module = xp(binary)
    # 4 or 8 neighbours, as the corners of this structure are off or on
    cross = module.asarray(
        [[diagonal, True, diagonal], [True, True, True], [diagonal, True, diagonal]]
    )
    labels, count = label(binary, structure=cross)
    return labels.astype(np.int32), int(count)
