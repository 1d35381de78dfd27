"""Finds where a clip's pictures change their format, by headers alone: nothing is decoded.

What headers say is a suspicion: two headers may differ in what no picture shows. Whoever wants to
be sure decodes the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.files.still_header import read_still_header
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.readers.demuxers import open_input

# parameter sets stand at the beginning of a packet, and are far smaller
_HEAD_BYTES = 4096


def suspected_changes(info: ClipInfo) -> Iterator[int]:
    """Frame indices whose header is another than the one before: of keyframes, or of the pictures
    of a sequence.

    Codecs that have no header that is known here say nothing.

    Returns:
        Indices, ascending.

    Raises:
        MediaError: when the file cannot be read.
    """
    before: bytes | None = None
    for index, header in (
        _headers_of_pictures(info) if info.files is not None else _headers_of_keyframes(info)
    ):
        if before is not None and header != before:
            yield index
        before = header


def _headers_of_pictures(info: ClipInfo) -> Iterator[tuple[int, bytes]]:
    files = info.files
    assert files is not None
    for number, path in zip(files.numbers, files.paths, strict=True):
        if files.first <= number < files.stop:
            try:
                header = read_still_header(path)
            except (MediaError, UsageError):  # whoever decodes it says what is wrong
                continue
            yield number - files.first, f"{header.kind} {header.width} {header.height}".encode()


def _headers_of_keyframes(info: ClipInfo) -> Iterator[tuple[int, bytes]]:
    """What containers and codecs say of a keyframe: new parameters beside the packet, or a header
    inside.
    """
    read, parameters, count = _HEADERS.get(info.codec), b"", 0
    with open_input(info.path) as container:
        stream = container.streams[info.video_stream]
        for packet in container.demux(stream):
            if packet.has_sidedata("new_extradata"):
                parameters = bytes(packet.get_sidedata("new_extradata"))
            if not packet.size:
                continue
            # Times that had to be mended are not those of packets; their order nearly is that of
            # frames.
            index, count = count, count + 1
            if info.reliable:
                index = -1 if packet.pts is None else info.timeline.index_of_pts(packet.pts) or 0
            # a change of size or layout can only begin with a keyframe
            if not packet.is_keyframe or not 0 <= index < len(info.timeline):
                continue
            header = read(bytes(memoryview(packet)[:_HEAD_BYTES])) if read else b""
            if header is not None:
                yield index, parameters + header


def _vp8(data: bytes) -> bytes | None:
    """Width and height with their scaling (RFC 6386, 9.1)."""
    return data[6:10] if data[3:6] == b"\x9d\x01\x2a" else None


def _vp9(data: bytes) -> bytes | None:
    """The uncompressed header up to the size (VP9 bitstream specification, 6.2); profile 0, else
    all of the first bytes.
    """
    # the sync code of a keyframe; behind it stand colour and size
    at = data.find(b"\x49\x83\x42", 0, 5)
    return data[at + 3 : at + 8] if at > 0 else None


def _nal_units(wanted: Callable[[int], bool]) -> Callable[[bytes], bytes | None]:
    """Parameter sets in front of a picture, with start codes or with lengths of four bytes; None
    where there are none.

    Args:
        wanted: whether the first byte of a unit is that of a sequence parameter set.
    """

    def read(data: bytes) -> bytes | None:
        # either start codes between the units, or each one's length in front of it
        found = []
        if data.startswith((b"\0\0\1", b"\0\0\0\1")):
            units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]
        else:
            units, at = [], 0
            while at + 5 <= len(data):
                size = int.from_bytes(data[at : at + 4], "big")
                units.append(data[at + 4 : at + 4 + size])
                at += 4 + size
        found = [unit for unit in units if unit and wanted(unit[0])]
        return b"".join(found) or None

    return read


def _mpeg2(data: bytes) -> bytes | None:
    """Size, pixel shape and rate of the sequence header (ISO/IEC 13818-2, 6.2.2.1)."""
    at = data.find(b"\0\0\1\xb3")
    return data[at + 4 : at + 8] if at >= 0 else None


def _mjpeg(data: bytes) -> bytes | None:
    """Depth, size and number of components of the frame header."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc1"), data.find(b"\xff\xc2"))
    return data[at + 4 : at + 10] if at >= 0 else None


# by format; of others nothing is known and nothing suspected
_HEADERS: Mapping[str, Callable[[bytes], bytes | None]] = {
    "vp8": _vp8,
    "vp9": _vp9,
    "h264": _nal_units(lambda first: first & 31 == 7),
    "hevc": _nal_units(lambda first: first >> 1 & 63 == 33),
    "mpeg2video": _mpeg2,
    "mpeg1video": _mpeg2,
    "mjpeg": _mjpeg,
    "prores": lambda data: data[16:21] if data[4:8] == b"icpf" else None,
    "png": lambda data: data[16:26] if data.startswith(b"\x89PNG") else None,
}
