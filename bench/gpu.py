"""Everything that a GPU should be asked about, in under eight minutes on a bare machine.

    pip install -e '.[xmem,cuda12]'
    python bench/gpu.py                          # tables on stdout, for docs/performance.md
    python bench/gpu.py --reference ~/XMem       # the authors' XMem beside ours
    python bench/gpu.py --device cpu --small     # a dry run where there is no GPU

Sections, in this order; one that fails says so and the next one runs, and one that would end after
`--minutes` is left out, said so:

machine: the card, its driver, versions of what is used. parity: XMem's probabilities on the device,
in float32 and under autocast, against those of the CPU in float32, same weights and frames.
xmem: frames/s at 480p and 1080p for 1, 2 and 5 objects and peak memory, by bench/xmem.py. long:
2,000 small frames: whether time or memory grow. arrays: compositing and the usual edges on CuPy
against NumPy: how far results differ, and how long they take. encoders: NVENC beside libx264 on the
same frames; which hardware decoders FFmpeg knows (this program uses none).

Weights are pseudo-random of the published shapes: speed does not depend on them, and parity is
about arithmetic.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.matte import BT709, YUV8
from bench.scenes.edges import EdgeScene
from bench.xmem import make_frame, save_random_weights
from vfx_matte.backend import Array, Device, to_device, to_numpy
from vfx_matte.composite.mix import over_color
from vfx_matte.masks import Image, Matte, Probabilities
from vfx_matte.matting import estimate_foreground, make_matte, open_estimator
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.writers.trial import encoder_problem
from vfx_matte.picture import Picture, PixelLayout
from vfx_matte.settings.options import MatteSettings

XMEM = Path(__file__).with_name("xmem.py")


@dataclass(frozen=True)
class Task:
    """What was asked for."""

    device: str
    small: bool
    reference: Path | None
    ends: float
    """When no further section is begun, by `time.monotonic`."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.ends - time.monotonic()


def section_machine(task: Task) -> Iterator[str]:
    """The card, its driver, and versions."""
    yield f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    for name in ("torch", "cupy-cuda12x", "cupy-cuda13x", "numpy", "av"):
        with suppress(metadata.PackageNotFoundError):
            yield f"{name} {metadata.version(name)}"
    if task.device == "cuda":
        asked = "--query-gpu=name,driver_version,memory.total"
        done = subprocess.run(
            ["nvidia-smi", asked, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
        yield done.stdout.strip()


def section_parity(task: Task) -> Iterator[str]:
    """The device against the CPU in float32."""
    from vfx_matte.propagate.xmem.propagator import XMemPropagator

    (width, height), count = ((160, 96), 8) if task.small else ((426, 240), 24)
    frames = [make_frame(i, width=width, height=height, num_objects=2) for i in range(count)]

    def run(device: str, *, autocast: bool) -> list[Probabilities]:
        propagator = XMemPropagator(
            num_objects=2, weights=weights, device=device, size=-1, autocast=autocast
        )
        return [
            propagator.step(image, mask if index == 0 else None)
            for index, (image, mask) in enumerate(frames)
        ]

    with tempfile.TemporaryDirectory() as name:
        weights = save_random_weights(Path(name) / "random.pth")
        wanted = run("cpu", autocast=False)
        what = f"{task.device}, {width}×{height}, {count} frames"
        yield f"| {what} | largest | mean | ids that differ |"
        yield "|---|---|---|---|"
        for title, autocast in (("float32", False), ("autocast", True)):
            gaps, ids = [], []
            for one, other in zip(run(task.device, autocast=autocast), wanted, strict=True):
                gaps.append(np.abs(one - other))
                ids.append(np.mean(one.argmax(axis=0) != other.argmax(axis=0)))
            largest, mean = max(float(gap.max()) for gap in gaps), float(np.mean(gaps))
            yield f"| {title} | {largest:.1e} | {mean:.1e} | {100 * float(np.mean(ids)):.4f} % |"


def _xmem(task: Task, *arguments: str) -> Iterator[str]:
    """The lines of bench/xmem.py."""
    reference = () if task.reference is None else ("--reference", str(task.reference))
    command = [sys.executable, str(XMEM), "--device", task.device, *arguments, *reference]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=max(task.left, 1), check=False
    )
    yield from done.stdout.splitlines()
    if done.returncode:
        yield f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}"


def section_xmem(task: Task) -> Iterator[str]:
    """Frames per second and peak memory."""
    sizes = ("160x96",) if task.small else ("854x480", "1920x1080")
    frames, objects = ("12", "1,2") if task.small else ("60", "1,2,5")
    for size in sizes:
        for mode in ((), ("--autocast",)):
            yield f"{size}, {'autocast' if mode else 'float32'}"
            yield from _xmem(
                task, "--size", size, "--frames", frames, "--objects", objects,
                "--warm-up", "5", *mode,
            )  # fmt: skip


def section_long(task: Task) -> Iterator[str]:
    """Whether late frames cost more."""
    frames = "60" if task.small else "2000"
    alone = replace(task, reference=None)
    yield from _xmem(alone, "--size", "160x96", "--frames", frames, "--objects", "1")


def _pictures(task: Task) -> tuple[Image, Array, Picture]:
    """A frame with hair, its mask, and its picture."""
    size = (320, 180) if task.small else (1920, 1080)
    frame = EdgeScene("hair", *size, seed=200).frame(0)
    planes = tuple(np.ascontiguousarray(frame.image[..., channel]) for channel in range(3))
    rgb = Picture(planes, PixelLayout("rgb", 8), replace(BT709, matrix="gbr", range="pc"))
    return frame.image, np.asarray(frame.alpha >= 0.5, np.uint8), as_layout(rgb, YUV8)


