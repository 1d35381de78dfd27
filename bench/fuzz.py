"""Hands the program damaged files, wrong options and sudden deaths, and counts what it must never
do. Linux only.

    python bench/fuzz.py --count 10000 --jobs 2            # damaged inputs of every kind
    # SIGKILL, SIGINT, SIGTERM and full disks at random moments
    python bench/fuzz.py --kills 200
    python bench/fuzz.py --kind clip --only 1234 --keep k  # one input again, kept in k/

Every input is made from a seed, so a line of the report makes it again. The program is imported
once; each input runs in a forked process with limits of its own on time and memory. Printed is a
table in Markdown, one line for each kind of input.

Faults: traceback (an unexpected error), crash (ended by a signal), hang (longer than the limit),
memory (more than the bound), exit code (another than 0, 1, 2, or failed without an error line),
half file (a new file under a final name after a failure), left over (a temporary file), changed
(what was there before is another now), not whole (exit code 0, but `verify` refuses it), not the
same (after a kill and --resume, other bytes than of an undisturbed run).
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import io
import json
import math
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["VFX_MATTE_FETCH"] = "never"  # nothing is fetched from anywhere

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

import vfx_matte
from vfx_matte import cli
from vfx_matte.masks import Palette
from vfx_matte.pipeline.segment import driver_inputs
from vfx_matte.workspace import save_mask

WIDTH, HEIGHT, FRAMES = 64, 48, 6
MEMORY_BYTES = 1536 * 2**20
"""More resident memory than this is a fault."""
ADDRESS_BYTES = 8 * 2**30
HANG_SECONDS = 60.0
RENDERS = ("greenback", "alpha", "maskvideo", "overlay")
LEFT_OVER = re.compile(r"(^|/)\.vfx-matte-[^/]*\.part|\.part(/|$)")
FAULTS = (
    "traceback",
    "crash",
    "hang",
    "memory",
    "exit code",
    "half file",
    "left over",
    "changed",
    "not whole",
    "not the same",
)

Gray = npt.NDArray[np.uint8]


# ---------------------------------------------------------------- running


@dataclass
class Ran:
    """How a command ended. code: negative for a signal; None after the time limit."""

    arguments: list[str]
    code: int | None
    text: str
    memory_bytes: int


def run(
    folder: Path,
    arguments: Sequence[str],
    *,
    seconds: float = HANG_SECONDS,
    before: Callable[[], None] | None = None,
) -> Ran:
    """Run one command in a forked process in `folder`."""
    with tempfile.TemporaryFile() as output:
        child = start(folder, arguments, output.fileno(), before=before)
        status, usage, deadline = None, None, time.monotonic() + seconds
        pause = 0.002
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(child, os.WNOHANG)
            if pid:
                break
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        else:
            os.kill(child, signal.SIGUSR1)  # says where it hangs
            time.sleep(1)
            os.kill(child, signal.SIGKILL)
            _, _, usage = os.wait4(child, 0)
            status = None
        output.seek(0)
        text = output.read().decode(errors="replace")
    code = None if status is None else os.waitstatus_to_exitcode(status)
    return Ran(list(arguments), code, text, usage.ru_maxrss * 1024 if usage else 0)


def start(
    folder: Path, arguments: Sequence[str], output: int, *, before: Callable[[], None] | None = None
) -> int:
    """Begin a command in a forked process; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.register(signal.SIGUSR1, file=os.dup(2), all_threads=True)
        sys.argv = ["vfx-matte", *arguments]
        if before is not None:
            before()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:  # noqa: BLE001  this is what is looked for
        with contextlib.suppress(Exception):
            os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(code)


# ---------------------------------------------------------------- material


