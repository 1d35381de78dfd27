"""config.ini to settings.

Takes a file, gives frozen dataclasses with every default; only doors read it.

Command line beats config.ini beats the defaults below, which are the only place where defaults are
written.
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
from typing import Any, TypeVar

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import ConfigError, UsageError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.printable import shortened

FILE_NAME = "config.ini"
MOST_BYTES = 2**20
DEVICES = ("auto", "cpu", "cuda")

S = TypeVar("S")


Range = tuple[float, float]
LARGEST_SIDE_PX = 16384
LONGEST_NUMBER = 15
"""Digits that a number may have; more are a slip, and converting very many takes for ever."""


def _option(  # dataclasses.field is as dynamic
    default: Any,  # noqa: ANN401
    explanation: str,
    *,
    within: Range | None = None,
    choices: tuple[str, ...] = (),
    option: str = "",
) -> Any:  # noqa: ANN401
    """A key of config.ini and the option of that name.

    within: lowest and highest value; choices: all words it may be.

    option: what the command line calls it where that is another name.
    """
    return field(
        default=default,
        metadata={"help": explanation, "within": within, "choices": choices, "option": option},
    )


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are, relative to the working directory."""

    source: Path = _option(
        Path("source"), "folder in which a clip is looked for when it is not found as given"
    )
    workspace: Path = _option(Path("workspace"), "folder for results, with one folder per clip")
    model: Path = _option(Path("model"), "folder of network weights")


@dataclass(frozen=True, slots=True)
class Network:
    """Whether the program may use the network by itself; `weights fetch` does so whenever it is
    asked.
    """

    fetch: str = _option(
        "auto",
        "auto = small weights (U²-Netp, 4.6 MB, for first masks) are fetched when they are first"
        " needed; never = not",
        choices=("auto", "never"),
    )


