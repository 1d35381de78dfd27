"""Makes Typer commands of functions with typed options, and is their one error boundary."""

from __future__ import annotations

import contextlib
import copy
import errno
import inspect
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn, cast, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import ArgumentInfo, OptionInfo

from vfx_matte._version import __version__
from vfx_matte.choices import unknown_choice
from vfx_matte.cli.display import PROGRESS_FORMS, Display, ForPeople, ForPrograms, ForRenderFarm
from vfx_matte.cli.loading import end_loading
from vfx_matte.cli.options import Only, chosen, option_names, parameters, record_of
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import VfxMatteError, beyond_control
from vfx_matte.printable import printable, shortened
from vfx_matte.settings import ini
from vfx_matte.settings.options import Options
from vfx_matte.wording import spelled

# click comes with Typer, and is no dependency of ours to import
BAD_REQUEST = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""Typer's UsageError, which it does not export."""


class RehearsedError(Exception):
    """A command that is only rehearsed has read its options, and would open its clip now."""


_REHEARSALS: dict[str, Callable[[Mapping[str, Any]], None]] = {}

_TYPED: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())
"""The words of the command line that runs."""


class Program(TyperGroup):
    """The program. A request that cannot be understood is shown as every other error is, in one
    line with a hint.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  click's context
        """Read the words of the command line up to the command."""
        _read_without_adapters(self.get_params(ctx), {})
        return super().parse_args(ctx, args)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:  # noqa: ANN401  as Typer has it
        """Run and exit; with `standalone_mode` off, return."""
        words = args[0] if args else extra.get("args")
        _TYPED.set(tuple(sys.argv[1:] if words is None else words))
        # tests and completion call it as a function, and want exceptions
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)  # type: ignore[misc]
        try:
            code = super().main(*args, standalone_mode=False, **extra)  # type: ignore[misc]
        except BAD_REQUEST as error:
            _exit_misused(error)
        except typer.Abort:
            typer.echo("error: stopped", err=True)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


class OneValueEach(TyperCommand):
    """A command that refuses an option that is given several times, where it takes one value.

    Click would take the last one silently: of `mask --object 1 --object 2` half of what was asked
    for.
    """

    parsers: ClassVar[Mapping[str, Callable[[str], object] | None]] = {}
    """Parameter → what reads one text for it; a parameter without one is read by Typer."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  click's context
        """Read the words of the command line."""
        # not while a shell asks for completions, of words that nobody has finished
        if args and not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            # the order of what was given, an option once for each time; switches have two names,
            # and the last one of them counts everywhere
            single = (
                param
                for param in given
                if isinstance(param, TyperOption) and not (param.multiple or param.is_flag)
            )
            for param, times in Counter(single).items():
                if times > 1:
                    # -o and --output: the long one, which explains itself
                    name = max(param.opts, key=len)
                    raise BAD_REQUEST(f"{name} is given {times} times, and takes one value", ctx)
        _read_without_adapters(self.get_params(ctx), self.parsers)
        return super().parse_args(ctx, args)


def _read_without_adapters(
    params: Sequence[Any], parsers: Mapping[str, Callable[[str], object] | None]
) -> None:
    """Have parameters read by our own parsers where they have one, and not at all where nothing is
    given.

    Typer makes an adapter for each of them by Pydantic, which takes longer to load than all other
    modules of the command line together.

    Args:
        params: click's parameters of a command.
        parsers: parameter → what reads one word for it.
    """
    for param in params:
        by_typer = partial(type(param).process_value, param)
        param.process_value = partial(_read, param, parsers.get(param.name), by_typer=by_typer)


def _read(
    param: Any,  # noqa: ANN401  click's parameter
    parse: Callable[[str], object] | None,
    context: Any,  # noqa: ANN401  click's context
    words: Any,  # noqa: ANN401  one word, several, or None
    *,
    by_typer: Callable[[Any, Any], object],
) -> object:
    """The value of a parameter; `by_typer` where there is no parser, or what is missing is told."""
    takes_several = param.multiple or param.nargs == -1
    if param.required and param.value_is_missing(words):
        return by_typer(context, words)
    if words is None:
        value: object = () if takes_several else None
    elif parse is None:
        return by_typer(context, words)
    else:
        value = [parse(word) for word in words] if takes_several else parse(words)
    return value if param.callback is None else param.callback(context, param, value)


def _near(given: str, meant: str) -> str:
    """Those of the options that click suggests that resemble the one that was given.

    Without their dashes, which click counts as likeness.
    """
    import difflib
    import re

    names = [name.lstrip("-") for name in re.findall(r"--[\w-]+", meant)]
    near = difflib.get_close_matches(given.lstrip("-"), names)
    return f"{', '.join(f'--{name}' for name in near)}?"


