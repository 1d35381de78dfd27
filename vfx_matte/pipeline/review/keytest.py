"""Tests how well a green screen can be keyed.

The alpha that a keyer finds is compared with the matte that the green screen was made of. Some
stretches of the clip are laid over the key as for a green screen, encoded, decoded again and keyed
(`keyer.Keyer`): with the encoding that was asked for and with those that editors choose between,
and once without any encoding, which shows the keyer's own error. Everything is written to a
temporary folder that is removed at the end, also after an error. A file is encoded while the one
before it is keyed; a few frames and one encoder are held at a time. Only the contact sheet is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vfx_matte.backend import Array, keep_freed_memory, to_device, to_numpy
from vfx_matte.composite import mix
from vfx_matte.composite.key_color import color_name
from vfx_matte.composite.keyer import KeyAccuracy, Keyer
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Matte
from vfx_matte.media.encode_plan import EncodePlan, plan_encode
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.pipeline.clip import SegmentedClip, sheet_path
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, encoding_for
from vfx_matte.pipeline.render.key import choose_key, subject_frames
from vfx_matte.pipeline.render.mattes import Mattes, visible_matte
from vfx_matte.pipeline.render.planner import working_layout
from vfx_matte.pipeline.render.request import Tools, chosen_objects, with_edges
from vfx_matte.pipeline.review.worst_frame import Closeup, Region, keytest_sheet, worst_region
from vfx_matte.settings.options import GreenbackSettings, KeytestSettings, MatteSettings
from vfx_matte.wording import command, option
from vfx_matte.workspace import save_picture

STRETCH_FRAMES = 12
"""Frames in a row that are encoded together: encoders that predict motion need several to show what
they do.
"""

EDGE_WIDTH_PX_AT_1080 = 4
"""Width of the edge band to either side, in a picture of 1080 lines."""

NOTICEABLE = 0.01
"""Mean error at the edge, beyond the keyer's own, from which on another encoding is advised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeytestRequest:
    """What is tested."""

    settings: KeytestSettings = KeytestSettings()
    """How many frames, in evenly spaced stretches of about STRETCH_FRAMES."""

    green: GreenbackSettings = GreenbackSettings()
    """The key colour, as for a green screen."""

    matte: MatteSettings = MatteSettings()
    """Which objects are shown, and how their edges are made."""

    tools: Tools = Tools()
    """What it computes with."""

    encode: EncodeOptions = EncodeOptions()
    """The encoding, as for a green screen."""

    output: Path | None = None
    """The file that the green screen would be, of which only the suffix is used; None = its usual
    one.
    """

    sheet: Path | None = None
    """Where the contact sheet goes, a PNG; None is keytest.png in the clip's folder of results."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One encoding, and how well it was keyed; errors and shares are in 0 to 1."""

    name: str

    sampling: str
    """Chroma and depth, such as "4:2:0 8-bit"."""

    encoding: str

    command: str
    """What writes such a file, "" for the row without encoding."""

    megabytes_per_minute: float
    """0 for the row without encoding."""

    mean: float
    """Mean of |keyed − true alpha| over all pixels."""

    edge_mean: float
    """The same in the edge band."""

    edge_95: float
    """95th percentile in the edge band."""

    keyed_out: float
    """Share of the subject that became transparent."""

    left_in: float
    """Share of the background that stayed."""

    worst_frame: int
    """Number of the frame with the largest mean error at the edge."""

    worst_edge: float
    """That error."""


@dataclass(frozen=True, slots=True)
class KeytestResult:
    """How well a clip's green screen keys."""

    clip: Path
    key: str

    frames: tuple[int, ...]
    """Numbers of the frames that were tested."""

    edge_width_px: int
    """Width of the edge band to either side."""

    rows: tuple[KeyRow, ...]
    """The encoding asked for first, without encoding last."""

    verdict: str
    """What an editor should do, as a sentence."""

    sheet: Path
    """The contact sheet."""


@dataclass(frozen=True, slots=True)
class _TestedEncoding:
    """An encoding that is tested, or none at all."""

    name: str

    command: str
    """See `KeyRow.command`."""

    suffix: str = ""
    encode: EncodeOptions = field(default_factory=EncodeOptions)

    plan: EncodePlan | None = None
    """None: not encoded."""


