"""The category ids of COCO and YouTube-VIS, and numbers for all other classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNNAMED = "object"
"""The category of objects whose class nobody said."""

COCO = "COCO"
YOUTUBE_VIS_2019 = "YouTube-VIS 2019"
YOUTUBE_VIS_2021 = "YouTube-VIS 2021"
NUMBERED = "numbered by name"

_NAMES_2019 = (
    "person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck"
    " cat cow fish train horse turtle bear motorbike giraffe leopard fox deer owl surfboard"
    " airplane truck zebra tiger elephant snowboard boat shark mouse frog eagle earless_seal"
    " tennis_racket"
)
_NAMES_2021 = (
    "airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc"
    " fox frog giant_panda giraffe horse leopard lizard monkey motorbike mouse parrot person"
    " rabbit shark skateboard snake snowboard squirrel surfboard tennis_racket tiger train"
    " truck turtle whale zebra"
)
_NAMES_COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,"
    "backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,"
    "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,"
    "cake,chair,couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,"
    "hair drier,toothbrush"
)
# ids are places in these lists, from 1; "" are ids of COCO that no picture has
_LISTS: Mapping[str, tuple[str, ...]] = {
    YOUTUBE_VIS_2019: tuple(_NAMES_2019.split()),
    YOUTUBE_VIS_2021: tuple(_NAMES_2021.split()),
    COCO: tuple(_NAMES_COCO.split(",")),
}
"""Of YouTube-VIS as its two data sets have them, of COCO as its annotations of 2017 do."""

FOR_COCO = (COCO, YOUTUBE_VIS_2019, YOUTUBE_VIS_2021)
FOR_YOUTUBE_VIS = (YOUTUBE_VIS_2019, YOUTUBE_VIS_2021, COCO)
"""Which list is asked first; the models of the first years have the ids of 2019."""


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of one file."""

    source: str
    """COCO, YOUTUBE_VIS_2019, YOUTUBE_VIS_2021 or NUMBERED."""

    names: Mapping[int, str]
    """By id."""

    def id_of(self, class_name: str) -> int:
        """The id of a class, "" = no class.

        Raises:
            KeyError: it is not among them.
        """
        key = _key(class_name or UNNAMED)
        return next(number for number, name in self.names.items() if _key(name) == key)

    def to_json(self) -> list[dict[str, object]]:
        """As COCO and YouTube-VIS write it."""
        return [
            {"id": number, "name": name, "supercategory": UNNAMED}
            for number, name in self.names.items()
        ]


def categories_of(class_names: Iterable[str], order: Iterable[str] = FOR_COCO) -> Categories:
    """The first official list that knows all classes, or else numbers from 1 in the order of names.

    Upper and lower case, and "_" and space, are the same in names of a list.

    Args:
        class_names: of the objects; "" = no class.
        order: the lists to ask.
    """
    wanted = {name or UNNAMED for name in class_names}
    for source in order:
        official = official_categories(source)
        known = {_key(name) for name in official.names.values()}
        if wanted and all(_key(name) in known for name in wanted):
            return official
    # one category per spelling that differs by more than case
    by_key = {_key(name): name for name in sorted(wanted, reverse=True)}
    return Categories(NUMBERED, dict(enumerate(sorted(by_key.values()), start=1)))


def official_categories(source: str) -> Categories:
    """A whole official list: COCO, YOUTUBE_VIS_2019 or YOUTUBE_VIS_2021."""
    return Categories(
        source, {place: name for place, name in enumerate(_LISTS[source], start=1) if name}
    )


def official_place(class_name: str) -> int | None:
    """The place of a class in all official lists together, from 1; None where none has it."""
    return _PLACES.get(_key(class_name))


def _key(name: str) -> str:
    return name.casefold().replace("_", " ")


_PLACES = {
    key: place
    for place, key in enumerate(
        dict.fromkeys(_key(name) for source in FOR_COCO for name in _LISTS[source] if name), start=1
    )
}
MOST_PLACES = len(_PLACES)
"""How many classes the official lists have together."""
