"""How masks are made in a studio: what there is to choose from, and what is chosen."""

from __future__ import annotations

import importlib.util
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.names import NETWORK_FILE
from vfx_matte.detect.text import lack_of_text_detector
from vfx_matte.errors import UsageError, VfxMatteError, install_hint
from vfx_matte.first_mask.methods import AUTO, METHODS, FirstMaskMethod
from vfx_matte.pipeline.first_mask.salient_network import FETCH_COMMAND, fetch_allowed
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.propagate.registry import REGISTRY, choose_propagator, missing
from vfx_matte.segment_anything import EXTRA
from vfx_matte.wording import command
from vfx_matte.workspace import write_text

FILE = "ways.json"
"""What was chosen, in the studio's folder."""


@dataclass(frozen=True, slots=True)
class Way:
    """One thing to choose."""

    name: str
    title: str
    lack: str = ""
    """Why it cannot be used here, in a sentence; "" where it can."""
    hint: str = ""
    """What to do about that."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What there is to choose from, and what is chosen."""

    methods: tuple[Way, ...]
    """Of first masks; "auto" first."""
    method: str
    propagators: tuple[Way, ...]
    """ "auto" first, with the title of the one that it takes."""
    propagator: str
    text: Way
    """What finds what a text says."""
    words: str
    """What was looked for last."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen, which the project's folder keeps."""

    method: str = AUTO
    """Of first masks, a name of `first_mask.methods`."""
    propagator: str = AUTO
    """A name of `propagate.registry`, or "auto"."""
    text: str = ""
    """What was looked for last in words; "" = nothing."""
    found: tuple[str, int, str] | None = None
    """A text, the frame and the digest of the mask that it gave, which was the project's first."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What was chosen before; the usual where that is not known any more."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
            found = plain["found"]
            made = cls(
                method=str(plain["method"]),
                propagator=str(plain["propagator"]),
                text=str(plain["text"]),
                found=None if found is None else (str(found[0]), int(found[1]), str(found[2])),
            )
            methods = {AUTO, *(one.name for one in METHODS)}
            propagators = {AUTO, *(one.name for one in REGISTRY if one.is_offered)}
            if made.method in methods and made.propagator in propagators:
                return made
        return cls()

    def save(self, folder: Path) -> None:
        """Keep it.

        Raises:
            OutputError: it cannot be written.
        """
        plain = {
            "method": self.method,
            "propagator": self.propagator,
            "text": self.text,
            "found": self.found,
        }
        write_text(folder / FILE, json.dumps(plain, ensure_ascii=False))


def ways(chosen: Chosen, options: PropagatorOptions, *, model: Path, fetch: bool) -> Ways:
    """What there is to choose from.

    Args:
        chosen: what is chosen.
        options: of propagators, which name their weights.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched.
    """
    taken = choose_propagator(None, options.of).entry
    propagators = [Way(AUTO, taken.title)]
    for entry in REGISTRY:
        if entry.is_offered:
            lack, _, hint = missing(entry, options.of(entry)).partition("; ")
            propagators.append(Way(entry.name, entry.title, lack, hint))
    lacking = lack_of_text_detector(None, model)
    return Ways(
        methods=(
            Way(AUTO, ""),
            *(_method(one, model=model, fetch=fetch) for one in METHODS if one.name),
        ),
        method=chosen.method,
        propagators=tuple(propagators),
        propagator=chosen.propagator,
        text=_text(lacking),
        words=chosen.text,
    )


def changed(
    chosen: Chosen, offered: Ways, *, method: str | None = None, propagator: str | None = None
) -> Chosen:
    """With another choice; None leaves one as it is.

    Raises:
        UsageError: there is no such thing, or it cannot be used here.
    """
    if method is not None:
        chosen = replace(chosen, method=_usable("method", method, offered.methods))
    if propagator is not None:
        chosen = replace(chosen, propagator=_usable("propagator", propagator, offered.propagators))
    return chosen


def _usable(kind: str, name: str, offered: tuple[Way, ...]) -> str:
    way = next((one for one in offered if one.name == name), None)
    if way is None:
        raise unknown_choice(kind, name, [one.name for one in offered])
    if way.lack:
        raise UsageError(way.lack, hint=way.hint)
    return name


def _method(method: FirstMaskMethod, *, model: Path, fetch: bool) -> Way:
    title = method.title
    family = method.family
    if family is None:
        # the salient network comes by itself, where it may
        there = not method.needs or (model / NETWORK_FILE).is_file()
        if there or (fetch and fetch_allowed()):
            return Way(method.name, title)
        return Way(method.name, title, f"{method.needs} is not in {model}", FETCH_COMMAND)
    if any(importlib.util.find_spec(package) is None for package in family.packages):
        return Way(
            method.name, title, f"{title} needs {family.packages_title}", install_hint(EXTRA)
        )
    if not any((model / folder).exists() for folder in family.folders):
        fetching = command("weights fetch", family.folders[0])
        return Way(method.name, title, f"{title} needs its weights in {model}", fetching)
    return Way(method.name, title)


def _text(lacking: VfxMatteError | None) -> Way:
    if lacking is None:
        return Way("text", "")
    # what the page has nothing for is left out
    return Way("text", "", lacking.message, lacking.hint.partition("; ")[0])
