"""Networks of the `transformers` package, read from folders as `save_pretrained` leaves them.

Such a folder holds config.json, model.safetensors, and usually preprocessor_config.json with how
pictures are prepared. It is read from this machine alone, and only as safetensors: weights that are
pickled would run code of theirs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import DeviceError, UsageError, WeightsError, install_hint
from vfx_matte.files.inputs import read_small_file
from vfx_matte.wording import option

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PREPROCESSING_FILE = "preprocessor_config.json"

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, 0 … 1: what most networks were trained with."""

# weights of more than one file have an index beside them
_WEIGHTS_FILES = (WEIGHTS_FILE, f"{WEIGHTS_FILE}.index.json")
# as newer versions of transformers write it; the pictures' part is under a key of its own
_PROCESSOR_FILE = "processor_config.json"
_PARTS = ("image_processor", "video_processor")
_MOST_FACTS_BYTES = 2**20
# either holds the words; the second is the older form
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a network wants its pictures."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from the scaled colours."""

    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    """What they are divided by then."""

    rescale: float = 1 / 255
    """What colours of 0 … 255 are scaled with before."""

    size: tuple[int, int] | None = None
    """Height and width that pictures are resized to, px; None where the folder names none."""

    shortest_edge: int | None = None
    """The short side that pictures are resized to, px, where a folder says that instead."""

    longest_edge: int | None = None
    """What the long side may have then, px."""

    def tensor(self, image: npt.NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
        """A picture as the network wants it.

        Args:
            image: uint8 (H, W, 3) R'G'B'.
            height: what it is resized to, px, bilinear and without aliases.
            width: as `height`.

        Returns:
            float32 (1, 3, height, width) on the CPU.
        """
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
        if pixels.shape[2:] != (height, width):
            # as the library's own processors, which resize what is still 8 bits
            pixels = torch.nn.functional.interpolate(
                pixels, (height, width), mode="bilinear", antialias=True, align_corners=False
            )
        mean, deviation = (
            torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)
            for values in (self.mean, self.deviation)
        )
        return (pixels.float() * self.rescale - mean) / deviation


