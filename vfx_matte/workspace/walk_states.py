"""Saves and loads the states of walks, from which a run of segment continues exactly.

A file holds plain data: a JSON header that names every array, then the arrays' bytes, then a digest
of all of it. What is cut off, changed, of another run or of another version of this format counts
as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfx_matte.files.atomic import atomic_path

STATE_VERSION = 1
MOST_STATE_BYTES = 4 * 2**30
"""A larger state is not saved, and no larger file is read."""

_MAGIC = b"vfx-matte walk\n"
_DIGEST_BYTES = 32
_MOST_HEADER_BYTES = 2**24
# plain numbers only: an array of objects would need pickle, which runs code of a file
_DTYPES = ("|b1", "|u1", "<i4", "<i8", "<f4", "<f8")

# what a list in the header's tree stands for
_DICTIONARY, _LIST, _ARRAY = 0, 1, 2

State = Mapping[str, Any]
"""A tree of dictionaries with text keys, lists, None, bool, int, float, str and arrays."""


class WalkStateFolder:
    """The states of one run's walks, one file per walk.

    Args:
        folder: where the files are.
        work: a digest of everything that a walk depends on; states of other work count as absent.
    """

    def __init__(self, folder: Path, work: str) -> None:
        self._folder, self._work = folder, work

    def save(self, name: str, frame_index: int, state: State) -> None:
        """Save a state in place of an earlier one of this walk, atomically; one that is larger than
        MOST_STATE_BYTES is not saved.

        Args:
            name: of the walk, letters and digits.
            frame_index: the last frame that the walk has passed.
            state: what it knows.

        Raises:
            OutputError: it cannot be written.
            ValueError: the state holds something else than `State` allows.
        """
        arrays: list[npt.NDArray[Any]] = []
        tree = _to_tree(state, arrays)
        header = json.dumps(
            {
                "version": STATE_VERSION,
                "work": self._work,
                "frame": frame_index,
                "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
                "tree": tree,
            },
            separators=(",", ":"),
        ).encode()
        if (
            sum(array.nbytes for array in arrays) > MOST_STATE_BYTES
            or len(header) > _MOST_HEADER_BYTES
        ):
            return
        # written piece by piece, so that the arrays are not copied into one block of memory
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        pieces: list[bytes | memoryview] = [
            _MAGIC,
            len(header).to_bytes(8, "little"),
            header,
            *_bytes(arrays),
        ]
        with atomic_path(self._path(name)) as part, part.open("wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.write(digest.digest())

    def load(self, name: str) -> tuple[int, State] | None:
        """The state that was saved last: (frame index, state); None when there is none, or none of
        this work that is whole.
        """
        path = self._path(name)
        try:
            if not path.is_file() or path.stat().st_size > MOST_STATE_BYTES + _MOST_HEADER_BYTES:
                return None
            data = path.read_bytes()
            return self._parsed(memoryview(data))
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, MemoryError):
            # a walk that begins again costs time, and gives the same masks
            return None

    def drop(self, name: str) -> None:
        """Delete the state of a walk that is not needed any more."""
        with contextlib.suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all states."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.state"

    def _parsed(self, data: memoryview) -> tuple[int, State]:
        """(frame index, state) of a file.

        Raises ValueError, KeyError, TypeError or IndexError for anything that `save` of this work
        did not write.
        """
        # 1. is the file whole? The digest is of everything before it
        body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if (
            body[: len(_MAGIC)] != _MAGIC
            or hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest
        ):
            raise ValueError("damaged")
        # 2. the header: after the magic its length, in 8 bytes
        begin = len(_MAGIC) + 8
        end = begin + int.from_bytes(body[len(_MAGIC) : begin], "little")
        header = json.loads(bytes(body[begin:end]))
        if (header["version"], header["work"]) != (STATE_VERSION, self._work):
            raise ValueError("of another run")
        # 3. the arrays, one behind the other
        arrays = []
        for dtype, shape in header["arrays"]:
            if dtype not in _DTYPES or any(not isinstance(side, int) or side < 0 for side in shape):
                raise ValueError(f"array of {dtype} {shape}")
            size = math.prod(shape) * np.dtype(dtype).itemsize
            if end + size > len(body):
                raise ValueError("too short")
            # copied, as a walk changes its arrays in place
            arrays.append(np.frombuffer(body[end : end + size], dtype).reshape(shape).copy())
            end += size
        return int(header["frame"]), _from_tree(header["tree"], arrays)


def digest_of(facts: Mapping[str, object]) -> str:
    """A short text that differs when any of the facts does.

    Args:
        facts: what JSON can hold; their order does not count.
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _bytes(arrays: list[npt.NDArray[Any]]) -> Iterator[memoryview]:
    """The bytes of arrays, in C order."""
    return (
        np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for array in arrays
        if array.nbytes
    )


def _to_tree(value: object, arrays: list[npt.NDArray[Any]]) -> object:
    """JSON data for a value, whose arrays are appended to `arrays`: dictionaries become [0, {…}],
    lists [1, […]], arrays [2, index].
    """
    if isinstance(value, Mapping):
        return [_DICTIONARY, {str(key): _to_tree(item, arrays) for key, item in value.items()}]
    if isinstance(value, list | tuple):
        return [_LIST, [_to_tree(item, arrays) for item in value]]
    if isinstance(value, np.ndarray):
        if value.dtype.str not in _DTYPES:
            raise ValueError(f"array of {value.dtype}, expected one of {', '.join(_DTYPES)}")
        arrays.append(value)
        return [_ARRAY, len(arrays) - 1]
    # NumPy's numbers are no numbers of JSON
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{type(value).__name__} is not plain data")


def _from_tree(tree: object, arrays: list[npt.NDArray[Any]]) -> Any:  # noqa: ANN401  data of any shape
    if not isinstance(tree, list):
        return tree
    kind, content = tree
    if kind == _DICTIONARY:
        return {key: _from_tree(item, arrays) for key, item in content.items()}
    return [_from_tree(item, arrays) for item in content] if kind == _LIST else arrays[content]
