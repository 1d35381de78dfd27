"""How fast XMem is, how much memory it takes, and whether either grows with the clip.

Makes its own frames and prints a table.

    # 854×480, 1 and 2 objects, this machine's default device
    python bench/xmem.py
    # the same beside the authors' implementation, in turns
    python bench/xmem.py --reference ~/XMem
    # a long clip: does a late frame cost more?
    python bench/xmem.py --size 160x96 --frames 2500 --objects 1

`--reference` names a checkout of https://github.com/hkchengrex/XMem, which is imported from there.
Both sides get the same weights, frames, threads and memory options, each in a process of its own.
They take turns of `--turn` frames, so that whatever else the machine does falls on both alike, and
idle while the other works. Our time is that of a whole step, from the uint8 image to float32
probabilities on the host; the reference's leaves out its preparation of the image.

ms: median of all frames but the first `--warm-up`; of each five frames one is a memory frame, which
costs more. cpu ms: the processor time per frame, all threads together. slope: least squares of the
time per frame against frames, in microseconds, from the 500th frame on or, in a clip of fewer than
1000, in its second half; growth: what memory held at the end over what it held there.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vfx_matte.masks import Image, Mask, Probabilities


class Done(NamedTuple):
    """One finished frame, and the wall and processor time that it took."""

    probabilities: Probabilities
    seconds: float
    processor: float


Step = Callable[[Image, Mask | None], Done]

SETTLED = 500
COMPARED_EVERY = 7


def timed(work: Callable[[], Probabilities]) -> Done:
    """Do the work of one frame."""
    began, before = time.perf_counter(), time.process_time()
    probabilities = work()
    return Done(probabilities, time.perf_counter() - began, time.process_time() - before)


def make_frame(index: int, *, width: int, height: int, num_objects: int) -> tuple[Image, Mask]:
    """A textured ground that drifts, with a textured ellipse for each object that circles."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = (
        np.sin(columns / 23 + index / 40)
        + np.sin(rows / 17 - index / 60)
        + np.sin((rows + columns) / 7)
    )
    image = np.stack([110 + 25 * waves, 120 + 20 * waves, 100 - 25 * waves], 2)
    mask = np.zeros((height, width), np.uint8)
    for object_id in range(1, num_objects + 1):
        angle = index / 30 + 2 * np.pi * object_id / num_objects
        y = (rows / height - 0.5 - 0.22 * np.sin(angle)) / 0.18
        x = (columns / width - 0.5 - 0.25 * np.cos(angle)) / 0.13
        inside = x * x + y * y < 1
        color = np.array(
            [(70 * object_id) % 256, (200 - 90 * object_id) % 256, (40 + 130 * object_id) % 256]
        )
        image[inside] = color + 20 * np.sin(9 * x[inside] + 5 * y[inside])[:, None]
        mask[inside] = object_id
    return np.clip(image, 0, 255).astype(np.uint8), mask


def save_random_weights(path: Path, seed: int = 0) -> Path:
    """Write a state dict of the published names and shapes, scaled so that what is computed stays
    of order one.
    """
    import torch

    from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork

    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {
            name: (tensor.shape, tensor.dtype)
            for name, tensor in XMemNetwork(Dimensions()).state_dict().items()
        }
    tensors: dict[str, Any] = {}
    for name, (shape, dtype) in shapes.items():
        if len(shape) > 1:
            tensors[name] = torch.randn(shape, generator=generator) * shape[1:].numel() ** -0.5
        elif name.endswith(("running_var", "weight")):
            tensors[name] = torch.full(shape, 0.7 if name.endswith("weight") else 1.0)
        else:
            tensors[name] = torch.zeros(shape, dtype=dtype)
    tensors["value_encoder.conv1.weight"][:, 3:] *= 20
    tensors["value_encoder.fuser.block2.conv2.weight"] *= 4
    tensors["key_proj.key_proj.weight"] *= 2
    tensors["decoder.pred.weight"] *= 8
    tensors["decoder.pred.bias"] -= 4
    torch.save(tensors, path)
    return path