def section_arrays(task: Task) -> Iterator[str]:
    """CuPy against NumPy."""
    image, mask, picture = _pictures(task)
    other = Device.CUDA if task.device == "cuda" else Device.CPU
    settings, rounds = MatteSettings(edges="guided"), 2 if task.small else 8

    def work(device: Device) -> tuple[dict[str, list[Array]], dict[str, float]]:
        own_mask, own_image = to_device(mask, device), to_device(image, device)
        own = replace(picture, planes=tuple(to_device(plane, device) for plane in picture.planes))
        estimator = open_estimator("guided")

        def matte() -> Matte:
            return make_matte(own_mask, image=own_image, settings=settings, estimator=estimator)

        made = matte()
        jobs: dict[str, Callable[[], Matte | Picture]] = {
            "guided edges": matte,
            "foreground colours": lambda: estimate_foreground(own, made),
            "green screen": lambda: over_color(own, made, (0, 177, 64)),
        }
        results, seconds = {}, {}
        for title, job in jobs.items():
            results[title] = _arrays(job())  # also compiles kernels
            began = time.perf_counter()
            for _ in range(rounds):
                last = job()
            # a copy to the host waits for all that was begun
            to_numpy((last.alpha if isinstance(last, Matte) else last.planes[0])[:1, :1])
            seconds[title] = (time.perf_counter() - began) / rounds
        return results, seconds

    (wanted, slow), (found, fast) = work(Device.CPU), work(other)
    height, width = picture.planes[0].shape
    yield (
        f"| {width}×{height} | NumPy ms | {task.device} ms | ratio | largest difference |"
        " samples that differ |"
    )
    yield "|---|---|---|---|---|---|"
    for title in wanted:
        pairs = list(zip(found[title], wanted[title], strict=True))
        largest = max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in pairs)
        differ = sum(int((a != b).sum()) for a, b in pairs) / sum(a.size for a, _ in pairs)
        yield (
            f"| {title} | {1000 * slow[title]:.1f} | {1000 * fast[title]:.1f} |"
            f" {slow[title] / fast[title]:.2f} | {largest} of"
            f" {np.iinfo(pairs[0][0].dtype).max} | {100 * differ:.3f} % |"
        )


def _arrays(result: Matte | Picture) -> list[Array]:
    arrays = [result.alpha] if isinstance(result, Matte) else list(result.planes)
    return [to_numpy(array) for array in arrays]


def section_encoders(task: Task) -> Iterator[str]:
    """NVENC beside libx264."""
    import av
    from av.codec.hwaccel import hwdevices_available

    yield f"hardware decoders that FFmpeg knows: {', '.join(hwdevices_available()) or 'none'}"
    (width, height), count = ((320, 180), 20) if task.small else ((1920, 1080), 150)
    images = [make_frame(i, width=width, height=height, num_objects=2)[0] for i in range(10)]
    seconds = {}
    yield f"{width}×{height}, {count} frames"
    for name, options in (
        ("libx264", {"crf": "18", "preset": "medium"}),
        ("h264_nvenc", {"cq": "19", "preset": "p5", "rc": "vbr", "b": "0"}),
    ):
        if problem := encoder_problem(name):
            yield f"{name}: {problem}"
            continue
        encoder: Any = av.VideoCodecContext.create(name, "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.options = options
        frames = [av.VideoFrame.from_ndarray(i).reformat(format="yuv420p") for i in images]
        began, size = time.perf_counter(), 0
        for index in range(count):
            frames[index % len(frames)].pts = index
            size += sum(packet.size for packet in encoder.encode(frames[index % len(frames)]))
        size += sum(packet.size for packet in encoder.encode(None))
        seconds[name] = time.perf_counter() - began
        yield f"{name}: {count / seconds[name]:.1f} frames/s, {size / 1e6:.1f} MB"
    if len(seconds) == 2:
        yield f"libx264 ÷ h264_nvenc: {seconds['libx264'] / seconds['h264_nvenc']:.2f} of time"


SECTIONS: dict[str, tuple[Callable[[Task], Iterator[str]], float]] = {
    "machine": (section_machine, 5),
    "parity": (section_parity, 30),
    "arrays": (section_arrays, 40),
    "encoders": (section_encoders, 20),
    "xmem": (section_xmem, 150),
    "long": (section_long, 60),
}
"""Each with the seconds that it is expected to take on a GPU."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="small frames, for a dry run")
    parser.add_argument("--reference", type=Path, help="a checkout of hkchengrex/XMem")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    task = Task(options.device, options.small, options.reference, ends)
    failed = []
    for name in options.only.split(","):
        section, expected = SECTIONS[name]
        print(f"\n## {name}\n", flush=True)
        if not task.small and task.left < expected:
            print(f"left out: it takes about {expected:.0f} s, and {task.left:.0f} are left")
            continue
        began = time.monotonic()
        # whatever goes wrong on a machine that is there for minutes, the other sections still count
        try:
            for line in section(task):
                print(line, flush=True)
        except Exception as error:  # noqa: BLE001
            failed.append(name)
            print(f"failed: {type(error).__name__}: {error}", flush=True)
        print(f"\n{time.monotonic() - began:.0f} s", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
