"""Checksums of weights files, and whether a file is intact. No code in a file is run."""

from __future__ import annotations

import itertools
import json
import pickletools
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.files.fingerprint import file_sha256
from vfx_matte.files.inputs import other_than_file, read_small_file
from vfx_matte.printable import printable

_TOLERANCE = 0.1
"""How far a size may be from the rounded one of the table, as a share of it."""
_MOST_HEADER_BYTES = 100_000_000
"""A list of tensors that is longer is none; as the format's own reader has it."""
_OLD_PICKLES = 5
"""Files of PyTorch before 1.6 begin with: magic number, protocol, machine, names with shapes,
storage keys.
"""
_START_BYTES = 512
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
_OLD_MAGIC = bytes.fromhex("8002 8a0a 6cfc9c46f9206aa85019")


class Fingerprint(NamedTuple):
    """What tells one file from another."""

    size_bytes: int
    """Its size."""
    sha256: str
    """64 hexadecimal digits."""


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a file, which is read whole.

    Raises:
        WeightsError: it cannot be read.
    """
    _require_file(path)
    try:
        return Fingerprint(path.stat().st_size, file_sha256(path))
    except OSError as error:
        hint = "check that it is there, a file, and readable"
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", hint=hint) from error


def check_container(path: Path, *, about_megabytes: float | None = None) -> str:
    """Check, without PyTorch, that a file is built as `torch.save` builds files.

    Args:
        path: the file.
        about_megabytes: the size it should have within 10 %; None takes any.

    Returns:
        What was checked, in a few words.

    Raises:
        WeightsError: it is not such a file.
    """
    _require_file(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
            is_old = start.startswith(_OLD_MAGIC)
            file.seek(0)
            problem = _problem_of_old(file) if is_old else _problem_of_zip(file)
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file"
        ) from error
    # said first: a web page is damaged in every other way too
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
            hint="delete it and fetch it again",
        )
    form = "in the format of PyTorch before 1.6" if is_old else "an intact PyTorch archive"
    return f"{form}, {size / 1e6:.1f} MB; names and shapes are not checked, as that needs PyTorch"


def check_tensors(path: Path) -> str:
    """Check, without any package, that a file is whole in the form of safetensors: a list of
    tensors, whose bytes follow it without a gap.

    Returns:
        What was checked, in a few words.

    Raises:
        WeightsError: it is not such a file.
    """
    _require_file(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if 2 <= length <= min(size, _MOST_HEADER_BYTES) else b""
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file"
        ) from error
    try:
        tensors = json.loads(header.decode("utf-8"))
        ends = sorted(
            tuple(value["data_offsets"]) for key, value in tensors.items() if key != "__metadata__"
        )
        is_whole = bool(ends) and 8 + length + ends[-1][1] == size
        is_whole = is_whole and all(one[1] == other[0] for one, other in itertools.pairwise(ends))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        ends, is_whole = [], False
    if not is_whole:
        problem = (
            "it is cut off, or longer than its list of tensors says"
            if ends
            else "it does not begin with a list of tensors"
        )
        raise WeightsError(
            f"{path} is not a file of safetensors: {problem}", hint="delete it and fetch it again"
        )
    return f"{len(ends)} tensors, whole, {size / 1e6:.1f} MB"


def check_description(path: Path) -> str:
    """Check that a file that describes a network is JSON.

    Returns:
        What it says it is, in a few words.

    Raises:
        WeightsError: it is not such a file.
    """
    _require_file(path)
    try:
        facts = json.loads(read_small_file(path, what="weights", most_bytes=2**20).decode("utf-8"))
        kind = facts.get("model_type") or facts.get("image_processor_type") or "a description"
    except (UsageError, OSError, ValueError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is not a description of a network: it is no JSON object",
            hint="delete it and fetch it again",
        ) from error
    return f"JSON, {printable(kind)}"


def _require_file(path: Path) -> None:
    """Raise WeightsError for a pipe or a device, which could be read without an end."""
    # looked at before it is opened: opening a pipe waits
    try:
        other = other_than_file(path)
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file"
        ) from error
    if other:
        raise WeightsError(
            f"cannot read {path}: it is {other}, expected a file", hint="move it away"
        )


def _problem_of_zip(file: IO[bytes]) -> str:
    """What is wrong with an archive of tensors; "" when nothing is. Every member's checksum is
    compared.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            # torch.save writes NAME/data.pkl, the list of tensors, and NAME/data/0, 1, …
            index = next((name for name in names if name.endswith("/data.pkl")), None)
            if index is None or not any("/data/" in name for name in names):
                return "the archive holds no tensors"
            damaged = archive.testzip()
            if damaged is not None:
                return f"{damaged} in it is damaged"
            with archive.open(index) as pickled:
                return _problem_of_pickle(pickled)
    # what `zipfile` raises for damaged and encrypted archives
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
    """What is wrong with the pickles at the start of an old file; "" when nothing is."""
    for _ in range(_OLD_PICKLES):
        problem = _problem_of_pickle(file)
        if problem:
            return problem
    return ""


def _problem_of_pickle(file: IO[bytes]) -> str:
    """What is wrong with the next pickle of a file; "" when nothing is."""
    try:
        # reads its instructions without running any: a pickle can run any code
        for _ in pickletools.genops(file):
            pass
    except Exception as error:  # noqa: BLE001  damaged ones make pickletools raise almost anything
        return f"its list of tensors is damaged ({error})"
    return ""