def picture(index: int) -> Gray:
    """A textured frame with a bright square that moves: uint8 (HEIGHT, WIDTH, 3)."""
    ground = np.random.default_rng(7).integers(60, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    ground[12 + index : 32 + index, 16 + index : 40 + index] = (230, 200, 40)
    return ground


def write_clip(
    path: Path,
    codec: str,
    pixel_format: str,
    *,
    frames: int = FRAMES,
    audio: str | None = None,
    options: dict[str, str],
) -> None:
    """A small clip by PyAV alone."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.thread_count = 1
        sound: Any = container.add_stream(audio, rate=48000) if audio else None
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            tone = (np.sin(np.arange(48000 * frames // 25) / 20)[None] * 8000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate = 48000
            resampler = av.AudioResampler(
                format=sound.format.name, layout=sound.layout.name, rate=48000
            )
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))


CLIPS: dict[str, tuple[str, str, str | None, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", "aac", {"preset": "ultrafast"}),
    "h264.mov": ("libx264", "yuv420p", "pcm_s16le", {"preset": "ultrafast", "bf": "2"}),
    "ffv1.mkv": ("ffv1", "yuv422p10le", "flac", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", "pcm_s16le", {}),
    "mpeg2.ts": ("mpeg2video", "yuv420p", "mp2", {}),
    "prores.mov": ("prores_ks", "yuv422p10le", None, {}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", None, {}),
    "h264.flv": ("libx264", "yuv420p", None, {"preset": "ultrafast"}),
    "qtrle.mov": ("qtrle", "rgb24", None, {}),
}
MASKS = ("mask.png", "mask.gif", "mask.tif", "mask.jpg", "mask.bmp", "mask.webp")


def ids() -> Gray:
    """A mask of one object."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[12:32, 16:40] = 1
    return mask


def prepare(base: Path) -> None:
    """Make what inputs are derived from; in a process of its own, so that nobody is forked with
    threads running.
    """
    (base / "clips").mkdir(parents=True)
    for name, (codec, pixel_format, audio, options) in CLIPS.items():
        with contextlib.suppress(av.FFmpegError, ValueError):
            write_clip(base / "clips" / name, codec, pixel_format, audio=audio, options=options)
    painted = Image.fromarray(ids() * np.uint8(255))
    (base / "masks").mkdir()
    for name in MASKS:
        painted.save(base / "masks" / name)
    colors = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colors[4:20, 4:30], colors[24:44, 30:60] = (255, 0, 0), (0, 255, 0)
    Image.fromarray(colors).save(base / "masks" / "colors.png")
    Image.fromarray(ids().astype(np.uint16) * 60000).save(base / "masks" / "deep.png")
    sequence = base / "sequence"
    sequence.mkdir()
    for index in range(4):
        Image.fromarray(picture(index)).save(sequence / f"plate.{index + 1:04d}.png")
    project = base / "project"
    project.mkdir()
    shutil.copy(base / "clips" / "h264.mp4", project / "clip.mp4")
    save_mask(project / "m.png", ids(), Palette.davis())
    save_mask(project / "m4.png", np.roll(ids(), 4), Palette.davis())


def finish(base: Path) -> None:
    """Segment and render the project, by the program itself."""
    project = base / "project"
    for arguments in (
        ("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake", "--soft", "-q"),
        ("greenback", "-q"),
        ("maskvideo", "-q"),
    ):
        ran = run(project, arguments, seconds=120)
        if ran.code != 0:
            raise SystemExit(f"cannot prepare: {ran.arguments} ended with {ran.code}\n{ran.text}")
    made = run(base, ("config",), seconds=60)
    (base / "config.ini").write_text(made.text, encoding="utf-8")
    weights = Path(vfx_matte.__file__).parent / "weights" / "weights.toml"
    shutil.copy(weights, base / "weights.toml")


# ---------------------------------------------------------------- mutations


def damage(data: bytes, chance: random.Random, *, donors: Sequence[bytes] = ()) -> bytes:
    """Bytes with one to four faults: flipped, cut, doubled, moved, overwritten, spliced with
    another file.
    """
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        size = len(changed)
        if size < 2:
            break
        at, length = chance.randrange(size), min(size, 2 ** chance.randint(0, 9))
        way = chance.randrange(9)
        if way <= 1:
            for _ in range(chance.choice((1, 1, 2, 8, 32))):
                changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
        elif way == 2:
            del changed[at:]
        elif way == 3:
            del changed[at : at + length]
        elif way == 4:
            changed[at:at] = changed[at : at + length]
        elif way == 5:
            changed[at : at + length] = chance.choice((b"\0", b"\xff")) * length
        elif way == 6:
            changed[at : at + 4] = chance.choice(
                (
                    b"\xff\xff\xff\xff",
                    b"\x7f\xff\xff\xff",
                    b"\0\0\0\0",
                    b"\0\0\0\x01",
                    b"\x80\0\0\0",
                )
            )
        elif way == 7 and donors:
            other = chance.choice(donors)
            changed[at:] = other[chance.randrange(len(other)) :]
        else:
            there = chance.randrange(size)
            changed[at : at + length], changed[there : there + length] = (
                changed[there : there + length],
                changed[at : at + length],
            )
    return bytes(changed)


def swap_boxes(data: bytes, chance: random.Random) -> bytes:
    """An MP4 with its top boxes in another order, one of them doubled or left out."""
    boxes, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            break
        boxes.append(data[at : at + size])
        at += size
    if len(boxes) < 2:
        return data
    way = chance.randrange(3)
    if way == 0:
        chance.shuffle(boxes)
    elif way == 1:
        boxes.insert(chance.randrange(len(boxes)), chance.choice(boxes))
    else:
        boxes.pop(chance.randrange(len(boxes)))
    return b"".join(boxes)


NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "5",
    "0.5",
    "1e9",
    "-1e9",
    "1e308",
    "nan",
    "inf",
    "-inf",
    "99999999999999999999",
    "1/0",
    "1/3",
    "",
    " ",
    "0x10",
    "٣",
    "1_0",
    "1,5",
    "+3",
    "2s",
    "-2s",
    "1e-9",
    "100%",
    "NaN",
    "3.0",
    "1e400",
    "00000012",
)
TEXTS = (
    "",
    " ",
    "a",
    "ü",
    "\u202e",
    "a\nb",
    "\x1b[31m",
    "\x07",
    "日本語",
    "%s",
    "%d",
    "%99999999d",
    "{}",
    "$(id)",
    "`id`",
    "'",
    '"',
    "\\",
    "a b",
    ";",
    "--",
    "-",
    "-x",
    "..",
    ".",
    "~",
    "CON",
    "🎬",
    "e\u0301",
    "\ufeff",
    "#fff",
    "#00ff00",
    "green",
    "auto",
    "red",
    "1,2,3,4",
    "0=m.png",
    "0=",
    "=m.png",
    "9999=m.png",
    "1,2",
    "5%",
    "rgb",
    "builtin",
    "fake",
    "\udce9",
    "a" * 300,
)
PATHS = (
    "clip.mp4",
    "m.png",
    "nothing.mp4",
    "",
    ".",
    "workspace",
    "workspace/clip",
    "a/b/c.mp4",
    "out.mp4",
    "out.mov",
    "out.mkv",
    "out.png",
    "out",
    "frames/",
    "x.%04d.png",
    "%d.png",
    "o\nut.mp4",
    "ü.mp4",
    "-o.mp4",
    "/proc/nothing.mp4",
    "m.png/x.mp4",
    "clip.mp4/",
    "out.xyz",
    "out.webm",
    "out.exr",
    "m4.png",
    "link",
    "\udce9.mp4",
    "http://127.0.0.1:9/x.mp4",
    "concat:clip.mp4",
    "a" * 260 + ".mp4",
)