@dataclass(frozen=True, slots=True)
class Clip:
    """How every command reads the clip."""

    ignore_alpha: bool = _option(
        False, "read the clip as opaque; otherwise what its own alpha hides stays hidden everywhere"
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """`vfx-matte segment`."""

    propagator: str = _option(
        "auto", "auto, builtin or xmem; auto takes xmem when its weights and torch are there"
    )
    weights: Path | None = _option(
        None, "weights of the xmem propagator; empty = XMem.pth in the model folder"
    )
    size: int | None = _option(
        None,
        "short side xmem works at; -1 = the clip's own; 0 = as memory allows, up to 480; empty ="
        " video_resize",
        within=(-1, LARGEST_SIDE_PX),
    )
    device: str = _option("auto", "auto, cpu or cuda: where xmem runs", choices=DEVICES)
    memory: str = _option(
        "permanent",
        "permanent = every mask counts for the whole clip; xmem = only from its frame on, one walk",
        choices=("permanent", "xmem"),
    )
    mem_every: int = _option(5, "every how many frames xmem remembers one", within=(1, 100_000))
    long_term: bool = _option(
        True, "whether xmem condenses what it remembers; without, its memory grows with the clip"
    )
    flip: bool = _option(
        False, "whether xmem averages with the mirrored clip; twice the time, slightly better masks"
    )
    network: bool = _option(
        True, "whether U²-Netp helps the builtin propagator where it is in the model folder"
    )
    soft: bool = _option(
        False, "keep every object's probability too, for soft edges; costs disk space"
    )
    cuts: str = _option(
        "stop",
        "where the shot changes masks stop, or ask, or ignore = go on; or the cuts as frames, e.g."
        " 120,300",
    )
    fps: str = _option("25", "frames per second of an image sequence, e.g. 25 or 30000/1001")
    gaps: str = _option(
        "hold",
        "missing numbers of an image sequence: hold = the picture before stands in, black, or"
        " error",
        choices=("hold", "black", "error"),
    )


@dataclass(frozen=True, slots=True)
class Edges:
    """Edge treatment of every render, in pixels of the source, applied in this order."""

    method: str = _option(
        "auto",
        "where alpha comes from: hard = the mask as it is, median = the mask smoothed, feather ="
        " with a soft edge; from the picture: guided, closed-form (needs pymatting), vitmatte"
        " (needs its weights); auto = guided, or median where median, feather or soft are chosen",
        choices=("auto", "hard", "median", "feather", "guided", "closed-form", "vitmatte"),
        option="edges",
    )
    band: float | None = _option(
        None,
        "width of the strip in which alpha comes from the picture; empty = automatic",
        within=(1, 500),
    )
    remove_specks: int | None = _option(
        None,
        "drop pieces of at most this area in pixels, of the mask and of the matte; 0 = off; empty ="
        " only what nothing joins to the subject, where edges come from the picture",
        within=(0, LARGEST_SIDE_PX**2),
    )
    fill_holes: int | None = _option(
        None,
        "fill holes of at most this area in pixels, of the mask and of the matte; 0 = off; empty ="
        " as above",
        within=(0, LARGEST_SIDE_PX**2),
    )
    median: int | None = _option(
        None,
        "window of the median filter; empty = 21 at 1080 lines, scaled; 0 = off",
        within=(0, 255),
    )
    soft: bool | None = _option(
        None, "edges from segment --soft where alpha is shown; empty = when the clip has them"
    )
    grow: int = _option(
        0, "move the edge outwards by this many pixels; negative shrinks", within=(-500, 500)
    )
    feather: float = _option(
        0.0,
        "width of the soft edge in pixels; 0 = none, or automatic when method is feather",
        within=(0, 500),
    )
    foreground: bool = _option(
        True, "give soft edges the subject's own colour, without the background that shone through"
    )
    despill: str = _option(
        "off",
        "take the light of a green or blue screen off the subject: green, blue or off",
        choices=("green", "blue", "off"),
    )
    despill_strength: float = _option(1.0, "how much of that light, 0 to 1", within=(0, 1))
    stabilize: float = _option(0.0, "keep edges from flickering, 0 = off to 1", within=(0, 1))


@dataclass(frozen=True, slots=True)
class Render:
    """Settings that all renders share."""

    sound: bool = _option(True, "carry the source's sound")
    device: str = _option("auto", "auto, cpu or cuda: where compositing runs", choices=DEVICES)
    target: str = _option(
        "",
        "the program that outputs are for (--for), see vfx-matte formats; empty = none in"
        " particular",
    )


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one render is encoded; every render has its own, because no codec fits all of their
    files.
    """

    codec: str | None = _option(None, "video encoder; empty = the usual one of the file's kind")
    preset: str | None = _option(
        None, "encoder preset, e.g. medium; empty = the encoder's usual one"
    )
    quality: int | None = _option(
        None,
        "the encoder's constant-quality number (crf, cq, qscale); empty = its usual one",
        within=(-1, 100_000),
    )
    pixel_format: str | None = _option(
        None, "what the encoder is fed, e.g. yuv422p10le; empty = the nearest to the clip's"
    )


@dataclass(frozen=True, slots=True)
class Greenback(Encoding):
    """`vfx-matte greenback`."""

    key: str = _option(
        "green", "green, blue, magenta, #rrggbb, or auto = farthest from the subject's colours"
    )
    background: str = _option(
        "", "picture, video or #rrggbb to put behind the subject instead of the key"
    )


@dataclass(frozen=True, slots=True)
class Maskvideo(Encoding):
    """`vfx-matte maskvideo`."""

    style: str = _option(
        "auto",
        "luma = white on black, palette = DAVIS colours, rgb = up to 3 objects in R, G, B; auto ="
        " luma or the target's",
        choices=("auto", "luma", "palette", "rgb"),
    )


@dataclass(frozen=True, slots=True)
class Alpha(Encoding):
    """`vfx-matte alpha`."""

    premultiplied: bool = _option(
        False, "multiply colours by alpha; editing programs expect straight alpha"
    )
    keep_background: bool = _option(
        False,
        "leave the old background under alpha 0; otherwise the subject's colours go on there, in a"
        " smaller file",
    )


@dataclass(frozen=True, slots=True)
class Overlay(Encoding):
    """`vfx-matte overlay`."""

    alpha: float = _option(0.5, "weight of the tint, 0 to 1", within=(0, 1))


@dataclass(frozen=True, slots=True)
class Package:
    """`vfx-matte package`; the program is `target` of `[render]`, the key that of `[greenback]`."""

    media: str = _option(
        "reference",
        "the source: reference = named where it is, copy, link, or convert = encoded anew",
        choices=("reference", "copy", "link", "convert"),
    )
    outputs: str = _option(
        "", "of alpha,maskvideo,greenback; empty = what the program is usually given"
    )


@dataclass(frozen=True, slots=True)
class Conform:
    """`vfx-matte conform`; key, style and the like are those of the renders' sections."""

    fps: str = _option(
        "auto",
        "frames per second, e.g. 25 or 30000/1001; auto = the usual rate nearest to the clip's own",
    )
    outputs: str = _option(
        "",
        "of source, greenback, alpha, maskvideo, overlay; empty = the first four, source without"
        " masks",
    )


@dataclass(frozen=True, slots=True)
class Suggest:
    """`vfx-matte suggest`; weights and device are those of `[segment]`."""

    count: int = _option(5, "how many frames to suggest", within=(1, 10_000))
    propagator: str = _option(
        "auto", "auto, builtin or xmem; auto = the one that the masks were made with"
    )
    size: int = _option(
        240,
        "short side in pixels that xmem compares frames at; -1 = the clip's own",
        within=(-1, LARGEST_SIDE_PX),
    )
    alpha: float = _option(0.5, "0 compares whole pictures, 1 only the objects", within=(0, 1))
    min_mask_percent: float = _option(
        0.25,
        "frames whose mask covers less of the picture are not suggested, in percent",
        within=(0, 100),
    )
    candidates: int | None = _option(
        None, "most frames that are compared; empty = 200, or 1000 on a GPU", within=(1, 1_000_000)
    )


@dataclass(frozen=True, slots=True)
class Qc:
    """`vfx-matte qc`."""

    count: int = _option(12, "how many places are shown", within=(1, 10_000))
    fail_over: str = _option(
        "", "exit code 1 when more than so many frames stand out, e.g. 12 or 2%; empty = never"
    )


@dataclass(frozen=True, slots=True)
class OldScripts:
    """`[config]`: the keys of the scripts that came before, still understood.

    src_file_name and src_file_ext name the clip source/NAME.EXT that commands work on when none is
    given; model_name names model/NAME.pth; object_num is compared with the objects found;
    video_resize is the size XMem works at.
    """

    src_file_name: str = _option(
        "", "the clip's name without its ending; with src_file_ext it is the default clip"
    )
    src_file_ext: str = _option("mp4", "the clip's ending")
    video_resize: int | None = _option(
        None,
        "short side XMem works at; empty = 480, or less where memory is short",
        within=(-1, LARGEST_SIDE_PX),
    )
    model_name: str = _option("XMem", "name of the weights, without .pth")
    object_num: int | None = _option(
        None, "number of objects the masks are expected to show", within=(0, 255)
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything config.ini can say. file: where it was read from, None when there was none."""

    paths: Paths = field(default_factory=Paths)
    network: Network = field(default_factory=Network)
    clip: Clip = field(default_factory=Clip)
    segment: Segment = field(default_factory=Segment)
    edges: Edges = field(default_factory=Edges)
    render: Render = field(default_factory=Render)
    greenback: Greenback = field(default_factory=Greenback)
    maskvideo: Maskvideo = field(default_factory=Maskvideo)
    alpha: Alpha = field(default_factory=Alpha)
    overlay: Overlay = field(default_factory=Overlay)
    package: Package = field(default_factory=Package)
    conform: Conform = field(default_factory=Conform)
    suggest: Suggest = field(default_factory=Suggest)
    qc: Qc = field(default_factory=Qc)
    config: OldScripts = field(default_factory=OldScripts)
    file: Path | None = None

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
    def size(self) -> int:
        """The short side in pixels that the xmem propagator works at; -1 = the clip's own, 0 = as
        memory allows.
        """
        return (self.config.video_resize or 0) if self.segment.size is None else self.segment.size

    @property
    def weights(self) -> Path:
        """The weights file of the xmem propagator."""
        return self.segment.weights or self.paths.model / f"{self.config.model_name}.pth"

    @property
    def network_file(self) -> Path:
        """U²-Netp, which helps the builtin propagator and first masks."""
        return self.paths.model / "u2netp.onnx"


def load(path: Path | None = None) -> Settings:
    """Read settings from `path`, or from config.ini in the working directory when there is one.

    Raises ConfigError for a file that is not there or cannot be read, an unknown section or key, or
    a wrong value.
    """
    if path is None:
        found = Path(FILE_NAME)
        if not found.exists():
            return Settings()
    else:
        found = path
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
    sections: dict[str, Any] = {}
    known = {
        item.name: item.default_factory
        for item in dataclasses.fields(Settings)
        if item.name != "file"
    }
    for name in parser.sections():
        if name not in known:
            raise ConfigError(
                f"{str(found)!r} has an unknown section [{name}]", hint=f"known: {', '.join(known)}"
            )
        sections[name] = _section(
            typing.cast("type[Any]", known[name]), dict(parser[name]), f"{found} [{name}]"
        )
    return Settings(**sections, file=found)


def _decoded(content: bytes) -> str:
    """UTF-8, or the Chinese code page that Windows editors saved the old scripts' file in."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030")


def _section(kind: type[S], values: dict[str, str], place: str) -> S:
    hints = typing.get_type_hints(kind)
    unknown = [key for key in values if key not in hints]
    if kind is OldScripts:  # the old file may hold keys that never did anything
        values = {key: text for key, text in values.items() if key in hints}
    elif unknown:
        raise ConfigError(
            f"{place} has an unknown key {unknown[0]!r}", hint=f"known: {', '.join(hints)}"
        )
    section = kind(
        **{key: _value(hints[key], text.strip(), f"{place} {key}") for key, text in values.items()}
    )
    check(section, {key: f"{place} {key}" for key in values})
    return section


def _value(kind: Any, text: str, place: str) -> object:  # noqa: ANN401  a type is whatever get_type_hints gives
    if isinstance(kind, types.UnionType):
        if not text:
            return None
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if kind is bool:
        flag = configparser.ConfigParser.BOOLEAN_STATES.get(text.lower())
        if flag is None:
            raise ConfigError(f"{place} is {text!r}, expected yes or no")
        return flag
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

    Raises ValueError, which shows the text and says what was expected, for what is no number, is
    not finite, has more than LONGEST_NUMBER digits, or lies outside of `within`.
    """
    name = "a whole number" if kind is int else "a number"
    try:
        value = kind(text) if len(text.strip()) <= LONGEST_NUMBER + 2 else math.inf
    except ValueError:
        value = math.nan
    if not abs(value) < 10**LONGEST_NUMBER:  # not a number fails too
        raise ValueError(f"{shortened(text)!r}, expected {name} of at most {LONGEST_NUMBER} digits")
    if within and not within[0] <= value <= within[1]:
        raise ValueError(f"{shortened(text)}, expected {within[0]:g} to {within[1]:g}")
    return value


def _fields(section: object) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(typing.cast("Any", section))


def check(section: object, places: Mapping[str, str]) -> None:
    """See that values are in their range and of their choices.

    places: how messages call each key that is looked at.

    Raises UsageError with the value and what the key is for.
    """
    for item in _fields(section):
        value = getattr(section, item.name)
        place, within, choices = (
            places.get(item.name),
            item.metadata.get("within"),
            item.metadata.get("choices"),
        )
        if place is None or value is None:
            continue
        if within and not within[0] <= value <= within[1]:  # not a number fails too
            expected = f"{within[0]:.15g} to {within[1]:.15g}"
            raise UsageError(
                f"{place} is {shortened(value)}, expected {expected}", hint=item.metadata["help"]
            )
        if choices and value not in choices:
            raise unknown_choice(
                place, shortened(value), choices, hint=f"it is one of {', '.join(choices)}"
            )


def template() -> str:
    """The text of config.ini: every option, commented out, at its default."""
    lines = [
        (
            "# vfx-matte settings. Remove the # of a line to change it. The command line beats this"
            " file."
        ),
        "",
    ]
    settings = Settings()
    for section in dataclasses.fields(Settings):
        if section.name == "file":
            continue
        values = getattr(settings, section.name)
        lines.append(f"[{section.name}]")
        for item in dataclasses.fields(values):
            lines += [
                f"# {item.metadata['help']}",
                f"#{item.name} = {_shown(getattr(values, item.name))}".rstrip(),
            ]
        lines.append("")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.as_posix() if isinstance(value, Path) else str(value)


def with_overrides(section: S, **values: object) -> S:
    """A section with the values that were given on the command line; None means not given.

    Raises UsageError as `check`.
    """
    given = {key: value for key, value in values.items() if value is not None}
    replaced = typing.cast("S", dataclasses.replace(typing.cast("Any", section), **given))
    names = {
        item.name: item.metadata.get("option") or item.name.replace("_", "-")
        for item in _fields(replaced)
    }
    check(replaced, {key: names[key] for key in given})
    return replaced
