"""A network as small as can be, written as ONNX by hand: brightness in, brightness out.

Read as U²-Netp is.
"""

from __future__ import annotations

import struct


def tiny_network(*, gain: float = 2.0) -> bytes:
    """ONNX bytes of sigmoid(gain · (r + g + b)), input `input.1` (1, 3, H, W), output (1,
    1, H, W).
    """
    weights = (
        _number(1, 1)
        + _number(1, 3)
        + _number(1, 1)
        + _number(1, 1)
        + _number(2, 1)
        + _text(8, b"w")
    )
    weights += _text(9, struct.pack("<3f", gain, gain, gain))
    graph = _text(1, _text(1, b"input.1") + _text(1, b"w") + _text(2, b"c") + _text(4, b"Conv"))
    graph += _text(1, _text(1, b"c") + _text(2, b"out") + _text(4, b"Sigmoid"))
    graph += (
        _text(2, b"tiny")
        + _text(5, weights)
        + _text(11, _value(b"input.1", 3))
        + _text(12, _value(b"out", 1))
    )
    return _number(1, 7) + _text(7, graph) + _text(8, _number(2, 11))


def _value(name: bytes, channels: int) -> bytes:
    """A float tensor (1, channels, 320, 320)."""
    shape = b"".join(_text(1, _number(1, size)) for size in (1, channels, 320, 320))
    return _text(1, name) + _text(2, _text(1, _number(1, 1) + _text(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])
