"""Reads config.ini into the records of options.

The command line beats config.ini, which beats the defaults of `settings.options`. Pipeline
functions take records and never read the file.
"""

from __future__ import annotations

import configparser
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from vfx_matte.detect.registry import names_text as detector_names
from vfx_matte.errors import ConfigError, UsageError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.printable import shortened
from vfx_matte.propagate.entry import OfferedOption
from vfx_matte.propagate.registry import names_text as propagator_names
from vfx_matte.propagate.registry import propagator_options
from vfx_matte.settings.options import (
    AlphaSettings,
    ClipSettings,
    ConformSettings,
    DetectSettings,
    GreenbackSettings,
    KeytestSettings,
    MaskvideoSettings,
    MatteSettings,
    NetworkSettings,
    OldScripts,
    Options,
    OverlaySettings,
    PackageSettings,
    PathsSettings,
    QcSettings,
    RenderSettings,
    SegmentSettings,
    ServeSettings,
    StudioSettings,
    SuggestSettings,
    option,
    raise_on_bad_value,
)
from vfx_matte.wording import Spelling, spelled

FILE_NAME = "config.ini"
# some 150 times the text of all options; anything larger is another file by mistake
MOST_BYTES = 2**20
S = TypeVar("S", bound=Options)

Range = tuple[float, float]
# float64 holds 15 decimal digits exactly
LONGEST_NUMBER = 15
"""Digits that a number may have; more are a slip, and converting very many takes for ever."""


# what propagators add stands in their own folders; it joins the table here, as `settings.options`
# lies below them and knows none
PROPAGATOR_OPTIONS = propagator_options()
_COMPARISON = propagator_options(describers=True)
COMPARISON_OPTIONS = {name: added for name, added in _COMPARISON.items() if not added.is_shared}
SHARED_OPTIONS = tuple(name for name, added in _COMPARISON.items() if added.is_shared)
"""Options of comparing frames that are those of `[segment]`."""

PROPAGATION = ("propagator", "memory", *PROPAGATOR_OPTIONS)
"""The options of `[segment]` that say how masks are propagated."""


def _completed(
    record: type[S],
    chosen: str,
    names: str,
    automatic: str,
    options: Mapping[str, OfferedOption],
) -> type[S]:
    """A record with what a registry adds.

    Args:
        record: of the option table.
        chosen: the option that holds the name of an entry.
        names: those that there are, in a sentence.
        automatic: what "auto" takes.
        options: those of the entries.
    """
    explanation = f"{names}; auto = {automatic}"
    name = option("auto", explanation, short=f"{explanation}.")
    # the same metadata as `option` gives, so that doors see no difference
    added = [
        (added.name, added.kind, field(default=added.default, metadata=added.metadata))
        for added in options.values()
    ]
    fields: list[tuple[str, Any, Any]] = [(chosen, str, name), *added]
    # a class of its own: records stay frozen, checked and typed like those that are written out
    made = dataclasses.make_dataclass(
        record.__name__,
        fields,
        bases=(record,),
        namespace={"__doc__": record.__doc__},
        frozen=True,
        slots=True,
        kw_only=True,
    )
    return cast("type[S]", made)


_COMPLETED: dict[type[Options], type[Options]] = {
    SegmentSettings: _completed(
        SegmentSettings,
        "propagator",
        propagator_names(),
        "the best one that can run here",
        PROPAGATOR_OPTIONS,
    ),
    SuggestSettings: _completed(
        SuggestSettings,
        "propagator",
        propagator_names(),
        "the one that the masks were made with",
        COMPARISON_OPTIONS,
    ),
    DetectSettings: _completed(
        DetectSettings, "detector", detector_names(), "the best one that can run here", {}
    ),
}


