"""Every colour tag with every encoder: what can be written is written and read again, and what
cannot is no difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.clips import VFR_PTS, coded_picture
from support.command_line import CommandLine, segment
from support.notices import Notices

from vfx_matte.media.color_tags import tag_differs, writable_tags
from vfx_matte.media.encode_plan import EncodePlan, plan_encode
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import MATRICES, PRIMARIES, TRANSFERS, layout_of, planar_format
from vfx_matte.media.probe import probe
from vfx_matte.media.verify import VerifyReport, expectation_of, verify_output
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import UNSPECIFIED, ColorTags

Make = Callable[..., Path]
WRITERS = [
    ("out.mp4", "libx264", "yuv420p"),
    ("out.mp4", "libx265", "yuv420p"),
    ("out.mov", "prores_ks", "yuv422p10le"),
    ("out.webm", "libvpx-vp9", "yuv420p"),
    ("out.mkv", "ffv1", "yuv420p"),
    ("out.mov", "qtrle", "rgb24"),
]
SLOW_CODECS = ("libx265", "libvpx-vp9")


def every_tag() -> list[ColorTags]:
    """Tags in which each known name comes once at least, and some that say little or nothing."""
    matrices = [name for name in MATRICES.values() if name != "gbr"]
    lists = matrices, list(PRIMARIES.values()), list(TRANSFERS.values())
    count = max(map(len, lists))
    together = [
        ColorTags(m, "tv", p, t) for m, p, t in zip(*(names * 2 for names in lists), strict=False)
    ][:count]
    little = [
        ColorTags(),
        ColorTags(range="tv"),
        ColorTags(range="pc"),
        ColorTags(primaries="bt709"),
        ColorTags("bt709"),
    ]
    return [
        *together,
        *little,
        ColorTags(transfer="bt709"),
        ColorTags(UNSPECIFIED, "pc", "smpte240m", "smpte170m"),
    ]


def written(
    path: Path, clip: Path, name: tuple[str, str, str], tags: ColorTags
) -> tuple[EncodePlan, VerifyReport]:
    """Two frames with these tags by one of WRITERS, and what the check that a render ends with says
    of them.
    """
    _, codec, pixel_format = name
    source = open_clip(clip, notify=Notices()).info
    layout = layout_of(planar_format(pixel_format))
    assert layout is not None
    color = tags if layout.model == "yuv" else replace(tags, matrix="gbr", range="pc")
    size = source.width, source.height
    options: dict[str, Any] = {"preset": "ultrafast"} if codec.startswith("libx26") else {}
    plan = plan_encode(
        path, layout=layout, color=color, size=size, codec=codec, **options, notify=Notices()
    )
    picture = replace(coded_picture(0, size, pixel_format, tags), color=plan.color)
    with VideoWriter(path, plan, source=source, notify=Notices()) as writer:
        for time in source.timeline:
            writer.write(picture, time)
    expected = replace(expectation_of(source), color=plan.color, keeps_range=True)
    return plan, verify_output(path, expected, thorough=False, notify=Notices())


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] * (one[1] in SLOW_CODECS)) for one in WRITERS],
    ids="-".join,
)
def test_tags_that_can_be_written_are_and_others_are_no_difference(
    name: tuple[str, str, str], tmp_path: Path, make_clip: Make
) -> None:
    clip, path = make_clip("two.mp4", pts=(0, 1001), size=(64, 48)), tmp_path / name[0]
    for tags in every_tag():
        plan, report = written(path, clip, name, tags)
        found = probe(path, notify=Notices())
        assert report.ok, f"{tags}: {report.first_difference}"
        said = {
            one: getattr(found.color, one) for one in ("primaries", "transfer", "matrix", "range")
        }
        kept = writable_tags(plan.color, codec=found.codec)
        for one, have in said.items():
            want = getattr(kept, one)
            if have != want:  # only what says the same, or nothing where nothing was asked
                assert have != UNSPECIFIED or (one, want) == ("range", "tv"), (
                    f"{tags}: {one} is lost"
                )
                assert want == UNSPECIFIED or not tag_differs(
                    one, have, want, codec=found.codec, suffix=path.suffix
                )


def test_a_tag_that_can_be_held_is_missed(tmp_path: Path, make_clip: Make) -> None:
    """The tables do not excuse everything."""
    for suffix, codec in (
        (".mp4", "h264"),
        (".mkv", "hevc"),
        (".webm", "vp9"),
        (".mov", "prores"),
        (".mkv", "ffv1"),
    ):
        for name in ("matrix", "primaries", "transfer"):
            assert tag_differs(name, UNSPECIFIED, "bt709", codec=codec, suffix=suffix)
        assert tag_differs("range", UNSPECIFIED, "pc", codec=codec, suffix=suffix)
        assert tag_differs("range", "pc", "tv", codec=codec, suffix=suffix)
        assert not tag_differs("range", UNSPECIFIED, "tv", codec=codec, suffix=suffix)
        assert tag_differs("transfer", "bt709", "arib-std-b67", codec=codec, suffix=suffix)
    assert not tag_differs("matrix", UNSPECIFIED, "bt709", codec="mpeg4", suffix=".avi")
    assert tag_differs("matrix", "smpte170m", "bt709", codec="mpeg4", suffix=".avi")
    assert not tag_differs("transfer", "bt709", "bt2020-10", codec="h264", suffix=".mp4")


def test_a_render_whose_full_range_tag_was_lost_is_found(tmp_path: Path, make_clip: Make) -> None:
    clip = make_clip("full.mp4", color=ColorTags("bt709", "pc", "bt709", "bt709"))
    lost = make_clip("lost.mp4")
    expected = expectation_of(probe(clip, notify=Notices()))
    assert verify_output(lost, expected, thorough=False, notify=Notices()).ok, (
        "a file made elsewhere may be limited range"
    )
    strict = verify_output(
        lost, replace(expected, keeps_range=True), thorough=False, notify=Notices()
    )
    assert strict.first_difference == "colour tags: range is tv, the source has pc"


WHOLE: dict[str, Any] = {
    "pts": tuple(range(6)),
    "time_base": Fraction(1, 25),
    "last_duration": 1,  # else the last frame stands for 40 seconds, and conform makes them all
}
UNTAGGED = ColorTags()
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "vp9": ("clip.webm", {"codec": "libvpx-vp9", "color": UNTAGGED, **WHOLE}),
    "vp8": ("clip.webm", {"codec": "libvpx", "color": UNTAGGED, **WHOLE}),
    "mpeg2": ("clip.mkv", {"codec": "mpeg2video", "color": UNTAGGED, **WHOLE}),
    "mpeg4": ("clip.avi", {"codec": "mpeg4", "color": UNTAGGED, **WHOLE}),
    "mjpeg": (
        "clip.avi",
        {"codec": "mjpeg", "pixel_format": "yuvj420p", "color": ColorTags(range="pc"), **WHOLE},
    ),
    "huffyuv": (
        "clip.avi",
        {"codec": "huffyuv", "pixel_format": "yuv422p", "color": UNTAGGED, **WHOLE},
    ),
    "ffv1 rgb": ("clip.mkv", {"codec": "ffv1", "pixel_format": "bgr0", **WHOLE}),
    "ffv1 grey": (
        "clip.mkv",
        {"codec": "ffv1", "pixel_format": "gray", "color": UNTAGGED, **WHOLE},
    ),
    "uneven h264": ("clip.mp4", {"color": UNTAGGED, "pts": VFR_PTS[:6]}),
    "only primaries": ("clip.mp4", {"color": ColorTags(primaries="bt709"), **WHOLE}),
    "only matrix": ("clip.mp4", {"color": ColorTags("smpte170m"), **WHOLE}),
    "only full range": ("clip.mp4", {"color": ColorTags(range="pc"), **WHOLE}),
    "rare matrix": (
        "clip.mkv",
        {"codec": "ffv1", "color": ColorTags("ycgco", "tv", "ebu3213", "bt1361e"), **WHOLE},
    ),
}


PACKAGED = ("vp9", "ffv1 rgb", "uneven h264", "only full range")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_a_clip_that_says_little_of_its_colour_is_taken_everywhere(
    kind: str, cli: CommandLine, take: Callable[..., Path], make_clip: Make
) -> None:
    name, options = SOURCES[kind]
    clip = take(make_clip(name, size=(64, 48), **options))
    segment(cli, clip, size=(64, 48))
    cli("greenback", clip, "-o", "green.webm", "--edges", "hard")
    cli(
        "conform",
        clip,
        "--for",
        "premiere",
        "--outputs",
        "source,greenback",
        "-o",
        "conformed",
        "--edges",
        "hard",
    )
    if kind in PACKAGED:
        cli("package", clip, "--for", "capcut", "--edges", "hard")
    for made in (cli.folder / "green.webm", *(cli.folder / "conformed").glob("*.m*")):
        cli("verify", made, "--source", clip)


def test_a_grey_png_has_no_rgb_matrix(cli: CommandLine) -> None:
    (cli.folder / "plates").mkdir()
    for number in range(3):
        Image.new("L", (64, 48), 90 + number).save(cli.folder / "plates" / f"{number}.png")
    assert open_clip(cli.folder / "plates", notify=Notices()).info.color.matrix == UNSPECIFIED
    segment(cli, "plates", size=(64, 48))
    cli("greenback", "plates", "-o", "green.webm", "--edges", "hard")