# Between these editors choose: small, usual in editing programs, and the same with full chroma.
_USUAL_ENCODINGS = (
    _TestedEncoding(
        "H.264", command("greenback"), ".mp4",
        EncodeOptions(codec="libx264", pixel_format="yuv420p"),
    ),
    _TestedEncoding(
        "ProRes 422 HQ", command("greenback", output="green.mov"), ".mov",
        EncodeOptions(codec="prores_ks", pixel_format="yuv422p10le"),
    ),
    _TestedEncoding(
        "ProRes 4444",
        command("greenback", output="green.mov", pixel_format="yuv444p10le"), ".mov",
        EncodeOptions(codec="prores_ks", pixel_format="yuv444p10le"),
    ),
    _TestedEncoding(
        "H.265 4:4:4", command("greenback", codec="libx265", pixel_format="yuv444p10le"), ".mp4",
        EncodeOptions(codec="libx265", pixel_format="yuv444p10le"),
    ),
)  # fmt: skip
_UNENCODED_LAYOUT = PixelLayout("yuv", 16, (0, 0))
"""What is keyed without encoding: full chroma and depth, so that the keyer's own error is all there
is.
"""


def keytest(
    clip: SegmentedClip, request: KeytestRequest = KeytestRequest(), *, reporter: Reporter
) -> KeytestResult:
    """Encode, decode and key some of the clip, and compare with the matte.

    Args:
        clip: with its finished masks.
        request: what is tested.
        reporter: receives notices and progress.

    Raises:
        UsageError: for a request that cannot be followed.
        MediaError: when encoding or decoding fails.
    """
    keep_freed_memory()
    # Everything that can be wrong with the request, before minutes of work.
    picture = sheet_path(clip, request.sheet, usual="keytest.png", option_name="sheet")
    chosen_objects(clip, request.matte)
    settings = with_edges(clip, request.matte, reporter)
    color = choose_key(clip, request.green.key, settings, reporter=reporter)
    test = _Test(
        clip,
        request.tools,
        Mattes(clip, settings, request.tools),
        color,
        Keyer(key=color),
        _stretches(clip, settings, request.settings.frames),
    )
    encodings = _encodings(clip, color, request.output, request.encode, reporter)
    # Steps: every frame is keyed once, and written once where there is a file.
    rows, closeups = [], []
    with (
        tempfile.TemporaryDirectory(prefix="vfx-matte-keytest-") as folder,
        reporter.progress("key test", (2 * len(encodings) - 1) * len(test.frames)) as step,
    ):
        written = test.written([one for one in encodings if one.plan], Path(folder), step)
        # depth: a whole file ahead, so that two or three are on disk at a time
        with closing(prefetched(written, depth=len(test.frames))) as files:
            for encoding in encodings:
                path = next(path for path in files if path) if encoding.plan else None
                row, closeup = test.measure(encoding, path, Path(folder), step)
                rows.append(row)
                closeups.append(closeup)
                if path:
                    path.unlink()
    save_picture(picture, keytest_sheet(clip.name, closeups))
    return KeytestResult(
        clip=clip.info.path,
        key=color_name(color),
        frames=tuple(map(clip.info.timeline.number, test.frames)),
        edge_width_px=test.edge_width_px,
        rows=tuple(rows),
        verdict=_verdict(rows),
        sheet=picture,
    )


