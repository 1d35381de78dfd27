"""The record of a propagator in the registry.

An entry is read before NumPy or any network is imported: it names modules, and they are imported
when the propagator is opened.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from vfx_matte.settings import options as settings_options
from vfx_matte.settings.options import Options


def option(
    default: object,
    explanation: str,
    *,
    file: str = "",
    others: tuple[str, ...] = (),
    legacy: str = "",
    recorded: bool = True,
    words: tuple[str, ...] = (),
    **facts: Any,  # noqa: ANN401  as `settings.options.option`
) -> Any:  # noqa: ANN401
    """Declare an option of a propagator: a field of the record that holds its options.

    Args:
        default: its value where nothing is chosen.
        explanation: what it does; doors put the propagator's title before it.
        file: of a path to weights: the name of the file, or folder, in the folder of network
            weights.
        others: names of others that do as well where that one is not there, the best first.
        legacy: the key of config.ini's section [config] that counts where nothing is chosen.
        recorded: whether masks depend on it, so that it belongs to a run's settings.
        words: all words that people may type, where programs may say more.
        facts: as for `settings.options.option`.
    """
    plain = settings_options.option(default, explanation, **facts)
    own = {"file": file, "others": others, "legacy": legacy, "recorded": recorded, "words": words}
    return field(default=default, metadata={**plain.metadata, **own})


@dataclass(frozen=True, slots=True)
class Opening:
    """What a run knows when it opens a propagator, besides the options."""

    notify: Callable[[str], None]
    """Receives lines for people, such as the size that was chosen."""

    size: int | None = None
    """The working size that an earlier run of the same work chose; see `ChoosesSize`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """Optional weights, which make a propagator's masks better where they are there."""

    option: str
    """The option that holds their path; None does without them."""

    title: str
    """As people write it."""

    load: Callable[[Path], object]
    """Opens the file; raises WeightsError where it cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions(Options):
    """The options of a propagator that has none."""


def fields_of(record: object) -> tuple[dataclasses.Field[Any], ...]:
    """The options of a record, or of its class."""
    return dataclasses.fields(cast("Any", record))


def _options_as_arguments(options: Any, _opening: Opening) -> Mapping[str, object]:  # noqa: ANN401
    # an entry without a function of its own has options that are its class's arguments
    return {item.name: getattr(options, item.name) for item in fields_of(options)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagatorEntry:
    """A propagator: everything that the rest of the program has to know about it."""

    name: str
    """What users choose it by, and what a run's manifest records."""

    title: str
    """What people call it: "XMem"; "… propagator" can follow."""

    implementation: str
    """Its class, as "module:Class"."""

    options: type[Options] = NoOptions
    """What can be chosen about it: a record whose fields are made by `option`. An option that
    several propagators have, such as `device`, means the same for all of them.
    """

    arguments: Callable[[Any, Opening], Mapping[str, object]] = _options_as_arguments
    """From its options to what its class is opened with, beside `num_objects`."""

    describer: str = ""
    """The class of its `suggest.Describer`, as "module:Class"; "" where it has none."""

    describer_options: type[Options] = NoOptions
    """What its describer is opened with, as `options`. What has the name and the default of one of
    its options is the same choice.
    """

    packages: tuple[str, ...] = ()
    """Packages that it needs and that may be missing, as they are imported."""

    packages_title: str = ""
    """What people call them."""

    extra: str = ""
    """The extra of this program that installs them."""

    helper: Helper | None = None
    """Weights that it can do without."""

    weights_reader: str = ""
    """A function that says in a line what is in a file of its weights, as "module:function"."""

    preference: int | None = None
    """"auto" takes the one with the highest that can run; None: only when asked for."""

    needs_gpu: bool = False
    """Whether "auto" takes it only where there is an NVIDIA GPU: on a CPU it is too slow to be
    anybody's surprise.
    """

    is_compiled: bool = False
    """Whether it calls compiled loops (`compiling`), so that a compiler is to be loaded."""

    is_offered: bool = True
    """Whether help texts and messages name it; those for tests are not."""

    def chosen(
        self,
        values: Mapping[str, object],
        *,
        model: Path = Path("model"),
        legacy: Mapping[str, object] = {},
        describer: bool = False,
    ) -> Any:  # noqa: ANN401
        """Its options with what was chosen.

        Args:
            values: option → value, of any propagator; those that it has not are passed over. A path
                to weights may be True: the file in the folder of weights; False or None: none.
            model: the folder of network weights.
            legacy: key of [config] → value, None where there is none.
            describer: whether the describer's options are meant.

        Raises:
            UsageError: a value is out of range.
        """
        kind = self.describer_options if describer else self.options
        return kind(**{item.name: _value(item, values, legacy, model) for item in fields_of(kind)})

    def weights(self, options: Any) -> dict[str, Path]:  # noqa: ANN401
        """The weights that it cannot do without, of its options or of its describer's: option →
        path.
        """
        return {
            item.name: getattr(options, item.name)
            for item in fields_of(options)
            if item.metadata["file"] and (self.helper is None or item.name != self.helper.option)
        }

    def recorded(self, options: Any) -> dict[str, str | int | float | bool]:  # noqa: ANN401
        """What masks depend on, for a run's manifest: of a file its name, and nothing of what is
        None.
        """
        values = {
            item.name: getattr(options, item.name)
            for item in fields_of(options)
            if item.metadata["recorded"]
        }
        return {
            # the same weights in another folder make the same masks
            name: value.name if isinstance(value, Path) else value
            for name, value in values.items()
            if value is not None
        }


