"""What each editing program takes well.

Takes a program's name and a kind of output, gives its record of deliveries.toml.

The file is the table; nothing about a program is written in code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from vfx_matte.choices import unknown_choice
from vfx_matte.media.formats import CODECS, CONTAINERS, PCM, SoundChoice

TABLE_NAME = "deliveries.toml"
ALL = "all"
KINDS = ("source", "greenback", "alpha", "maskvideo", "overlay")
"""The outputs that every program has a record for; "source" is the clip itself at constant rate
(conform).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One output as one program takes it.

    suffix: the file's ending, which names its container. codec: the encoder; pixel_format: what it
    is fed; both also for clips above 8 bits. alpha: "straight", "premultiplied", or "" for files
    without transparency. style: of a mask video, "" = luma.
    quality: the encoder's constant-quality number, None = its usual one.
    """

    kind: str
    suffix: str
    codec: str
    pixel_format: str
    deep: Mapping[str, str] = field(default_factory=dict)
    alpha: str = ""
    style: str = ""
    quality: int | None = None
    why: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.suffix not in CONTAINERS:
            raise ValueError(f"suffix {self.suffix!r} is not one of {', '.join(CONTAINERS)}")
        unknown = set(self.deep) - {"codec", "pixel_format"}
        if unknown:
            raise ValueError(f"deep has {unknown}, expected codec and pixel_format")
        for depth in (8, 10):
            if self.codec_for(depth) not in CODECS:
                raise ValueError(f"codec {self.codec_for(depth)!r} is unknown")
        if self.alpha not in ("", "straight", "premultiplied"):
            raise ValueError(f"alpha {self.alpha!r} is neither straight nor premultiplied")

    def codec_for(self, bit_depth: int) -> str:
        """The encoder for a clip of this depth."""
        return self.deep.get("codec", self.codec) if bit_depth > 8 else self.codec

    def pixel_format_for(self, bit_depth: int) -> str:
        """What the encoder is fed for a clip of this depth."""
        return (
            self.deep.get("pixel_format", self.pixel_format) if bit_depth > 8 else self.pixel_format
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One editing program.

    constant_rate: it takes a variable frame rate badly. sound_copies: sound codecs that stay as
    they are; sound_encoders: what other sound becomes, by the file's ending. deliveries: by kind.
    """

    name: str
    title: str
    constant_rate: bool
    sound_copies: frozenset[str]
    sound_encoders: Mapping[str, str]
    sources: tuple[str, ...]
    deliveries: Mapping[str, Delivery]

    def __post_init__(self) -> None:
        missing = [kind for kind in KINDS if kind not in self.deliveries]
        if missing:
            raise ValueError(f"{self.name} has no record for {missing[0]}")
        for delivery in self.deliveries.values():
            if delivery.suffix not in self.sound_encoders:
                raise ValueError(f"{self.name} has no sound encoder for {delivery.suffix}")

    def sound_for(self, suffix: str) -> SoundChoice | None:
        """What becomes of sound in a file of this ending; None where this program has nothing to
        say about it.
        """
        encoder = self.sound_encoders.get(suffix)
        return SoundChoice(self.sound_copies, encoder) if encoder else None


@cache
def common() -> Mapping[str, str]:
    """What holds for every program and output: range ("tv" = limited), colour_tags, time_base and
    size, for people.
    """
    return dict(_table()[ALL])


@cache
def targets() -> Mapping[str, Target]:
    """Every program of the table by its name, in the table's order."""
    return {name: _target(name, values) for name, values in _table().items() if name != ALL}


def target_named(name: str) -> Target:
    """One program. Raises UsageError when the table does not have it."""
    found = targets().get(name.strip().lower())
    if found is None:
        raise unknown_choice(
            "program", name, targets(), hint=f"known: {', '.join(targets())}; see vfx-matte formats"
        )
    return found


def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(
        resources.files(__package__).joinpath(TABLE_NAME).read_text(encoding="utf-8")
    )


def _target(name: str, values: dict[str, Any]) -> Target:
    deliveries = {
        kind: Delivery(kind=kind, **record)
        for kind, record in values.items()
        if isinstance(record, dict) and "why" in record
    }
    facts = {key: value for key, value in values.items() if key not in deliveries}
    named = facts.pop("sound_copies")
    copies = frozenset(codec for codec in named if codec != "pcm") | (
        PCM if "pcm" in named else frozenset()
    )
    return Target(
        name=name,
        sound_copies=copies,
        sources=tuple(facts.pop("sources")),
        deliveries=deliveries,
        **facts,
    )
