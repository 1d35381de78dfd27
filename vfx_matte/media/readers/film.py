"""Finds the film among a file's video streams, and the decoder that shows all of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av

from vfx_matte.backend import Notify
from vfx_matte.errors import MediaError
from vfx_matte.media.pixels import put_tags, tags_of

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that show the alpha of WebM; FFmpeg's own leave it out."""

_PICTURE_BRANDS = frozenset({"heic", "heix", "heim", "heis", "mif1"})
"""Brands of files that hold pictures in tiles or layers (ISO/IEC 23008-12), not a film."""


def film_of(container: av.container.InputContainer, path: Path, *, notify: Notify) -> int | None:
    """The number of the stream that is the film, when the file has more than one real video stream;
    else None.

    The first one, unless it is a single picture (a cover, a thumbnail) and a later one is not: a
    notice says which is read. Reads packets of the container.

    Args:
        container: the file.
        path: its name, for messages.
        notify: is told when it is not the first one.

    Raises:
        MediaError: for a picture file that is made of several.
    """
    real = [
        each
        for each in container.streams.video
        if not each.disposition & av.stream.Disposition.attached_pic
    ]
    if len(real) < 2:
        return None
    # streams that state how many frames they have need no reading; of the others two packets each
    # are enough
    counts = Counter({each.index: each.frames for each in real if each.frames})
    unknown = [each for each in real if not each.frames]
    for packet in container.demux(unknown) if unknown else ():
        counts[packet.stream_index] += packet.size > 0
        if all(counts[each.index] > 1 for each in unknown):
            break
    # the first that moves; a file of pictures in tiles or layers has none
    film = next((each for each in real if counts[each.index] > 1), real[0])
    brand = container.metadata.get("major_brand", "").strip().lower()
    if counts[film.index] <= 1 and brand in _PICTURE_BRANDS:
        raise MediaError(
            f"{str(path)!r} is a HEIC picture of {len(real)} parts, not a video",
            hint="export it as PNG or JPEG",
        )
    if film is not real[0]:
        still = real[0]
        notify(
            f"{path.name}: video stream {still.index} is a single picture"
            f" ({still.width}×{still.height}); the film is stream {film.index}"
            f" ({film.width}×{film.height})"
        )
    return film.index


def decoder_of(stream: av.VideoStream, *, threads: int) -> av.VideoCodecContext:
    """What decodes a stream: its own decoder, or that of libvpx where a WebM track has alpha.

    Args:
        stream: the picture's.
        threads: 0 = by cores.
    """
    own = stream.codec_context
    has_alpha = any(
        key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()
    )
    name = _WITH_ALPHA.get(own.codec.canonical_name) if has_alpha else None
    if name is None:
        stream.thread_type = "AUTO"
        stream.thread_count = threads
        return own
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = threads
    # a decoder of its own does not know what the container says of colours
    put_tags(decoder, tags_of(own))
    return decoder