def completed(record: type[S]) -> type[S]:
    """A record of the option table with what registries add to it."""
    return cast("type[S]", _COMPLETED.get(record, record))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything config.ini can say: one record per section."""

    paths: PathsSettings = field(default_factory=PathsSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    clip: ClipSettings = field(default_factory=ClipSettings)
    segment: SegmentSettings = field(default_factory=completed(SegmentSettings))
    edges: MatteSettings = field(default_factory=MatteSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    greenback: GreenbackSettings = field(default_factory=GreenbackSettings)
    maskvideo: MaskvideoSettings = field(default_factory=MaskvideoSettings)
    alpha: AlphaSettings = field(default_factory=AlphaSettings)
    overlay: OverlaySettings = field(default_factory=OverlaySettings)
    package: PackageSettings = field(default_factory=PackageSettings)
    conform: ConformSettings = field(default_factory=ConformSettings)
    keytest: KeytestSettings = field(default_factory=KeytestSettings)
    suggest: SuggestSettings = field(default_factory=completed(SuggestSettings))
    detect: DetectSettings = field(default_factory=completed(DetectSettings))
    qc: QcSettings = field(default_factory=QcSettings)
    studio: StudioSettings = field(default_factory=StudioSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    config: OldScripts = field(default_factory=OldScripts)
    file: Path | None = None
    """Where it was read from; None when there was none."""

    @property
    def default_clip(self) -> Path | None:
        """The clip that the old `[config]` keys name, or None."""
        if not self.config.src_file_name:
            return None
        return (
            self.paths.source
            / f"{self.config.src_file_name}.{self.config.src_file_ext.lstrip('.')}"
        )

    @property
    def propagation(self) -> dict[str, object]:
        """Option → value of propagators, where it is not at its default or says whether weights in
        the model folder are used.
        """
        return _chosen(self.segment, PROPAGATOR_OPTIONS)

    @property
    def comparison(self) -> dict[str, object]:
        """The same for comparing frames."""
        values = {k: v for k, v in self.propagation.items() if k not in COMPARISON_OPTIONS}
        return values | _chosen(self.suggest, COMPARISON_OPTIONS)

    @property
    def legacy(self) -> dict[str, object]:
        """What keys of the old scripts say about propagators; None where they say nothing."""
        # they count where the new keys are not set (`PropagatorEntry.chosen`)
        name = self.config.model_name
        return {
            "video_resize": self.config.video_resize,
            "model_name": self.paths.model / f"{name}.pth" if name else None,
        }


def _chosen(section: Options, options: Mapping[str, OfferedOption]) -> dict[str, object]:
    values = {name: getattr(section, name) for name in options}
    return {
        name: value
        for name, value in values.items()
        if value != options[name].default or isinstance(value, bool)
    }


# made from the fields of `Settings`, so that a section is declared once
_SECTIONS: dict[str, type[Options]] = {
    item.name: cast("type[Options]", item.default_factory)
    for item in dataclasses.fields(Settings)
    if item.name != "file"
}
"""Section of config.ini → its record."""


def load(path: Path | None = None) -> Settings:
    """Read settings.

    Args:
        path: the file; None is config.ini in the working directory, which need not be there.

    Raises:
        ConfigError: a file that is not there or cannot be read, an unknown section or key, or a
            wrong value.
    """
    if path is None:
        found = Path(FILE_NAME)
        if not found.exists():
            return Settings()
    else:
        found = path
    # without interpolation: a % in a path or a limit is a %
    parser = configparser.ConfigParser(interpolation=None)
    try:
        content = read_small_file(
            found, what="settings file", most_bytes=MOST_BYTES, error=ConfigError
        )
        parser.read_string(_decoded(content), source=str(found))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ConfigError(
            f"{str(found)!r} cannot be read: {reason}",
            hint="see the config.ini that comes with vfx-matte",
        ) from error
    # an unknown section is a slip, whose options would silently have no effect
    sections: dict[str, Any] = {}
    for name in parser.sections():
        if name not in _SECTIONS:
            raise ConfigError(
                f"{str(found)!r} has an unknown section [{name}]",
                hint=f"known: {', '.join(_SECTIONS)}",
            )
        sections[name] = _section(_SECTIONS[name], dict(parser[name]), f"{found} [{name}]")
    return Settings(**sections, file=found)


def _decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in the Chinese code page that Windows editors saved the old
    scripts' file in.
    """
    # the mark of UTF-8 that such editors write is dropped by "-sig"
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030")


