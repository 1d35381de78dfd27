"""Weights files on disk.

Takes a path, gives its checksum or what is wrong with it; never runs code that is in a file.
"""

from __future__ import annotations

import hashlib
import pickletools
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

from vfx_matte.errors import WeightsError
from vfx_matte.files.inputs import other_than_file

_TOLERANCE = 0.1
"""How far a size may be from the rounded one of the table."""
_OLD_PICKLES = 5
"""Files of PyTorch before 1.6 begin with: magic number, protocol, machine, names with shapes,
storage keys.
"""
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
_OLD_MAGIC = bytes.fromhex("8002 8a0a 6cfc9c46f9206aa85019")


class Fingerprint(NamedTuple):
    """What tells one file from another. sha256: 64 hexadecimal digits."""

    size_bytes: int
    sha256: str


def fingerprint(path: Path) -> Fingerprint:
    """Read the whole file. Raises WeightsError when that fails."""
    _require_file(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Fingerprint(file.tell(), digest)
    except OSError as error:
        hint = "check that it is there, a file, and readable"
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", hint=hint) from error


def check_container(path: Path, *, about_megabytes: float | None = None) -> str:
    """See whether a file is built as `torch.save` builds files, without PyTorch; say in a few words
    what was checked.

    about_megabytes: the size it should have within 10 %; None takes any. Raises WeightsError.
    """
    _require_file(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            old = start.startswith(_OLD_MAGIC)
            file.seek(0)
            problem = _problem_of_old(file) if old else _problem_of_zip(file)
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file"
        ) from error
    if start.lstrip().lower().startswith(_WEB_PAGE):
        problem = "it is a web page, as sign-in pages of networks send"
    elif (
        not problem
        and about_megabytes is not None
        and abs(size / 1e6 - about_megabytes) > _TOLERANCE * about_megabytes
    ):
        problem = f"it has {size / 1e6:.1f} MB, expected about {about_megabytes:g} MB"
    if problem:
        raise WeightsError(
            f"{path} is not a file of PyTorch weights: {problem}",
            hint="take it away and fetch it again",
        )
    form = "built as PyTorch's files before 1.6 are" if old else "a whole archive of PyTorch's"
    return f"{form}, {size / 1e6:.1f} MB; names and shapes unseen, for that takes PyTorch"


def _require_file(path: Path) -> None:
    """Raise WeightsError for a pipe or a device, which would be read without an end."""
    try:
        other = other_than_file(path)
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file"
        ) from error
    if other:
        raise WeightsError(
            f"cannot read {path}: it is {other}, expected a file", hint="take it away"
        )


def _problem_of_zip(file: IO[bytes]) -> str:
    """What is wrong with an archive of tensors; "" when nothing is.

    Every member's checksum is compared.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            index = next((name for name in names if name.endswith("/data.pkl")), None)
            if index is None or not any("/data/" in name for name in names):
                return "the archive holds no tensors"
            damaged = archive.testzip()
            if damaged is not None:
                return f"{damaged} in it is damaged"
            with archive.open(index) as pickled:
                return _problem_of_pickle(pickled)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
    ) as error:
        return str(error)[:1].lower() + str(error)[1:]


def _problem_of_old(file: IO[bytes]) -> str:
    for _ in range(_OLD_PICKLES):
        problem = _problem_of_pickle(file)
        if problem:
            return problem
    return ""


def _problem_of_pickle(file: IO[bytes]) -> str:
    """Read one pickle's instructions, following none of them."""
    try:
        for _ in pickletools.genops(file):
            pass
    except Exception as error:  # noqa: BLE001  damaged ones make pickletools raise almost anything
        return f"its list of tensors is damaged ({error})"
    return ""
