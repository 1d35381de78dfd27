"""Which propagator a run uses, and how it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.pipeline.weights import opened_weights, require_known_checksum, require_named_file
from vfx_matte.propagate.entry import Helper, Opening, PropagatorEntry, fields_of
from vfx_matte.propagate.protocol import Propagator
from vfx_matte.propagate.registry import (
    REGISTRY,
    Decision,
    choose_propagator,
    missing,
    offered_names,
    open_propagator,
    propagator_options,
    registered,
)
from vfx_matte.settings.options import MEMORIES, PathsSettings, SegmentSettings
from vfx_matte.wording import Value, command, option
from vfx_matte.workspace import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagatorOptions:
    """What a user can choose about propagation.

    Raises:
        UsageError: a value is out of range.
        TypeError: no propagator has such an option.
    """

    name: str = "auto"
    """Which one; "auto" takes the best one that can run here (`registry.choose_propagator`)."""

    memory: str = SegmentSettings().memory
    """"permanent" remembers every reference for the whole clip (XMem++), "xmem" uses a reference
    only from its frame on, in one walk.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    """Option → value, of any propagator; each takes those that it has. A path to weights may be
    True: the file in the folder of weights; False or None: without.
    """

    model: Path = PathsSettings().model
    """The folder of network weights."""

    legacy: Mapping[str, object] = field(default_factory=dict)
    """Key of config.ini's section [config] → value, None where there is none."""

    is_decided: bool = False
    """Whether all of this was decided, and said, before; see `decided`."""

    def __post_init__(self) -> None:
        SegmentSettings(memory=self.memory)  # which refuses another word
        known = propagator_option_names()
        if unknown := sorted(self.values.keys() - known):
            listed = ", ".join(sorted(known))
            raise TypeError(f"{unknown[0]!r} is not an option of a propagator: {listed}")

    @property
    def remembers(self) -> bool:
        """Whether references go into permanent memory."""
        return self.memory == MEMORIES[0]

    @property
    def is_compiled(self) -> bool:
        """See `PropagatorEntry.is_compiled`; of the decided propagator."""
        return registered(self.name).is_compiled

    @property
    def settings(self) -> Mapping[str, str | int | float | bool]:
        """What masks depend on, for the manifest; of the decided propagator."""
        entry = registered(self.name)
        return {"memory": self.memory, **entry.recorded(self.of(entry))}

    def of(self, entry: PropagatorEntry, *, describer: bool = False) -> Any:  # noqa: ANN401
        """The options of one propagator, or of its describer; see `PropagatorEntry.chosen`."""
        return entry.chosen(self.values, model=self.model, legacy=self.legacy, describer=describer)

    def decided(
        self, notify: Callable[[str], None], *, earlier: Manifest | None = None
    ) -> PropagatorOptions:
        """With the propagator's name instead of "auto", and with the weights that help it only
        where they can be used; says which and why.

        Args:
            notify: is told the decision, in a line.
            earlier: work that is to be gone on with, in the way that it was begun.

        Raises:
            UsageError: weights that were named are not there.
            WorkspaceError: that is not possible any more.
        """
        if self.is_decided:
            return self
        # 1. which one; 2. whether its optional weights are used, as the work before this did
        decision = choose_propagator(None if self.name == "auto" else self.name, self.of)
        helper, values = decision.entry.helper, dict(self.values)
        if helper is not None:
            given = values.get(helper.option)
            require_named_file(given, title=helper.title, option_name=helper.option)
            file = getattr(self.of(decision.entry), helper.option)
            values[helper.option], decision = _with_helper(
                decision, helper, file, earlier=earlier, notify=notify
            )
        notify(str(decision))
        return replace(self, name=decision.entry.name, values=values, is_decided=True)

    def check_name(self) -> None:
        """Raise UsageError where there is no such propagator."""
        if self.name != "auto":
            registered(self.name)

    def require_runnable(self) -> None:
        """Raise UsageError where the decided propagator lacks a package or its weights here."""
        entry = registered(self.name)
        if lack := missing(entry, self.of(entry)):
            raise UsageError(f"the {entry.title} propagator cannot run here", hint=lack)

    def open(
        self, *, num_objects: int, notify: Callable[[str], None], size: int | None = None
    ) -> Propagator:
        """Open the decided propagator.

        Args:
            num_objects: K.
            notify: is told about its size and a lack of memory.
            size: what an earlier run of the same work chose, where the choice was left to it.

        Raises:
            WeightsError: a file has another checksum than is known for it.
            VfxMatteError: as `open_propagator`.
        """
        entry = registered(self.name)
        own = self.of(entry)
        helping = None if entry.helper is None else getattr(own, entry.helper.option)
        for path in (*entry.weights(own).values(), helping):
            if path is not None:
                require_known_checksum(path)
        arguments = entry.arguments(own, Opening(notify, size))
        return open_propagator(self.name, num_objects=num_objects, **arguments)


