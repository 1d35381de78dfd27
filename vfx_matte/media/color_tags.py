"""Which colour tags a kind of file can hold, and which say the same.

A tag that a file cannot hold is no difference.

Found by writing every tag with every encoder of `formats` and reading it again
(tests/media/test_media_color_tags.py does).
"""

from __future__ import annotations

from dataclasses import replace

from vfx_matte.picture import UNSPECIFIED, ColorTags

_X26X = frozenset({"ebu3213"})
_VP9 = frozenset(
    {
        "fcc",
        "ycgco",
        "bt2020c",
        "smpte2085",
        "chroma-derived-nc",
        "chroma-derived-c",
        "ictcp",
    }  # VP9's own list has 8 matrices
)

_MISSING: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "h264": ((".mp4", ".mov", ".mkv"), _X26X),
    "hevc": ((".mp4", ".mov", ".mkv"), _X26X),
    "vp9": ((".webm", ".mkv"), _VP9),
    "prores": ((".mov", ".mkv"), frozenset()),
    "ffv1": ((".mkv",), frozenset()),
    "png": ((".mov",), frozenset()),
    "qtrle": ((".mov",), frozenset()),
}
"""By codec: the endings of the files that hold all tags but these.

What any other file can hold is not known.
"""

_SAME = {
    ("matrix", "bt470bg"): "smpte170m",
    ("primaries", "smpte240m"): "smpte170m",
    ("transfer", "smpte170m"): "bt709",
    ("transfer", "bt2020-10"): "bt709",
    ("transfer", "bt2020-12"): "bt709",
}
"""Different numbers for the same thing (ITU-T H.273 (2021), tables 2, 3 and 4: "functionally the
same as").
"""


def writable_tags(color: ColorTags, *, codec: str) -> ColorTags:
    """The tags without those that files of a codec cannot hold.

    codec: the format's name, e.g. h264, not the encoder's.
    """
    missing = _MISSING[codec][1] if codec in _MISSING else frozenset()
    names = ("matrix", "primaries", "transfer")
    kept = replace(
        color, **{name: UNSPECIFIED for name in names if getattr(color, name) in missing}
    )
    if codec == "qtrle" and UNSPECIFIED in (
        kept.primaries,
        kept.transfer,
    ):
        # MOV's own tags are primaries and transfer together
        return replace(kept, primaries=UNSPECIFIED, transfer=UNSPECIFIED)
    return kept


def tag_differs(name: str, have: str, want: str, *, codec: str, suffix: str) -> bool:
    """Whether a file's tag says something else than it should.

    name: matrix, range, primaries or transfer. Y'CbCr without a range is limited range. want
    "unspecified" asks for nothing. A tag is not missed in files of which it is not known what they
    can hold.
    """
    if name == "range":
        have = have.replace(UNSPECIFIED, "tv")
    if want == UNSPECIFIED or _SAME.get((name, have), have) == _SAME.get((name, want), want):
        return False
    return have != UNSPECIFIED or suffix in _MISSING.get(codec, ((),))[0]