@dataclass(slots=True)
class _Test:
    """The stretches of a clip that are tested."""

    clip: SegmentedClip
    tools: Tools
    mattes: Mattes
    color: RGB
    keyer: Keyer
    stretches: list[range]

    enlarged: tuple[int, Region] | None = None
    """Index of the frame and the region with the first encoding's largest error, which the sheet
    shows of every encoding.
    """

    @property
    def frames(self) -> list[int]:
        """The frames that are tested, ascending."""
        return [index for stretch in self.stretches for index in stretch]

    @property
    def edge_width_px(self) -> int:
        """The edge band's width to either side, in pixels of the clip."""
        # by the short side, so that it stays when a clip is turned
        return max(1, round(EDGE_WIDTH_PX_AT_1080 * min(self.clip.info.shape) / 1080))

    def written(
        self, encodings: Sequence[_TestedEncoding], folder: Path, step: Callable[[], None]
    ) -> Generator[Path | None, None, None]:
        """Write the tested frames in each encoding; yields None for each frame, so that it can be
        stopped there, and the path of each file that is complete.
        """
        info = self.clip.info
        for number, encoding in enumerate(encodings):
            assert encoding.plan is not None
            path = folder / f"green-{number}{encoding.suffix}"
            with (
                closing(prefetched(self._composed(encoding, folder), depth=2)) as pictures,
                VideoWriter(
                    path, encoding.plan, source=info, sound=False, notify=_ignore
                ) as writer,
            ):
                for index, picture in pictures:
                    writer.write(picture, info.timeline[index])
                    step()
                    yield None
            yield path

    def measure(
        self,
        encoding: _TestedEncoding,
        path: Path | None,
        folder: Path,
        step: Callable[[], None],
    ) -> tuple[KeyRow, Closeup]:
        """One encoding's row, and its pictures of the worst frame and region.

        Args:
            encoding: what is measured.
            path: its file; None where nothing is encoded.
            folder: where the first encoding has kept true alphas.
            step: counts a frame.
        """
        # Key every tested frame, and compare it with the matte that it was made of.
        accuracy = KeyAccuracy(self.edge_width_px)
        made = self._read(path) if path else self._composed(encoding, folder)
        edges: dict[int, float] = {}
        # Decoding, or composing, goes on while the frame before is keyed.
        with closing(prefetched(made, depth=2)) as pictures:
            for index, picture in pictures:
                true = self._true(folder, index)
                keyed = self._keyed(picture, true.shape)
                edges[index] = accuracy.add(to_device(true, self.tools.device), keyed)
                step()
        # The sheet shows where the edge is worst.
        worst = max(edges, key=lambda index: edges[index])
        closeup = self._closeup(encoding, path, folder, worst)
        # What the file is like. Its size per minute follows from how long the tested frames last.
        timeline, plan = self.clip.info.timeline, encoding.plan
        ticks = sum(timeline[index].duration for index in self.frames)
        seconds = float(ticks * timeline.time_base)
        layout = plan.layout if plan else _UNENCODED_LAYOUT
        row = KeyRow(
            name=encoding.name,
            sampling=f"{_SAMPLINGS.get(layout.chroma_shift, layout.model)} {layout.bit_depth}-bit",
            encoding=plan.describe() if plan else "not encoded",
            command=encoding.command,
            megabytes_per_minute=path.stat().st_size / 1e6 / seconds * 60 if path else 0.0,
            mean=accuracy.mean,
            edge_mean=accuracy.edge_mean,
            edge_95=accuracy.edge_95,
            keyed_out=accuracy.keyed_out,
            left_in=accuracy.left_in,
            worst_frame=timeline.number(worst),
            worst_edge=edges[worst],
        )
        return row, closeup

    def _keyed(self, picture: Picture, shape: tuple[int, ...]) -> Array:
        """Alpha as keyed, on the device, without the rows and columns that even sizes had to
        add.
        """
        planes = picture.with_planes(
            tuple(to_device(plane, self.tools.device) for plane in picture.planes)
        )
        # encoders want even sizes, so a file may have a row and a column more than the matte
        alpha: Array = self.keyer.alpha(planes)[: shape[0], : shape[1]]
        return alpha

    def _composed(
        self, encoding: _TestedEncoding, folder: Path
    ) -> Generator[tuple[int, Picture], None, None]:
        """Every tested frame over the key, in the planes it is mixed in."""
        # in the clip's order, which mattes that look back need
        for stretch in self.stretches:
            for frame in self.clip.reader.frames(stretch.start, stretch.stop):
                yield frame.index, self._green(frame, encoding, folder)

    def _green(self, frame: Frame, encoding: _TestedEncoding, folder: Path) -> Picture:
        """A frame over the key, on the device, in the layout that the encoding is mixed in."""
        cut, matte = self._mattes(frame, folder)
        layout, tags = (
            working_layout(encoding.plan, self.clip.info)
            if encoding.plan
            else _unencoded(self.clip.info.color)
        )
        picture = as_layout(frame.picture, layout, color=tags)
        on_device = picture.with_planes(
            tuple(to_device(plane, self.tools.device) for plane in picture.planes)
        )
        return mix.over_color(self.mattes.subject(on_device, cut), matte, self.color)

    def _mattes(self, frame: Frame, folder: Path) -> tuple[Matte, Matte]:
        """A frame's matte, and what it shows of the frame: made for the first encoding, in order,
        and kept for the others.
        """
        # A matte depends on the frames before it (`stabilize`), and is slow: it is made once.
        device = self.tools.device
        shown_path, cut_path = (_alpha_path(folder, frame.index, of=of) for of in ("shown", "cut"))
        shape = self.clip.info.shape
        if shown_path.exists():
            shown = Matte(to_device(_kept(shown_path, shape), device))
            is_apart = cut_path.exists()
            return Matte(to_device(_kept(cut_path, shape), device)) if is_apart else shown, shown
        cut = self.mattes.matte(frame.index, self.clip.mask(frame.index), lambda: frame.colors)
        matte = visible_matte(frame, cut)
        # one file where they are one, as in a clip without an alpha of its own
        if matte is not cut:
            to_numpy(cut.alpha).tofile(cut_path)
        to_numpy(matte.alpha).tofile(shown_path)
        return cut, matte

    def _true(self, folder: Path, index: int) -> Array:
        """A frame's true alpha, float32 (H, W) in [0, 1]."""
        alpha = _kept(_alpha_path(folder, index, of="shown"), self.clip.info.shape)
        levels: Array = alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
        return levels

    def _read(self, path: Path) -> Generator[tuple[int, Picture], None, None]:
        """Every tested frame as it comes back from a file."""
        frames = self.frames
        # The file counts its frames from 0, whichever frames of the clip they are.
        for number, frame in enumerate(open_clip(path, notify=_ignore).frames()):
            yield frames[number], frame.picture

    def _closeup(
        self, encoding: _TestedEncoding, path: Path | None, folder: Path, worst: int
    ) -> Closeup:
        """The pictures of one encoding: of the first one's worst frame and region, so that all can
        be compared.
        """
        index = self.enlarged[0] if self.enlarged else worst
        true = self._true(folder, index)
        if path:
            frame = open_clip(path, notify=_ignore).frame(self.frames.index(index))
            picture, image = frame.picture, frame.image[: true.shape[0], : true.shape[1]]
        else:
            picture = self._green(self.clip.reader.frame(index), encoding, folder)
            image = _image(picture)
        keyed = to_numpy(self._keyed(picture, true.shape))
        if self.enlarged is None:
            self.enlarged = index, worst_region(np.abs(keyed - true))
        return Closeup(
            encoding.name,
            self.clip.info.timeline.number(index),
            self.enlarged[1],
            image,
            true,
            keyed,
        )


