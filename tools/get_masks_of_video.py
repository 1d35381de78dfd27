"""The old `tools/get_masks_of_video.py`, which ran VisTR, still works from a checkout: finds the
objects of a clip, and leaves result.json and pictures of masks where it left them.

`vfx-matte detect` does the work, with its own models and in its own workspace. What has no meaning
any more is named and passed over. --fresh, --resume, --device, --config, --workspace, --source,
--model and --quiet are those of `vfx-matte`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from vfx_matte.annotations.json_files import read_json
from vfx_matte.annotations.png_folders import other_than_masks
from vfx_matte.cli import main
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import MaskError, OutputError, UsageError, VfxMatteError
from vfx_matte.files.atomic import atomic_folder, atomic_path
from vfx_matte.pipeline.clip import find_clip
from vfx_matte.pipeline.detect.results import MASKS, RESULT
from vfx_matte.printable import printable
from vfx_matte.settings import ini
from vfx_matte.workspace import ClipWorkspace, Workspace

WITHOUT_MEANING = {
    "masks": "masks are always made",
    "model_path": "other models are used, the best that can run here",
    "backbone": "other models are used, the best that can run here",
    "img_path": "the clip is read as it is, and no pictures of it are written",
    "ann_path": "the clip is read as it is, and no list of pictures is needed",
    "input_json_path": "the clip is read as it is, and no list of pictures is needed",
}
"""Option of the old script → why nothing is done with it."""

_PASSED_ON = ("device", "config", "workspace", "source", "model")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "none", "")


class _Parser(argparse.ArgumentParser):
    """Tells of what it does not understand as all other errors are told."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see {self.prog} --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="get_masks_of_video.py",
        allow_abbrev=False,
        description="Find the objects of a clip, by the options of the script that ran VisTR.",
    )
    parser.add_argument("--mp4_clip_path", metavar="CLIP", help="the clip")
    # the old script's; of detect it is 0.5
    parser.add_argument("--threshold", default="0.8", help="least score of an object (0.8)")
    parser.add_argument(
        "--masks_color", nargs="?", const="True", default="True", metavar="True|False",
        help="a colour per class, or white",
    )  # fmt: skip
    parser.add_argument(
        "--clean", nargs="?", const="True", default="False", metavar="True|False",
        help="start again; earlier work is kept as *.previous",
    )  # fmt: skip
    parser.add_argument("--save_path", default="result.json", metavar="FILE", help="result.json")
    parser.add_argument(
        "--masks_results_path", default="data/result_masks", metavar="DIR",
        help="pictures of masks (data/result_masks)",
    )  # fmt: skip
    parser.add_argument("--masks", action="store_true", help="no meaning any more")
    for name in WITHOUT_MEANING:
        if name != "masks":
            parser.add_argument(f"--{name}", help="no meaning any more")
    parser.add_argument("--fresh", action="store_true", help="as --clean True")
    # with a value it is the checkpoint of the training that the old script was made of
    parser.add_argument("--resume", nargs="?", const=True, help="go on where a run stopped")
    for name in _PASSED_ON:
        parser.add_argument(f"--{name}", help="as vfx-matte detect")
    parser.add_argument("-q", "--quiet", action="store_true", help="as vfx-matte detect")
    return parser


def _is_true(name: str, text: str) -> bool:
    """What a text means; the old script took every one but the empty one for True."""
    if text.strip().lower() not in _TRUE + _FALSE:
        raise UsageError(f"--{name} is {text!r}", hint="it is True or False")
    return text.strip().lower() in _TRUE


def _own_folder(given: argparse.Namespace) -> ClipWorkspace:
    """The clip's folder in the workspace."""
    paths = ini.load(None if given.config is None else Path(given.config)).paths
    paths = paths.overridden(
        workspace=given.workspace and Path(given.workspace),
        source=given.source and Path(given.source),
    )
    clip = find_clip(
        Path(given.mp4_clip_path), source=paths.source, workspace=paths.workspace, default=None
    )
    return Workspace(paths.workspace).clip(clip)