def _value(
    item: dataclasses.Field[Any],
    values: Mapping[str, object],
    legacy: Mapping[str, object],
    model: Path,
) -> object:
    """What an option is: as chosen, as an old key says, or its default."""
    # what is chosen now beats the old key, also where it is None or False
    value = values.get(item.name, legacy.get(item.metadata["legacy"]))
    file = item.metadata["file"]
    if file and (value is True or (value is None and item.default is not None)):
        names = (file, *item.metadata["others"])
        return next(
            (path for path in (model / name for name in names) if path.exists()), model / file
        )
    if value is None or (file and value is False):
        return item.default
    return Path(value) if file and isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class OfferedOption:
    """An option as doors offer it: once for all propagators that have it."""

    name: str

    kind: Any
    """Its type, such as int; optional where an empty value has a meaning."""

    default: object

    metadata: Mapping[str, Any]
    """As `option` makes it; the help begins with the propagators' titles."""

    is_shared: bool = False
    """Of a describer: whether it is the same choice as the propagator's own option."""


def offered_options(
    entries: Iterable[PropagatorEntry], *, describers: bool = False
) -> dict[str, OfferedOption]:
    """Every option of some propagators by its name; `describers`: of their describers instead."""
    explained: dict[str, dict[str, list[str]]] = {}
    found: dict[str, OfferedOption] = {}
    for entry in entries:
        defaults = {item.name: item.default for item in fields_of(entry.options)}
        record = entry.describer_options if describers else entry.options
        hints = typing.get_type_hints(record)
        for item in fields_of(record):
            # the same name with another default is a choice of its own, as XMem's size is
            is_shared = describers and defaults.get(item.name, MISSING) == item.default
            offered = _offered_option(entry, item, hints[item.name], is_shared=is_shared)
            # an option means the same for all that have it: the first one's facts hold
            found.setdefault(item.name, offered)
            texts = explained.setdefault(item.name, {})
            texts.setdefault(item.metadata["explanation"], []).append(entry.title)
    return {name: _with_titles(one, explained[name]) for name, one in found.items()}


def _offered_option(
    entry: PropagatorEntry,
    item: dataclasses.Field[Any],
    kind: Any,  # noqa: ANN401  a type
    *,
    is_shared: bool,
) -> OfferedOption:
    """One propagator's option as doors offer it."""
    default = item.default
    if entry.helper is not None and entry.helper.option == item.name:
        kind, default = bool, True  # people say whether, not which file
    elif item.metadata["file"] or item.metadata["legacy"]:
        kind, default = kind | None, None  # empty: in the model folder, or as an old key says
    return OfferedOption(item.name, kind, default, item.metadata, is_shared)


def _with_titles(offered: OfferedOption, explained: Mapping[str, list[str]]) -> OfferedOption:
    """The option with its propagators' titles before its explanation.

    Args:
        offered: the option.
        explained: explanation → titles of those that it holds for, where they differ in how they
            take a value.
    """
    facts = offered.metadata
    explanation = "; ".join(f"{', '.join(titles)}: {text}" for text, titles in explained.items())
    texts = {
        "explanation": explanation,
        "short": f"{explanation}.",
        "choices": facts["words"] or facts["choices"],
    }
    return replace(offered, metadata={**facts, **texts})