_SAMPLINGS = {(1, 1): "4:2:0", (1, 0): "4:2:2", (0, 0): "4:4:4", (0, 1): "4:4:0", (2, 0): "4:1:1"}
"""What a chroma shift (columns, rows) is called."""


def _ignore(_: str) -> None:
    """Notices about the files of a test, which are removed at its end."""


def _alpha_path(folder: Path, index: int, *, of: str) -> Path:
    return folder / f"{of}-{index}.raw"


def _kept(path: Path, shape: tuple[int, int]) -> Array:
    """The alpha, uint8 or uint16 (H, W), whose bytes alone are kept in a file."""
    # The header of NumPy's own form is read by Python's parser, and in Python 3.11 that can fail
    # where two threads use it at once ("AST constructor recursion depth mismatch").
    height, width = shape
    itemsize = path.stat().st_size // (height * width)
    alpha: Array = np.fromfile(path, np.dtype(f"u{itemsize}")).reshape(shape)
    return alpha


def _unencoded(color: ColorTags) -> tuple[PixelLayout, ColorTags]:
    """_UNENCODED_LAYOUT and its tags; of RGB clips they are BT.709."""
    is_rgb = color.matrix == "gbr"
    return _UNENCODED_LAYOUT, replace(color, matrix="bt709", range="tv") if is_rgb else color


def _image(picture: Picture) -> Array:
    """A picture as R'G'B' uint8 (H, W, 3)."""
    rgb = as_layout(
        picture.with_planes(tuple(to_numpy(plane) for plane in picture.planes)),
        PixelLayout("rgb", 8),
    )
    return np.stack(rgb.planes, axis=-1)


def _encodings(
    clip: SegmentedClip, color: RGB, output: Path | None, encode: EncodeOptions, reporter: Reporter
) -> list[_TestedEncoding]:
    """The encoding that was asked for, the usual ones that differ from it, and none at all."""
    path, settled = encoding_for(
        "greenback",
        info=clip.info,
        output=output,
        folder=clip.folder,
        usual="greenback.mp4",
        encode=encode,
        reporter=reporter,
    )
    # As `greenback` plans it: a coloured key on a grey clip needs chroma.
    layout = mix.layout_for_color(clip.info.layout, color)
    own = _planned(
        clip,
        _TestedEncoding("as asked for", command("greenback"), path.suffix, settled),
        layout,
        reporter.notify,
    )
    # Where one of the usual ones was asked for, it has its usual name and is not tested twice.
    found = [own]
    for encoding in _USUAL_ENCODINGS:
        usual = _planned(clip, encoding, layout, _ignore)
        assert usual.plan is not None
        if own.plan is not None and usual.plan.describe() == own.plan.describe():
            found[0] = replace(own, name=encoding.name)
        else:
            found.append(usual)
    return [*found, _TestedEncoding("none", "")]