def propagator_option_names() -> frozenset[str]:
    """The names of all options of propagators, and of comparing frames as they do."""
    return frozenset(propagator_options() | propagator_options(describers=True))


def helping_weights() -> dict[str, object]:
    """The options that let weights help where they are in the model folder."""
    return {entry.helper.option: True for entry in REGISTRY if entry.helper is not None}


def _with_helper(
    decision: Decision,
    helper: Helper,
    file: Path | None,
    *,
    earlier: Manifest | None,
    notify: Callable[[str], None],
) -> tuple[Path | None, Decision]:
    """The file of the helping weights where they are used, and the decision with what people are
    told about them.
    """
    fetch = "" if file is None else command("weights fetch", file.stem)
    without = option(helper.option, False)
    there = file is not None and file.is_file()
    begun = earlier is not None and earlier.propagator == decision.entry.name
    begun_with = earlier is not None and helper.option in earlier.settings
    # work that was begun without goes on without, or half the masks would be made in another way
    if begun and not begun_with:
        told = f", without {helper.title}, as this work was begun"
        return None, decision.extended(told if there else "")
    if file is not None and there:
        if opened_weights(file, helper.load, title=helper.title, notify=notify) is not None:
            return file, decision.extended(f", with {helper.title} ({without} does without)")
        return None, decision
    # and work that was begun with them cannot go on without
    if begun_with:
        found = "it is switched off" if file is None else f"there is none in {file.parent}"
        hint = f"leave out {without}" if file is None else f"{fetch} gets it"
        raise WorkspaceError(
            f"this work was begun with {helper.title}, and {found}: masks would differ",
            hint=f"{hint}, or add {option('fresh', True)} to start again",
        )
    if file is None:
        return None, decision
    return None, decision.extended(note=f"{fetch} gets a network that makes its masks better")


def named_settings(options: PropagatorOptions) -> dict[str, Value]:
    """The options of `segment` that choose what these choose; those at their default are left out.

    Args:
        options: as they were chosen.
    """
    entry = choose_propagator(None if options.name == "auto" else options.name, options.of).entry
    if not entry.is_offered:
        return {}
    own = options.of(entry)
    usual = PropagatorOptions(values=helping_weights(), model=options.model).of(entry)
    others: dict[str, Value] = {}
    for item in fields_of(own):
        value = getattr(own, item.name)
        if value != getattr(usual, item.name):
            # weights that help are switched off by name
            others[item.name] = (
                str(value) if isinstance(value, Path) else False if value is None else value
            )
    if options.memory != SegmentSettings().memory:
        others["memory"] = options.memory
    return others if options.name == "auto" else {"propagator": entry.name, **others}


def repeated_settings(manifest: Manifest, options: PropagatorOptions) -> dict[str, Value]:
    """The options of `segment` that propagate again as a manifest's run did; those at their default
    are left out.

    Args:
        manifest: of the run; a propagator that is not offered has no options to repeat.
        options: what is chosen now, which says where weights are; a file is named when it is the
            run's.
    """
    if manifest.propagator not in offered_names():
        return {}
    entry = registered(manifest.propagator)
    usual = PropagatorOptions(name=entry.name)
    usual_paths = entry.weights(usual.of(entry))
    # values at their default are left out, to keep the command short enough to be read
    others: dict[str, Value] = {
        name: value
        for name, value in manifest.settings.items()
        if name in usual.settings and value != usual.settings[name] and name not in usual_paths
    }
    # of weights the manifest knows the name alone; a path is repeated only where it leads to that
    # name
    weights = {
        name: str(path)
        for name, path in entry.weights(options.of(entry)).items()
        if manifest.settings.get(name) == path.name and path != usual_paths[name]
    }
    return {"propagator": entry.name, **others, **weights}


def repeated_options(manifest: Manifest, options: PropagatorOptions) -> PropagatorOptions:
    """What propagates again as a manifest's run did, where nobody says which propagator.

    Args:
        manifest: of the run.
        options: what is chosen now; one that is named stays.
    """
    if options.name != "auto":
        return options
    values = {
        name: value
        for name, value in repeated_settings(manifest, options).items()
        if name not in ("propagator", "memory")
    }
    memory = str(manifest.settings.get("memory", SegmentSettings().memory))
    return replace(
        options, name=manifest.propagator, memory=memory, values={**options.values, **values}
    )
