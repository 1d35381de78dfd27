"""Masks from frame to frame.

Takes images and reference masks, gives probabilities; knows no file (except weights) and no time.

A propagator walks in one direction at a time: `driver.propagate` decides which frames it sees, in
which order.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vfx_matte.choices import did_you_mean
from vfx_matte.errors import PropagatorError, UsageError
from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.wording import command, option

if TYPE_CHECKING:  # opening the room loads nothing else of it
    from vfx_matte.propagate.confidence import Agreement

_IMPLEMENTATIONS = {
    "builtin": ("vfx_matte.propagate.builtin.propagator", "BuiltinPropagator"),
    "xmem": ("vfx_matte.propagate.xmem.propagator", "XMemPropagator"),
    "fake": ("vfx_matte.propagate.fake", "FakePropagator"),
}
"""Name → module and class. Modules are imported when they are opened; "fake" is for tests."""


@runtime_checkable
class Propagator(Protocol):
    """Carries masks through a clip, one frame at a time."""

    @property
    def num_objects(self) -> int:
        """K, the number of objects; ids are 1..K. Fixed when the propagator is opened."""

    def remember(self, image: Image, mask: Mask) -> None:
        """Put a reference into permanent memory.

        image: uint8 (H, W, 3) RGB; mask: uint8 (H, W), ids 0..K.

        Call it before the first `step` (or after `forget_temporary`); the order of references does
        not matter.
        """

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        """Segment the next frame of the walk.

        image: uint8 (H, W, 3) RGB. mask: given ids for this frame; objects present in it take
        exactly that shape and start the walk from it. last: True on the walk's last frame (nothing
        needs remembering for a next one). Returns float32 (K+1, H, W), background first, summing to
        1.
        Raises ValueError for other shapes or dtypes, and when no object has been shown yet.
        """

    def forget_temporary(self) -> None:
        """Start another walk: drop what was learned from frames, keep what `remember` was given."""


@runtime_checkable
class SelectiveMemory(Protocol):
    """A propagator that does better when it looks only at the references next to where it walks."""

    def attend(self, references: Mapping[int, int]) -> None:
        """Say which references matter in the walk that begins now: number → how many steps ahead it
        lies (≤ 0: behind).

        References are numbered 0, 1, … in the order in which they were remembered. Ends a walk,
        like `forget_temporary`.
        """


@runtime_checkable
class Foresighted(Protocol):
    """A propagator that is faster when it knows the next frame: it prepares it beside the one that
    it segments.
    """

    def foresee(self, image: Image) -> None:
        """Show the frame after the next `step`'s, which will get no mask.

        It changes no result, also if another one comes.
        """


@runtime_checkable
class ChoosesSize(Protocol):
    """A propagator that may choose its working size by the memory that is free, which another run
    has to repeat.
    """

    @property
    def working_size(self) -> int | None:
        """The short side in pixels that it chose; None before the first frame, and where it had no
        choice.
        """


@runtime_checkable
class Witnessed(Protocol):
    """A propagator beside which witnesses look at the same frames, whose word tells how good a
    result is.
    """

    @property
    def agreement(self) -> tuple[Agreement, ...] | None:
        """How far they have what the last step gave, for each object 1..K.

        None where there are none.
        """


def open_propagator(name: str, *, num_objects: int, **options: object) -> Propagator:
    """Make a propagator for objects 1..num_objects.

    name: "builtin", "xmem" or "fake". options: passed to the implementation as they are (for XMem
    weights, device, …). Raises UsageError for another name, PropagatorError when this version has
    no such propagator, and what the implementation raises (TypeError for an unknown option,
    ValueError for num_objects < 1).
    """
    _require_known(name)
    module_name, class_name = _IMPLEMENTATIONS[name]
    if importlib.util.find_spec(module_name) is None:
        raise PropagatorError(
            f"this version has no {_title(name)} propagator",
            hint=f"use {option('propagator', 'builtin')}",
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        hint = (
            f"in the vfx-matte folder: pip install -e '.[{name}]'; or use"
            f" {option('propagator', 'builtin')}"
        )
        raise PropagatorError(
            f"the {_title(name)} propagator needs {error.name}, which is not installed", hint=hint
        ) from error
    propagator: Propagator = getattr(module, class_name)(num_objects=num_objects, **options)
    return propagator


def _require_known(name: str) -> None:
    if name not in _IMPLEMENTATIONS:
        offered = [known for known in _IMPLEMENTATIONS if known != "fake"]
        hint = f"{did_you_mean(name, offered)}use {option('propagator', 'builtin')}"
        raise UsageError(
            f"propagator {name!r} is unknown, expected {', '.join(offered)}", hint=hint
        )


def choose_propagator(name: str | None, *, weights: Path) -> tuple[str, str]:
    """Decide which propagator to open, and say so in one line for people.

    name: an explicit choice, UsageError for an unknown one; None takes XMem when its module,
    PyTorch and the weights file are all there, else the built-in one. Looks for packages without
    importing them.
    """
    if name is not None:
        _require_known(name)
        return name, f"{_title(name)} propagator (as asked)"
    if importlib.util.find_spec(_IMPLEMENTATIONS["xmem"][0]) is None:
        return (
            "builtin",
            "built-in propagator (no weights needed); XMem is not part of this version",
        )
    if any(importlib.util.find_spec(package) is None for package in ("torch", "torchvision")):
        return (
            "builtin",
            "built-in propagator (no weights needed); XMem needs PyTorch: pip install -e '.[xmem]'",
        )
    if not weights.is_file():
        return (
            "builtin",
            (
                f"built-in propagator (no weights needed); XMem needs its weights at {weights}:"
                f" {command('weights fetch')}"
            ),
        )
    return (
        "xmem",
        f"XMem propagator, weights {weights}; {option('propagator', 'builtin')} does without",
    )


def _title(name: str) -> str:
    """The name as people write it."""
    return {"builtin": "built-in", "xmem": "XMem"}.get(name, name)