def _planned(
    clip: SegmentedClip,
    encoding: _TestedEncoding,
    layout: PixelLayout,
    notify: Callable[[str], None],
) -> _TestedEncoding:
    """The encoding with its plan for a clip of this size."""
    encode, info = encoding.encode, clip.info
    plan = plan_encode(
        Path(f"green{encoding.suffix}"),
        layout=layout,
        color=info.color,
        size=(info.width, info.height),
        codec=encode.codec,
        preset=encode.preset,
        quality=encode.quality,
        pixel_format=encode.pixel_format,
        limited_range=encode.limited_range,
        notify=notify,
    )
    return replace(encoding, plan=plan)


def _stretches(clip: SegmentedClip, settings: MatteSettings, count: int) -> list[range]:
    """Ranges of frames that begin where the subject is seen, `count` frames in all, or every frame
    that has a mask.
    """
    # Spread over the clip, because light and motion differ; in stretches, because of the encoders.
    done = clip.store.manifest.done_frames()
    parts = max(1, round(count / STRETCH_FRAMES))
    # Frames without a subject have no edge to key.
    starts = subject_frames(clip, settings, count=parts)
    if not starts:
        raise UsageError(
            "no mask shows a subject, so there is nothing to key",
            hint=f"look at the masks: {command('overlay')}",
        )
    # What is left to take is shared out over the stretches that are left.
    wanted: set[int] = set()
    for start in starts:
        # rounded up; near the clip's end a stretch begins earlier, to be as long as the others
        length = -(-(count - len(wanted)) // (len(starts) - starts.index(start)))
        begin = max(0, min(start, max(done) + 1 - length))
        wanted |= {index for index in range(begin, begin + length) if index in done}
    # Stretches may touch or overlap, and frames without a mask may split them.
    runs: list[range] = []
    for index in sorted(wanted):
        if runs and runs[-1].stop == index:
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return runs


def _verdict(rows: list[KeyRow]) -> str:
    """What an editor should do, in plain words."""
    # The first row is what was asked for, the last one what no encoding can be better than.
    own, unencoded = rows[0], rows[-1]
    off = (
        f"the keyed edge is off by {100 * own.edge_mean:.1f} % on average (95 % of it by at most"
        f" {100 * own.edge_95:.0f} %)"
    )
    finding = f"with {own.name} ({own.sampling}) {off}"
    # A key like the subject's colours is the first thing to mend: no encoding helps then.
    keyers_own = f"{100 * unencoded.edge_mean:.1f} %"
    if unencoded.keyed_out > NOTICEABLE or unencoded.edge_mean > 5 * NOTICEABLE:
        cause = (
            f"{keyers_own} without any encoding, and {100 * unencoded.keyed_out:.1f} % of the"
            " subject keyed out"
        )
        return (
            f"{finding}; the subject's colours are too near the key ({cause}): try"
            f" {option('key', 'auto')}, or use {command('alpha')}"
        )
    # What counts against an encoding is what it adds to the keyer's own error.
    if own.edge_mean - unencoded.edge_mean <= NOTICEABLE:
        return (
            f"{finding}; without any encoding it would be {keyers_own}, so this key is good to use"
        )
    # Worth naming is what takes away at least half of the encoding's error.
    better = [
        row
        for row in rows[1:-1]
        if row.edge_mean - unencoded.edge_mean <= (own.edge_mean - unencoded.edge_mean) / 2
    ]
    advice = f"use {command('alpha')} (alpha.mov), which needs no keying"
    if not better:
        return f"{finding}; {advice}"
    # Of several the one with the least error; size is no matter beside a clean edge.
    best = min(better, key=lambda row: row.edge_mean)
    return (
        f"{finding}; {advice}, or {best.name} ({best.sampling}), off by"
        f" {100 * best.edge_mean:.1f} %: {best.command}"
    )
