"""The legend of `vfx-matte overlay`: read back with PyAV alone, and compared with a render without
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pytest
from support.clips import BT709, HLG
from support.command_line import CommandLine, pictures, planes_of, segment

import vfx_matte
from vfx_matte.masks import Palette
from vfx_matte.picture import ColorTags
from vfx_matte.pipeline.clip import open_segmented
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.render import legend
from vfx_matte.pipeline.render.encoding import EncodeOptions
from vfx_matte.pipeline.render.outputs import frame_jobs
from vfx_matte.pipeline.render.planner import Planner
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.settings.options import MatteSettings

pytestmark = pytest.mark.slow

EXACT = ("--codec", "ffv1")
SIZE = (322, 242)
COUNT = 3
PQ = ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")
LABELS = {
    "1": {"name": "狗 dog", "class": "dog", "score": 0.93},
    "2": {"name": "woman", "class": "person", "score": 0.5},
}

FORMATS: dict[str, dict[str, Any]] = {
    "4:2:0": {},
    "4:4:4, odd size": {
        "name": "c.mkv", "codec": "ffv1", "pixel_format": "yuv444p", "size": (323, 243),
    },
    "4:1:1": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "yuv411p"},
    "10-bit 4:2:2": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "yuv422p10le"},
    "full range": {"name": "c.mkv", "codec": "ffv1", "color": ColorTags("bt709", "pc")},
    "HLG": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "yuv420p10le", "color": HLG},
    "PQ": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "yuv420p10le", "color": PQ},
    "RGB": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "gbrp10le"},
    "gray": {"name": "c.mkv", "codec": "ffv1", "pixel_format": "gray"},
}  # fmt: skip


@pytest.fixture
def shown(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> Callable[..., Path]:
    """Make a clip whose two objects have labels; the masks of its first frame are missing."""

    def make(labels: dict[str, Any] = LABELS, **facts: Any) -> Path:  # noqa: ANN401
        facts = {"size": SIZE, "pts": tuple(range(0, COUNT * 1001, 1001)), **facts}
        path = take(make_clip(facts.pop("name", "c.mp4"), **facts), "")
        segment(cli, path, start=1, size=facts["size"])
        manifest = cli.folder / "workspace" / "c" / "manifest.json"
        known = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps({**known, "labels": labels}), encoding="utf-8")
        return path

    return make


def frames(path: Path) -> list[list[npt.NDArray[Any]]]:
    return [planes_of(frame) for frame in pictures(path)]


def changed(one: Path, other: Path) -> list[tuple[slice, slice] | None]:
    """The box in which luma differs, per frame, after every plane was found equal outside of it;
    None where two frames are the same.
    """
    boxes: list[tuple[slice, slice] | None] = []
    for here, there in zip(frames(one), frames(other), strict=True):
        differs = here[0] != there[0]
        if not differs.any():
            assert all((a == b).all() for a, b in zip(here, there, strict=True))
            boxes.append(None)
            continue
        rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        for a, b in zip(here, there, strict=True):
            # chroma samples that lie in the box with a part of theirs
            x, y = (-(-full // part) for full, part in zip(differs.shape, a.shape, strict=True))
            inside = np.zeros(a.shape, bool)
            inside[
                box[0].start // x : -(-box[0].stop // x), box[1].start // y : -(-box[1].stop // y)
            ] = True
            assert (a[~inside] == b[~inside]).all()
        boxes.append(box)
    return boxes


def fields(path: Path, box: tuple[slice, slice], *ids: int, by: int = 6) -> dict[int, float]:
    """The mean row of the pixels in an object's colour on the first frame, which has no mask, by
    object; the objects without such a field are left out.
    """
    # converted by FFmpeg
    corner = next(pictures(path)).to_ndarray(format="rgb24")[box].astype(int)
    found = {}
    for one in ids:
        near = np.abs(corner - Palette.davis().colors[one]).max(axis=2) <= by
        if near.sum() >= 12:
            found[one] = float(near.nonzero()[0].mean())
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_it_shows_every_objects_colour_and_changes_nothing_else(
    cli: CommandLine, shown: Callable[..., Path], kind: str
) -> None:
    clip = shown(**FORMATS[kind])
    width, height = FORMATS[kind].get("size", SIZE)
    ran = cli("overlay", clip, *EXACT, "-o", "with.mkv")
    cli("overlay", clip, *EXACT, "--no-legend", "-o", "without.mkv")
    assert not [note for note in ran.notes if "legend" in note]
    # the same corner on every frame, also on the one without a mask
    boxes = changed(Path("with.mkv"), Path("without.mkv"))
    assert len(boxes) == COUNT
    box = boxes[0]
    assert box is not None
    assert box == boxes[1] == boxes[2]
    assert 0 < box[0].start <= height / 20
    assert 0 < box[1].start <= width / 20
    assert box[0].stop <= height * 0.4
    assert box[1].stop <= width * 0.4
    rows = fields(Path("with.mkv"), box, 1, 2, 3, by=6)
    assert sorted(rows) == [1, 2]
    assert rows[2] - rows[1] > 8
    assert fields(Path("without.mkv"), box, 1, 2) == {}


@pytest.mark.parametrize("kind", ["HLG", "PQ", "10-bit 4:2:2"])
def test_its_codes_are_in_range_and_no_brighter_than_graphics(
    cli: CommandLine, shown: Callable[..., Path], kind: str
) -> None:
    clip = shown(**FORMATS[kind])
    cli("overlay", clip, *EXACT, "-o", "with.mkv")
    cli("overlay", clip, *EXACT, "--no-legend", "-o", "without.mkv")
    box = changed(Path("with.mkv"), Path("without.mkv"))[0]
    assert box is not None
    luma, *chroma = frames(Path("with.mkv"))[0]
    most = {"HLG": 0.75, "PQ": 0.58}.get(kind, 1)
    assert luma[box].min() >= 64
    assert 64 + 876 * most * 0.7 < luma[box].max() <= 64 + 876 * most
    for plane in chroma:
        assert 64 <= plane.min() <= plane.max() <= 960


def test_no_chroma_sample_is_shared_with_the_picture_of_an_odd_size(
    shown: Callable[..., Path],
) -> None:
    path = shown(name="c.mkv", codec="ffv1", size=(323, 243))
    clip = open_segmented(path, workspace=Path("workspace"), reporter=SilentReporter())
    planner = Planner(clip, Tools(), SilentReporter())
    with_it, without = (
        planner.overlay(
            Path("out/%07d.png"), legend=wanted, settings=MatteSettings(), encode=EncodeOptions()
        )
        for wanted in (True, False)
    )
    for job in frame_jobs(clip, decode=True):
        luma, *chroma = (
            one != other
            for one, other in zip(
                with_it.compose(job).planes, without.compose(job).planes, strict=True
            )
        )
        for plane in chroma:
            whole = plane.repeat(2, axis=0).repeat(2, axis=1)[:243, :323]
            rows, columns = (np.flatnonzero(luma.any(axis=axis)) for axis in (1, 0))
            whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
            assert plane.any()
            assert not whole.any()


def test_only_what_is_shown_is_in_it(cli: CommandLine, shown: Callable[..., Path]) -> None:
    clip = shown({"1": LABELS["1"]})

    def box_of(*more: str) -> tuple[slice, slice] | None:
        for off, name in (((), "with.mkv"), (("--no-legend",), "without.mkv")):
            cli("overlay", clip, *EXACT, *more, *off, "-o", name)
        return changed(Path("with.mkv"), Path("without.mkv"))[0]

    one = box_of("--object", "1")
    assert one is not None
    assert sorted(fields(Path("with.mkv"), one, 1, 2)) == [1]
    # the other object has no name: it is in the legend of both, and is none by itself
    both = box_of()
    assert both is not None
    assert sorted(fields(Path("with.mkv"), both, 1, 2)) == [1, 2]
    assert box_of("--object", "2") is None


def test_without_names_there_is_none_unless_asked_for(
    cli: CommandLine, shown: Callable[..., Path]
) -> None:
    clip = shown({})
    for name, more in {"auto": (), "off": ("--no-legend",), "on": ("--legend",)}.items():
        cli("overlay", clip, *EXACT, *more, "-o", f"{name}.mkv")
    assert changed(Path("auto.mkv"), Path("off.mkv")) == [None] * COUNT
    box = changed(Path("on.mkv"), Path("off.mkv"))[0]
    assert box is not None
    assert sorted(fields(Path("on.mkv"), box, 1, 2)) == [1, 2]


def test_a_clip_too_small_for_it_is_rendered_without_it(
    cli: CommandLine, shown: Callable[..., Path]
) -> None:
    clip = shown(size=(32, 24))
    ran = cli("overlay", clip, *EXACT, "-o", "with.mkv")
    assert "pictures of 32×24 have no room for a legend of the objects" in ran.notes
    cli("overlay", clip, *EXACT, "--no-legend", "-o", "without.mkv")
    assert changed(Path("with.mkv"), Path("without.mkv")) == [None] * COUNT


def test_it_is_drawn_once(
    cli: CommandLine, shown: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = Mock(wraps=legend.small_legend)
    monkeypatch.setattr(legend, "small_legend", drawing)
    cli("overlay", shown(), *EXACT, "-o", "with.mkv")
    assert drawing.call_count == 1


def test_a_frame_has_it_and_config_and_python_decide(
    cli: CommandLine, shown: Callable[..., Path]
) -> None:
    clip = shown()
    for legend_is, name in ((True, "with.png"), (False, "without.png")):
        vfx_matte.render_overlay(clip, frame=2, legend=legend_is, output=name)
    box = changed(Path("with.png"), Path("without.png"))[0]
    assert box is not None
    Path("config.ini").write_text("[overlay]\nlegend = no\n")
    cli("overlay", clip, "--frame", "2", "-o", "config.png")
    assert changed(Path("config.png"), Path("without.png")) == [None]


def test_a_conformed_overlay_has_it(cli: CommandLine, shown: Callable[..., Path]) -> None:
    clip = shown(color=BT709)
    for name, said in (("with", ""), ("without", "[overlay]\nlegend = no\n")):
        Path("config.ini").write_text(said)
        cli("conform", clip, "--outputs", "overlay", "--fps", "30", "-o", name, "--quality", "1")
    with_it, without = (Path(name) / "overlay.mp4" for name in ("with", "without"))
    corner = slice(4, 60), slice(4, 100)
    assert sorted(fields(with_it, corner, 1, 2, by=20)) == [1, 2]
    assert fields(without, corner, 1, 2, by=20) == {}
