"""The options of every door, each declared once.

The command line, config.ini, `config`, the Python API and the tables of docs/options.md are made
from these records: name, default, range, unit and one plain sentence stand here and nowhere else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from vfx_matte import wording
from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError
from vfx_matte.printable import shortened
from vfx_matte.settings.edge_methods import EDGE_METHODS, EdgeMethod, edge_method_named, usual

SOFT_COMMAND = wording.command("segment", soft=True)
_METHODS = "; ".join(f"{name} = {method.title}" for name, method in EDGE_METHODS.items())
DEVICES = ("auto", "cpu", "cuda")
MEMORIES = ("permanent", "xmem")
"""How references are remembered: for the whole clip, or as the original XMem does."""

PACKAGE_OUTPUTS = ("alpha", "maskvideo", "greenback")
"""What a package can hold beside the source, in the order in which tracks are stacked."""

CONFORM_OUTPUTS = ("source", "greenback", "alpha", "maskvideo", "overlay")
"""What can be conformed, in the order in which it is made. "source" needs no masks."""

# twice the width of 8K; more is a slip
LARGEST_SIDE_PX = 16384
LARGEST_EDGE_PX = 500
"""Upper bound of feather, grow and band, so that distances are exact (`backend.squared_distance`).
"""


def option(
    default: object,
    explanation: str,
    *,
    short: str = "",
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: Collection[str] = (),
    members: Collection[str] = (),
    key: str = "",
    flags: tuple[str, ...] = (),
    metavar: str = "",
    panel: str = "",
    in_file: bool = True,
) -> Any:  # noqa: ANN401  dataclasses.field is as dynamic
    """Declare an option: a field of one of the records below.

    Args:
        default: its value when nobody sets it.
        explanation: what it does, for config.ini and the docs.
        short: the same for the help of the command line; empty = the explanation.
        unit: of a number, such as "px".
        least: the lowest number that it may be.
        most: the highest number that it may be.
        choices: all words that it may be; empty = any.
        members: all words that may stand in it, where it is a list with commas between them.
        key: its name in config.ini, where that is another one.
        flags: its flags at the command line, without dashes, where they are not its name: "for",
            or both words of a switch: "premultiplied/straight".
        metavar: how the help calls its value; empty = after its unit or its type.
        panel: heading in the help of the command line, where it is not the record's.
        in_file: whether config.ini may set it.
    """
    # kept as the field's metadata, which doors and docs read by name
    facts = {
        "explanation": explanation,
        "short": short,
        "unit": unit,
        "least": least,
        "most": most,
        "choices": tuple(choices),
        "members": tuple(members),
        "key": key,
        "flags": flags,
        "metavar": metavar,
        "panel": panel,
        "in_file": in_file,
    }
    return field(default=default, metadata=facts)


class Options:
    """A record of options, which are checked when it is made.

    Raises:
        UsageError: a value outside of its range, or a word that is none of its choices.
    """

    __slots__ = ()

    PANEL: ClassVar[str] = ""
    """Under which heading the help of the command line shows them; empty = among the first."""

    # here and not in the doors, so that no record with a wrong value exists anywhere
    def __post_init__(self) -> None:
        for item in dataclasses.fields(cast("Any", self)):
            raise_on_bad_value(item, getattr(self, item.name), wording.option(item.name))

    def overridden(self, **given: object) -> Self:
        """A copy with the values that somebody gave; None means not given.

        Raises:
            UsageError: as for the record itself.
        """
        # the copy is checked as every record is
        chosen = {name: value for name, value in given.items() if value is not None}
        changed: Self = dataclasses.replace(cast("Any", self), **chosen)
        return changed


def raise_on_bad_value(item: dataclasses.Field[Any], value: object, place: str) -> None:
    """Check one value of an option.

    Args:
        item: the option.
        value: what it was set to; None is "not set".
        place: how the message calls it.

    Raises:
        UsageError: it is out of its range, or none of its choices.
    """
    facts = item.metadata
    if value is None or not facts:
        return
    least, most, choices = facts["least"], facts["most"], facts["choices"]
    # `not … <=` because "not a number" fails every comparison
    if (least is not None and not least <= cast("float", value)) or (
        most is not None and not cast("float", value) <= most
    ):
        unit = f" {facts['unit']}" if facts["unit"] else ""
        expected = f"{least:.15g} to {most:.15g}"
        raise UsageError(
            f"{place} is {shortened(value)}{unit}, expected {expected}", hint=facts["explanation"]
        )
    if choices and value not in choices:
        raise unknown_choice(
            place, shortened(value), choices, hint=f"it is one of {', '.join(choices)}"
        )
    members = facts["members"]
    for word in listed(cast("str", value)) if members else ():
        if word not in members:
            raise unknown_choice(
                place, shortened(word), members, hint=f"it is made of {', '.join(members)}"
            )


def listed(text: str) -> tuple[str, ...]:
    """The words of a list with commas between them; () for an empty text."""
    return tuple(word.strip() for word in text.split(",")) if text else ()


def _both_given(first: str, second: str) -> UsageError:
    """The error for two options that exclude each other."""
    return UsageError(f"{first} and {second} exclude each other", hint="give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathsSettings(Options):
    """Where things are, relative to the working directory."""

    source: Path = option(
        Path("source"), "folder in which a clip is looked for when it is not found as given"
    )
    workspace: Path = option(Path("workspace"), "folder for results, with one folder per clip")
    model: Path = option(Path("model"), "folder of network weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(Options):
    """Whether the program may use the internet by itself; fetching weights by name always does."""

    fetch: str = option(
        "auto",
        "auto = small weights (U²-Netp, 4.6 MB, for first masks) are fetched when they are first"
        " needed; never = not",
        choices=("auto", "never"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings(Options):
    """How every command reads the clip."""

    ignore_alpha: bool = option(
        False, "read the clip as opaque; otherwise what its own alpha hides stays hidden everywhere"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings(Options):
    """How masks are propagated through a clip.

    `ini` adds the options of every propagator (`propagate.registry`).
    """

    PANEL: ClassVar[str] = "Propagation"

    # no `choices`: which propagators there are is known to their registry, on a higher floor
    propagator: str = option("auto", "how masks are propagated; auto = the best way here")
    """`ini` names them all."""

    memory: str = option(
        "permanent",
        "permanent = every mask counts for the whole clip; xmem = only from its frame on, one walk",
        short="permanent, or xmem: masks count from their frame on.",
        choices=MEMORIES,
    )
    soft: bool = option(
        False,
        "keep every object's probability too, for soft edges; costs disk space",
        short="Keep probabilities too, for soft edges.",
        panel="Options",
    )
    cuts: str = option(
        "stop",
        "where the shot changes masks stop, or ask, or ignore = go on; or the cuts as frames, e.g."
        " 120,300",
        short="What to do at shot changes: stop, ask, ignore, or a list of frames.",
        metavar="stop|ask|ignore|FRAMES",
        panel="Options",
    )
    # text, not a number: 30000/1001 has no exact decimal form
    fps: str = option("25", "frames per second of an image sequence, e.g. 25 or 30000/1001")
    gaps: str = option(
        "hold",
        "missing numbers of an image sequence: hold = the picture before stands in, black, or"
        " error",
        short="What stands for missing numbers of a sequence (hold).",
        choices=("hold", "black", "error"),
        metavar="hold|black|error",
        panel="Options",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteSettings(Options):
    """What of a clip is shown, and how its edges are made; sizes in pixels of the source.

    The order is fixed: specks, holes, median, alpha from the picture, specks and holes again, grow
    or shrink, feather. Specks and holes go first so that they have no vote in the median, and again
    because what is made of the mask may have new ones. Growing comes after it so that the distance
    is measured from the edge the eye sees.
    """

    PANEL: ClassVar[str] = "Edges"

    # not in config.ini: ids mean something in one clip only
    objects: tuple[int, ...] | None = option(
        None,
        "ids of the objects that are shown; empty = all",
        short="Only this object; repeat for more.",
        flags=("object",),
        metavar="N",
        panel="Options",
        in_file=False,
    )
    """Ids that are kept; None is all of them."""

    edges: str = option(
        "auto",
        f"where alpha comes from: {_METHODS}; auto = {usual(from_picture=True)}, or"
        f" {usual(from_picture=False)} where median, feather or soft are chosen",
        short=f"auto, {', '.join(EDGE_METHODS)}.",
        choices=("auto", *EDGE_METHODS),
        key="method",
        metavar="METHOD",
    )
    """The method, an entry of `settings.edge_methods`, or "auto"."""

    # automatic is 32 px at 1080 lines and up to 96 px to each side along hair (docs/matting.md)
    band: float | None = option(
        None,
        "width of the edge band, in which alpha comes from the picture; empty = automatic",
        short="Width of the edge band, in pixels.",
        unit="px",
        least=1,
        most=LARGEST_EDGE_PX,
    )
    """Half of it lies inside and half outside; None follows the frame's size and the edge, and is
    wider along hair.
    """

    # 0 and empty differ: 0 drops nothing, empty only what the usual median would drop, too
    remove_specks: int | None = option(
        None,
        "drop pieces of at most this area in pixels, of the mask and of the matte; 0 = off; empty ="
        " only what nothing joins to the subject, where edges come from the picture",
        short="Drop pieces up to this many pixels.",
        least=0,
        most=LARGEST_SIDE_PX**2,
        metavar="AREA",
    )
    """Largest area of an 8-connected piece that is dropped. Where edges come from the picture,
    pieces of the finished matte also go, whatever their area, that hold no more than this of the
    mask. None does only that, with the area that the usual median would drop, and nothing for
    methods of the mask.
    """

    fill_holes: int | None = option(
        None,
        "fill holes of at most this area in pixels, of the mask and of the matte; 0 = off; empty ="
        " as above",
        short="Fill holes up to this many pixels.",
        least=0,
        most=LARGEST_SIDE_PX**2,
        metavar="AREA",
    )
    """Largest area of a 4-connected hole, away from the frame's edge, that is filled."""

    median: int | None = option(
        None,
        "window of the median filter; empty = 21 at 1080 lines, scaled; 0 = off",
        short="Median window, odd; 0 = off (21 at 1080 lines).",
        unit="px",
        least=0,
        most=255,
    )
    """Odd side of the window; 0 and 1 switch it off. None is the usual one for methods that smooth
    the mask, and off for the others, as it takes single hairs from what the picture is asked about.
    """

    soft_edges: bool | None = option(
        None,
        f"edges from {SOFT_COMMAND} where alpha is shown; empty = when the clip has them",
        short=f"Edges from {SOFT_COMMAND}, if made.",
        key="soft",
    )
    """Whether edges are those of the probabilities that were kept beside the masks."""

    grow: int = option(
        0,
        "move the edge outwards by this many pixels; negative shrinks",
        short="Move the edge outwards.",
        unit="px",
        least=-LARGEST_EDGE_PX,
        most=LARGEST_EDGE_PX,
    )
    """Radius of the round brush; the frame's borders do not move."""

    shrink: int | None = option(
        None,
        "move the edge inwards by this many pixels: grow, the other way round",
        short="Move the edge inwards.",
        unit="px",
        least=-LARGEST_EDGE_PX,
        most=LARGEST_EDGE_PX,
        in_file=False,
    )
    """Another way to say `grow`, which it becomes; None afterwards."""

    feather: float = option(
        0.0,
        "width of the soft edge in pixels; 0 = none, or automatic when method is feather",
        short="Width of the soft edge.",
        unit="px",
        least=0,
        most=LARGEST_EDGE_PX,
    )
    """Half of it lies inside and half outside; alpha is 0.5 on the hard edge."""

    # on: with a perfect alpha, too, the old background shines through soft pixels
    foreground: bool = option(
        True,
        "give soft edges the subject's own colour, without the background that shone through",
        short="Remove background colour from soft edges.",
    )
    """Whether soft pixels get the subject's own colour."""

    despill: str = option(
        "off",
        "remove spill, the light of a green or blue screen: green, blue or off",
        short="Remove spill: green, blue or off.",
        choices=("green", "blue", "off"),
        metavar="KEY",
    )
    """The colour of the screen whose light is taken off the subject."""

    despill_strength: float = option(
        1.0,
        "how much of the spill is removed, 0 to 1",
        short="How much of the spill is removed.",
        least=0,
        most=1,
        metavar="0..1",
    )
    """0 removes nothing, 1 all that counts as spill."""

    # off, as edges of the picture flicker little by themselves: docs/matting.md has the figures
    stabilize: float = option(
        0.0,
        "keep edges from flickering, 0 = off to 1",
        short="Keep edges from flickering.",
        least=0,
        most=1,
        metavar="0..1",
    )
    """How much of the frames before is kept at the edge."""

    def __post_init__(self) -> None:
        # the arguments are named, as a dataclass with slots is another class than its body saw
        super(MatteSettings, self).__post_init__()
        if self.median is not None and self.median > 1 and self.median % 2 == 0:
            raise UsageError(
                f"{wording.option('median')} is {self.median} px,"
                " expected 0 (off) or an odd number from 1 to 255"
            )
        if self.shrink is not None:
            if self.grow:
                raise _both_given(wording.option("grow"), wording.option("shrink"))
            object.__setattr__(self, "grow", -self.shrink)
            object.__setattr__(self, "shrink", None)

    def overridden(self, **given: object) -> Self:
        """A copy with the values that somebody gave; None means not given.

        Raises:
            UsageError: a value is out of its range, or two of them have no meaning together.
        """
        # only what was asked for together can exclude each other; what config.ini says gives way
        if given.get("shrink") is not None:
            if given.get("grow") is not None:
                raise _both_given(wording.option("grow"), wording.option("shrink"))
            given = {**given, "grow": 0}
        changed = super(MatteSettings, self).overridden(**given)
        if given.get("band") is not None and not changed.method.from_picture:
            from_picture = [name for name, method in EDGE_METHODS.items() if method.from_picture]
            raise UsageError(
                f"{wording.option('band')} has no meaning with edges {changed.edges!r}",
                hint=f"use {wording.option('edges', from_picture[0])}",
            )
        if given.get("edges") and given.get("soft_edges") and not changed.method.uses_probabilities:
            raise _both_given(wording.option("edges", changed.edges), wording.option("soft_edges"))
        return changed

    @property
    def method(self) -> EdgeMethod:
        """The edge method that is meant. "auto" is resolved here and nowhere else: whoever shapes
        the mask's own edge wants that one, everybody else the picture's.
        """
        if self.edges != "auto":
            return edge_method_named(self.edges)
        # a window, a feather and probabilities all treat the mask's own edge
        is_shaped = self.median is not None or self.feather > 0 or self.soft_edges is not None
        return edge_method_named(usual(from_picture=not is_shaped))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings(Options):
    """What all renders share."""

    PANEL: ClassVar[str] = "Encoding"

    sound: bool = option(True, "carry the source's sound", short="Carry the sound.")
    device: str = option(
        "auto",
        "auto, cpu or cuda: where compositing runs",
        short="auto, cpu or cuda.",
        choices=DEVICES,
    )
    # --for at the command line; `for` is no name in Python
    target: str = option(
        "",
        f"the program that outputs are for ({wording.option('target')}), see"
        f" {wording.command('formats')}; empty = none in particular",
        short=f"As this program takes it; see {wording.command('formats')}.",
        flags=("for",),
        metavar="PROGRAM",
        panel="Options",
    )
    # not in config.ini: it belongs to one clip
    start_number: int | None = option(
        None,
        "first number of numbered files; empty = the source's",
        short="First number of numbered files (the source's).",
        in_file=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeSettings(Options):
    """How one render is encoded; every render has its own, because no codec fits all of their
    files.
    """

    codec: str | None = option(
        None,
        "video encoder; empty = the usual one of the file's kind",
        short="Video encoder, e.g. libx264.",
        panel="Encoding",
    )
    preset: str | None = option(
        None,
        "encoder preset, e.g. medium; empty = the encoder's usual one",
        short="Encoder preset, e.g. medium.",
        panel="Encoding",
    )
    # every encoder has a scale of its own, so the range is wide; it is checked where the encoder is
    # known
    quality: int | None = option(
        None,
        "the encoder's constant-quality number (crf, cq, qscale); empty = its usual one",
        short="Constant-quality number (crf, cq, qscale); smaller is better.",
        least=-1,
        most=100_000,
        panel="Encoding",
    )
    pixel_format: str | None = option(
        None,
        "what the encoder is fed, e.g. yuv422p10le; empty = the nearest to the clip's",
        short="What the encoder is fed, e.g. yuv422p10le.",
        panel="Encoding",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenbackSettings(EncodeSettings):
    """A green screen: the subject over a key colour, or over a background."""

    key: str = option(
        "green",
        "green, blue, magenta, #rrggbb, or auto = farthest from the subject's colours",
        short="green, blue, magenta, #rrggbb or auto.",
    )
    background: str = option(
        "",
        "picture, video or #rrggbb to put behind the subject instead of the key",
        short="Put this behind instead of the key.",
        metavar="FILE|#rrggbb",
    )

    def overridden(self, **given: object) -> Self:
        """A copy with the values that somebody gave; a key that was asked for beats a background
        that was not.

        Raises:
            UsageError: a value is out of its range, or key and background are both given.
        """
        # asking for a key is asking for no background, whatever config.ini says
        if given.get("key") is not None:
            if given.get("background") is not None:
                raise _both_given(wording.option("key"), wording.option("background"))
            given = {**given, "background": ""}
        return super(GreenbackSettings, self).overridden(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskvideoSettings(EncodeSettings):
    """A video of the masks themselves."""

    style: str = option(
        "auto",
        "luma = white on black, palette = DAVIS colours, rgb = up to 3 objects in R, G, B; auto ="
        " luma or the target's",
        short="auto, luma, palette or rgb.",
        choices=("auto", "luma", "palette", "rgb"),
    )
    each_object: bool = option(
        False, "write one file per object", short="Write one file per object."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaSettings(EncodeSettings):
    """The subject cut out with alpha."""

    premultiplied: bool = option(
        False,
        "multiply colours by alpha; editing programs expect straight alpha",
        short="Colours times alpha.",
        flags=("premultiplied/straight",),
    )
    keep_background: bool = option(
        False,
        "leave the old background under alpha 0; otherwise the subject's colours go on there, in a"
        " smaller file",
        short="Leave the old background under alpha 0.",
    )

    def overridden(self, **given: object) -> Self:
        """A copy with the values that somebody gave.

        Raises:
            UsageError: the background is to be kept where premultiplied colours make it black.
        """
        # config.ini may hold both: the background then stays where alpha is straight
        changed = super(AlphaSettings, self).overridden(**given)
        if given.get("keep_background") and changed.premultiplied:
            raise UsageError(
                f"{wording.option('keep_background')} has no meaning with"
                f" {wording.option('premultiplied')}, which makes black of what alpha 0 hides",
                hint="leave one of them out",
            )
        return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings(EncodeSettings):
    """The clip with every object tinted."""

    # half: the tint is seen and so is the picture below it
    alpha: float = option(
        0.5, "weight of the tint, 0 to 1", short="Weight of the tint, 0 to 1.", least=0, most=1
    )
    legend: bool | None = option(
        None,
        "say in a corner which colour is which object, with name, class and score; empty = where an"
        " object has a name",
        short="Say in a corner which object is which.",
    )
    """None is where any object that is shown has a label in the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSettings(Options):
    """A folder for an editing program; which one is `target` of `[render]`, the key that of
    `[greenback]`.
    """

    media: str = option(
        "reference",
        "the source: reference = named where it is, copy, link, or convert = encoded anew",
        short="The source: reference (where it is), copy, link, or convert (encode anew).",
        choices=("reference", "copy", "link", "convert"),
        metavar="HOW",
    )
    outputs: str = option(
        "",
        f"of {', '.join(PACKAGE_OUTPUTS)}; empty = what the program is usually given",
        short=f"Of {','.join(PACKAGE_OUTPUTS)}; without it, what the program is given.",
        members=PACKAGE_OUTPUTS,
        metavar="LIST",
    )
    each_object: bool = option(
        False,
        "give each object its own cut-out and matte, on a track of its own",
        short="Put each object on its own track.",
    )
    fps: str = option(
        "auto",
        "frames per second of the timeline, e.g. 25 or 30000/1001; auto = the rate nearest to the"
        " clip's own that the program has",
        short="25, 30000/1001 …; auto = the program's nearest.",
        metavar="RATE|auto",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformSettings(Options):
    """A clip at one constant rate; key, style and the like are those of the renders' sections."""

    fps: str = option(
        "auto",
        "frames per second, e.g. 25 or 30000/1001; auto = the usual rate nearest to the clip's own",
        short="25, 30000/1001 …; auto = the nearest usual one.",
        metavar="RATE|auto",
    )
    outputs: str = option(
        "",
        f"of {', '.join(CONFORM_OUTPUTS)}; empty = the first four, source without masks",
        short=f"Of {','.join(CONFORM_OUTPUTS)}; without masks only source.",
        members=CONFORM_OUTPUTS,
        metavar="LIST",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeytestSettings(Options):
    """A test of how well a green screen keys; its key and encoding are those of `[greenback]`."""

    # four stretches (`keytest.STRETCH_FRAMES`), as light and motion differ over a clip; every frame
    # is encoded once per encoding, so more of them take longer
    frames: int = option(
        48,
        "how many frames are tested, spread over the clip",
        short="How many frames are tested, spread over the clip.",
        least=1,
        most=10_000,
        metavar="N",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestSettings(Options):
    """Which frames to annotate next; a device and weights are those of `[segment]`.

    `ini` adds what propagators have to choose for comparing frames alone (`propagate.registry`).
    """

    PANEL: ClassVar[str] = "Comparison"

    count: int = option(
        5,
        "how many frames to suggest",
        short="How many frames to suggest.",
        least=1,
        most=10_000,
        flags=("k", "count"),
        metavar="K",
        panel="Options",
    )
    propagator: str = option("auto", "how frames are compared; auto = as the masks were made")
    """`ini` names them all."""

    # 0.5, and 0.25 % below, are the defaults of XMem++'s authors (Bekuzarov et al., ICCV 2023)
    alpha: float = option(
        0.5,
        "0 compares whole pictures, 1 only the objects",
        short="0 compares whole pictures, 1 only the objects.",
        least=0,
        most=1,
    )
    min_mask_percent: float = option(
        0.25,
        "frames whose mask covers less of the picture are not suggested, in percent",
        short="Leave out frames whose mask covers less.",
        unit="percent",
        least=0,
        most=100,
    )
    # what is kept of these frames bounds the memory, however long the clip is
    candidates: int | None = option(
        None,
        "most frames that are compared; empty = 200, or 1000 on a GPU",
        short="Compare at most N evenly spaced frames.",
        least=1,
        most=1_000_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings(Options):
    """Finding objects without any mask."""

    # no `choices`: which detectors there are is known to their registry
    detector: str = option(
        "auto",
        "what finds objects; auto = the best one that can run here",
    )
    """`ini` names them all."""

    backbone: str = option(
        "",
        "which of the detector's networks, where it comes in several sizes; empty = the usual one",
        short="Which of the detector's networks, where it has several.",
        metavar="NAME",
    )
    detector_weights: Path | None = option(
        None,
        "the detector's file or folder of weights; empty = the usual one in the model folder",
        short="The detector's weights; without it, in the model folder.",
        metavar="PATH",
    )
    threshold: float = option(
        0.5,
        "how sure the detector must be of an object, 0 to 1",
        short="How sure it must be of an object, 0 to 1 (0.5).",
        least=0,
        most=1,
    )
    # the number that VisTR looks for
    max_objects: int = option(
        10,
        "how many objects one shot may have at most; 0 = no limit but the 255 of masks",
        short="Most objects in one shot (10); 0 = no limit.",
        least=0,
        most=255,
        metavar="N",
    )
    classes: str = option(
        "",
        "only objects of these classes, e.g. person,dog; empty = all",
        short="Only these classes, e.g. person,dog.",
        metavar="LIST",
    )
    every: int = option(
        0,
        "how many frames lie between two that the detector looks at; 0 = what suits it",
        short="Look at every N-th frame; 0 = what suits the detector.",
        least=0,
        most=100_000,
        metavar="N",
    )
    clean: bool = option(
        False,
        "drop what is small or soon gone, and fill holes",
        short="Drop what is small or soon gone, and fill holes.",
    )
    white: bool = option(
        False,
        "pictures of masks are white on black instead of coloured by class",
        short="Pictures of masks in white, not coloured by class.",
    )
    instances: bool = option(
        False,
        "write a folder of pictures for every object, too",
        short="Write a folder of pictures for every object, too.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QcSettings(Options):
    """A check of masks."""

    count: int = option(
        12,
        "how many places are shown",
        short="How many places are shown.",
        least=1,
        most=10_000,
        flags=("k", "count"),
        metavar="K",
    )
    fail_over: str = option(
        "",
        "exit code 1 when more than so many frames stand out, e.g. 12 or 2%; empty = never",
        short="Exit code 1 when more than N frames (or N % of them) stand out.",
        metavar="N|N%",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSettings(Options):
    """The studio, a page in the browser; how it propagates is that of `[segment]`."""

    port: int = option(
        0,
        "port at which the page is served; 0 = one that is free",
        short="Port of the page; 0 = a free one.",
        least=0,
        most=65535,
        metavar="N",
    )
    host: str = option(
        "127.0.0.1",
        "address at which the page is served; with another than this machine's own, others get in",
        short="Address of the page (this machine alone).",
    )
    # not in config.ini: the file may come with a project of somebody else
    allow_remote: bool = option(
        False,
        "let other machines in: whoever has the page's address can see the clip and change the"
        " project, and nothing is encrypted",
        short="Let other machines in, unencrypted.",
        in_file=False,
    )
    browser: bool = option(
        True, "open the page in the browser", short="Open the page in the browser."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings(Options):
    """The server for labelling tools; how it propagates is that of `[segment]`."""

    port: int = option(
        8000,
        "port at which labelling tools are served; 0 = one that is free",
        short="Port of the server; 0 = a free one.",
        least=0,
        most=65535,
        metavar="N",
    )
    host: str = option(
        "127.0.0.1",
        "address at which labelling tools are served; with another than this machine's own, others"
        " get in",
        short="Address of the server (this machine alone).",
    )
    # neither is in config.ini: the file may come with a project of somebody else
    allow_remote: bool = option(
        False,
        "let other machines in: whoever has address and token can track, and see the clips of"
        " served folders, and nothing is encrypted",
        short="Let other machines in, unencrypted.",
        in_file=False,
    )
    token_file: Path | None = option(
        None,
        "file that keeps the token from start to start, made where it is missing; without it each"
        " start has a new token",
        short="File that keeps the token from start to start.",
        metavar="FILE",
        in_file=False,
    )
    # the key of that Label Studio is sent there
    label_studio: str = option(
        "",
        "address of a Label Studio whose tasks are helped with, such as http://localhost:8080; its"
        " key is LABEL_STUDIO_API_KEY of the environment",
        short="Help a Label Studio; its key: $LABEL_STUDIO_API_KEY.",
        metavar="URL",
        in_file=False,
    )
    at_once: int = option(
        2,
        "how many tracks run at a time; the others wait for their turn",
        short="How many tracks run at a time.",
        least=1,
        most=64,
        metavar="N",
        panel="Limits",
    )
    sessions: int = option(
        32,
        "how many tracks, clips and sessions are kept, of each; more are refused",
        short="How many tracks, clips and sessions are kept.",
        least=1,
        most=10_000,
        metavar="N",
        panel="Limits",
    )
    patience: float = option(
        60.0,
        "a track that nobody listens to or asks for is stopped and forgotten after so many seconds",
        short="Stop a track that nobody listens to, after so many seconds.",
        least=1,
        most=86_400,
        metavar="SECONDS",
        panel="Limits",
    )
    idle: float = option(
        1800.0,
        "a clip or session that nobody uses is forgotten after so many seconds",
        short="Forget a clip or session that nobody uses, after so many seconds.",
        least=1,
        most=604_800,
        metavar="SECONDS",
        panel="Limits",
    )
    body_mb: int = option(
        256,
        "the largest request, in MB; two that are larger than 1 MB are in memory at a time",
        short="The largest request, in MB.",
        least=1,
        most=2047,
        metavar="MB",
        panel="Limits",
    )
    space_mb: int = option(
        4096,
        "how much sent frames and results may take in the folder for temporary files, in MB",
        short="Most disk space for sent frames and results, in MB.",
        least=1,
        most=1_048_576,
        metavar="MB",
        panel="Limits",
    )
    most_frames: int = option(
        10_000,
        "how many frames a clip may have",
        short="How many frames a clip may have.",
        least=1,
        most=1_000_000,
        metavar="N",
        panel="Limits",
    )
    megapixels: float = option(
        34.0,
        "how many million pixels a frame may have; 8K has 33.2",
        short="How many million pixels a frame may have.",
        least=0.01,
        most=268,
        metavar="N",
        panel="Limits",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OldScripts(Options):
    """`[config]`: the keys of the scripts that came before, still understood.

    src_file_name and src_file_ext name the clip source/NAME.EXT that commands work on when none is
    given; model_name names model/NAME.pth; object_num is compared with the objects found;
    video_resize is the size that the network works at.
    """

    src_file_name: str = option(
        "", "the clip's name without its ending; with src_file_ext it is the default clip"
    )
    src_file_ext: str = option("mp4", "the clip's ending")
    # empty is not the same as 480: only then may memory decide
    video_resize: int | None = option(
        None,
        "short side the network works at; empty = 480, or less where memory is short",
        least=-1,
        most=LARGEST_SIDE_PX,
    )
    model_name: str = option("", "name of the weights, without .pth; empty = the usual one")
    object_num: int | None = option(
        None, "number of objects the masks are expected to show", least=0, most=255
    )