def _refuse_other_file(path: Path) -> None:
    """Raise OutputError for a file that is no result of this script, old or new."""
    if not path.is_file():
        return  # a folder is refused where the file is made
    try:
        found = read_json(path)
    except MaskError:
        found = None
    is_result = isinstance(found, list) and all(
        isinstance(entry, dict) and "segmentations" in entry for entry in found
    )
    if not is_result:
        raise OutputError(
            f"{str(path)!r} is no result of this script and is left alone",
            hint="choose another --save_path",
        )


def _detect(given: argparse.Namespace, output: Path, *, white: bool, fresh: bool) -> None:
    """Run `vfx-matte detect`; SystemExit where it fails."""
    arguments = ["detect", given.mp4_clip_path, f"--threshold={given.threshold}", "-o", str(output)]
    for name in _PASSED_ON:
        value = getattr(given, name)
        arguments += [] if value is None else [f"--{name}={value}"]
    switches = {
        "--white": white,
        "--fresh": fresh,
        "--resume": given.resume is True,
        "--quiet": given.quiet,
    }
    sys.argv[1:] = [*arguments, *(flag for flag, is_on in switches.items() if is_on)]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


def _run(given: argparse.Namespace, unknown: list[str], notify: Callable[[str], None]) -> None:
    if not given.mp4_clip_path:
        raise UsageError("no clip is given", hint="name it with --mp4_clip_path CLIP")
    # 1. what the options mean now
    is_colored = _is_true("masks_color", given.masks_color)
    fresh = _is_true("clean", given.clean) or given.fresh
    for name, why in WITHOUT_MEANING.items():
        value = getattr(given, name)
        if value:
            notify(f"--{name}{'' if value is True else f' {value}'} has no meaning here: {why}")
    if not is_colored:
        notify(
            f"--masks_color {given.masks_color}: masks are white; the old script took every text"
            " for True"
        )
    if given.resume not in (None, True):
        unknown = [*unknown, "--resume", given.resume]
    if unknown:
        notify(f"passed over, as nothing here is called so: {' '.join(unknown)}")
    # 2. where results go is found out before the clip is looked at
    result, pictures = Path(given.save_path), Path(given.masks_results_path)
    if pictures.resolve() in result.resolve().parents:
        raise UsageError(
            f"{str(result)!r} lies in the folder of masks, which is replaced as a whole",
            hint="choose another --save_path or --masks_results_path",
        )
    own = _own_folder(given)
    detected = own.detected_folder
    # pictures take the place of a whole folder: of imported masks, say
    if own.folder.resolve() in (pictures.resolve(), *pictures.resolve().parents):
        raise UsageError(
            f"{str(pictures)!r} is in the workspace of the clip, where masks are kept anyway",
            hint="choose another --masks_results_path",
        )
    _refuse_other_file(result)
    with (
        atomic_path(result) as new_result,
        atomic_folder(pictures, foreign_file=other_than_masks) as new_pictures,
    ):
        _detect(given, detected, white=not is_colored, fresh=fresh)
        # 3. both appear when all of it is there
        shutil.copyfile(detected / RESULT, new_result)
        # where nothing was found the folder may hold what an earlier run found
        if read_json(new_result):
            for path in (detected / MASKS).glob("*.png"):
                shutil.copyfile(path, new_pictures / path.name)
    for made in (result, pictures):
        print(printable(str(made) if given.quiet else f"written: {made}"))


def _run_told() -> None:
    """Run with the arguments of the command line, and exit."""
    try:
        given, unknown = _parser().parse_known_args()

        def notify(line: str) -> None:
            if not given.quiet:
                print(f"note: {printable(line)}", file=sys.stderr)

        _run(given, unknown, notify)
    except VfxMatteError as error:
        error.spell(as_typed)
        print(f"error: {printable(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"hint: {printable(error.hint)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    _run_told()
