"""Notes in a file what its render left out on purpose, frames and sound.

So `verify` does not take it for lost. The note is the file's "comment", which MP4, MOV, Matroska
and WebM can all hold. A file that lost its sound elsewhere has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import av

from vfx_matte.media.probe import Part

_NOTE = re.compile(r"vfx-matte: (?:.*; )?without sound streams? ([\d, ]+) of the source")


def note_left_out(
    container: av.container.OutputContainer, streams: Iterable[int], *, part: Part | None = None
) -> None:
    """Write into an output's metadata what is left out of its source; nothing for nothing.

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
    if notes:
        container.metadata["comment"] = f"vfx-matte: {'; '.join(notes)}"


def left_out_of(container: av.container.InputContainer) -> frozenset[int]:
    """The sound streams of the source, by index, that the render of a file left out on purpose."""
    # Matroska writes the key in capitals
    texts = (text for key, text in container.metadata.items() if key.lower() == "comment")
    found = next((match for text in texts if (match := _NOTE.fullmatch(text))), None)
    return (
        frozenset()
        if found is None
        else frozenset(int(number) for number in re.findall(r"\d+", found[1]))
    )
