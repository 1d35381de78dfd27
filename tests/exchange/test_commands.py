"""`export` and `import`: what goes out comes back, and files of others find their frames."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.annotated import AnnotatedClip, write
from support.command_line import CommandLine, paint, two_objects

import vfx_matte
from vfx_matte.annotations import json_files
from vfx_matte.annotations.coco import write_coco
from vfx_matte.annotations.cvat import write_cvat
from vfx_matte.annotations.png_folders import read_png, save_palette_png
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask, ObjectLabel, Palette
from vfx_matte.pipeline.exchange import formats
from vfx_matte.pipeline.exchange.formats import READ, WRITTEN
from vfx_matte.workspace import ClipWorkspace
from vfx_matte.workspace.manifest import save_manifest

LABELS = {1: ObjectLabel("Hündin", "dog", 0.5), 2: ObjectLabel("人物", "person")}
SHAPE = (64, 96)


def imported(cli: CommandLine, name: str = "clip") -> dict[int, Mask]:
    folder = cli.folder / "workspace" / name / "imported"
    return {int(path.stem): read_png(path) for path in sorted(folder.iterdir())}


def foreign_coco(path: Path, names: list[str], masks: list[Mask]) -> Path:
    """COCO as other programs write it, of pictures with these names."""
    write(write_coco, path, AnnotatedClip("clip", SHAPE, LABELS), masks)
    data = json.loads(path.read_text(encoding="utf-8"))
    for image, name in zip(data["images"], names, strict=True):
        image["file_name"] = name
        del image["frame_number"]
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", WRITTEN)
def test_what_is_exported_comes_back_identically(form: str, project: CommandLine) -> None:
    before = project.files("workspace/clip/masks")
    ran = project("export", "clip.mp4", "--format", form, "--json")
    found = json.loads(ran.stdout)
    assert (found["frames"], list(found["objects"])) == (8, ["1", "2"])
    assert ran.notes == [f"4 frames have no mask and are not in {Path(found['path']).name}"]
    back = json.loads(project("import", "clip.mp4", found["path"], "--json").stdout)
    assert back["frames"] == list(range(2, 10))
    assert back["objects"] == found["objects"]
    masks = imported(project)
    assert sorted(masks) == list(range(2, 10))
    for number, mask in masks.items():
        np.testing.assert_array_equal(mask, project.mask(number))
    # masks and references stay as they were, and writing again is fine
    assert project.files("workspace/clip/masks") == before
    project("export", "clip.mp4", "--format", form)
    project("import", "clip.mp4", found["path"], "--format", form)


def test_names_classes_and_scores_are_those_of_the_manifest(project: CommandLine) -> None:
    layout = ClipWorkspace(project.folder / "workspace" / "clip")
    manifest = layout.manifest()
    assert manifest is not None
    save_manifest(layout.manifest_path, replace(manifest, labels=LABELS))
    for form in WRITTEN:
        found = json.loads(project("export", "--format", form, "--json").stdout)
        assert found["objects"]["1"] == {"name": "Hündin", "class_name": "dog", "score": 0.5}
        back = json.loads(project("import", "clip.mp4", found["path"], "--json").stdout)
        assert back["objects"] == found["objects"]


def test_the_printed_command_carries_the_masks_on(project: CommandLine) -> None:
    project("export", "--format", "cvat", "-o", "from_cvat.xml")
    shown = project("import", "clip.mp4", "from_cvat.xml", "--frame", "3", "--frame", "9").stdout
    (line,) = (line for line in shown.splitlines() if "vfx-matte segment" in line)
    words = shlex.split(line)[1:]
    # as the work before it: its range, and the masks that stay
    assert words[:4] == ["segment", "clip.mp4", "--masks", "workspace/clip/imported"]
    assert words[4:] == ["--mask", "2=mask.png", "--start", "2", "--stop", "10", "--update"]
    # the propagator of tests is not named in commands
    project(*words, "--propagator", "fake")
    assert project.mask_numbers() == list(range(2, 10))
    np.testing.assert_array_equal(project.mask(3), imported(project)[3])
    assert sorted(project.manifest()["references"]) == ["2", "3", "9"]


@pytest.mark.slow
def test_import_carries_masks_through_at_once(film: CommandLine) -> None:
    path = film.folder / "masks.json"
    write(write_coco, path, AnnotatedClip("clip", SHAPE, LABELS), [two_objects()])
    ran = film("import", "clip.mp4", path, "--segment", "--propagator", "fake", "--json")
    found = json.loads(ran.stdout)
    assert found["segmented"]["computed"] == 12
    assert film.mask_numbers() == list(range(12))
    np.testing.assert_array_equal(film.mask(0), two_objects())
    assert list(film.manifest()["references"]) == ["0"]
    # names and scores go on to what is exported
    back = json.loads(film("export", "clip.mp4", "--json").stdout)
    assert back["objects"] == found["objects"]
    assert back["objects"]["1"] == {"name": "Hündin", "class_name": "dog", "score": 0.5}


@pytest.mark.slow
def test_imported_masks_join_the_references_of_earlier_work(project: CommandLine) -> None:
    given = project.manifest()
    (frame,) = given["references"]
    corrected = project.mask(6)
    corrected[:8] = 1
    folder = project.folder / "painted"
    folder.mkdir()
    save_palette_png(folder / "clip.0000006.png", corrected, Palette.davis())
    shown = project("import", "clip.mp4", "painted", "--segment").stdout
    assert f"carried through frames {given['start']} to {given['stop'] - 1}" in shown
    now = project.manifest()
    # the propagator, the range and the first reference are those of the work that was there
    for key in ("propagator", "start", "stop", "settings"):
        assert now[key] == given[key]
    assert list(now["references"]) == [frame, "6"]
    assert now["references"][frame] == given["references"][frame]
    np.testing.assert_array_equal(project.mask(6), corrected)
    # a mask of the same frame takes the earlier one's place
    save_palette_png(folder / "clip.0000006.png", two_objects(), Palette.davis())
    found = vfx_matte.import_masks("clip.mp4", "painted", segment=True)
    assert found.segmented is not None
    assert list(project.manifest()["references"]) == [frame, "6"]
    np.testing.assert_array_equal(project.mask(6), two_objects())
    # an import of another frame replaces the folder, and not what the clip was made with
    (folder / "clip.0000006.png").rename(folder / "clip.0000008.png")
    project("import", "clip.mp4", "painted", "--segment")
    assert list(imported(project)) == [8]
    assert list(project.manifest()["references"]) == [frame, "6", "8"]
    np.testing.assert_array_equal(project.mask(6), two_objects())


def test_the_printed_command_begins_where_there_is_no_work(film: CommandLine) -> None:
    path = film.folder / "masks.json"
    write(write_coco, path, AnnotatedClip("clip", SHAPE, LABELS), [two_objects()])
    found = json.loads(film("import", "clip.mp4", path, "--json").stdout)
    line = "vfx-matte segment clip.mp4 --masks workspace/clip/imported"
    assert found["segment_command"] == line
    # work of another version is not mixed with
    film(*shlex.split(line)[1:], "--propagator", "fake", "--cuts", "ignore", "--soft")
    layout = ClipWorkspace(film.folder / "workspace" / "clip")
    manifest = layout.manifest()
    assert manifest is not None
    save_manifest(layout.manifest_path, replace(manifest, program_version="0.1"))
    found = json.loads(film("import", "clip.mp4", path, "--json").stdout)
    assert found["segment_command"] == f"{line} --soft --cuts ignore --fresh"


def test_names_and_scores_of_the_file_are_kept(film: CommandLine) -> None:
    path = film.folder / "masks.json"
    write(write_coco, path, AnnotatedClip("clip", SHAPE, LABELS), [two_objects()])
    found = json.loads(film("import", "clip.mp4", path, "--json").stdout)
    assert found["objects"] == {
        "1": {"name": "Hündin", "class_name": "dog", "score": 0.5},
        "2": {"name": "人物", "class_name": "person", "score": None},
    }
    assert found["format"] == "coco"


@pytest.mark.parametrize(
    ("names", "numbers", "note"),
    [
        ([f"{n}.jpg" for n in range(12)], range(12), ""),
        (
            [f"{n}.jpg" for n in range(1, 13)],
            range(12),
            "counts frames from 1: its frame 1 is taken for frame 0 of the clip",
        ),
        (["a.jpg", "b.jpg"], [0, 1], ""),
        (
            ["frame_000001.PNG"],
            [1],
            "frame 1 is taken for frame 1 of the clip, whose first is 0; if it is the first one,"
            " add --first 1",
        ),
    ],
)
def test_frames_of_a_video_count_from_0_whatever_the_file_does(
    names: list[str], numbers: list[int], note: str, film: CommandLine
) -> None:
    masks = [two_objects()] * len(names)
    ran = film("import", "clip.mp4", foreign_coco(film.folder / "a.json", names, masks))
    assert sorted(imported(film)) == list(numbers)
    assert [line.removeprefix("a.json").lstrip(": ") for line in ran.notes] == [note] * bool(note)


def plates(cli: CommandLine, first: int = 1001, count: int = 4) -> Path:
    folder = cli.folder / "plates"
    folder.mkdir()
    for number in range(first, first + count):
        Image.new("RGB", (96, 64), (number % 255, 9, 9)).save(folder / f"plate.{number}.png")
    return folder


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["plate.1001.jpg", "plate.1004.jpg"], [1001, 1004]),
        (["frame_000000", "frame_000003"], [1001, 1004]),
        ([f"{n}.png" for n in (1, 2, 3, 4)], [1001, 1002, 1003, 1004]),
        (["a.jpg", "b.jpg"], [1001, 1002]),
    ],
)
def test_frames_of_a_sequence_have_the_numbers_of_its_pictures(
    names: list[str], numbers: list[int], cli: CommandLine
) -> None:
    plates(cli)
    path = foreign_coco(cli.folder / "a.json", names, [two_objects()] * len(names))
    cli("import", "plates", path)
    assert sorted(imported(cli, "plates")) == numbers


def test_first_says_what_the_numbers_mean(cli: CommandLine) -> None:
    plates(cli)
    path = foreign_coco(cli.folder / "a.json", ["7.png", "8.png"], [two_objects()] * 2)
    refused = cli.fails("import", "plates", path, code=2)
    assert refused.error == "a.json has a mask of frame 7, the clip has frames 1001 to 1004"
    assert "--first 7" in refused.hint
    assert not (cli.folder / "workspace").exists()
    cli("import", "plates", path, "--first", "6")
    assert sorted(imported(cli, "plates")) == [1002, 1003]


def test_a_sequence_goes_out_with_the_names_of_its_pictures(cli: CommandLine) -> None:
    plates(cli)
    paint(cli.folder / "mask.png", two_objects())
    cli("segment", "plates", "--first-mask", "mask.png", "--propagator", "fake")
    cli("export", "plates", "--format", "coco", "-o", "a.json")
    data = json.loads((cli.folder / "a.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in data["images"]] == [
        f"plate.{number}.png" for number in range(1001, 1005)
    ]
    cli("import", "plates", "a.json")
    assert sorted(imported(cli, "plates")) == list(range(1001, 1005))


def test_a_zip_file_of_cvat_is_read(film: CommandLine) -> None:
    write(write_cvat, film.folder / "annotations.xml", AnnotatedClip("x", SHAPE), [two_objects()])
    with zipfile.ZipFile(film.folder / "job.zip", "w") as archive:
        archive.write(film.folder / "annotations.xml", "annotations.xml")
        archive.writestr("images/frame_000000.PNG", b"")
    film("import", "clip.mp4", "job.zip")
    np.testing.assert_array_equal(imported(film)[0], two_objects())
    with zipfile.ZipFile(film.folder / "job.zip", "a") as archive:
        archive.writestr("../more.json", b"{}")
    assert "2 files of annotations" in film.fails("import", "clip.mp4", "job.zip", code=2).error
    assert not (film.folder.parent / "more.json").exists()


def test_json_that_would_fill_the_memory_is_refused(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film.folder / "masks.json"
    write(write_coco, path, AnnotatedClip("clip", SHAPE, LABELS), [two_objects()])
    with zipfile.ZipFile(film.folder / "job.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "annotations.json")
    for name in ("masks.json", "job.zip"):
        monkeypatch.setattr(json_files, "MOST_BYTES", path.stat().st_size)
        film("import", "clip.mp4", name)
        monkeypatch.setattr(json_files, "MOST_BYTES", path.stat().st_size - 1)
        before = film.files()
        ran = film.fails("import", "clip.mp4", name, code=2)
        assert f"{name}' has 0 MiB of JSON" in ran.error
        assert "several parts" in ran.hint
        assert film.files() == before


def test_a_damaged_zip_file_is_refused(film: CommandLine) -> None:
    text = b'{"images": [' + bytes(range(32, 127)) * 99
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        path = film.folder / "job.zip"
        with zipfile.ZipFile(path, "w", kind) as archive:
            archive.writestr("a.json", text)
        packed = bytearray(path.read_bytes())
        packed[45:60] = b"\xff" * 15
        path.write_bytes(packed)
        error = film.fails("import", "clip.mp4", path, code=2).error
        assert "packed in a way" in error or "cannot be unpacked" in error


def test_an_archive_that_would_fill_the_disk_is_refused(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film.folder / "job.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", "<annotations>" + " " * 9000)
    monkeypatch.setattr(formats, "_MOST_UNPACKED", 8000)
    unpacked: list[object] = []
    copy = formats._copy
    monkeypatch.setattr(formats, "_copy", lambda *given: unpacked.append(given))
    assert "two gigabytes" in film.fails("import", "clip.mp4", path, code=2).error
    assert not unpacked
    # what says that it is small is found out while it is unpacked
    monkeypatch.setattr(formats, "_copy", copy)
    packed = bytearray(path.read_bytes())
    at = packed.find(b"PK\x01\x02") + 24
    packed[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(packed)
    error = film.fails("import", "clip.mp4", path, code=2).error
    assert "two gigabytes" in error or "cannot be unpacked" in error


def test_what_is_wrong_in_an_archive_is_said_by_its_name(film: CommandLine) -> None:
    path = film.folder / "job.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("job/annotations.xml", "no XML")
    error = film.fails("import", "clip.mp4", path, code=2).error
    assert "job.zip: job/annotations.xml' is no XML" in error


def test_a_zip_file_that_is_cut_off_is_called_one(film: CommandLine) -> None:
    path = film.folder / "job.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", "[]" * 3000)
    path.write_bytes(path.read_bytes()[:2000])
    ran = film.fails("import", "clip.mp4", path, code=2)
    assert "is a ZIP file that is cut off" in ran.error


def test_pictures_without_numbers_are_taken_in_order_which_is_said(film: CommandLine) -> None:
    paint(film.folder / "one/mask.png", two_objects())
    # painted colours are no ids; who reads them is said
    assert "segment CLIP --masks" in film.fails("import", "clip.mp4", "one", code=2).hint
    save_palette_png(Path("one/mask.png"), two_objects(), Palette.davis())
    ran = film("import", "clip.mp4", "one")
    assert any("mask.png for frame 0" in note for note in ran.notes)
    np.testing.assert_array_equal(imported(film)[0], two_objects())


@pytest.mark.parametrize("form", ["coco", "cvat"])
def test_pictures_that_nobody_drew_on_are_no_references(form: str, film: CommandLine) -> None:
    names = [f"{index:03d}.png" for index in range(12)]
    masks = [two_objects() if index in (0, 8) else np.zeros(SHAPE, np.uint8) for index in range(12)]
    labels = {1: ObjectLabel("", "dog"), 2: ObjectLabel("", "person")}
    path = film.folder / f"drawn.{'json' if form == 'coco' else 'xml'}"
    write(
        write_coco if form == "coco" else write_cvat,
        path,
        AnnotatedClip("clip", SHAPE, labels),
        masks,
    )
    # as a labelling tool writes it: all pictures of the task, and nothing that only we know
    if form == "coco":
        data = json.loads(path.read_text(encoding="utf-8"))
        del data["info"], data["objects"]
        for image, name in zip(data["images"], names, strict=True):
            image["file_name"] = name
            del image["frame_number"]
        for one in data["annotations"]:
            del one["object_id"], one["track_id"], one["attributes"]
        path.write_text(json.dumps(data), encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'<attribute name="object_id">\d+</attribute>', "", text))
    ran = film("import", "clip.mp4", path, "--json")
    assert json.loads(ran.stdout)["frames"] == [0, 8]
    assert any("nothing is drawn on 10 of 12 pictures" in note for note in ran.notes)
    assert any("--empty takes them" in note for note in ran.notes)
    ran = film("import", "clip.mp4", path, "--empty", "--json")
    assert json.loads(ran.stdout)["frames"] == list(range(12))
    assert not ran.notes
    # asked for by its number, a frame is taken as it is
    ran = film("import", "clip.mp4", path, "--frame", "0", "--frame", "3", "--json")
    assert json.loads(ran.stdout)["frames"] == [0, 3]
    # files that follow objects through the clip have looked at every frame
    write(
        write_coco if form == "coco" else write_cvat,
        path,
        AnnotatedClip("clip", SHAPE, labels),
        masks,
    )
    assert json.loads(film("import", "clip.mp4", path, "--json").stdout)["frames"] == list(
        range(12)
    )


def test_youtube_vos_and_davis_are_told_apart(project: CommandLine) -> None:
    for form in ("youtube-vos", "davis"):
        project("export", "clip.mp4", "--format", form, "-o", form)
        found = json.loads(project("import", "clip.mp4", form, "--json").stdout)
        assert found["format"] == form
    # as data sets have them, without files of our own
    for path in ("youtube-vos/meta.json", "davis/objects.json"):
        Path(path).unlink()
    shutil.rmtree("davis/ImageSets")
    for form in ("youtube-vos", "davis"):
        found = json.loads(project("import", "clip.mp4", form, "--json").stdout)
        assert found["format"] == form


def test_whatever_is_wrong_with_a_file_there_is_a_hint(film: CommandLine) -> None:
    path = film.folder / "a.json"
    for text in (
        '{"images": 3}',
        '{"images": [3], "annotations": [], "categories": []}',
        '{"videos": [], "annotations": 5}',
        '[{"segmentations": 3}]',
        '[{"annotations": {}}]',
    ):
        path.write_text(text)
        assert film.fails("import", "clip.mp4", path, code=2).hint


def test_masks_of_a_smaller_copy_of_the_clip_are_scaled_and_of_another_aspect_refused(
    film: CommandLine,
) -> None:
    small, tall = np.ascontiguousarray(two_objects()[::2, ::2]), np.ones((96, 64), np.uint8)
    path = film.folder / "a.json"
    write(write_coco, path, AnnotatedClip("x", (32, 48)), [small])
    film("import", "clip.mp4", path)
    np.testing.assert_array_equal(imported(film)[0][::2, ::2], small)
    write(write_coco, path, AnnotatedClip("x", (96, 64)), [tall])
    refused = film.fails("import", "clip.mp4", path, code=2)
    assert "is 64×96, the clip is 96×64" in refused.error
    # what was imported before stays
    np.testing.assert_array_equal(imported(film)[0][::2, ::2], small)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("export", "clip.mp4", "--format", "kitti"), "unknown format 'kitti'"),
        (("export", "clip.mp4", "--format", "masks"), "unknown format 'masks'"),
        (("export", "clip.mp4", "-o", "clip.mp4"), "would replace the clip"),
        (("export", "clip.mp4", "--format", "davis", "-o", "workspace/clip/masks"), "the masks"),
        (("export", "clip.mp4", "--format", "mots", "-o", "workspace/clip"), "is left alone"),
        (("import", "clip.mp4", "nothing.json"), "there is no file or folder 'nothing.json'"),
        (("import", "clip.mp4", "mask.png"), "is of no format that is known here"),
        (("import", "clip.mp4", "mask.png", "--format", "x"), "unknown format 'x'"),
        (("import", "clip.mp4", "mask.png", "--format", "coco"), "is no JSON"),
        (("import", "clip.mp4", "clip.mp4", "--format", "cvat"), "is no XML"),
        (("import", "clip.mp4", "workspace/clip/masks", "--frame", "1"), "has no mask of frame 1"),
        (("import", "nothing.mp4", "workspace/clip/masks"), "there is no clip"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], error: str, project: CommandLine
) -> None:
    before = project.files()
    ran = project.run(*arguments)
    assert ran.code in (1, 2)
    assert error in ran.error
    assert "Traceback" not in ran.stderr
    assert project.files() == before


def test_a_clip_without_masks_cannot_be_exported(film: CommandLine) -> None:
    assert "has no masks yet" in film.fails("export", "clip.mp4", code=2).error


def test_a_file_that_shows_nothing_is_refused(film: CommandLine) -> None:
    path = film.folder / "a.json"
    write(write_coco, path, AnnotatedClip("x", SHAPE), [np.zeros(SHAPE, np.uint8)])
    assert "shows no object" in film.fails("import", "clip.mp4", path, code=2).error
    assert not (film.folder / "workspace").exists()


def test_python_does_the_same(project: CommandLine) -> None:
    written = vfx_matte.export_masks("clip.mp4", format="davis", output="davis")
    assert written.path == Path("davis")
    found = vfx_matte.import_masks("clip.mp4", "davis", frames=[4])
    assert found.segment_command == (
        'vfx_matte.segment("clip.mp4", masks="workspace/clip/imported", mask=["2=mask.png"],'
        " start=2, stop=10, update=True)"
    )
    np.testing.assert_array_equal(imported(project)[4], project.mask(4))
    with pytest.raises(MaskError, match="there is no file"):
        vfx_matte.import_masks("clip.mp4", "nothing")


def test_every_format_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")
    for name in {*READ, *WRITTEN}:
        assert f"| `{name}` |" in page


def test_masks_of_another_clip_are_taken_with_a_word_about_it(project: CommandLine) -> None:
    project("export", "clip.mp4", "--format", "davis", "-o", "davis")
    ran = project("import", "clip.mp4", "davis")
    assert not [note for note in ran.notes if "gets its masks" in note]
    shutil.copy("clip.mp4", "other.mp4")
    ran = project("import", "other.mp4", "davis")
    assert "davis is of 'clip', and 'other' gets its masks" in ran.notes
