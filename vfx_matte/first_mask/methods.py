"""The registry of methods for first masks: one entry per method, the best one first.

A new method is a file with a class that is a `FirstMask`, and an entry in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.names import NETWORK_TITLE
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask.marks import Answer, Marks, Probability
from vfx_matte.masks import Image
from vfx_matte.segment_anything import EDGETAM, SAM2, Family, OpenNetwork


class FirstMask(Protocol):
    """Finds masks in the one picture that it was opened with, and keeps what it computed for the
    next call.
    """

    def answer(self, marks: Marks, previous: Probability | None = None) -> Answer:
        """The mask of what is marked.

        Args:
            marks: at least one object mark or a box, unless `previous` is given; all that was
                marked so far.
            previous: float32 (H, W), 0 … 1: a mask to start from; marks then change it where they
                are.

        Returns:
            The answer; its mask may be empty where nothing was found.

        Raises:
            UsageError: marks outside the picture, or nothing to start from.
        """

    def subjects(self) -> list[Answer]:
        """What stands out without any mark: one answer per subject, largest first; may be empty."""

    def prepare(self) -> None:
        """Compute what the first answer needs in any case."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a method may be chosen by."""

    network: SalientNetwork | None
    """The salient network, where it is there."""
    is_part: bool = False
    """A part of something will be marked, which the network would see as a whole: colours tell them
    apart.
    """
    clicker: OpenNetwork | None = None
    """SAM 2 or EdgeTAM, where it was asked for."""


@dataclass(frozen=True, slots=True)
class FirstMaskMethod:
    """One entry of the registry."""

    title: str
    """What it is called."""
    needs: str
    """What it needs beside the picture, for messages; "" = nothing."""
    finds_subjects: bool
    """Whether `FirstMask.subjects` finds anything."""
    fits: Callable[[Conditions], bool]
    """Whether it can be used under these conditions."""
    open: Callable[[Image, Conditions], FirstMask]
    """Opens it with a picture, uint8 (H, W, 3) R'G'B'."""
    name: str = ""
    """What users choose it by; "" = it is only chosen by itself."""
    family: Family | None = None
    """The kind of network that has to be opened for it when it is chosen."""


def _open_sam(image: Image, conditions: Conditions) -> FirstMask:
    from vfx_matte.first_mask.sam import SamFirstMask

    assert conditions.clicker is not None
    return SamFirstMask(image, conditions.clicker, conditions.network)


def _sam_method(family: Family) -> FirstMaskMethod:
    def fits(conditions: Conditions) -> bool:
        clicker = conditions.clicker
        return clicker is not None and clicker.family is family and not conditions.is_part

    return FirstMaskMethod(
        title=family.title,
        needs=family.title,
        finds_subjects=False,
        fits=fits,
        open=_open_sam,
        name=family.name,
        family=family,
    )


def _open_learned(image: Image, conditions: Conditions) -> FirstMask:
    from vfx_matte.first_mask.learned import LearnedFirstMask

    assert conditions.network is not None
    return LearnedFirstMask(image, conditions.network)


def _open_weight_free(image: Image, conditions: Conditions) -> FirstMask:
    from vfx_matte.first_mask.weight_free import WeightFreeFirstMask

    return WeightFreeFirstMask(image, is_part=conditions.is_part)


METHODS = [
    # only when they are asked for, as opening them takes seconds
    _sam_method(SAM2),
    _sam_method(EDGETAM),
    FirstMaskMethod(
        title=f"{NETWORK_TITLE} on several crops",
        needs=NETWORK_TITLE,
        finds_subjects=True,
        fits=lambda conditions: conditions.network is not None and not conditions.is_part,
        open=_open_learned,
        name="salient",
    ),
    # the last one fits always
    FirstMaskMethod(
        title="colours and a graph cut",
        needs="",
        finds_subjects=False,
        fits=lambda _: True,
        open=_open_weight_free,
        name="graph",
    ),
]
"""Every method; the first one that fits is used."""


AUTO = "auto"
"""The name that stands for the best method that needs no choice."""


def method_names() -> tuple[str, ...]:
    """What users may choose."""
    return (AUTO, *(method.name for method in METHODS if method.name))


def method_named(name: str) -> FirstMaskMethod | None:
    """The method of a name; None for "auto". Raises UsageError for an unknown one."""
    if name == AUTO:
        return None
    for method in METHODS:
        if method.name and method.name == name:
            return method
    raise unknown_choice("method", name, method_names())


def choose_method(
    *,
    network: SalientNetwork | None,
    is_part: bool = False,
    clicker: OpenNetwork | None = None,
) -> FirstMaskMethod:
    """The best method under these conditions; arguments are those of `open_first_mask`."""
    conditions = Conditions(network, is_part, clicker)
    return next(method for method in METHODS if method.fits(conditions))


def open_first_mask(
    image: Image,
    *,
    network: SalientNetwork | None,
    is_part: bool = False,
    clicker: OpenNetwork | None = None,
) -> FirstMask:
    """Open the best method that can be used.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network, or None for a method that needs no trained weights.
        is_part: a part of something will be marked, see `Conditions`.
        clicker: SAM 2 or EdgeTAM for pictures, which then answers; None does without.
    """
    method = choose_method(network=network, is_part=is_part, clicker=clicker)
    return method.open(image, Conditions(network, is_part, clicker))
