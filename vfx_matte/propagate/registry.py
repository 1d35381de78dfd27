"""The registry of propagators: the only file that lists them.

A new one is a folder or file of its own and an entry here. Nothing is imported for it until it is
opened.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vfx_matte.choices import implementation_of, unknown_choice
from vfx_matte.errors import PropagatorError, install_hint
from vfx_matte.propagate.builtin.entry import BUILTIN
from vfx_matte.propagate.entry import OfferedOption, PropagatorEntry, offered_options
from vfx_matte.propagate.protocol import Propagator
from vfx_matte.propagate.sam.entry import EDGETAM_ENTRY, SAM2_ENTRY
from vfx_matte.propagate.xmem.entry import XMEM
from vfx_matte.wording import command, option

FAKE = PropagatorEntry(
    name="fake",
    title="fake",
    implementation="vfx_matte.propagate.fake:FakePropagator",
    is_offered=False,
)
"""For tests of everything around propagators."""

REGISTRY: tuple[PropagatorEntry, ...] = (BUILTIN, XMEM, SAM2_ENTRY, EDGETAM_ENTRY, FAKE)

FALLBACK = BUILTIN
"""The one that runs everywhere: what "auto" takes in the end, and what hints name."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which propagator is used, and why; `str` makes one line for people of it."""

    entry: PropagatorEntry

    what: str
    """The propagator and what it works with."""

    notes: tuple[str, ...] = ()
    """What would be better, or what the other choice is."""

    def __str__(self) -> str:
        return "; ".join([self.what, *self.notes])

    def extended(self, what: str = "", note: str = "") -> Decision:
        """With more about what it works with, and a note before the others."""
        return replace(
            self, what=self.what + what, notes=(note, *self.notes) if note else self.notes
        )


def registered(name: str) -> PropagatorEntry:
    """The entry of that name. Raises UsageError for an unknown one."""
    for entry in REGISTRY:
        if entry.name == name:
            return entry
    raise unknown_choice("propagator", name, offered_names())


def offered_names() -> tuple[str, ...]:
    """The names that help texts and messages show."""
    return tuple(entry.name for entry in REGISTRY if entry.is_offered)


def names_text() -> str:
    """The same in a sentence: "auto, builtin or xmem"."""
    *names, last = ("auto", *offered_names())
    return f"{', '.join(names)} or {last}"


def phrase(name: str) -> str:
    """A propagator in a sentence: "the XMem propagator"."""
    # masks may have been made by one that is for tests, or by one that is gone by now
    titles = (entry.title for entry in REGISTRY if entry.name == name and entry.is_offered)
    return f"the {title} propagator" if (title := next(titles, "")) else "another propagator"


def propagator_options(*, describers: bool = False) -> dict[str, OfferedOption]:
    """Every option that doors offer for propagators, or for their describers alone."""
    return offered_options([entry for entry in REGISTRY if entry.is_offered], describers=describers)


def open_propagator(name: str, *, num_objects: int, **arguments: object) -> Propagator:
    """Make a propagator for objects 1..num_objects.

    Args:
        name: of an entry.
        num_objects: K.
        arguments: passed to the class as they are; `PropagatorEntry.arguments` makes them of
            options.

    Raises:
        UsageError: the name is unknown.
        PropagatorError: a package is missing.
        TypeError: the class does not know an argument.
        ValueError: num_objects < 1.
    """
    entry = registered(name)
    propagator: Propagator = load(entry, entry.implementation)(num_objects=num_objects, **arguments)
    return propagator


def choose_propagator(name: str | None, options: Callable[[PropagatorEntry], Any]) -> Decision:
    """Decide which propagator to open.

    Args:
        name: an explicit choice; None takes the one with the highest preference that can run here.
        options: the options of each, as chosen.

    Raises:
        UsageError: the name is unknown.
    """
    if name is not None:
        entry = registered(name)
        return Decision(entry, f"{entry.title} propagator (as asked)")
    # the best one that can run; what the better ones lack is said, so that people can get it
    notes: list[str] = []
    ranked = [entry for entry in REGISTRY if entry.preference is not None]
    for entry in sorted(ranked, key=lambda entry: entry.preference or 0, reverse=True):
        lack = missing(entry, options(entry))
        # what would be too slow is no advice either
        if entry.needs_gpu and not _has_gpu(options(entry)):
            continue
        if lack:
            notes.append(lack)
            continue
        paths = entry.weights(options(entry)).values()
        works_with = "".join(f", weights {path}" for path in paths) or " (no weights needed)"
        if paths:
            notes.append(f"{option('propagator', FALLBACK.name)} does without")
        return Decision(entry, f"{entry.title} propagator{works_with}", tuple(notes))
    return Decision(FALLBACK, f"{FALLBACK.title} propagator", tuple(notes))


def missing(entry: PropagatorEntry, options: Any) -> str:  # noqa: ANN401
    """What a propagator lacks to run here, as a sentence; "" where it lacks nothing.

    Args:
        entry: the propagator; its packages are looked for without importing them.
        options: its options or its describer's, which name its weights.
    """
    # importing PyTorch takes seconds, finding it does not
    if any(importlib.util.find_spec(package) is None for package in entry.packages):
        return f"{entry.title} needs {entry.packages_title}; {install_hint(entry.extra)}"
    # a file that is damaged is found when it is opened
    for name, path in entry.weights(options).items():
        if not path.exists():
            usual = getattr(entry.chosen({}), name)
            fetch = command("weights fetch", usual.stem)
            return f"{entry.title} needs its weights at {path}: {fetch}"
    return ""


def _has_gpu(options: Any) -> bool:  # noqa: ANN401
    """Whether a propagator with these options would run on an NVIDIA GPU."""
    # NumPy comes with it, which the registry itself does without
    from vfx_matte.backend import driver_problem

    device = getattr(options, "device", "auto")
    return device != "cpu" and (device != "auto" or driver_problem() is None)


def weights_reader() -> Callable[[Path], object] | None:
    """What reads a file of weights as a propagator does: its answer, as text, says in a line what
    is in the file, and it raises PropagatorError. None where no propagator that can is installed.
    """
    for entry in REGISTRY:
        if entry.weights_reader:
            with contextlib.suppress(PropagatorError, ImportError):  # missing, or broken
                reader: Callable[[Path], object] = load(entry, entry.weights_reader)
                return reader
    return None


def load(entry: PropagatorEntry, where: str) -> Any:  # noqa: ANN401
    """A class or function of a propagator, "module:name"; imports the module.

    Raises PropagatorError when a package is missing.
    """
    # only the import is tried: what goes wrong in a constructor is not a missing package
    try:
        return implementation_of(where)
    except ModuleNotFoundError as error:
        instead = f"use {option('propagator', FALLBACK.name)}"
        raise PropagatorError(
            f"the {entry.title} propagator needs {error.name}, which is not installed",
            hint=f"{install_hint(entry.extra)}; or {instead}" if entry.extra else instead,
        ) from error
