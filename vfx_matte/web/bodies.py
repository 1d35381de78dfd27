"""What requests hold, checked when they arrive, and how both ways are documented."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vfx_matte.pipeline.first_mask import Click, Marks, Stroke

# Bounds are those of sense, not of the clip: what reaches the engine is of the right type and fits
# into the integers of arrays. What the clip has, the engine knows and says.

# further out lies no pixel; Marks.check says whether the picture has it
_FAR = 100_000
# of the marks of one object on one frame: many times what anybody draws
_MOST_MARKS = 2000


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("expected text without control characters")
    return text.strip()


def _printable_or_empty(text: str) -> str:
    return text and _printable(text)


def _no_path(options: dict[str, OptionValue]) -> dict[str, OptionValue]:
    background = options.get("background")
    # a file is named at the command line only: who has the page's token may not read any file
    if background and not _COLOR.fullmatch(str(background)):
        raise ValueError("expected a colour such as #203040 for the background")
    return options


_COLOR = re.compile("#[0-9a-fA-F]{6}")
Name = Annotated[str, Field(max_length=80), AfterValidator(_printable)]
Color = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]
WayName = Annotated[str, Field(max_length=40, pattern="^[a-z0-9-]+$")]
Index = Annotated[int, Field(ge=0, le=10**9)]
Revision = Annotated[int, Field(ge=0, le=2**53)] | None
ObjectId = Annotated[int, Field(ge=1, le=255)]
Coordinate = Annotated[int, Field(ge=-_FAR, le=_FAR)]
Number = Annotated[int, Field(ge=-(10**9), le=10**9)]
OptionValue = (
    bool
    | Number
    | Annotated[float, Field(ge=-1e9, le=1e9)]
    | Annotated[str, Field(max_length=200), AfterValidator(_printable_or_empty)]
    | Annotated[list[Number], Field(max_length=255)]
    | None
)
# which options there are is the engine's to know; here are the forms that any may have
GivenOptions = Annotated[
    dict[Annotated[str, Field(max_length=40)], OptionValue],
    Field(max_length=100),
    AfterValidator(_no_path),
]
"""Option → value; which there are, the engine knows."""


class Body(BaseModel):
    """What a request holds. Types are exact, "1" is no number, and nothing unknown is ignored."""

    # a misspelt key would silently have no effect
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class ClickBody(Body):
    """A click."""

    x: Coordinate
    y: Coordinate
    object: bool = True


class StrokeBody(Body):
    """A stroke."""

    points: Annotated[
        list[Annotated[list[Coordinate], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=_MOST_MARKS),
    ]
    object: bool = True


class MarksBody(Body):
    """Marks for one object on one frame."""

    object: ObjectId
    clicks: Annotated[list[ClickBody], Field(max_length=_MOST_MARKS)] = []
    strokes: Annotated[list[StrokeBody], Field(max_length=_MOST_MARKS)] = []
    box: Annotated[list[Coordinate], Field(min_length=4, max_length=4)] | None = None
    auto: bool = False
    preview: bool = False
    revision: Revision = None

    def marks(self) -> Marks:
        """The same for the engine."""
        return Marks(
            box=None if self.box is None else (self.box[0], self.box[1], self.box[2], self.box[3]),
            clicks=tuple(Click(one.x, one.y, one.object) for one in self.clicks),
            strokes=tuple(
                Stroke(tuple((x, y) for x, y in one.points), one.object) for one in self.strokes
            ),
        )


class ReferenceBody(Body):
    """Whether a reference counts."""

    enabled: bool
    revision: Revision = None


class NewObjectBody(Body):
    """An object that is added."""

    name: Name | None = None
    color: Color | None = None


class ObjectBody(Body):
    """What changes about an object; what is left out stays."""

    name: Name | None = None
    color: Color | None = None
    hidden: bool | None = None
    locked: bool | None = None


class RangeBody(Body):
    """In and out, both inclusive; null is the clip's end."""

    first: Index | None = None
    last: Index | None = None
    revision: Revision = None


class ClearBody(Body):
    """What is cleared."""

    what: Literal["propagated", "all"]


class PropagateBody(Body):
    """A propagation that is started."""

    kind: Literal["propagate"]
    direction: Literal["forward", "backward", "both", "one", "next"]
    index: Index


class FindBody(Body):
    """A search for what a text says, which is started."""

    kind: Literal["find"]
    text: Name


class WaysBody(Body):
    """How masks are made from now on; what is left out stays."""

    method: WayName | None = None
    propagator: WayName | None = None


class CheckBody(Body):
    """A render that may be started."""

    name: Annotated[str, Field(max_length=40, pattern="^[a-z]+(:[a-z]+)?$")]
    options: GivenOptions = {}


class RenderBody(CheckBody):
    """A render that is started."""

    kind: Literal["render"]


class PreviewBody(Body):
    """What a preview shows."""

    options: GivenOptions = {}


class ErrorAnswer(BaseModel):
    """What every error looks like."""

    message: str
    hint: str


def binary(*kinds: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """How an answer that is no JSON is documented."""
    return {status: {"description": "Done", "content": {kind: {} for kind in kinds}}}


def binary_body(kind: str) -> dict[str, Any]:
    """How a body that is no JSON is documented."""
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}