def mutate_text(text: str, chance: random.Random) -> str:
    """A text file (INI, JSON, TOML) with a few values, lines or characters changed."""
    for _ in range(chance.randint(1, 3)):
        way = chance.randrange(7)
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        if way == 0:
            places = list(re.finditer(r"-?\d+(\.\d+)?|true|false|null|\"[^\"\n]*\"", text))
            if places:
                place = chance.choice(places)
                new = chance.choice(
                    (
                        *NUMBERS,
                        "null",
                        "[]",
                        "{}",
                        '""',
                        "true",
                        '"' + chance.choice(TEXTS) + '"',
                        "[" * 2000,
                    )
                )
                text = text[: place.start()] + new + text[place.end() :]
        elif way == 1:
            text = "\n".join([*lines[:at], *lines[at + 1 :]])
        elif way == 2:
            text = "\n".join([*lines[:at], lines[at], *lines[at:]])
        elif way == 3 and lines[at].startswith(("#", ";")):
            lines[at] = lines[at].lstrip("#; ")
            text = "\n".join(lines)
        elif way == 4:
            place_ = chance.randrange(len(text) + 1)
            text = text[:place_] + chance.choice(TEXTS) + text[place_:]
        elif way == 5:
            text = text[: chance.randrange(len(text) + 1)]
        else:
            options = [
                number for number, line in enumerate(lines) if re.match(r"^[#; ]*\w+ *=", line)
            ]
            if options:
                number = chance.choice(options)
                name = lines[number].lstrip("#; ").split("=")[0]
                lines[number] = f"{name}= {chance.choice((*NUMBERS, *TEXTS, *PATHS))}"
                text = "\n".join(lines)
        if not text:
            break
    return text


