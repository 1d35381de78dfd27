"""The workspace on disk: masks coming in, masks saved, manifests, runs that stop and go on."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.examples import examples
from support.runs import MASK, PALETTE, plan_for
from support.wording import typed

from vfx_matte.errors import MaskError, OutputError, WorkspaceError
from vfx_matte.masks import ObjectLabel
from vfx_matte.references.files import collect_references, load_mask_picture, parse_mask_argument
from vfx_matte.references.reading import read_mask_colors
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import (
    ClipWorkspace,
    Manifest,
    OutputRecord,
    ReferenceRecord,
    SourceStamp,
    Workspace,
    clip_name,
    load_mask,
    save_mask,
    to_ranges,
)
from vfx_matte.workspace.manifest import load_manifest, save_manifest


def segment(
    clip: ClipWorkspace,
    plan: Manifest,
    frames: Iterable[int],
    *,
    resume: bool = False,
    fresh: bool = False,
) -> None:
    with clip.start_run(plan, palette=PALETTE, resume=resume, fresh=fresh) as run:
        for frame_index in frames:
            run.save_mask(frame_index, MASK)


# masks coming in


KINDS = {
    "png": ("1", "L", "RGB", "P", "RGBA", "LA", "I;16"),
    "tif": ("1", "L", "RGB", "P", "RGBA", "LA", "I;16"),
    "bmp": ("1", "L", "RGB", "P"),
    "webp": ("L", "RGB", "RGBA"),
}


@pytest.mark.parametrize(
    ("mode", "suffix"), [(mode, suffix) for suffix, modes in KINDS.items() for mode in modes]
)
def test_pictures_of_every_kind_are_read(tmp_path: Path, mode: str, suffix: str) -> None:
    disc = MASK == 1
    if mode == "RGBA":
        picture = Image.fromarray(
            np.dstack([np.full((24, 32, 3), 90, np.uint8), disc * np.uint8(255)])
        )
    elif mode == "LA":
        picture = Image.merge(
            "LA", (Image.new("L", (32, 24), 90), Image.fromarray(disc * np.uint8(255)))
        )
    elif mode == "I;16":
        picture = Image.fromarray(disc.astype(np.uint16) * 65535)
    elif mode == "P":
        picture = Image.fromarray(disc.astype(np.uint8))
        picture.putpalette(PALETTE.colors.tobytes())
    else:
        picture = Image.fromarray(disc * np.uint8(255)).convert(mode)
    path = tmp_path / f"mask.{suffix}"
    picture.save(path, **({"lossless": True} if suffix == "webp" else {}))
    reading = read_mask_colors(load_mask_picture(path), shape=disc.shape)
    np.testing.assert_array_equal(reading.mask == 1, disc)
    assert list(reading.coverage) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no mask"),
        (b"", "is an empty file"),
        (b"hello", "is not a picture"),
        ("cut", "cannot read mask"),
        ("folder", "folder"),
    ],
)
def test_a_mask_that_cannot_be_read(
    tmp_path: Path, content: bytes | str | None, message: str
) -> None:
    path = tmp_path / "mask 蒙版.png"
    if content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90)).astype(np.uint8)).save(
            path
        )
        path.write_bytes(path.read_bytes()[:2000])
    elif content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(MaskError, match=message) as caught:
        load_mask_picture(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(MASK).save(tmp_path / "m.png")
    monkeypatch.setattr("vfx_matte.references.files.MOST_MASK_PIXELS", 100)
    with pytest.raises(MaskError, match="too large"):
        load_mask_picture(tmp_path / "m.png")


def test_mask_arguments() -> None:
    assert parse_mask_argument("12=a=b/ü.png") == (12, Path("a=b/ü.png"))
    assert parse_mask_argument("-5=m.png") == (-5, Path("m.png"))  # sequences may begin below zero
    for text in ("m.png", "=m.png", "12=", "- 1=m.png", "1.5=m.png", "²=m.png"):
        with pytest.raises(MaskError, match="is not FRAME=path"):
            parse_mask_argument(text)


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_references_from_all_three_options(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "m", "00012.png", "frame_3.JPG", ".00099.png", "notes 5.txt", "v2 mask0100.tiff"
    )
    told: list[str] = []
    found = collect_references(
        first_mask=Path("f.png"),
        masks=[(7, Path("s.png"))],
        folder=folder,
        frame_count=101,
        notify=told.append,
    )
    assert {at: path.name for at, path in found.items()} == {
        0: "f.png",
        3: "frame_3.JPG",
        7: "s.png",
        12: "00012.png",
        100: "v2 mask0100.tiff",
    }
    assert list(found) == sorted(found)
    assert told == ["mask v2 mask0100.tiff: the last number in a name is the frame's, 100"]


def test_references_of_a_sequence_have_its_numbers(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", "plate.1006.png", "shot010_v02.1008.png")
    found = collect_references(
        first_mask=Path("f.png"), first_frame=1001, folder=folder, frame_count=10, first_number=1001
    )
    assert list(found) == [1001, 1006, 1008]
    with pytest.raises(
        MaskError, match="frame 5, which does not exist: the clip has 10 frames, 1001 to 1010"
    ) as caught:
        collect_references(
            masks=[(5, Path("a.png"))],
            frame_count=10,
            first_number=1001,
            outside_hint=lambda number: f"not {number}",
        )
    assert caught.value.hint == "not 5"


def test_xmem_layouts(tmp_path: Path) -> None:
    fill(tmp_path / "JPEGImages", "00000.jpg")
    fill(tmp_path / "Annotations", "00004.png")
    assert list(collect_references(folder=tmp_path)) == [4]
    nested = tmp_path / "nested"
    fill(nested / "Annotations" / "dog", "5.png")
    assert list(collect_references(folder=nested)) == [5]
    fill(nested / "Annotations" / "cat", "6.png")
    assert list(collect_references(folder=nested, clip_name="dog")) == [5]
    with pytest.raises(MaskError, match="several clips: cat, dog"):
        collect_references(folder=nested, clip_name="cow")


def test_references_that_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="no mask was given"):
        collect_references()
    with pytest.raises(MaskError, match=r"frame 3 has two masks: .*a3\.png and .*b3\.png"):
        collect_references(folder=fill(tmp_path / "two", "a3.png", "b3.png"))
    with pytest.raises(MaskError, match=r"frame 0 has two masks: a\.png and b\.png"):
        collect_references(first_mask=Path("a.png"), masks=[(0, Path("b.png"))])
    with pytest.raises(
        MaskError, match="frame 10, which does not exist: the clip has 10 frames, 0 to 9"
    ):
        collect_references(masks=[(10, Path("a.png"))], frame_count=10)
    with pytest.raises(MaskError, match="no frame number"):
        collect_references(folder=fill(tmp_path / "none", "dog.png"))
    with pytest.raises(MaskError, match="holds no mask"):
        collect_references(folder=fill(tmp_path / "empty", "a.txt"))
    with pytest.raises(MaskError, match="no folder of masks"):
        collect_references(folder=tmp_path / "missing")


# masks on disk


@examples(30)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    top=st.integers(0, 255),
    seed=st.integers(0, 9999),
)
def test_saved_masks_come_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, top: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("m") / "new" / "0000001.png"
    mask = np.random.default_rng(seed).integers(0, top + 1, (height, width)).astype(np.uint8)
    save_mask(path, mask, PALETTE)
    np.testing.assert_array_equal(load_mask(path), mask)
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert picture.getpalette() == PALETTE.colors.reshape(-1).tolist()
    assert path.read_bytes()[24] == 8  # bit depth in IHDR
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_only_masks_are_saved_and_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        save_mask(tmp_path / "m.png", MASK.astype(np.int32), PALETTE)
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    for name in ("rgb.png", "cut.png", "missing.png"):
        with pytest.raises(MaskError, match=name):
            load_mask(tmp_path / name)


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.ENOSPC, "disk is full", "free some space"),
        (errno.EACCES, "Permission", "--workspace"),
        (errno.EROFS, "Read-only", "--workspace"),
    ],
)
def test_a_failed_write_keeps_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str, hint: str
) -> None:
    path = tmp_path / "0000000.png"
    save_mask(path, MASK, PALETTE)

    def fail(self: Image.Image, target: Path, **options: object) -> None:
        target.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match=message) as caught:
        save_mask(path, MASK * 0, PALETTE)
    assert hint in typed(caught.value.hint)
    np.testing.assert_array_equal(load_mask(path), MASK)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


# names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/My clip.final.mp4", "My clip.final"),
        ("蒙版 测试.mov", "蒙版 测试"),
        ("cafe\u0301.mp4", "café"),
        ("-rf.mp4", "_-rf"),
        ('a"b:c?.mp4', "a_b_c_"),
        ("dots. .mp4", "dots"),
        ("con.mp4", "_con"),
        ("LPT1.x.mp4", "_LPT1.x"),
        (".hidden.mp4", "hidden"),
        ("plate.%04d.png", "plate"),
        ("plate_%d.exr", "plate"),
        ("sh010/%05d.png", "sh010"),
        ("it's 100%.mp4", "it's 100%"),
    ],
)
def test_clip_names(path: str, name: str) -> None:
    assert clip_name(Path(path)) == name


def test_a_folder_is_named_whole(tmp_path: Path) -> None:
    (tmp_path / "shot.v2").mkdir()
    assert clip_name(tmp_path / "shot.v2") == "shot.v2"


@examples(200)
@given(
    stem=st.text(min_size=1, max_size=90).filter(
        lambda text: "/" not in text and "\x00" not in text
    )
)
def test_any_name_is_safe(stem: str) -> None:
    try:
        name = clip_name(Path(f"{stem}.mp4"))
    except UnicodeEncodeError:
        return  # lone surrogates
    assert name
    assert name == name.strip(". ") or name.startswith("_")
    assert not set('<>:"/\\|?*') & set(name)
    assert not name.startswith(("-", "."))
    assert len(name.encode()) <= 121


# manifest


@examples(100)
@given(frames=st.sets(st.integers(0, 60)))
def test_ranges_hold_the_frames(frames: set[int]) -> None:
    ranges = to_ranges(frames)
    assert {at for start, stop in ranges for at in range(start, stop)} == frames
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(ranges))


@examples(50)
@given(
    steps=st.lists(st.integers(1, 5), max_size=40), first=st.integers(-9, 9), last=st.integers(0, 9)
)
def test_manifest_round_trip(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], first: int, last: int
) -> None:
    path = tmp_path_factory.mktemp("w") / "manifest.json"
    pts = tuple(np.cumsum([first, *steps]).tolist())
    timeline = Timeline(pts, (*steps, last), Fraction(1001, 30000))
    manifest = plan_for(
        path,
        frames=1,
        timeline=timeline,
        stop=len(pts),
        done=((0, 1),),
        segmented_at="2026-01-01",
        outputs={"蒙版.mp4": OutputRecord("green", {"key": "#00ff00"})},
    )
    save_manifest(path, manifest)
    assert load_manifest(path) == manifest


def test_a_long_clip_has_a_small_manifest(source: Path) -> None:
    manifest = plan_for(source, frames=72_000, done=((0, 40_000), (50_000, 60_000)))
    assert len(json.dumps(manifest.to_json())) < 2000


def test_manifest_checks_its_ranges(source: Path) -> None:
    with pytest.raises(ValueError, match="leaves the clip's 10 frames"):
        plan_for(source, stop=11)
    with pytest.raises(ValueError, match="not ascending"):
        plan_for(source, done=((4, 6), (5, 7)))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}', "\x00"])
def test_a_damaged_manifest_is_an_error_and_stays(tmp_path: Path, source: Path, text: str) -> None:
    clip = Workspace(tmp_path / "workspace").clip(source)
    clip.folder.mkdir(parents=True)
    clip.manifest_path.write_text(text)
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        clip.start_run(plan_for(source), palette=PALETTE, resume=True)
    assert "--fresh" in typed(caught.value.hint)
    assert clip.manifest_path.read_text() == text
    segment(clip, plan_for(source), [0], fresh=True)
    assert (clip.folder / "manifest.previous.json").read_text() == text


@pytest.mark.parametrize(
    ("object_id", "score"), [(0, 0.5), (256, 0.5), (-1, None), (1, float("nan")), (1, 1e308)]
)
def test_labels_that_cannot_be_are_damage(
    tmp_path: Path, source: Path, object_id: int, score: float | None
) -> None:
    path = tmp_path / "manifest.json"
    save_manifest(path, plan_for(source, labels={object_id: ObjectLabel("Rex", "dog", score)}))
    with pytest.raises(WorkspaceError, match="damaged"):
        load_manifest(path)


def test_a_manifest_of_another_generation_names_its_program(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"schema_version": 9, "program_version": "7.1"}')
    with pytest.raises(
        WorkspaceError, match=r"written by vfx-matte 7\.1 \(schema 9, this program reads 1\)"
    ):
        load_manifest(path)


def test_stamps_of_sequences(tmp_path: Path) -> None:
    fill(tmp_path, "plate.0001.png", "plate.0002.png", "other.txt")
    pattern = SourceStamp.of(tmp_path / "plate.%04d.png")
    assert pattern.size_bytes == 2
    assert SourceStamp.of(tmp_path).size_bytes == 3
    (tmp_path / "plate.0003.png").write_bytes(b"xx")
    assert not pattern.is_same_clip(SourceStamp.of(tmp_path / "plate.%04d.png"))


# runs


def test_a_whole_run(tmp_path: Path, source: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    clip = workspace.clip(source)
    assert clip.folder == tmp_path / "workspace" / "my clip"
    assert workspace.find(source) is None
    with pytest.raises(WorkspaceError, match="holds no masks"):
        clip.mask_store()
    plan = plan_for(source, start=2, stop=8)
    segment(clip, plan, range(7, 1, -1))
    manifest = clip.manifest()
    assert manifest is not None
    assert manifest.is_complete
    assert manifest.done == ((2, 8),)
    assert workspace.find(source) == clip
    store = clip.mask_store()
    np.testing.assert_array_equal(store.get(2), MASK)
    assert store.get(1) is None
    assert store.get(8) is None
    clip.mask_path(5).unlink()
    with pytest.raises(MaskError, match=r"0000005\.png"):
        store.get(5)
    with clip.start_run(plan, palette=PALETTE, resume=True) as run:
        assert run.missing == ((5, 6),)
        with pytest.raises(ValueError, match="outside"):
            run.save_mask(8, MASK)


def test_a_partial_run_needs_resume(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    segment(clip, plan_for(source), [0, 1, 2, 6])
    with pytest.raises(WorkspaceError, match="stopped after 4 of 10 frames") as caught:
        clip.start_run(plan_for(source), palette=PALETTE)
    assert "--resume" in typed(caught.value.hint)
    with clip.start_run(plan_for(source), palette=PALETTE, resume=True) as run:
        assert run.missing == ((3, 6), (7, 10))
        for start, stop in run.missing:
            for frame_index in range(start, stop):
                run.save_mask(frame_index, MASK)
    with pytest.raises(WorkspaceError, match="is complete"):
        clip.start_run(plan_for(source), palette=PALETTE)
    with clip.start_run(plan_for(source), palette=PALETTE, resume=True) as run:
        assert run.missing == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"propagator": "xmem"}, "propagator"),
        ({"settings": {"window": 6}}, "setting window"),
        (
            {"references": {1: ReferenceRecord("m.png", "ab" * 32, {1: (255, 0, 0)})}},
            "reference masks",
        ),
        (
            {"references": {0: ReferenceRecord("m.png", "cd" * 32, {1: (255, 0, 0)})}},
            "reference masks",
        ),
        ({"stop": 9}, "frame range"),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_other_work_is_never_mixed(
    tmp_path: Path, source: Path, changes: dict[str, object], named: str, resume: bool
) -> None:
    clip = Workspace(tmp_path).clip(source)
    segment(clip, plan_for(source), [0])
    before = clip.manifest_path.read_bytes()
    with pytest.raises(WorkspaceError, match=named) as caught:
        clip.start_run(plan_for(source, **changes), palette=PALETTE, resume=resume)
    assert "--fresh" in typed(caught.value.hint)
    assert clip.manifest_path.read_bytes() == before


def test_two_clips_of_one_name_do_not_mix(tmp_path: Path, source: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    segment(workspace.clip(source), plan_for(source), [0])
    other = tmp_path / "elsewhere" / source.name
    other.parent.mkdir()
    other.write_bytes(b"other frames")
    for act in (
        lambda: workspace.find(other),
        lambda: workspace.clip(other).start_run(plan_for(other), palette=PALETTE),
    ):
        with pytest.raises(WorkspaceError, match="another clip") as caught:
            act()
        assert str(source) in caught.value.message


def test_a_moved_project_is_still_the_same_work(tmp_path: Path, source: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    segment(workspace.clip(source), plan_for(source), [0])
    moved = source.rename(tmp_path / source.name)
    assert workspace.find(moved) == workspace.clip(moved)
    segment(workspace.clip(moved), plan_for(moved), [1], resume=True)
    manifest = workspace.clip(moved).manifest()
    assert manifest is not None
    assert manifest.source.path == moved
    assert manifest.done == ((0, 2),)


def test_masks_without_a_manifest_are_not_mixed_in(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    save_mask(clip.mask_path(3), MASK, PALETTE)
    with pytest.raises(WorkspaceError, match="no manifest says"):
        clip.start_run(plan_for(source), palette=PALETTE)


def test_work_begun_by_another_version_is_not_continued(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    segment(clip, plan_for(source, program_version="0.0.1"), [0])
    with pytest.raises(WorkspaceError, match=r"started by vfx-matte 0\.0\.1"):
        clip.start_run(plan_for(source), palette=PALETTE, resume=True)


def test_fresh_keeps_the_earlier_work_until_the_first_mask_and_then_beside(
    tmp_path: Path, source: Path
) -> None:
    clip = Workspace(tmp_path).clip(source)
    segment(clip, plan_for(source), range(10))
    before = clip.manifest_path.read_bytes()
    other = plan_for(source, propagator="xmem")
    with pytest.raises(RuntimeError), clip.start_run(other, palette=PALETTE, fresh=True):
        raise RuntimeError
    assert clip.manifest_path.read_bytes() == before
    assert len(list(clip.masks_folder.iterdir())) == 10
    segment(clip, other, [4], fresh=True)
    assert [path.name for path in clip.masks_folder.iterdir()] == ["0000004.png"]
    assert len(list((clip.folder / "masks.previous").iterdir())) == 10
    assert (clip.folder / "manifest.previous.json").read_bytes() == before
    assert clip.mask_store().get(3) is None


def test_a_stopped_run_does_not_push_out_the_whole_one_before_it(
    tmp_path: Path, source: Path
) -> None:
    clip = Workspace(tmp_path).clip(source)
    segment(clip, plan_for(source), range(10))
    before = clip.manifest_path.read_bytes()
    other = plan_for(source, propagator="xmem")
    for stopped_at in (4, 5, 6):
        segment(clip, other, [stopped_at], fresh=True)
        assert [path.name for path in clip.masks_folder.iterdir()] == [f"000000{stopped_at}.png"]
        assert len(list((clip.folder / "masks.previous").iterdir())) == 10
        assert (clip.folder / "manifest.previous.json").read_bytes() == before
    # a run that fails before its first mask leaves the stopped one where it was
    with pytest.raises(OutputError), clip.start_run(other, palette=PALETTE, fresh=True) as run:  # noqa: PT012
        run.save_mask(1, MASK)
        raise OutputError("disk full")
    assert [path.name for path in clip.masks_folder.iterdir()] == ["0000006.png"]
    assert len(list((clip.folder / "masks.previous").iterdir())) == 10
    # what was whole gives way to what is whole
    segment(clip, other, range(10), fresh=True)
    segment(clip, other, [7], fresh=True)
    assert (clip.folder / "manifest.previous.json").read_bytes() != before
    assert len(list((clip.folder / "masks.previous").iterdir())) == 10


def test_progress_is_saved_about_once_a_second_and_at_the_end(tmp_path: Path, source: Path) -> None:
    clip = Workspace(tmp_path).clip(source)
    plan = plan_for(source)
    now = [0.0]
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        clip.start_run(plan, palette=PALETTE, clock=lambda: now[0]) as run,
    ):
        seen = []
        for frame_index in range(8):
            run.save_mask(frame_index, MASK)
            manifest = clip.manifest()
            assert manifest is not None
            seen.append(manifest.done)
            now[0] += 0.4
        assert seen == [(), (), (), ((0, 4),), ((0, 4),), ((0, 4),), ((0, 7),), ((0, 7),)]
        raise KeyboardInterrupt
    manifest = clip.manifest()
    assert manifest is not None
    assert manifest.done == ((0, 8),)


def test_a_full_disk_does_not_hide_what_stopped_the_run(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Workspace(tmp_path).clip(source)

    def fail(path: Path, text: str) -> None:
        raise OutputError(f"the disk is full: {path}")

    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        clip.start_run(plan_for(source), palette=PALETTE) as run,
    ):
        run.save_mask(0, MASK)
        monkeypatch.setattr("vfx_matte.workspace.manifest.write_text", fail)
        raise KeyboardInterrupt
    with (
        pytest.raises(OutputError),
        clip.start_run(plan_for(source), palette=PALETTE, resume=True) as run,
    ):
        run.save_mask(1, MASK)


CHILD = """
import sys
from pathlib import Path
from support.runs import MASK, PALETTE, plan_for
from vfx_matte.workspace import Workspace
source, root = map(Path, sys.argv[1:])
plan = plan_for(source, frames=100000)
with Workspace(root).clip(source).start_run(plan, palette=PALETTE) as run:
    for frame_index in range(100000):
        run.save_mask(frame_index, MASK)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, source: Path) -> None:
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(tmp_path / "w")], env=environment
    )
    clip = Workspace(tmp_path / "w").clip(source)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        manifest = clip.manifest()
        if manifest is not None and manifest.done:
            break
        time.sleep(0.02)
    child.kill()
    child.wait()
    manifest = clip.manifest()
    assert manifest is not None
    (done,) = manifest.done
    on_disk = len(list(clip.masks_folder.glob("[0-9]*.png")))
    assert 0 < done[1] <= on_disk
    with clip.start_run(plan_for(source, frames=100_000), palette=PALETTE, resume=True) as run:
        assert run.missing == ((done[1], 100_000),)
        run.save_mask(done[1], MASK)
    assert not list(clip.masks_folder.glob(".*"))
    np.testing.assert_array_equal(clip.mask_store().get(0), MASK)


def test_the_latest_clip_is_by_the_time_inside(tmp_path: Path, source: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    assert workspace.latest() is None
    other = source.with_name("other.mp4")
    other.write_bytes(b"2")
    segment(workspace.clip(source), plan_for(source), [0])
    segment(workspace.clip(other), plan_for(other), [0])
    workspace.clip(source).record_output(
        "greenback.mp4", OutputRecord("green", {"feather_px": 1.5})
    )
    manifest = workspace.clip(source).manifest()
    assert manifest is not None
    assert manifest.outputs["greenback.mp4"].settings == {"feather_px": 1.5}
    damaged = workspace.root / "damaged"
    fill(damaged, "manifest.json")
    assert workspace.latest() == workspace.clip(other)
