"""Shots of a batch: command lines from clips with masks beside them, or from a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfx_matte.choices import unknown_choice
from vfx_matte.cli.app import BAD_REQUEST, Session, rehearse
from vfx_matte.errors import ConfigError, MaskError, UsageError, VfxMatteError
from vfx_matte.wording import command, option

if TYPE_CHECKING:
    from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan

FIRST = ("segment", "detect")
"""What makes masks, one of which comes first."""

RENDERS = ("greenback", "maskvideo", "alpha", "overlay", "conform", "qc", "export", "package")
"""What can follow, in this order."""

_FORM = "a table of shots is TOML with [[shot]], and [defaults.COMMAND] for all of them"

_OWN = {"workspace", "source", "model", "config", "ignore-alpha", "resume", "progress", "json"} | {
    "quiet", "part", "show-parts",
}  # fmt: skip
"""Options of commands that are the batch's to set."""

TABLE_SUFFIX = ".toml"

# how a mask is called that lies beside its clip: clip.png, clip.mask.png; several in clip.masks/
_MASK_ENDINGS = (".mask.png", ".png")
_FOLDER_ENDING = ".masks"


def kinds_of(text: str) -> list[str]:
    """The outputs that were asked for, in the order in which they are made.

    Raises:
        UsageError: there is no such output.
    """
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in RENDERS:
            raise unknown_choice("output", word, RENDERS)
    return [name for name in RENDERS if name in asked]


def shot_of_clip(session: Session, clip: Path, kinds: Sequence[str], *, finds: bool) -> ShotPlan:
    """A clip with the mask that lies beside it.

    Args:
        session: whose folders and config.ini count.
        clip: the clip.
        kinds: of outputs.
        finds: whether objects are detected where there is no mask.

    Raises:
        MaskError: there is none, and they are not.
    """
    masks: dict[str, object] = {}
    name = clip.name if clip.is_dir() else clip.stem
    folder = clip.with_name(name + _FOLDER_ENDING)
    beside = next(
        (p for ending in _MASK_ENDINGS if (p := clip.with_name(name + ending)).is_file()), None
    )
    if folder.is_dir():
        masks["masks"] = str(folder)
    elif beside is not None:
        masks["first-mask"] = str(beside)
    elif not finds:
        raise MaskError(
            f"there is no mask for {str(clip)!r}",
            hint=f"paint {clip.with_name(name + '.png')} or a folder {folder.name}, or add"
            f" {option('detect', True)}",
        )
    steps: dict[str, Mapping[str, object]] = {"segment": masks} if masks else {"detect": {}}
    return _shot(session, clip, steps | {kind: {} for kind in kinds})


def shots_of_table(session: Session, path: Path) -> list[ShotPlan]:
    """The shots of a table, with its defaults.

    Paths of clips and masks count from the table's folder.

    Raises:
        ConfigError: the table cannot be read, or says something that has no meaning.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}", hint=_FORM) from error
    defaults = found.pop("defaults", {})
    shots = found.pop("shot", [])
    if found or not isinstance(defaults, dict) or not isinstance(shots, list):
        raise ConfigError(
            f"{str(path)!r} holds {', '.join(found) or 'something else'}",
            hint=_FORM,
        )
    return [
        _shot_of_table(session, path, number, shot, defaults)
        for number, shot in enumerate(shots, start=1)
    ]


def _shot_of_table(
    session: Session,
    path: Path,
    number: int,
    shot: Any,  # noqa: ANN401  what a file may hold
    defaults: Mapping[str, Any],
) -> ShotPlan:
    where = f"shot {number} of {str(path)!r}"
    commands = {*FIRST, *RENDERS}
    if not isinstance(shot, dict) or not isinstance(shot.get("clip"), str):
        raise ConfigError(f"{where} names no clip", hint='clip = "a.mp4"')
    own = {key: value for key, value in shot.items() if key != "clip"}
    if set(FIRST) <= own.keys():
        raise ConfigError(f"{where} has segment and detect", hint="masks come from one of them")
    for key, value in (*defaults.items(), *own.items()):
        if key not in commands:
            raise unknown_choice(f"command in {where}:", key, sorted(commands))
        if not isinstance(value, dict):
            raise ConfigError(f"{key} in {where} is {value!r}", hint=f"[shot.{key}] is a table")
        if set_here := sorted(_OWN & value.keys()):
            raise ConfigError(
                f"{set_here[0]!r} of {key} in {where} is not a shot's to set",
                hint="it is the batch's own: an option of its command line, or none",
            )
    # options that a shot does not have are the defaults'; commands of both run
    merged = {
        name: {**defaults.get(name, {}), **own.get(name, {})}
        for name in (*FIRST, *RENDERS)
        if name in defaults or name in own
    }
    if "detect" in own and "segment" not in own:
        merged.pop("segment", None)
    elif "segment" in merged:
        merged.pop("detect", None)
    if "segment" in merged:
        merged["segment"] = _from_folder(path.parent, merged["segment"])
    return _shot(session, path.parent / shot["clip"], merged)


def _from_folder(folder: Path, options: Mapping[str, object]) -> dict[str, object]:
    """With paths of masks as they are from here."""
    placed = dict(options)
    for key in ("first-mask", "masks"):
        if isinstance(found := placed.get(key), str):
            placed[key] = str(folder / found)
    # 12=m12.png, or a list of such
    if pairs := placed.get("mask"):
        split = [str(pair).partition("=") for pair in _listed(pairs)]
        placed["mask"] = [f"{frame}{equals}{folder / name}" for frame, equals, name in split]
    return placed


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _shot(session: Session, clip: Path, steps: Mapping[str, Mapping[str, object]]) -> ShotPlan:
    """A clip with the command lines of its steps."""
    from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan

    planned = []
    # a render is made again where the masks that its clip was given have changed
    given = [clip]
    masks = steps.get("segment", {})
    given += [Path(str(masks[key])) for key in ("first-mask", "masks") if key in masks]
    given += [Path(str(pair).partition("=")[2]) for pair in _listed(masks.get("mask", []))]
    # the command would say so, but only when its turn comes
    for path in given[1:]:
        if not path.exists():
            raise MaskError(
                f"{str(clip)!r}: there is no mask {str(path)!r}",
                hint="paths of masks in a table count from the table's folder",
            )
    # a name that begins with a dash would be taken for an option
    typed = f"./{clip}" if str(clip).startswith("-") else str(clip)
    for name, options in steps.items():
        words = [name, typed, *_words(options), *_shared(session)]
        # finished frames count whatever became of the rest; without any it begins
        if name in FIRST and not options.get("fresh") and not options.get("update"):
            words.append("--resume")
        planned.append(StepPlan(name, tuple(words), tuple(given)))
    return ShotPlan(clip, tuple(planned))


def _words(options: Mapping[str, object]) -> list[str]:
    """Options as they are typed: true and false are switches, lists are repeated."""
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words.append(f"--no-{name}")
        else:
            words += [f"--{name}={one}" for one in _listed(value)]
    return words


def _shared(session: Session) -> list[str]:
    """The options of this run that are every command's."""
    paths = session.settings.paths
    words = [
        f"--workspace={paths.workspace}", f"--source={paths.source}", f"--model={paths.model}"
    ]  # fmt: skip
    if session.config_file is not None:
        words.append(f"--config={session.config_file}")
    if session.settings.clip.ignore_alpha:
        words.append("--ignore-alpha")
    return words


