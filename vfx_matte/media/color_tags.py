"""The colour tags that each kind of file can hold, and those that say the same.

A tag that a file cannot hold is no difference. What each codec loses stands in `formats.CODECS`;
it was found by writing every tag with every encoder and reading it again
(tests/media/test_color_tags.py does).
"""

from __future__ import annotations

from dataclasses import replace

from vfx_matte.media.formats import codecs_of
from vfx_matte.picture import UNSPECIFIED, ColorTags

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

    Args:
        color: the tags wanted.
        codec: the format's name, such as h264, not the encoder's; of one that is not written here
            all are taken for writable.
    """
    known = codecs_of(codec)
    # a file of another program: whatever it holds was written there
    if not known:
        return color
    names = ("matrix", "primaries", "transfer")
    # all codecs of one format lose the same
    lost = {name: UNSPECIFIED for name in names if getattr(color, name) in known[0].lost_tags}
    kept = replace(color, **lost)
    if known[0].joint_tags and UNSPECIFIED in (kept.primaries, kept.transfer):
        return replace(kept, primaries=UNSPECIFIED, transfer=UNSPECIFIED)
    return kept


def tag_differs(name: str, have: str, want: str, *, codec: str, suffix: str) -> bool:
    """Whether a file's tag says something else than it should.

    Args:
        name: matrix, range, primaries or transfer.
        have: what the file says; Y'CbCr without a range is limited range.
        want: what it should say; "unspecified" asks for nothing.
        codec: the format's name, such as h264.
        suffix: the file's; a tag is not missed in files of which it is not known what they can
            hold.
    """
    # a range that is not said is limited, in every standard and every player
    if name == "range":
        have = have.replace(UNSPECIFIED, "tv")
    if want == UNSPECIFIED or _SAME.get((name, have), have) == _SAME.get((name, want), want):
        return False
    # a tag that is missing counts only where it is known to have had a place
    return have != UNSPECIFIED or any(suffix in known.containers for known in codecs_of(codec))
