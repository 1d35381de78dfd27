"""The parameters of functions, as a CVAT user types them: `-p NAME=TYPE:VALUE`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from cvat_sdk.auto_annotation import BadFunctionError

from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.labelling.messages import as_path, told, typed
from vfx_matte.printable import without_folders
from vfx_matte.settings.options import PathsSettings
from vfx_matte.wording import Named, option

Value = str | int | float | bool
"""What `cvat-cli` makes of a parameter."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", str, int, float, bool)


class ParameterError(BadFunctionError, SystemExit):  # type: ignore[misc]
    """A function that cannot be made.

    `cvat-cli` has no exception of its own for that and would show a traceback; as a SystemExit it
    ends with the message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message


def as_parameter(named: Named) -> str:
    """What a message names, as a CVAT user types it: `-p max_tracks=int:32`, or a command of
    vfx-matte.
    """
    if named.command is not None:
        return typed(named)
    texts = []
    for name, value in named.options.items():
        given = "" if value is None else f"={type(value).__name__}:{value}"
        texts.append(f"-p {name}{given}")
    return " ".join(texts)


def explains(function: Callable[P, R]) -> Callable[P, R]:
    """The method, with errors as CVAT shows them to whoever works there.

    Of other exceptions an agent tells the server nothing, as they may hold secrets; of paths on the
    agent's machine it tells the names alone.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except VfxMatteError as error:
            raise BadFunctionError(without_folders(told(error, as_parameter))) from error

    return run


def taken(parameters: dict[str, Value], name: str, default: T) -> T:
    """Take a parameter out of those that were given.

    Args:
        parameters: name → value.
        name: which one.
        default: what it is where it was not given; its type is the parameter's.

    Raises:
        UsageError: it is of another type.
    """
    value = parameters.pop(name, default)
    if type(value) is not type(default):
        kind = type(default).__name__
        raise UsageError(
            f"{option(name)} is {value!r}, expected {kind}", hint=f"write -p {name}={kind}:VALUE"
        )
    return value


def model_folder(parameters: dict[str, Value]) -> Path:
    """Take the folder of network weights out of the parameters."""
    return as_path(taken(parameters, "model", str(PathsSettings().model)))


def refuse_unknown(parameters: Mapping[str, Value], known: Mapping[str, object] | set[str]) -> None:
    """Raise UsageError for a parameter that the function has not."""
    for name in parameters:
        if name not in known:
            raise UsageError(
                f"there is no parameter {name!r}", hint=f"there are {', '.join(sorted(known))}"
            )


@contextmanager
def wrong_types_told() -> Iterator[None]:
    """Say which way types are given where a value has none that fits."""
    try:
        yield
    except TypeError as error:
        raise UsageError(
            f"a parameter is of a wrong type: {error}",
            hint="types are str, int, float and bool, as in -p max_tracks=int:32",
        ) from error