def check(session: Session, shots: Sequence[ShotPlan], *, elsewhere: bool) -> list[ShotPlan]:
    """Parse every command line and read its options, and run nothing.

    Args:
        session: whose config.ini may say what command lines leave out.
        shots: with their command lines.
        elsewhere: whether these run in other working directories: relative paths in them then
            become absolute, so that they mean what they mean here.

    Returns:
        The shots, with the command lines that run.

    Raises:
        UsageError: one of them cannot be understood, lacks what it needs, or writes what another
            one writes.
    """
    from typer.main import get_command

    from vfx_matte.cli import program

    checks = _Checks(session, get_command(program()), elsewhere=elsewhere)
    return [replace(shot, steps=tuple(map(checks.checked, shot.steps))) for shot in shots]


@dataclass(frozen=True, slots=True)
class _Checks:
    """The checks of one batch."""

    session: Session
    group: Any
    elsewhere: bool
    written: dict[str, str] = field(default_factory=dict)
    """Output → the clip that it is of."""

    def checked(self, step: StepPlan) -> StepPlan:
        """One command of `check`."""
        name, clip, *_ = step.arguments
        try:
            context = self.group.commands[name].make_context(name, list(step.arguments[1:]))
        except BAD_REQUEST as error:
            text = error.format_message() if hasattr(error, "format_message") else str(error)
            raise UsageError(
                f"{name} {clip}: {text}", hint=f"{command(name, help=True)} lists the options"
            ) from error
        target = context.params.get("target") or self.session.settings.render.target
        if name == "package" and not target:
            raise UsageError(
                f"package {clip}: no program is named",
                hint='in a table: [shot.package] for = "premiere"',
            )
        # what only the options' own records and the command's first lines know of values
        try:
            rehearse(name, context.params)
        except VfxMatteError as error:
            raise UsageError(f"{name} {clip}: {error.message}", hint=error.hint) from error
        output = context.params.get("output")
        if output is not None:
            other = self.written.setdefault(str(Path(str(output)).absolute()), clip)
            if other != clip:
                raise UsageError(
                    f"{other!r} and {clip!r} would both write {str(output)!r}",
                    hint="name another output for one of them, or none: each has its own folder",
                )
        return replace(step, arguments=_from_here(step, context)) if self.elsewhere else step


# text that may name a file
_FILES_IN_TEXT = ("background",)


def _from_here(step: StepPlan, context: Any) -> tuple[str, ...]:  # noqa: ANN401  click is Typer's own
    """A command line whose relative paths are absolute.

    Args:
        step: the command.
        context: of its command line, as click has read it.
    """
    flags = {
        flag
        for parameter in context.command.params
        if isinstance(value := context.params.get(parameter.name), Path)
        or (parameter.name in _FILES_IN_TEXT and value and Path(value).exists())
        for flag in parameter.opts
    }
    words = (word.partition("=") for word in step.arguments)
    return tuple(
        f"{flag}={Path(text).absolute()}" if equals and flag in flags else f"{flag}{equals}{text}"
        for flag, equals, text in words
    )
