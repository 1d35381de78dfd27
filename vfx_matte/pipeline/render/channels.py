"""Tells which object is in which channel of an rgb mask video."""

from __future__ import annotations

from vfx_matte.errors import UsageError
from vfx_matte.wording import option

_MOST_NAMED = 8  # in a message
CHANNEL_NAMES = ("red", "green", "blue")


def fits_channels(objects: tuple[int, ...]) -> bool:
    """Whether the channels of one picture can hold these objects, one per channel."""
    return 0 < len(objects) <= len(CHANNEL_NAMES)


def object_channels(objects: tuple[int, ...]) -> dict[int, int]:
    """The channel of each object.

    Objects 1, 2 and 3 are in red, green and blue, also where one of them is left out; where an id
    is above 3, the objects fill the channels in the order of their ids.

    Args:
        objects: the ids that are shown.

    Returns:
        {id: channel}, by ascending id; 0 = red, 1 = green, 2 = blue.

    Raises:
        UsageError: none, or more than three objects.
    """
    # an id that is given twice is one object
    chosen = sorted(set(objects))
    if not fits_channels(tuple(chosen)):
        more = ", …" if len(chosen) > _MOST_NAMED else ""
        numbers = ", ".join(map(str, chosen[:_MOST_NAMED])) + more or "none"
        raise UsageError(
            f"style rgb shows up to three objects, these are {len(chosen)}: {numbers}",
            hint=(
                f"choose three with {option('objects')}, give each its own file with"
                f" {option('each_object')}, or use {option('style', 'palette')}"
            ),
        )
    # ids of a clip mean the same channel in every render, with or without the others
    if chosen[-1] <= len(CHANNEL_NAMES):
        return {object_id: object_id - 1 for object_id in chosen}
    return {object_id: channel for channel, object_id in enumerate(chosen)}


def describe_channels(channels: dict[int, int]) -> str:
    """For people: "object 1 is red, object 5 is green"."""
    return ", ".join(
        f"object {object_id} is {CHANNEL_NAMES[channel]}" for object_id, channel in channels.items()
    )
