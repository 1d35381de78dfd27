"""What requests hold, checked when they arrive, and how both ways are documented."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vfx_matte.web.bodies import Body, Index
from vfx_matte.web.failures import RequestError

Id = Annotated[str, Field(max_length=80)]
Encoded = Annotated[
    str,
    Field(
        min_length=1,
        description="base64, with or without data:image/…;base64, before it",
        examples=["iVBORw0KGgo="],
    ),
]
Frames = Annotated[
    list[Encoded],
    Field(min_length=1, description="every frame of the clip: PNG, JPEG, WebP or BMP in base64"),
]
PathName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        description="a clip's path within a folder that the server serves clips from",
        examples=["shots/a.mp4"],
    ),
]


def decoded(text: str, name: str) -> bytes:
    """What base64 stands for.

    Args:
        text: with or without the beginning of a data URI.
        name: what messages call it.

    Raises:
        RequestError: it is not base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(
            400, f"{name} is not base64", "encode the bytes of the picture file in base64"
        ) from None


class ClipBody(Body):
    """A clip: its frames, or where it lies."""

    frames: Frames | None = None
    path: PathName | None = None


class TrackFields(Body):
    """What a track is of, besides pictures."""

    clip: Annotated[Id | None, Field(description="the id of a clip (POST /v1/clips)")] = None
    path: PathName | None = None
    start_frame: Annotated[
        Index, Field(description="the frame of the mask; the first one is 0")
    ] = 0
    direction: Annotated[
        Literal["forward", "backward", "both"], Field(description="from the start frame")
    ] = "forward"
    count: Annotated[
        int | None,
        Field(
            ge=1,
            le=10**9,
            description="how many frames, without the start frame, in each direction; null = to the"
            " clip's end",
        ),
    ] = None
    propagator: Annotated[
        str, Field(max_length=40, description='one of GET /v1/models, or "auto"')
    ] = "auto"


class TrackBody(TrackFields):
    """A track that is wanted. The clip is one of `frames`, `clip` and `path`."""

    frames: Frames | None = None
    mask: Annotated[
        Encoded,
        Field(description="the mask of the start frame: a PNG of the frames' size, in base64"),
    ]


class ClipAnswer(BaseModel):
    """A clip."""

    id: str
    frames: int
    width: int
    height: int


class ObjectAnswer(BaseModel):
    """An object of the mask that was sent."""

    id: int
    color: Annotated[str, Field(description="the colour that it is painted in")]
    pixels: int


class TrackAnswer(BaseModel):
    """A track, as it stands."""

    id: str
    state: Literal["waiting", "running", "completed", "stopped", "failed"]
    position: Annotated[
        int | None, Field(description="how many others begin before it; null = it does not wait")
    ]
    done: int
    total: Annotated[int, Field(description="frames")]
    message: Annotated[str, Field(description="what went wrong")]
    hint: Annotated[str, Field(description="what to do about it")]
    objects: Annotated[list[ObjectAnswer], Field(description="the objects of the mask")]
    notices: Annotated[list[str], Field(description="what was assumed about the mask, for people")]


class LenientBody(BaseModel):
    """A request of X-AnyLabeling; what a later version of it adds is let pass."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


Fraction = Annotated[float, Field(ge=0, le=1)]
ClickLabel = Literal[0, 1]


class Params(LenientBody):
    """What X-AnyLabeling's controls are set to."""

    epsilon_factor: Annotated[
        float, Field(ge=0, le=1, description="how coarse polygons are (“mask fineness”)")
    ] = 0.001
    marks: Annotated[list[MarkBody], Field(max_length=2000)] = []


class MarkBody(LenientBody):
    """A click or a box, in pixels."""

    type: Literal["point", "rectangle"]
    data: Annotated[
        list[float],
        Field(
            min_length=2,
            max_length=4,
            description="x and y of a point, or of two corners of a rectangle",
        ),
    ]
    label: Annotated[ClickLabel | None, Field(description="1 = the object, 0 = beside it")] = 1

    @model_validator(mode="after")
    def _has_its_numbers(self) -> Self:
        wanted = 2 if self.type == "point" else 4
        if len(self.data) != wanted:
            raise ValueError(f"a {self.type} has {wanted} numbers, not {len(self.data)}")
        return self


class PredictBody(LenientBody):
    """One picture, and the marks on it."""

    model: Annotated[str, Field(max_length=80)]
    image: Encoded
    params: Params = Params()


class InitBody(LenientBody):
    """A clip to work on."""

    model: Annotated[str, Field(max_length=80)]
    frames: Frames
    start_frame_index: Index = 0


class PromptBody(LenientBody):
    """Clicks on one frame."""

    session_id: Id
    frame_index: Index
    points: Annotated[
        list[Annotated[list[Fraction], Field(min_length=2, max_length=2)]],
        Field(max_length=2000, description="x and y as shares of width and height"),
    ] = []
    point_labels: Annotated[
        list[ClickLabel], Field(max_length=2000, description="1 = the object, 0 = beside it")
    ] = []
    obj_id: int | None = None
    text_prompt: Annotated[str | None, Field(max_length=1000)] = None
    params: Params = Params()


class PropagateBody(LenientBody):
    """Frames that are wanted."""

    session_id: Id
    start_frame: Index | None = None
    end_frame: Annotated[Index | None, Field(description="the last one")] = None


for _body in (Params, PredictBody, PromptBody):
    _body.model_rebuild()