def _exit_misused(error: Any) -> NoReturn:  # noqa: ANN401  see BAD_REQUEST
    """Show a command line that is not understood, and exit with code 2."""
    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip()
    if not message or type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # no command was given: this is the help
        sys.exit(2)
    command_path = context.command_path if context is not None else "vfx-matte"
    # click says what it would have understood within its message, in one of two forms; here that
    # is part of the hint
    message, _, meant = message.partition(" Did you mean ")
    message, _, options = message.partition(" (Possible options: ")
    meant = meant or f"{options.removesuffix(')')}?"
    # a suggestion that shares little but the dashes misleads
    if type(error).__name__ == "NoSuchOption":
        meant = _near(getattr(error, "option_name", ""), meant)
    hint = f"{f'did you mean {meant}' if meant != '?' else ''} see {command_path} --help".strip()
    typer.echo(f"error: {printable(message[:1].lower() + message[1:])}", err=True)
    typer.echo(f"hint: {printable(hint)}", err=True)
    sys.exit(2)


app = typer.Typer(
    cls=Program,
    help=(
        "Cut anything out of a video: one painted mask in, frame-exact green screen, alpha matte"
        " and mask video out."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SHARED = "Settings"


@dataclass(slots=True)
class Session:
    """One run of the program: its settings, and how it reports. Serves the pipeline as its
    Reporter.
    """

    settings: ini.Settings
    quiet: bool
    """Whether nothing but errors and results is printed."""

    json: bool = False
    """Whether the result is printed as JSON (`show.show_to_scripts`)."""

    config_file: Path | None = None
    """The file that was read instead of ./config.ini."""

    typed: tuple[str, ...] = ()
    """The command line after the program's name."""

    interrupt_hint: str = ""
    """The hint after Ctrl-C, set by commands whose work can be resumed."""

    rehearses: bool = False
    """Whether the command ends where it would open its clip (`rehearse`)."""

    display: Display = field(default_factory=lambda: ForPeople(bars=True))
    """Where notices, progress and errors go."""

    _notices: set[str] = field(default_factory=set)

    def notify(self, line: str) -> None:
        """Print a notice to stderr, each only once."""
        # several outputs of one render come upon the same thing
        if not self.quiet and line not in self._notices:
            self._notices.add(line)
            self.display.notice(self.spell(line))

    def spell(self, text: str) -> str:
        """Spell options and commands as they are typed."""
        return spelled(text, as_typed)

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Shown as `--progress` says."""
        return self.display.steps(label, total)

    def stops(self) -> bool:
        """Never: Ctrl-C ends the whole program."""
        return False

    def saved(self, frame_index: int) -> None:
        """The bar tells as much."""

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """The same for bytes: shows how many are there, of how many, and how fast they come."""
        return self.display.transfer(label)


def open_session(
    *,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Read this instead of ./config.ini.",
            rich_help_panel=SHARED,
        ),
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for results (workspace).", rich_help_panel=SHARED),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder where clips are looked for (source).",
            rich_help_panel=SHARED,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of network weights (model).", rich_help_panel=SHARED
        ),
    ] = None,
    ignore_alpha: Annotated[
        bool | None,
        typer.Option(
            "--ignore-alpha/--no-ignore-alpha",
            help="Read the clip as opaque.",
            rich_help_panel=SHARED,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print only errors, and paths of what was made.",
            rich_help_panel=SHARED,
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the whole result as one line of JSON.", rich_help_panel=SHARED
        ),
    ] = False,
    progress: Annotated[  # noqa: ARG001  what it asks for is there before, for errors of config.ini
        str,
        typer.Option(
            metavar="FORM",
            help="auto (bars on a terminal), json (events on stderr), openjd (for farms), none.",
            rich_help_panel=SHARED,
        ),
    ] = "auto",
) -> Session:
    """Read the settings; these options are part of every command."""
    # what is not given is None here, and stays as config.ini says
    settings = ini.load(config_file)
    paths = settings.paths.overridden(workspace=workspace, source=source, model=model)
    clip = settings.clip.overridden(ignore_alpha=ignore_alpha)
    settings = replace(settings, paths=paths, clip=clip)
    return Session(settings, quiet, json, config_file, _TYPED.get())


def rehearse(name: str, values: Mapping[str, Any]) -> None:
    """Read the options of a command as when it runs, up to where it would open its clip.

    Args:
        name: of the command.
        values: option → value as the command line has it; config.ini says the rest.

    Raises:
        VfxMatteError: what the command would say before it opens a clip.
    """
    _REHEARSALS[name](values)


def display_of(form: str, *, quiet: bool) -> Display:
    """What `--progress` asks for.

    Raises:
        UsageError: there is no such form.
    """
    if form not in PROGRESS_FORMS:
        raise unknown_choice("form of progress", form, PROGRESS_FORMS)
    if form == "json":
        return ForPrograms()
    return ForRenderFarm() if form == "openjd" else ForPeople(bars=form == "auto" and not quiet)


def command(
    *groups: Callable[..., Any], name: str | None = None, within: typer.Typer = app
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    Its first parameter is the Session. A parameter that is a record of the option table stands for
    its options (`cli.options`). An option that both the command and a group have is the command's,
    and the group receives its value.

    Args:
        groups: functions of (session, options…), whose options are added to the command's; each
            result becomes the command's parameter of the group's name.
        name: of the command; None is the function's.
        within: the commands it belongs to, such as those of `vfx-matte weights`.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        title = name or function.__name__
        # which options there are: the command's own, those of its groups, and those that every
        # command has
        bundled = frozenset({"session", *(group.__name__ for group in groups)})
        own = _options(function, skip=bundled)
        parts = {group: _options(group, skip=_SESSION) for group in groups}
        # a command's own option beats one that all have: verify has another --source
        shared = {key: option for key, option in _options(open_session).items() if key not in own}

        body = _Body(function, groups, tuple(shared), bundled)
        if within is app:
            _REHEARSALS[title] = body.rehearse

        def run(**values: object) -> None:
            session: Session | None = None
            # before anything can fail: a program that asked for JSON gets its errors so, too
            display: Display = ForPeople(bars=False)

            def fail(message: str, hint: str, code: int) -> NoReturn:
                display.error(message, hint, code)
                raise typer.Exit(code)

            try:
                display = display_of(str(values["progress"]), quiet=bool(values["quiet"]))
                display.begin(f"{within.info.name} {title}" if within is not app else title)
                session = body.session(values)
                session.display = display
                end_loading()
                body.call(session, values)
                display.end()
            # an error that the program knows: one line and a hint
            except VfxMatteError as error:
                error.spell(as_typed)
                fail(error.message, error.hint, error.exit_code)
            except KeyboardInterrupt:
                fail("stopped", session.interrupt_hint if session else "", 130)
            except BrokenPipeError:
                # The reader of our output went away (vfx-matte … | head): that is its right, not an
                # error. What is still buffered goes nowhere, so that exiting raises nothing.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            # typer's own; `Program.main` shows a bad request
            except (typer.Exit, typer.Abort, BAD_REQUEST):
                raise
            # any file may be one that this user may not open
            except PermissionError as error:
                fail(
                    f"{str(error.filename)!r}: {error.strerror}",
                    "check the permissions of the file and of its folders",
                    1,
                )
            # anything else is a bug, unless a name is too long, which only the disk can tell
            except Exception as error:
                if os.environ.get("VFX_MATTE_DEBUG"):
                    raise
                fail(*_unexpected(error))

        # Typer reads names, types and help from a signature: the function that runs gets one made
        # of all options
        merged: dict[str, inspect.Parameter] = {**own}
        for options in (*parts.values(), shared):
            merged.update({key: option for key, option in options.items() if key not in own})
        ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in merged.values()]
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
        run.__doc__ = function.__doc__

        class Command(OneValueEach):
            parsers: ClassVar = {
                parameter.name: _declaration(parameter).parser for parameter in ordered
            }

        within.command(name=title, cls=Command)(run)
        return function

    return register


@dataclass(frozen=True, slots=True)
class _Body:
    """A command without its error boundary."""

    function: Callable[..., None]
    groups: tuple[Callable[..., Any], ...]
    shared: tuple[str, ...]
    """The options that every command has, without those that are its own."""
    bundled: frozenset[str]
    """Parameters that are no options."""

    def session(self, values: Mapping[str, Any]) -> Session:
        """The run of these options."""
        return open_session(**{key: values[key] for key in self.shared})

    def call(self, session: Session, values: Mapping[str, Any]) -> None:
        """Do what the command does."""
        # groups first: they check options together before the command opens a clip
        bundles = {
            group.__name__: group(session, **self._arguments(group, session, values))
            for group in self.groups
        }
        self.function(session, **self._arguments(self.function, session, values), **bundles)

    def rehearse(self, values: Mapping[str, Any]) -> None:
        """Do it up to where the clip would be opened, and say nothing."""
        session = self.session(values)
        session.rehearses, session.quiet = True, True
        with contextlib.suppress(RehearsedError):
            self.call(session, values)

    def _arguments(
        self, part: Callable[..., Any], opened: Session, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The options of one function, and its records made of their options."""
        plain = {key: values[key] for key in _plain_options(part, skip=self.bundled)}
        return plain | {
            key: chosen(
                record,
                opened.settings,
                {name: values[name] for name in option_names(record, only)},
            )
            for key, (record, only) in _records(part, skip=self.bundled).items()
        }


def _unexpected(error: Exception) -> tuple[str, str, int]:
    """Message, hint and exit code for an error that nobody raised on purpose."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return (
            f"the name {shortened(error.filename or '')!r} is too long for this disk",
            "choose a shorter name, or another --workspace",
            2,
        )
    if known := beyond_control(error):
        return *known, 1
    return (
        f"unexpected {type(error).__name__}: {error}",
        "this is a bug; run again with VFX_MATTE_DEBUG=1 and report what it prints",
        1,
    )


def _strict(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter with its text read as `ini.number` reads config.ini's; an empty one is
    refused.
    """
    annotation = parameter.annotation
    if get_origin(annotation) is not Annotated:
        return parameter
    # the plain types within Optional and list, however deep
    kind, info = get_args(annotation)[0], _declaration(parameter)
    kinds = {kind, *get_args(kind)}
    while inner := {part for known in kinds for part in get_args(known)} - kinds:
        kinds |= inner
    read = next((plain for plain in (int, float, Path, str) if plain in kinds), None)
    if read is None or info.parser:
        return parameter
    # a copy: commands share the declaration of an option such as -o
    info = copy.copy(info)
    info.metavar = info.metavar or (_METAVARS[read] if isinstance(info, OptionInfo) else None)
    within = (
        -math.inf if info.min is None else info.min,
        math.inf if info.max is None else info.max,
    )

    # the range goes to the parser, whose message shows the number as it was typed
    def parse(text: object) -> object:
        return _parse(str(text), read, within)

    info.parser, info.min, info.max = parse, None, None
    return parameter.replace(annotation=Annotated[kind, info])


def _declaration(parameter: inspect.Parameter) -> OptionInfo | ArgumentInfo:
    """What Typer is told of an option."""
    _, *metadata = get_args(parameter.annotation)
    (info,) = (item for item in metadata if isinstance(item, (OptionInfo, ArgumentInfo)))
    return info


_METAVARS: dict[type, str] = {int: "N", float: "NUMBER", Path: "PATH", str: "TEXT"}


def _parse(
    text: str, kind: type[int] | type[float] | type[Path] | type[str], within: tuple[float, float]
) -> object:
    """An option's value from its text.

    Args:
        text: as it was typed.
        kind: the type of the option.
        within: the lowest and the highest number that it may be.

    Raises:
        typer.BadParameter: it is empty, or no such number.
    """
    # --codec "$CODEC" with an unset variable is a slip, and no wish for the usual value
    if not text.strip():
        raise typer.BadParameter("it is empty; leave the option out for its usual value")
    if kind is int or kind is float:
        try:
            return ini.number(kind, text, within=within)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return kind(text)


# the parameters of a function that stand for no options
_NOTHING = frozenset[str]()
_SESSION = frozenset({"session"})


# All commands are built before one of them runs, and most share their groups: each signature is
# read once.
@cache
def _records(
    function: Callable[..., Any], *, skip: frozenset[str] = _NOTHING
) -> Mapping[str, tuple[type[Options], Only | None]]:
    """The parameters of a function that stand for the options of a record."""
    # annotations are text in our modules, so that heavy types need no import
    signature = inspect.signature(function, eval_str=True)
    found = {
        key: record_of(parameter.annotation)
        for key, parameter in signature.parameters.items()
        if key not in skip
    }
    return {key: record for key, record in found.items() if record is not None}


@cache
def _plain_options(
    function: Callable[..., Any], *, skip: frozenset[str] = _NOTHING
) -> Mapping[str, inspect.Parameter]:
    """The options that a function declares itself."""
    own = inspect.signature(function, eval_str=True).parameters
    records = _records(function, skip=skip)
    return {
        key: _strict(parameter)
        for key, parameter in own.items()
        if key not in skip and key not in records
    }


@cache
def _options(
    function: Callable[..., Any], *, skip: frozenset[str] = _NOTHING
) -> Mapping[str, inspect.Parameter]:
    """All options of a function: its own, and those of its records."""
    # checked by the same parser, whether the table or the command declares them
    options = dict(_plain_options(function, skip=skip))
    for record, only in _records(function, skip=skip).values():
        options |= {key: _strict(parameter) for key, parameter in parameters(record, only).items()}
    return options


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vfx-matte {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