def open_ours(options: argparse.Namespace) -> Step:
    """This program's propagator."""
    from vfx_matte.propagate.xmem.propagator import XMemPropagator

    propagator = XMemPropagator(
        num_objects=options.objects,
        weights=options.weights,
        device=options.device,
        size=-1,
        autocast=options.autocast,
    )
    return lambda image, mask: timed(lambda: propagator.step(image, mask))


def open_reference(options: argparse.Namespace) -> Step:
    """The authors' implementation, from the folder where it is."""
    import torch

    sys.path.insert(0, str(options.reference))
    resnet: Any = importlib.import_module("model.resnet")
    # it would download weights of ResNet, only to have them overwritten
    resnet.model_zoo.load_url = lambda *_: {}
    resnet.load_weights_add_extra_dim = lambda *_, **__: None
    network_class = importlib.import_module("model.network").XMem
    core_class = importlib.import_module("inference.inference_core").InferenceCore
    config = {
        "mem_every": 5, "deep_update_every": -1, "top_k": 30, "enable_long_term": True,
        "enable_long_term_count_usage": True,
        "min_mid_term_frames": 5, "max_mid_term_frames": 10, "num_prototypes": 128,
        "max_long_term_elements": 10_000,
    }  # fmt: skip
    torch.set_grad_enabled(mode=False)
    network = network_class(config).eval()
    network.load_weights(torch.load(options.weights, map_location="cpu"))
    core = core_class(network.to(options.device), config=config)
    core.set_all_labels(list(range(1, options.objects + 1)))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def step(image: Image, mask: Mask | None) -> Done:
        planes = (
            ((torch.from_numpy(image) / 255 - mean) / deviation)
            .permute(2, 0, 1)
            .contiguous()
            .to(options.device)
        )
        given = None
        if mask is not None:
            given = (
                torch.stack([torch.from_numpy(mask == label) for label in core.all_labels])
                .float()
                .to(options.device)
            )

        def segment() -> Probabilities:
            with torch.autocast(torch.device(options.device).type, enabled=options.autocast):
                found: Probabilities = (
                    core.step(planes, given, None if given is None else core.all_labels)
                    .float()
                    .cpu()
                    .numpy()
                )
            return found

        return timed(segment)

    return step


def work(options: argparse.Namespace) -> None:
    """A worker: for every line on stdin that says how many frames, answer with one JSON line of
    what they cost.
    """
    import torch

    answers, sys.stdout = sys.stdout, sys.stderr  # the reference prints
    torch.set_num_threads(options.threads)
    step = open_reference(options) if options.work == "reference" else open_ours(options)
    width, height = options.size
    device, index = torch.device(options.device), 0
    for line in sys.stdin:
        seconds, processor, resident = [], [], []
        for _ in range(int(line)):
            image, mask = make_frame(index, width=width, height=height, num_objects=options.objects)
            done = step(image, mask if index == 0 else None)
            seconds.append(done.seconds)
            processor.append(done.processor)
            resident.append(
                torch.cuda.memory_allocated(device)
                if device.type == "cuda"
                else resident_bytes("VmRSS")
            )
            if index % COMPARED_EVERY == 0:
                np.save(
                    options.folder / f"{options.work}{index}.npy", done.probabilities[:, ::4, ::4]
                )
            index += 1
        peak = (
            torch.cuda.max_memory_allocated(device)
            if device.type == "cuda"
            else resident_bytes("VmHWM")
        )
        answer = {"seconds": seconds, "processor": processor, "resident": resident, "peak": peak}
        print(json.dumps(answer), file=answers, flush=True)


