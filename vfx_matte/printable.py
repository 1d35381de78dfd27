"""Text from outside as it may be shown, written and pasted.

Names and tags are of files that anybody made. A terminal, a page or a log acts on some characters
(escape sequences, line breaks, text that runs backwards). Here they become visible escapes; letters
of every script, accents and emoji stay as they are. Every place where text leaves the program calls
`printable`, `json_text` or `shell_command`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePath

_CONTROLS = (
    "\\x00-\\x1f\\x7f-\\x9f"  # control characters, C0 and C1
    # direction, invisible, line breaks
    "\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff"  # lone surrogates: bytes of a name that are not UTF-8
    "\\ufffe\\uffff"
)
_UNPRINTABLE = re.compile(f"[{_CONTROLS}]")
# an absolute path of any system: between quotes it may hold spaces, and between words it has a
# folder at least, as "/" and "/v1" are none
_ABSOLUTE_PATH = re.compile(
    r"""(?P<quote>['"])(?:/|[A-Za-z]:[\\/]|\\\\)(?P<quoted>.*?)(?P=quote)"""
    r"""|(?<![^\s(=,])(?:/[^\s'"/,;)]+|[A-Za-z]:)[\\/](?P<bare>[^\s'",;)]+)"""
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FORMULA = ("=", "+", "-", "@")


def printable(text: object) -> str:
    r"""Text on one line without characters that a terminal would act on: "a\x1b[31m" shows its
    escape as \x1b, a byte that is not UTF-8 as \xe9.
    """
    return _UNPRINTABLE.sub(_escape, str(text))


def shortened(text: object, most: int = 60) -> str:
    """A value for a message; the middle of a very long one is left out.

    Args:
        text: any value.
        most: characters that are shown at most.
    """
    shown = str(text)
    return shown if len(shown) <= most else f"{shown[: most - 20]}…{shown[-15:]}"


def without_folders(text: str) -> str:
    """A message without the folders of absolute paths, for people who work on other machines:
    "'/home/ann/a.mp4' is damaged" becomes "'…/a.mp4' is damaged".
    """
    return _ABSOLUTE_PATH.sub(_last_part, text)


def _last_part(found: re.Match[str]) -> str:
    path, quote = found["quoted"] or found["bare"] or "", found["quote"] or ""
    name = re.split(r"[/\\]+", path.rstrip("/\\"))[-1]
    return f"{quote}…/{name}{quote}"


def without_unprintable(name: str) -> str:
    """A file name in which every character that `printable` would escape is "_"."""
    return _UNPRINTABLE.sub("_", name)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")


def json_text(
    facts: object, *, indent: int | None = None, default: Callable[[object], object] | None = None
) -> str:
    r"""JSON with every script readable; what a terminal would act on stands as \u001b, and reads
    back the same.

    Args:
        facts: what `json.dumps` takes.
        indent: spaces per level; None = on one line.
        default: turns what JSON has no form for into something that it has.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(
        facts, ensure_ascii=False, indent=indent, default=default, separators=separators
    )
    # line breaks between values are the indent's own and stay
    return "\n".join(
        _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n")
    )


def spreadsheet_cell(text: object) -> str:
    """A text for a CSV file that a spreadsheet shows and does not calculate: an apostrophe goes
    before = + - and @.
    """
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def shell_command(words: Sequence[str | PurePath], *, windows: bool | None = None) -> str:
    """Words as a command to paste: for a POSIX shell (bash, zsh), on Windows for PowerShell.

    A path that begins with "-" gets "./" before it, so that it is no option.

    Args:
        words: the command and its arguments.
        windows: whether it is for PowerShell; None = as on the system this runs on.
    """
    powershell = os.name == "nt" if windows is None else windows
    quote = _powershell_quoted if powershell else _posix_quoted
    return " ".join(quote(_operand(word)) for word in words)


def _operand(word: str | PurePath) -> str:
    text = str(word)
    return f"./{text}" if isinstance(word, PurePath) and text.startswith("-") else text


def _posix_quoted(word: str) -> str:
    if not _UNPRINTABLE.search(word):
        return shlex.quote(word)
    # ANSI-C quotes of bash and zsh read the escapes back as the characters that they stand for
    return f"$'{printable(word.replace(chr(92), chr(92) * 2).replace(chr(39), chr(92) + chr(39)))}'"


def _powershell_quoted(word: str) -> str:
    if _UNPRINTABLE.search(word):
        # in double quotes PowerShell reads `u{…}, and would also expand these
        text = re.sub('[`"$\u201c\u201d\u201e]', lambda found: f"`{found[0]}", word)
        return '"' + _UNPRINTABLE.sub(lambda found: f"`u{{{ord(found[0]):x}}}", text) + '"'
    if re.fullmatch(r"[\w./:\\=%+-]+", word):
        return word
    # curly quotes end a quoted text of PowerShell, too
    return "'" + re.sub("['\u2018\u2019\u201a\u201b]", lambda found: found[0] * 2, word) + "'"
