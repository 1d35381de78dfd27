"""Plans sound channels: which layout an encoder is given, and in which order.

Encoders take few layouts by name, and none without one. A layout that an encoder does not have is
written as another one with as many channels, in the same order, so that no channel is mixed into
another or lost. Channels without names never go where an encoder filters: AAC keeps nothing above
some hundred hertz of a low-frequency channel.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import av

# stands in an order for a channel that nothing goes to
SILENT = -1

_BY_NAME: Mapping[str, frozenset[str]] = {
    "aac": frozenset({"mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "5.0", "5.1",
    "7.1"}),
    "libopus": frozenset({"mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"}),
    "flac": frozenset({
        "mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "4.1",
        "5.0", "5.0(side)", "5.1",
        "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "6.1(front)", "7.0",
        "7.0(front)", "7.1",
        "7.1(wide)", "7.1(wide-side)", "octagonal",
    }),
}  # fmt: skip
"""Layouts that come out of a file under their own name.

Found by encoding and reading back with FFmpeg 8.
"""

_SAME_PLACES = {
    "downmix": "stereo",
    "quad(side)": "quad",
    "5.0(side)": "5.0",
    "5.1(side)": "5.1",
    "7.1(wide)": "7.1",
    "7.1(wide-side)": "7.1",
}
"""The same loudspeakers under a commoner name, in the same order."""

# without a low-frequency channel, in which AAC would cut most of what is heard
_BY_COUNT: Mapping[str, Mapping[int, str]] = {
    "aac": {
        1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "6.0", 7: "7.0", 8: "octagonal",
        16: "hexadecagonal",
    },
    "libopus": {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1",
    8: "7.1"},
    "flac": {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"},
}  # fmt: skip

# mapping family 255 of Opus holds channels without a meaning
_MOST_BY_COUNT = {"libopus": 255}
_WITHOUT_NAMES = {"mapping_family": "255"}  # RFC 7845, 5.1.1.3

_UNNAMED = re.compile(r"\d+ channels")

_MIXED_UP: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("libopus", "5.0"): (0, 1, 4, 2, 3),
    ("libopus", "6.1"): (0, 1, 4, 3, 5, 2, 6),
}
"""FFmpeg 8 gives libopus these layouts in a wrong order; fed like this, every channel comes out in
its own place.
"""


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """How channels are handed to an encoder."""

    layout: str
    """The name of the layout that the encoder is opened with."""

    order: tuple[int, ...] = ()
    """For each of its channels the source's channel that goes there, SILENT for none; () = as they
    stand, under that name already.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the encoder."""

    note: str = ""
    """What to tell people, "" for nothing."""

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """FFmpeg's filters, with their arguments, that put a source's channels in `order` and call
        them `layout`.

        Filter pan mixes channels where a source's layout has a name, so that it only adds silence
        to some without.
        """
        if not self.order:
            return ()
        count = max(self.order) + 1
        if SILENT not in self.order:
            return (
                (
                    "channelmap",
                    f"map={'|'.join(map(str, self.order))}:channel_layout={self.layout}",
                ),
            )
        bare = f"map={'|'.join(map(str, range(count)))}:channel_layout={count} channels"
        placed = [f"c{to}=c{source}" for to, source in enumerate(self.order) if source != SILENT]
        return (("channelmap", bare), ("pan", "|".join([self.layout, *placed])))


def plan_channels(encoder: str, name: str) -> ChannelPlan | None:
    """What an encoder is given for sound of a layout; None when it cannot hold so many channels.

    An encoder that is not listed here (PCM) takes any, channels in an order of their own in the
    usual one.

    Args:
        encoder: FFmpeg's name.
        name: of the source's layout, see `layout_name`.
    """
    count, speakers = av.AudioLayout(name).nb_channels, _speakers(name)
    # the same loudspeakers, in whatever order: each goes to its own channel
    known = _BY_NAME.get(encoder, _BY_NAME["flac"] if "+" in name else frozenset())
    if same := next((each for each in sorted(known) if set(_speakers(each)) == set(speakers)), ""):
        order = tuple(speakers.index(each) for each in _speakers(same))
        order = tuple(order[position] for position in _MIXED_UP.get((encoder, same), range(count)))
        return ChannelPlan(same, () if (name, order) == (same, tuple(range(count))) else order)
    # an encoder that takes everything
    if encoder not in _BY_NAME:
        return (
            ChannelPlan(f"{count} channels", tuple(range(count)))
            if "+" in name
            else ChannelPlan(name)
        )
    # the same loudspeakers under another name
    usual = _SAME_PLACES.get(name, "")
    if usual in known:
        note = f"its {name} channels are written as {usual}"
        return ChannelPlan(usual, _channel_order(encoder, usual, count), note=note)
    # as many channels, or the next more with silent ones behind them
    fitting = min((each for each in _BY_COUNT[encoder] if each >= count), default=0)
    if fitting:
        layout = _BY_COUNT[encoder][fitting]
        silent = f", with {fitting - count} silent ones behind them" if fitting > count else ""
        called = "without names" if layout == name else f"as {layout}"
        note = f"{_subject(name, count)} written {called}, in the same order{silent}"
        return ChannelPlan(layout, _channel_order(encoder, layout, count), note=note)
    # or without any names
    if count <= _MOST_BY_COUNT.get(encoder, 0):
        note = (
            ""
            if _UNNAMED.fullmatch(name)
            else f"{_subject(name, count)} written without names, in the same order"
        )
        return ChannelPlan(f"{count} channels", tuple(range(count)), _WITHOUT_NAMES, note)
    return None


def layout_name(layout: av.AudioLayout) -> str:
    """The name of a layout in the form that FFmpeg reads again: of channels in an order of their
    own, "FL+FR+LFE".

    Of a track that is said to have no channel (a damaged one) it is "".

    PyAV 18.1 frees the list of such channels with every object that names it, though a decoder or
    frame still has it, and the process ends there. An object that was asked here therefore stays
    for ever.
    """
    own_order = re.fullmatch(r"\d+ channels \((.+)\)", layout.name)
    if not own_order:
        return layout.name if layout.nb_channels else ""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return own_order[1]


def forget_own_order(context: av.AudioCodecContext | None) -> None:
    """Let a decoder that is not open yet give frames without channel names where `layout_name`
    would be an order of its own.

    The channels stay as they stand. Frames that name such an order cannot be freed; see
    `layout_name`. None, of a stream that has no decoder, is passed over.
    """
    name = layout_name(context.layout) if context is not None else ""
    if context is not None and "+" in name:
        context.layout = f"{name.count('+') + 1} channels"


def _subject(name: str, count: int) -> str:
    if not _UNNAMED.fullmatch(name):
        return f"its {name} channels are"
    return (
        "its one channel has no name and is"
        if count == 1
        else f"its {count} channels have no names and are"
    )


def most_channels(encoder: str) -> int:
    """How many channels an encoder of `plan_channels` can hold."""
    return max(*_BY_COUNT[encoder], _MOST_BY_COUNT.get(encoder, 0))


def _channel_order(encoder: str, layout: str, count: int) -> tuple[int, ...]:
    """Every channel of `layout` and the source's channel that goes there, as they stand."""
    order = _MIXED_UP.get((encoder, layout), tuple(range(av.AudioLayout(layout).nb_channels)))
    return tuple(source if source < count else SILENT for source in order)


def _speakers(name: str) -> tuple[str, ...]:
    """The loudspeakers of a layout in order; what equals no other where channels have no names, or
    two the same one.
    """
    layout = av.AudioLayout(name)
    names = tuple(channel.name for channel in layout.channels)
    return names if len(set(names)) == layout.nb_channels and "NONE" not in names else (name,)