def _section(kind: type[S], values: dict[str, str], place: str) -> S:
    """One section's record.

    Args:
        kind: its type.
        values: key → text; keys are the options' names, or their `key`.
        place: how messages call the section: its file and name.

    Raises:
        ConfigError: an unknown key, or a wrong value.
    """
    hints = typing.get_type_hints(kind)
    known = {item.metadata["key"] or item.name: item for item in _in_file(kind)}
    unknown = [key for key in values if key not in known]
    if issubclass(kind, OldScripts):  # the old file may hold keys that never did anything
        values = {key: text for key, text in values.items() if key in known}
    elif unknown:
        raise ConfigError(
            f"{place} has an unknown key {unknown[0]!r}", hint=f"known: {', '.join(known)}"
        )
    # each value is checked by itself first, for a message that names file, section and key
    chosen = {}
    for key, text in values.items():
        item = known[key]
        chosen[item.name] = _value(hints[item.name], text.strip(), f"{place} {key}")
        raise_on_bad_value(item, chosen[item.name], f"{place} {key}")
    try:
        return kind(**chosen)
    except UsageError as error:  # values that do not go together
        raise ConfigError(f"{place}: {error.message}", hint=error.hint) from None


def _in_file(kind: type[Options]) -> list[dataclasses.Field[Any]]:
    """The options of a record that config.ini may set."""
    return [item for item in dataclasses.fields(cast("Any", kind)) if item.metadata["in_file"]]


def _value(kind: Any, text: str, place: str) -> object:  # noqa: ANN401  a type is whatever get_type_hints gives
    """An option's value from its text, by the type of its field."""
    # empty is "not set" where an option may be unset, and a value like any other where it is text
    if isinstance(kind, types.UnionType):
        if not text:
            return None
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if kind is bool:
        flag = configparser.ConfigParser.BOOLEAN_STATES.get(text.lower())
        if flag is None:
            raise ConfigError(f"{place} is {text!r}, expected yes or no")
        return flag
    # no path may hold one; text saved as UTF-16 is full of them
    if "\0" in text:
        raise ConfigError(
            f"{place} is {shortened(text)!r}, expected text without NUL",
            hint="save the file as UTF-8 text",
        )
    if kind in (int, float):
        try:
            return number(kind, text)
        except ValueError as error:
            raise ConfigError(f"{place} is {error}", hint="empty it for the default") from None
    return kind(text)


def number(kind: type[int] | type[float], text: str, *, within: Range | None = None) -> int | float:
    """A number as a user wrote it, in config.ini and on the command line alike.

    Args:
        kind: int or float.
        text: what was written.
        within: the lowest and the highest number that it may be; None is any.

    Raises:
        ValueError: it is no number, not finite, has more than LONGEST_NUMBER digits, or lies
            outside of `within`; the message shows the text and says what was expected.
    """
    name = "a whole number" if kind is int else "a number"
    # two more characters than digits: a sign and a point
    try:
        value = kind(text) if len(text.strip()) <= LONGEST_NUMBER + 2 else math.inf
    except ValueError:
        value = math.nan
    if not abs(value) < 10**LONGEST_NUMBER:  # not a number fails too
        raise ValueError(f"{shortened(text)!r}, expected {name} of at most {LONGEST_NUMBER} digits")
    if within and not within[0] <= value <= within[1]:
        raise ValueError(f"{shortened(text)}, expected {within[0]:g} to {within[1]:g}")
    return value


def template(spelling: Spelling) -> str:
    """The text of config.ini: every option, commented out, at its default.

    Args:
        spelling: how explanations name options and commands.
    """
    lines = [
        "# vfx-matte settings. Remove the # of a line to change it."
        " The command line beats this file.",
        "",
    ]
    settings = Settings()
    for section in _SECTIONS:
        record = getattr(settings, section)
        lines.append(f"[{section}]")
        for item in _in_file(type(record)):
            default = _as_text(getattr(record, item.name))
            lines += [
                f"# {spelled(item.metadata['explanation'], spelling)}",
                f"#{item.metadata['key'] or item.name} = {default}".rstrip(),
            ]
        lines.append("")
    return "\n".join(lines)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    # as people write them in such a file; paths with / work on every system
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.as_posix() if isinstance(value, Path) else str(value)
