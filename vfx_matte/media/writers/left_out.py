"""Notes in a file that it was made here, and what its render left out on purpose, frames and sound.

So `verify` does not take that for lost, and a render tells its own earlier file from somebody
else's. The note is the file's "comment", which MP4, MOV, Matroska and WebM can all hold. A file
that lost its sound elsewhere has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import av

from vfx_matte.errors import VfxMatteError
from vfx_matte.media.probe import Part
from vfx_matte.media.readers.demuxers import open_input

_MARK = "vfx-matte"
_NOTE = re.compile(rf"{_MARK}: (?:.*; )?without sound streams? ([\d, ]+) of the source")


def note_left_out(
    container: av.container.OutputContainer, streams: Iterable[int], *, part: Part | None = None
) -> None:
    """Write into an output's metadata that it was made here, and what is left out of its source.

    Call it before the first packet is muxed, as the header holds it.

    Args:
        container: the file.
        streams: sound streams, by index.
        part: the frames that are there, None = all.
    """
    # one comment for both, as a file has only one
    numbers = sorted(streams)
    notes = [] if part is None else [part.note]
    if numbers:
        many = "s" if len(numbers) > 1 else ""
        listed = ", ".join(map(str, numbers))
        notes.append(f"without sound stream{many} {listed} of the source")
    container.metadata["comment"] = f"{_MARK}: {'; '.join(notes)}" if notes else _MARK


def is_made_here(path: Path) -> bool:
    """Whether a video says that this program made it; False for what is no video."""
    try:
        with open_input(path) as container:
            return any(
                text == _MARK or text.startswith(f"{_MARK}: ") for text in _comments(container)
            )
    except VfxMatteError:
        return False


def left_out_of(container: av.container.InputContainer) -> frozenset[int]:
    """The sound streams of the source, by index, that the render of a file left out on purpose."""
    found = next((match for text in _comments(container) if (match := _NOTE.fullmatch(text))), None)
    return (
        frozenset()
        if found is None
        else frozenset(int(number) for number in re.findall(r"\d+", found[1]))
    )


def _comments(container: av.container.InputContainer) -> list[str]:
    # Matroska writes the key in capitals
    return [text for key, text in container.metadata.items() if key.lower() == "comment"]