def mutate_json(text: str, chance: random.Random) -> str:
    """Well-formed JSON with some values replaced, removed or of another type."""
    data = json.loads(text)

    def spots(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
        pairs = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for key, one in list(pairs):
            yield value, key
            yield from spots(one)

    for _ in range(chance.randint(1, 3)):
        places = list(spots(data))
        if not places:
            break
        holder, key = chance.choice(places)
        new: Any = chance.choice(
            (
                None,
                True,
                -1,
                0,
                1,
                2**31,
                2**70,
                1e308,
                0.5,
                float("nan"),
                "",
                "x",
                "../../x",
                [],
                {},
                [[0, 9]],
                [0, 10**9],
                {"a": 1},
                "1/0",
                *TEXTS,
            )
        )
        if chance.random() < 0.25:
            del holder[key]
        else:
            holder[key] = new
    return json.dumps(data)


# ---------------------------------------------------------------- kinds of inputs


@dataclass
class Case:
    """One input: its folder, where commands run, and what they are."""

    folder: Path
    base: Path
    chance: random.Random
    commands: list[list[str]] = field(default_factory=list)

    def project(self) -> None:
        """Start from the finished project."""
        shutil.copytree(self.base / "project", self.folder, dirs_exist_ok=True)


def damaged_file(source: Path, chance: random.Random, siblings: Sequence[Path]) -> bytes:
    """The bytes of a file with faults; parts of its siblings may be in it."""
    data = source.read_bytes()
    if source.suffix in (".mp4", ".mov") and chance.random() < 0.15:
        return swap_boxes(data, chance)
    return damage(
        data,
        chance,
        donors=[path.read_bytes() for path in chance.sample(list(siblings), min(2, len(siblings)))],
    )


def clip_case(case: Case) -> None:
    """A clip that is damaged: looked at, segmented, rendered."""
    chance, clips = case.chance, sorted((case.base / "clips").iterdir())
    source = chance.choice(clips)
    name = f"c{source.suffix}"
    (case.folder / name).write_bytes(damaged_file(source, chance, clips))
    shutil.copy(case.base / "masks" / "mask.png", case.folder / "m.png")
    first = chance.choice(
        (
            ["probe", name],
            ["probe", name, "--json"],
            ["frame", name, "--at", "1", "-o", "still.png"],
            ["mask", name, "--box", "16,12,24,20", "-o", "made.png"],
            ["mask", name, "--fg", "24,20", "--bg-stroke", "2,2 40,3", "--at", "1"],
            ["conform", name, "--for", "premiere"],
            ["verify", name, "--source", name],
        )
    )
    case.commands = [first] if chance.random() < 0.35 else []
    if len(case.commands) == 0:
        carrier = chance.choice(("fake", "fake", "builtin"))
        case.commands.append(["segment", name, "--first-mask", "m.png", "--propagator", carrier])
        render = chance.choice(
            (
                ["greenback"],
                ["alpha"],
                ["maskvideo"],
                ["overlay"],
                ["package", "--for", "premiere"],
                ["conform", name],
                ["qc"],
            )
        )
        case.commands.append(render)


def mask_case(case: Case) -> None:
    """A mask file that is damaged, or something else than its name says."""
    chance, masks = case.chance, sorted((case.base / "masks").iterdir())
    source = chance.choice(masks)
    name = f"m{chance.choice((source.suffix, source.suffix, source.suffix, '.png'))}"
    shutil.copy(case.base / "project" / "clip.mp4", case.folder / "clip.mp4")
    (case.folder / name).write_bytes(damaged_file(source, chance, masks))
    if chance.random() < 0.2:
        marks = chance.choice(
            (["--fg", "30,20"], ["--bg", "20,20"], ["--auto"], ["--box", "16,12,24,20"])
        )
        place = chance.choice((["-o", "made.png"], ["-o", name] if name.endswith(".png") else []))
        numbered = ["--object", str(chance.randint(1, 3))] if chance.random() < 0.7 else []
        case.commands = [["mask", "clip.mp4", "--from", name, *marks, *numbered, *place]]
        return
    way = ["--first-mask", name] if chance.random() < 0.7 else ["--mask", f"3={name}"]
    case.commands = [
        [
            "segment",
            "clip.mp4",
            *way,
            "--propagator",
            "fake",
            *chance.choice(([], ["--colors"], ["--soft"])),
        ]
    ]


def sequence_case(case: Case) -> None:
    """A folder of pictures with odd names, gaps, sizes, damaged files."""
    chance, pictures = case.chance, sorted((case.base / "sequence").iterdir())
    folder = case.folder / chance.choice(("seq", "se q", "sé", "se%d", "-seq"))
    folder.mkdir()
    pattern, shown = chance.choice(
        (
            ("plate.{:04d}.png", "plate.%04d.png"),
            ("{}.png", "%d.png"),
            ("a{:03d}b.png", "a%03db.png"),
            ("p_{:07d}.PNG", "p_%07d.PNG"),
            ("x{:02d}.jpg", "x%02d.jpg"),
            ("t-{:02d}.tif", "t-%02d.tif"),
        )
    )
    first = chance.choice((0, 1, 1, 1001, 99998))
    for number, source in enumerate(pictures, start=first):
        target = folder / pattern.format(number)
        if chance.random() < 0.08:
            continue
        if chance.random() < 0.08:
            Image.fromarray(np.zeros((chance.choice((1, 47, 48, 500)), 64, 3), np.uint8)).save(
                target
            )
        else:
            Image.open(source).save(target)
        if chance.random() < 0.1:
            target.write_bytes(damage(target.read_bytes(), chance))
    for _ in range(chance.randrange(3)):
        way = chance.randrange(4)
        if way == 0:
            (
                folder
                / chance.choice(
                    (
                        ".DS_Store",
                        "Thumbs.db",
                        "notes.txt",
                        "plate.png",
                        "x.0001.exr",
                        "9" * 30 + ".png",
                    )
                )
            ).write_bytes(b"x")
        elif way == 1:
            with contextlib.suppress(OSError):
                (folder / "plate.0002.png").unlink(missing_ok=True)
                (folder / "plate.0002.png").mkdir()
        elif way == 2:
            with contextlib.suppress(FileExistsError):
                (folder / "plate.0009.png").symlink_to("nowhere.png")
        else:
            with contextlib.suppress(OSError):
                shutil.copy(pictures[0], folder / "plate.00001.png")
    shutil.copy(case.base / "masks" / "mask.png", case.folder / "m.png")
    shown = shown if chance.random() < 0.9 else "plate.%04d.png"
    clip = chance.choice((folder.name, f"{folder.name}/{shown}"))
    rate = (
        ["--fps", chance.choice(("24", "24", "24", "30000/1001", chance.choice(NUMBERS)))]
        if chance.random() < 0.9
        else []
    )
    segment = ["segment", *rate, "--first-mask", "m.png", "--propagator", "fake", "--", clip]
    case.commands = chance.choice(
        (
            [["probe", "--", clip]],
            [segment],
            [segment, ["greenback"]],
            [segment, ["alpha", "-o", "frames"]],
        )
    )


def config_case(case: Case) -> None:
    """A config.ini with other values."""
    case.project()
    text = mutate_text((case.base / "config.ini").read_text(encoding="utf-8"), case.chance)
    (case.folder / "config.ini").write_bytes(text.encode(errors="surrogateescape"))
    case.commands = [
        case.chance.choice(
            (
                ["probe", "clip.mp4"],
                ["greenback"],
                ["config"],
                ["maskvideo"],
                ["formats"],
                ["segment", "clip.mp4", "--resume", "--first-mask", "m.png"],
                ["suggest", "clip.mp4"],
                ["package", "--for", "web"],
                ["conform", "clip.mp4"],
                ["alpha"],
            )
        )
    ]


def manifest_case(case: Case) -> None:
    """A manifest.json that is damaged or lies."""
    case.project()
    path = case.folder / "workspace" / "clip" / "manifest.json"
    text, chance = path.read_text(encoding="utf-8"), case.chance
    way = chance.random()
    if way < 0.6:
        text = mutate_json(text, chance)
    elif way < 0.85:
        text = mutate_text(text, chance)
    path.write_bytes(
        text.encode(errors="surrogateescape") if way < 0.85 else damage(text.encode(), chance)
    )
    segment = ["segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake", "--soft"]
    case.commands = [
        chance.choice(
            (
                ["greenback"],
                ["greenback", "clip.mp4"],
                ["maskvideo"],
                ["qc"],
                ["overlay"],
                ["alpha"],
                ["suggest"],
                ["keytest"],
                ["conform"],
                ["package", "--for", "resolve"],
                [*segment, "--resume"],
                [*segment, "--update"],
                [*segment, "--fresh"],
                segment,
            )
        )
    ]


def weights_case(case: Case) -> None:
    """A table of weights that is damaged."""
    (case.folder / "model").mkdir()
    text = mutate_text((case.base / "weights.toml").read_text(encoding="utf-8"), case.chance)
    (case.folder / "model" / "weights.toml").write_bytes(text.encode(errors="surrogateescape"))
    if case.chance.random() < 0.5:
        (case.folder / "model" / "XMem.pth").write_bytes(damage(bytes(200), case.chance))
    case.commands = [
        case.chance.choice(
            (["weights", "list"], ["weights", "check"], ["weights", "check", "model/XMem.pth"])
        )
    ]


def workspace_case(case: Case) -> None:
    """Masks and soft results in a workspace that are damaged, gone, or of another size."""
    case.project()
    chance, masks = case.chance, case.folder / "workspace" / "clip" / "masks"
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(sorted(masks.rglob("*.png")))
        way = chance.randrange(6)
        if way == 0:
            path.unlink()
        elif way == 1:
            path.write_bytes(b"")
        elif way == 2:
            Image.fromarray(np.zeros((chance.choice((1, 480)), 64), np.uint8)).save(path)
        elif way == 3:
            Image.fromarray(np.full((HEIGHT, WIDTH), chance.choice((2, 200, 255)), np.uint8)).save(
                path
            )
        else:
            path.write_bytes(damage(path.read_bytes(), chance))
        if not any(masks.rglob("*.png")):
            break
    segment = [
        "segment",
        "clip.mp4",
        "--first-mask",
        "m.png",
        "--propagator",
        "fake",
        "--soft",
        "--resume",
    ]
    case.commands = [
        chance.choice(
            (
                ["greenback"],
                ["greenback", "--edges", "median"],
                ["maskvideo"],
                ["maskvideo", "--each-object"],
                ["qc"],
                ["overlay"],
                ["alpha"],
                ["alpha", "-o", "frames"],
                segment,
                ["package", "--for", "finalcut"],
                ["evaluate", "workspace/clip/masks", "workspace/clip/masks"],
            )
        )
    ]


def _pool(option: Any, chance: random.Random) -> Sequence[str]:  # noqa: ANN401  of typer, which is not typed here
    """Values to try for an option, by its annotation and by how its values are called in
    the help.
    """
    annotation = str(option.type_descriptor.annotation)
    if offered := (
        re.findall(r"[\w#]+", option.metavar or "")
        if "|" in (option.metavar or "") and chance.random() < 0.6
        else []
    ):
        return offered
    if "Path" in annotation:
        return PATHS
    if "int" in annotation or "float" in annotation:
        return NUMBERS
    return (*TEXTS, *NUMBERS, *PATHS)


def options_case(case: Case) -> None:
    """A command with odd values for its options."""
    case.project()
    (case.folder / "link").symlink_to("clip.mp4")
    chance = case.chance
    name, parameters, parents = chance.choice(COMMANDS)
    words: list[str] = [*parents, name]
    options = [
        one
        for one in parameters
        if one.param_type_name == "option" and "--help" not in one.opts and one.name != "workspace"
    ]
    for option in chance.sample(options, min(len(options), chance.randint(1, 3))):
        flag = chance.choice([*option.opts, *option.secondary_opts])
        words.append(flag)
        if not option.is_flag and not option.is_bool_flag:
            words.extend(chance.choice(_pool(option, chance)) for _ in range(max(1, option.nargs)))
    if name == "fetch":
        name = "list"
        words[:2] = ["weights", "list"]
    if name == "segment":
        words += ["--first-mask", "m.png", "--propagator", "fake", "--fresh"]
    for argument in (one for one in parameters if one.param_type_name == "argument"):
        usual = {"segment": "clip.mp4", "evaluate": "workspace/clip/masks"}.get(name, "clip.mp4")
        if argument.required or chance.random() < 0.5:
            words.append(usual if chance.random() < 0.7 else chance.choice(PATHS))
    case.commands = [words]


KINDS: dict[str, Callable[[Case], None]] = {
    "clip": clip_case,
    "mask": mask_case,
    "sequence": sequence_case,
    "config": config_case,
    "manifest": manifest_case,
    "weights": weights_case,
    "workspace": workspace_case,
    "options": options_case,
}
COMMANDS: list[tuple[str, list[Any], list[str]]] = []
# The demo takes a minute; the two servers run until Ctrl-C and have campaigns of their own
# (fuzz_serve.py, tests/web).
LEFT_OUT = {"demo", "serve", "studio"}


def load_all() -> None:
    """Import everything once, so that no forked process has to; also what the program imports only
    when it is needed.
    """
    left_out = re.compile(r"xmem|vitmatte|\.sam\.|closed_form|__main__")
    for module in pkgutil.walk_packages(vfx_matte.__path__, "vfx_matte."):
        if left_out.search(module.name):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # an extra that is not installed, as CVAT's kit
            if (error.name or "").startswith("vfx_matte"):
                raise
    for name in (
        "scenedetect",
        "opentimelineio",
        "tomlkit",
        "OpenEXR",
        "rich.progress",
        "rich.table",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    Image.init()
    usual = sys.argv
    sys.argv = ["vfx-matte", "formats"]  # parsing a command line imports, too
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main()
    sys.argv = usual


def read_commands() -> None:
    """Every command of the program with its parameters."""
    import typer

    program = typer.main.get_command(cli.program())

    def collect(group: Any, parents: list[str]) -> None:  # noqa: ANN401
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                collect(command, [*parents, name])
            elif name not in LEFT_OUT:
                COMMANDS.append((name, list(command.params), parents))

    collect(program, [])


# ---------------------------------------------------------------- judging


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file() and path.name != ".segment.lock":
            found[name] = hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()
    return found


def own_work(name: str, command: str) -> bool:
    """Whether a command may change this file although it fails: its own progress."""
    progress = ("/manifest.json", "/manifest.previous.json")
    working = ("/masks/", "/masks.previous/", "/.walks/")
    return command == "segment" and (
        name.endswith(progress) or any(part in f"/{name}" for part in working)
    )


def judge(
    ran: Ran, before: dict[str, str], after: dict[str, str], *, killed: bool = False
) -> list[str]:
    """The faults of one command, each as "kind: what"."""
    faults, command = [], next((word for word in ran.arguments if not word.startswith("-")), "")
    if ran.code is None:
        return [f"hang: {' '.join(ran.arguments)}\n{ran.text}"]
    if re.search(r"Traceback|error: unexpected|please report", ran.text):
        faults.append(
            "traceback: "
            + next((line for line in ran.text.splitlines()[::-1] if "rror" in line), "")[:200]
        )
    elif ran.code < 0:
        faults.append(f"crash: signal {signal.Signals(-ran.code).name}")
    elif ran.code not in (0, 1, 2):
        faults.append(f"exit code: {ran.code}")
    elif (
        ran.code
        and command not in ("verify", "qc", "evaluate", "keytest")
        and not re.search(r"^(Error|error)|╭─ Error|^Usage", ran.text, re.MULTILINE)
    ):
        faults.append(f"exit code: {ran.code} without an error line")
    if ran.memory_bytes > MEMORY_BYTES:
        faults.append(f"memory: {ran.memory_bytes / 2**20:.0f} MiB")
    left = [name for name in after if LEFT_OVER.search(name) and name not in before]
    if left and not killed and ran.code >= 0:
        faults.append(f"left over: {left[0]}")
    if ran.code:
        for name, digest in before.items():
            if after.get(name) != digest and not own_work(name, command):
                faults.append(f"changed: {name} is {'gone' if name not in after else 'another'}")
                break
        new = [
            name
            for name in after
            if name not in before and not LEFT_OVER.search(name) and not own_work(name, command)
        ]
        new = [
            name
            for name in new
            if "failed-verification" not in name and not name.endswith((".csv", ".json", ".html"))
        ]
        if new and command not in ("verify", "qc", "evaluate", "keytest", "suggest"):
            faults.append(f"half file: {new[0]}")
    return faults


def outputs_of(ran: Ran, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Videos that a successful render has written."""
    if ran.code != 0 or not ran.arguments or ran.arguments[0] not in RENDERS:
        return []
    return [
        name
        for name in after
        if after[name] != before.get(name) and name.endswith((".mp4", ".mov", ".mkv", ".webm"))
    ]


def try_input(
    base: Path, place: Path, kind: str, seed: int, number: int, *, tells: bool = False
) -> tuple[str, list[str], list[list[str]]]:
    """Make an input and run its commands: ("ok", "refused", "failed"), faults, commands."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    case = Case(place, base, random.Random(f"{seed} {kind} {number}"))
    KINDS[kind](case)
    faults: list[str] = []
    outcome = "ok"
    for command in case.commands:
        before = snapshot(place)
        words = [word.replace("\0", "") for word in command]
        ran = run(place, words)
        after = snapshot(place)
        faults += judge(ran, before, after)
        source = next(
            (
                word
                for word in case.commands[0]
                if os.path.lexists(place / word[:200]) and word.startswith(("c", "se", "-se"))
            ),
            "",
        )
        for output in outputs_of(ran, before, after)[:1] if not faults and source else ():
            checked = run(place, ["verify", output, "--source", source])
            if checked.code != 0:
                faults.append(f"not whole: {output}: {checked.text.strip().splitlines()[:1]}")
        if tells:
            print(f"{words} → {ran.code}\n{ran.text}", flush=True)
        if ran.code != 0:
            outcome = "refused" if ran.code == 2 else "failed"
            break
    return outcome, faults, case.commands


# ---------------------------------------------------------------- sudden deaths

KILL_FRAMES = 24
SEGMENT = (
    "segment",
    "clip.mp4",
    "--mask",
    "3=m.png",
    "--mask",
    "16=m13.png",
    "--propagator",
    "builtin",
    "--soft",
)
KILLED: dict[str, tuple[str, ...]] = {
    "segment": SEGMENT,
    "greenback": ("greenback", "--preset", "slow"),
    "maskvideo": ("maskvideo",),
    "package": ("package", "--for", "premiere"),
    "conform": ("conform", "clip.mp4", "--for", "premiere"),
}


def prepare_kills(base: Path) -> None:
    """A clip, two masks, an undisturbed run, and every output once."""
    project = base / "killed"
    project.mkdir()
    write_clip(
        project / "clip.mp4",
        "libx264",
        "yuv420p",
        frames=KILL_FRAMES,
        audio="aac",
        options={"preset": "ultrafast"},
    )
    save_mask(project / "m.png", np.roll(ids(), (3, 3), (0, 1)), Palette.davis())
    save_mask(project / "m13.png", np.roll(ids(), (16, 16), (0, 1)), Palette.davis())


def finish_kills(base: Path) -> dict[str, float]:
    """Run everything undisturbed, and see how long it takes."""
    seconds = {}
    for name, command in KILLED.items():
        if name == "greenback":
            shutil.copytree(base / "killed", base / "segmented")
        began = time.monotonic()
        ran = run(base / "killed", command, seconds=300)
        seconds[name] = time.monotonic() - began
        if ran.code != 0:
            raise SystemExit(f"cannot prepare: {command} ended with {ran.code}\n{ran.text}")
    return seconds


def masks_of(folder: Path) -> dict[str, str]:
    """The masks of a project."""
    return {
        name: digest
        for name, digest in snapshot(folder).items()
        if name.startswith("workspace/clip/masks/")
    }


def confidence_of(folder: Path) -> object:
    """What the manifest says of the masks."""
    manifest = json.loads((folder / "workspace/clip/manifest.json").read_text(encoding="utf-8"))
    return manifest["confidence"], manifest["done"]


@contextlib.contextmanager
def small_disk(place: Path, size_kib: int) -> Iterator[bool]:
    """A full disk: a small tmpfs at `place`, where root may have one."""
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def try_kill(
    base: Path, place: Path, seed: int, number: int, seconds: dict[str, float]
) -> tuple[str, str, list[str]]:
    """Kill a command at a random moment, one to three times, then let it end: (command, way,
    faults).
    """
    chance = random.Random(f"{seed} kill {number}")
    name = chance.choice(("segment", "segment", *KILLED))
    way = chance.choice(("SIGKILL", "SIGINT", "SIGTERM", "SIGKILL", "SIGINT", "SIGTERM", "ENOSPC"))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if way == "ENOSPC":
        return name, way, _fill_disk(base, place, name, chance)
    return name, way, _kill(base, place, name, getattr(signal, way), chance=chance, seconds=seconds)


def _fill_disk(base: Path, place: Path, name: str, chance: random.Random) -> list[str]:
    start_from = base / ("killed" if name != "segment" else "project_kill_bare")
    size = (
        sum(path.stat().st_size + 4096 for path in start_from.rglob("*") if path.is_file()) // 1024
    )
    with small_disk(place, size + chance.choice((16, 64, 128, 256, 512))) as mounted:
        if not mounted:
            return []
        shutil.copytree(start_from, place, dirs_exist_ok=True)
        before = snapshot(place)
        ran = run(place, KILLED[name], seconds=120)
        after = snapshot(place)
        faults = judge(ran, before, after)
        if ran.code == 1 and "full" not in ran.text:
            faults.append(
                f"exit code: the disk is full, but it says {ran.text.strip().splitlines()[-1:]}"
            )
        return faults


def _kill(
    base: Path,
    place: Path,
    name: str,
    how: signal.Signals,
    *,
    chance: random.Random,
    seconds: dict[str, float],
) -> list[str]:
    shutil.copytree(
        base / ("project_kill_bare" if name == "segment" else "killed"), place, dirs_exist_ok=True
    )
    before, faults = snapshot(place), list[str]()
    often = chance.random() < 0.7

    def prepare_child() -> None:
        if often:
            driver_inputs.STATE_SECONDS = 0.0

    for _ in range(chance.randint(1, 3)):
        command = going_on(place, name)
        code, text = _killed_once(
            place, command, how, after=chance.uniform(0, 1.1 * seconds[name]), before=prepare_child
        )
        if code is None:
            return [*faults, f"hang: {name} does not end after {how.name}"]
        if "Traceback" in text or "unexpected" in text:
            faults.append("traceback: " + text.strip().splitlines()[-1][:200])
        if code not in (0, 130, 143, -how) and not (code == 2 and "already holds" in text):
            faults.append(f"exit code: {code} after {how.name}: {text.strip().splitlines()[-1:]}")
        faults += _intact(base, place, name, how, before)
        if code == 0:
            break
    return faults + _gone_on(base, place, name, prepare_child)


def going_on(place: Path, name: str) -> list[str]:
    """The command, so that it goes on where there is something to go on with."""
    is_begun = name == "segment" and (place / "workspace/clip/manifest.json").exists()
    return [*KILLED[name], *(["--resume"] if is_begun else [])]


def _killed_once(
    place: Path,
    command: Sequence[str],
    how: signal.Signals,
    *,
    after: float,
    before: Callable[[], None],
) -> tuple[int | None, str]:
    """Begin a command, send it a signal, and wait for its end: exit code (None: it does not end)
    and what it said.
    """
    with tempfile.TemporaryFile() as output:
        child = start(place, command, output.fileno(), before=before)
        ended, status = _wait(child, after)
        if not ended:
            os.kill(child, how)
            ended, status = _wait(child, 60)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status) if ended else None, output.read().decode(
            errors="replace"
        )


def _wait(child: int, seconds: float) -> tuple[bool, int]:
    deadline, ended, status = time.monotonic() + seconds, 0, 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0 if ended else 0.001)
    return bool(ended), status


def _intact(
    base: Path, place: Path, name: str, how: signal.Signals, before: dict[str, str]
) -> list[str]:
    """Whether sources, masks and earlier outputs are as they were, and new outputs whole."""
    after, kept = snapshot(place), ["clip.mp4", "m.png", "m13.png"]
    if name != "segment":
        kept += list(masks_of(base / "killed"))
    faults = [f"changed: {one} after {how.name}" for one in kept if after.get(one) != before[one]][
        :1
    ]
    faults += [
        f"changed: {one} is gone after {how.name}"
        for one in before
        if one not in after and name != "segment"
    ][:1]
    if how is signal.SIGINT:
        faults += [f"left over: {one} after {how.name}" for one in after if LEFT_OVER.search(one)][
            :1
        ]
    for one in after:
        is_output = (
            one.startswith("workspace/clip/")
            and one.endswith((".mp4", ".mkv", ".mov"))
            and one.count("/") == 2
        )
        if is_output and after[one] != before.get(one):
            checked = run(place, ["verify", one, "--source", "clip.mp4"], seconds=60)
            faults += [f"half file: {one} after {how.name}"] if checked.code else []
    return faults


def _gone_on(base: Path, place: Path, name: str, prepare_child: Callable[[], None]) -> list[str]:
    """Let the command end; compare with what an undisturbed run has made."""
    faults = []
    last = run(place, going_on(place, name), seconds=120, before=prepare_child)
    if last.code != 0:
        faults.append(f"not the same: it cannot go on: {last.text.strip().splitlines()[-2:]}")
    faults += [
        f"left over: {one} after the next run" for one in snapshot(place) if LEFT_OVER.search(one)
    ][:1]
    if name == "segment" and not faults:
        mine, theirs = masks_of(place), masks_of(base / "killed")
        if mine != theirs:
            differ = [one for one in sorted({*mine, *theirs}) if mine.get(one) != theirs.get(one)]
            faults.append(f"not the same: {len(differ)} masks, the first is {differ[0]}")
        elif confidence_of(place) != confidence_of(base / "killed"):
            faults.append("not the same: the manifest")
    return faults


# ---------------------------------------------------------------- the whole


@dataclass
class Tally:
    """What came of the inputs of one kind."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def in_process(work: Callable[[], None]) -> None:
    """Run something in a forked process, so that the threads it starts stay there."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("the inputs could not be prepared")


def workers(jobs: int, work: Callable[[int], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """What `work(job)` yields in each of some forked processes."""
    ends: list[IO[str]] = []
    children = []
    for job in range(jobs):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                os.close(reader)
                for end in ends:
                    end.close()
                with os.fdopen(writer, "w", encoding="utf-8", errors="surrogateescape") as out:
                    for one in work(job):
                        out.write(json.dumps(one) + "\n")
                        out.flush()
                code = 0
            except BrokenPipeError:
                pass
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)
        children.append(child)
        ends.append(os.fdopen(reader, encoding="utf-8", errors="surrogateescape"))
    import selectors

    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    selector.unregister(key.fileobj)
                    continue
                yield json.loads(line)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("a worker died")


def main() -> int:
    """Fuzz, kill, print; exit code 1 when there was a fault."""
    parser = argparse.ArgumentParser(
        description="Hands the program damaged files and counts what it must never do."
    )
    parser.add_argument("--count", type=int, default=0, help="damaged inputs (0)")
    parser.add_argument("--kills", type=int, default=0, help="commands that are killed (0)")
    parser.add_argument(
        "--kind",
        action="append",
        choices=sorted(KINDS),
        help="only inputs of this kind; more than once",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything random (1)")
    parser.add_argument("--only", type=int, help="only the input of this number")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (as many as processors)"
    )
    parser.add_argument("--keep", type=Path, help="folder that failing inputs are kept in")
    options = parser.parse_args()
    if sys.platform != "linux":
        print("bench/fuzz.py needs Linux: it forks, limits and mounts")
        return 2
    if options.only is not None and not options.count and not options.kills:
        options.count = options.only + 1
    os.environ["COLUMNS"] = "200"
    load_all()
    read_commands()
    kinds = options.kind or list(KINDS)
    began, faulty = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="vfx-matte-fuzz-") as work:
        base = Path(work) / "base"
        in_process(lambda: prepare(base))
        finish(base)
        if options.count:
            faulty += fuzz(options, kinds, base, Path(work))
        if options.kills:
            in_process(lambda: prepare_kills(base))
            shutil.copytree(base / "killed", base / "project_kill_bare")
            faulty += kill(options, base, Path(work))
    print(f"\n{time.monotonic() - began:.0f} s, seed {options.seed}, {faulty} faulty")
    return 1 if faulty else 0


def fuzz(options: argparse.Namespace, kinds: list[str], base: Path, work: Path) -> int:
    """Damaged inputs; returns how many had a fault."""

    def job(index: int) -> Iterator[dict[str, Any]]:
        place = work / f"job{index}"
        numbers = (
            [options.only]
            if options.only is not None
            else range(index, options.count, options.jobs)
        )
        for number in numbers:
            kind = kinds[number % len(kinds)] if options.only is None else kinds[0]
            began = time.monotonic()
            outcome, faults, commands = try_input(
                base, place, kind, options.seed, number, tells=options.only is not None
            )
            if (faults or options.only is not None) and options.keep:
                kept = options.keep / f"{kind}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(place, kept, symlinks=True)
            yield {
                "kind": kind,
                "number": number,
                "outcome": outcome,
                "faults": faults,
                "commands": commands,
                "seconds": time.monotonic() - began,
            }

    tallies: dict[str, Tally] = {kind: Tally() for kind in kinds}
    for one in workers(1 if options.only is not None else options.jobs, job):
        tally = tallies[one["kind"]]
        tally.inputs += 1
        tally.outcomes[one["outcome"]] += 1
        tally.slowest = max(tally.slowest, one["seconds"])
        if one["faults"]:
            print(
                f"{one['kind']} {one['number']}: {'; '.join(one['faults'])}".encode(
                    errors="backslashreplace"
                ).decode(),
                flush=True,
            )
            print(f"    {one['commands']!a}", flush=True)
            print(
                f"    python bench/fuzz.py --seed {options.seed} --kind {one['kind']} --only"
                f" {one['number']} --keep kept",
                flush=True,
            )
        tally.faults.update({fault.partition(":")[0] for fault in one["faults"]})
    print(
        "\n| input | inputs | ok | refused (2) | failed (1) | faults | slowest"
        " |\n|---|---|---|---|---|---|---|"
    )
    for kind, tally in tallies.items():
        outcomes, faults = (
            tally.outcomes,
            ", ".join(f"{number} {name}" for name, number in tally.faults.items()) or "0",
        )
        print(
            f"| {kind} | {tally.inputs} | {outcomes['ok']} | {outcomes['refused']} |"
            f" {outcomes['failed']} | {faults} | {math.ceil(tally.slowest)} s |"
        )
    return sum(sum(tally.faults.values()) for tally in tallies.values())


def kill(options: argparse.Namespace, base: Path, work: Path) -> int:
    """Commands that are killed; returns how many had a fault."""
    seconds = finish_kills(base)

    def job(index: int) -> Iterator[dict[str, Any]]:
        place = work / f"kill{index}"
        numbers = (
            [options.only]
            if options.only is not None
            else range(index, options.kills, options.jobs)
        )
        for number in numbers:
            name, way, faults = try_kill(base, place, options.seed, number, seconds)
            if faults and options.keep:
                shutil.copytree(
                    place, options.keep / f"kill-{number}", symlinks=True, dirs_exist_ok=True
                )
            yield {"name": name, "way": way, "number": number, "faults": faults}

    table: dict[str, Counter[str]] = {name: Counter() for name in KILLED}
    faulty = 0
    for one in workers(1 if options.only is not None else options.jobs, job):
        table[one["name"]][one["way"]] += 1
        if one["faults"]:
            faulty += 1
            table[one["name"]]["faults"] += 1
            print(
                f"kill {one['number']} {one['name']} {one['way']}: {'; '.join(one['faults'])}",
                flush=True,
            )
            print(
                f"    python bench/fuzz.py --seed {options.seed} --kills 1 --only {one['number']}"
                " --keep kept",
                flush=True,
            )
    ways = ("SIGKILL", "SIGINT", "SIGTERM", "ENOSPC", "faults")
    print("\n| command | " + " | ".join(ways) + " |\n|---|" + "---|" * len(ways))
    for name, counts in table.items():
        print(f"| {name} | " + " | ".join(str(counts[way]) for way in ways) + " |")
    return faulty


if __name__ == "__main__":
    sys.exit(main())