def resident_bytes(what: str) -> int:
    """VmRSS or VmHWM (the peak) of this process; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith(what)), 0
    )


class Worker:
    """One side of the comparison, in a process of its own."""

    def __init__(self, side: str, arguments: list[str], *, threads: int) -> None:
        """arguments: of this script, for the worker."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        command = [sys.executable, __file__, *arguments, "--work", side]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds: list[float] = []
        self.processor: list[float] = []
        self.resident: list[int] = []
        self.peak = 0

    def run(self, count: int) -> None:
        """Have the next frames done. Raises RuntimeError when the process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(count, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self._process.wait()}")
        answer = json.loads(line)
        self.seconds += answer["seconds"]
        self.processor += answer["processor"]
        self.resident += answer["resident"]
        self.peak = answer["peak"]

    def end(self) -> None:
        """Let the process go."""
        self._process.communicate()

    def report(self, warm_up: int) -> str:
        """The cells of its row of the table."""
        times, processor = (1000 * np.array(series) for series in (self.seconds, self.processor))
        settled = SETTLED if len(times) >= 2 * SETTLED else len(times) // 2
        slopes = [
            1000 * np.polyfit(np.arange(settled, len(times)), each[settled:], 1)[0]
            for each in (times, processor)
        ]
        growth = (self.resident[-1] - self.resident[settled]) / 2**20
        return (
            f"{np.median(times[warm_up:]):9.1f} {times[warm_up:].mean():9.1f}"
            f" {processor[warm_up:].mean():9.1f} {1000 / times[warm_up:].mean():9.2f}"
            f" {self.peak / 2**20:9.0f} {slopes[0]:12.2f} {slopes[1]:12.2f} {growth:11.1f}"
        )


def bench(options: argparse.Namespace, arguments: list[str]) -> None:
    """Run all sides for one number of objects and print their rows."""
    sides = ["ours", "reference"] if options.reference else ["ours"]
    with tempfile.TemporaryDirectory() as name:
        weights = options.weights or save_random_weights(Path(name) / "random.pth")
        own = [
            *arguments,
            "--objects",
            str(options.objects),
            "--folder",
            name,
            "--weights",
            str(weights),
        ]
        workers = {side: Worker(side, own, threads=options.threads) for side in sides}
        done = 0
        while done < options.frames:
            count = min(options.turn, options.frames - done)
            for worker in workers.values():
                worker.run(count)
            done += count
        for worker in workers.values():
            worker.end()
        for side, worker in workers.items():
            print(f"{side:<10} {options.objects:>3} {worker.report(options.warm_up)}", flush=True)
        if options.reference:
            ours, reference = workers["ours"], workers["reference"]
            wall, processor = (
                np.sum(getattr(reference, what)[options.warm_up :])
                / np.sum(getattr(ours, what)[options.warm_up :])
                for what in ("seconds", "processor")
            )
            pairs = [
                np.load(Path(name) / f"{side}{index}.npy")
                for index in range(0, done, COMPARED_EVERY)
                for side in sides
            ]
            gaps = [
                float(np.abs(a - b).max()) for a, b in zip(pairs[::2], pairs[1::2], strict=True)
            ]
            print(
                f"reference ÷ ours: {wall:.2f} of time, {processor:.2f} of processor time,"
                f" {reference.peak / ours.peak:.2f} of memory; probabilities differ by at most"
                f" {max(gaps[:4]):.1e} in the first {4 * COMPARED_EVERY} frames, {max(gaps):.1e}"
                " in all"
            )


def size_of(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    """Print the table, or be a worker."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size",
        type=size_of,
        default=(854, 480),
        help="WIDTHxHEIGHT of the frames (default 854x480)",
    )
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument(
        "--objects", type=str, default="1,2", help="numbers of objects, separated by commas"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--autocast", action="store_true", help="half precision, on both sides")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--weights", type=Path, help="XMem.pth (default: random ones of the same shapes)"
    )
    parser.add_argument(
        "--reference", type=Path, help="a checkout of hkchengrex/XMem to compare with"
    )
    parser.add_argument(
        "--turn",
        type=int,
        default=5,
        help="frames that one side does before it is the other's turn",
    )
    parser.add_argument(
        "--warm-up", type=int, default=10, help="frames at the start that do not count"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "auto":
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.work:
        options.objects = int(options.objects)
        work(options)
        return
    print(
        f"{'':<10} {'obj':>3} "
        + " ".join(f"{name:>9}" for name in ("ms", "mean ms", "cpu ms", "frames/s", "peak MiB")),
        end=" ",
    )
    print(
        " ".join(
            f"{name:>{width}}"
            for name, width in (("slope µs", 12), ("cpu slope µs", 12), ("growth MiB", 11))
        ),
        flush=True,
    )
    for count in options.objects.split(","):
        options.objects = int(count)
        bench(options, sys.argv[1:])


if __name__ == "__main__":
    main()