def require_packages(title: str, packages: Sequence[str], *, extra: str) -> None:
    """Raise UsageError where packages are missing, which are not imported for that.

    Args:
        title: who needs them, with its verb: "edges 'vitmatte' need".
        packages: as they are imported.
        extra: the extra of this program that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{title} {' and '.join(missing)}, which is not installed", hint=install_hint(extra)
        )


def network_folder(weights: Path, *, title: str, hint: str) -> Path:
    """The folder of a network: `weights`, or its only subfolder that holds a config.json.

    Args:
        weights: the folder as it was named.
        title: who needs it, with its verb: "edges 'vitmatte' need".
        hint: where to get one.

    Raises:
        UsageError: it is nowhere, or in several folders.
    """
    # `hf download` of several networks into one folder leaves a folder for each
    if (weights / CONFIG_FILE).is_file():
        return weights
    inside = sorted(path.parent for path in weights.glob(f"*/{CONFIG_FILE}"))
    if len(inside) == 1:
        return inside[0]
    found = (
        f"holds several: {', '.join(path.name for path in inside)}"
        if inside
        else f"has no {CONFIG_FILE}"
    )
    raise UsageError(f"{title} a network, but {str(weights)!r} {found}", hint=hint)


def torch_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: "auto" (CUDA where PyTorch finds a GPU), "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceError: it is unknown, or not usable.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} is unknown", hint="use cpu, cuda or auto") from error
    # torch.device keeps an index in 8 bits, so that a large one is negative
    if device.type == "cuda" and not 0 <= (device.index or 0) < torch.cuda.device_count():
        raise DeviceError(
            f"device {name!r} is not usable: PyTorch finds no"
            f" {'GPU' if torch.cuda.device_count() == 0 else 'such GPU'}",
            hint=f"use {option('device', 'cpu')}",
        )
    return device


def load_network(
    folder: Path,
    class_name: str,
    *,
    title: str,
    model_types: Sequence[str] = (),
    unneeded: tuple[str, ...] = (),
    adapt: Callable[[Any], None] | None = None,
) -> Any:  # noqa: ANN401  a class of an optional package
    """Load a network, whole, in float32 and in evaluation mode; nothing is downloaded.

    Args:
        folder: as `network_folder` found it.
        class_name: its class in transformers, such as "VitMatteForImageMatting".
        title: what it is, for messages: "a ViTMatte network".
        model_types: what config.json may have as its model_type; empty does not look.
        unneeded: ends of the names of tensors that only training uses, so that they may be missing.
        adapt: changes the configuration before the network is made, such as the size of pictures.

    Raises:
        WeightsError: the folder is not such a network, lacks a part of one, or its weights are
            pickled.
    """
    import torch
    import transformers

    # 1. what can be said of the folder before the library reads it
    problem = f"{str(folder)!r} is not {title}"
    said = read_facts(folder / CONFIG_FILE).get("model_type")
    if model_types and said not in model_types:
        raise WeightsError(
            f"{problem}: it says model_type {said!r}, expected {' or '.join(model_types)}",
            hint="name the folder of such a network",
        )
    if not any((folder / name).is_file() for name in _WEIGHTS_FILES):
        raise WeightsError(
            f"{problem}: it has no {WEIGHTS_FILE}",
            hint="weights in other forms (.bin, .pt, .pth) can run code, and are not read",
        )
    # 2. transformers talks to stderr while it loads; what it finds is in its report
    try:
        with _quiet():
            kind = getattr(transformers, class_name)
            config = kind.config_class.from_pretrained(folder, local_files_only=True)
            if adapt is not None:
                adapt(config)
            network, report = kind.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=False,
            )
    # transformers, safetensors and torch raise many unrelated types for a bad file
    except Exception as error:
        raise WeightsError(
            f"{problem}: {' '.join(str(error).split())[:300]}", hint="fetch the folder again"
        ) from error
    # 3. a missing tensor would be filled with random numbers, and the network run
    lacking = sorted(name for name in report["missing_keys"] if not name.endswith(unneeded))
    if lacking:
        raise WeightsError(
            f"{problem}: {len(lacking)} tensors are missing, the first is {lacking[0]}",
            hint="fetch it again",
        )
    return network.eval().requires_grad_(requires_grad=False)


def load_tokenizer(folder: Path, class_name: str, *, title: str) -> Any:  # noqa: ANN401
    """Load what turns texts into a network's numbers; nothing is downloaded.

    Args:
        folder: as `network_folder` found it.
        class_name: its class in transformers, such as "CLIPTokenizer".
        title: whose it is, for messages.

    Raises:
        WeightsError: it is not there, or cannot be read.
    """
    import transformers

    # without its files the library would make one that knows no words
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise WeightsError(
            f"{str(folder)!r} lacks what reads texts for {title}: {' or '.join(_TOKENIZER_FILES)}",
            hint="get the whole folder",
        )
    try:
        with _quiet():
            return getattr(transformers, class_name).from_pretrained(folder, local_files_only=True)
    # as for networks, a bad file raises many unrelated types
    except Exception as error:
        raise WeightsError(
            f"the files in {str(folder)!r} that read texts for {title} are damaged:"
            f" {' '.join(str(error).split())[:300]}",
            hint="get the folder again",
        ) from error


def read_preprocessing(
    folder: Path, usual: Preprocessing | None = None, *, file: str = PREPROCESSING_FILE
) -> Preprocessing:
    """How the network of a folder wants its pictures, as its preprocessor_config.json says.

    Args:
        folder: as `network_folder` found it.
        usual: what holds for all that the folder does not say.
        file: which file says it; networks for videos have video_preprocessor_config.json.

    Raises:
        WeightsError: a file cannot be read, or says something impossible.
    """
    usual = usual or Preprocessing()
    path = folder / file
    if not path.is_file():
        path = folder / _PROCESSOR_FILE
    if not path.is_file():
        return usual
    facts = read_facts(path)
    # newer files hold the picture's part beside that of videos and texts
    facts = next((facts[part] for part in _PARTS if facts.get(part)), facts)
    try:
        mean, deviation = (
            tuple(float(value) for value in facts.get(key) or default)
            for key, default in (("image_mean", usual.mean), ("image_std", usual.deviation))
        )
        rescale = float(facts.get("rescale_factor") or usual.rescale)
        named = facts.get("size") or {}
        sides = {key: int(value) for key, value in _named_size(named).items() if value}
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be read: {error}", hint="fetch the folder again"
        ) from error
    if facts.get("do_normalize") is False:
        mean, deviation = (0.0,) * 3, (1.0,) * 3
    if facts.get("do_rescale") is False:
        rescale = 1.0
    if len(mean) != 3 or len(deviation) != 3 or not min(deviation) > 0:
        raise WeightsError(
            f"{str(path)!r} has mean {list(mean)} and deviation {list(deviation)}, expected three"
            " colours each"
        )
    if not rescale > 0 or any(side < 1 for side in sides.values()):
        raise WeightsError(f"{str(path)!r} has rescale_factor {rescale} and size {sides}")
    has_size = {"height", "width"} <= set(sides)
    return Preprocessing(
        mean=(mean[0], mean[1], mean[2]),
        deviation=(deviation[0], deviation[1], deviation[2]),
        rescale=rescale,
        size=(sides["height"], sides["width"]) if has_size else usual.size,
        shortest_edge=sides.get("shortest_edge", usual.shortest_edge),
        longest_edge=sides.get("longest_edge", usual.longest_edge),
    )


def size_with_aspect(shape: tuple[int, ...], shortest: int, longest: int | None) -> tuple[int, int]:
    """The size that a picture is resized to in its own proportions.

    Args:
        shape: its height and width, px.
        shortest: what its short side becomes, px, unless the long one became too long.
        longest: what its long side may become, px; None is no limit.

    Returns:
        Height and width as the library's processors compute them, at least 1.
    """
    small, large = min(shape[:2]), max(shape[:2])
    side: float = shortest
    if longest is not None and large / small * shortest > longest:
        side = longest * small / large
    # the long side from the short one before it is rounded; a picture that has the size keeps it
    short = round(side)
    long = large if small == short else int(side * large / small)
    sides = (max(short, 1), max(long, 1))
    return sides if shape[0] <= shape[1] else sides[::-1]


def _named_size(size: Any) -> dict[str, Any]:  # noqa: ANN401  of a file
    """A size as files have it, {"height": …} or a number for a square."""
    return {"height": size, "width": size} if isinstance(size, int) else dict(size)


def read_facts(path: Path) -> dict[str, Any]:
    """What a JSON file of such a folder says.

    Raises:
        WeightsError: it cannot be read, or is no JSON object.
    """
    try:
        facts = json.loads(
            read_small_file(path, what="network", most_bytes=_MOST_FACTS_BYTES).decode("utf-8")
        )
    except (UsageError, OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be read: {error}", hint="fetch the folder again"
        ) from error
    if not isinstance(facts, dict):
        raise WeightsError(
            f"{str(path)!r} cannot be read: it is no JSON object", hint="fetch the folder again"
        )
    return facts


@contextlib.contextmanager
def computing(
    device: torch.device, *, title: str, hint: str, has_half_precision: bool = True
) -> Iterator[None]:
    """Run a network inside: without gradients, on CUDA in bfloat16 where that is enough.

    Args:
        device: where it runs.
        title: whose network it is, for messages.
        hint: what to do where memory does not suffice.
        has_half_precision: whether bfloat16 is enough for it.

    Raises:
        DeviceError: memory of the device does not suffice.
    """
    import torch

    half = (
        torch.autocast("cuda", dtype=torch.bfloat16)
        if device.type == "cuda" and has_half_precision
        else contextlib.nullcontext()
    )
    try:
        with torch.inference_mode(), half:
            yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise DeviceError(f"memory of {device} is too small for {title}", hint=hint) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted, of a GPU or of the machine."""
    import torch

    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        # the CPU's allocator raises a plain RuntimeError
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let transformers say nothing inside."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
