"""Whether a green screen can be keyed.

Takes a segmented clip, gives how far a keyer's alpha is from the matte it was made of.

Some stretches of the clip are laid over the key as `greenback` does it, encoded, decoded again and
keyed (keyer.Keyer): with the encoding that was asked for and with those that editors choose
between, and once without any encoding, which shows what is the keyer's own doing. Everything is
written to a temporary folder that is removed at the end, also after an error; one frame and one
encoder are held at a time. Only the contact sheet is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from vfx_matte.backend import Array, to_device, to_numpy
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
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, deliver
from vfx_matte.pipeline.render.key import choose_key, subject_frames
from vfx_matte.pipeline.render.mattes import Mattes, seen
from vfx_matte.pipeline.render.planner import working_layout
from vfx_matte.pipeline.render.request import Tools, chosen_objects, with_edges
from vfx_matte.pipeline.review.worst_frame import Closeup, keytest_sheet, worst_place
from vfx_matte.printable import json_text
from vfx_matte.settings.options import MatteSettings
from vfx_matte.workspace import save_picture

STRETCH_FRAMES = 12
"""Frames in a row that are encoded together: encoders of motion need a run to show what they do."""

EDGE_WIDTH_PX_AT_1080 = 4

NOTICEABLE = 0.01
"""Mean error at the edge, beyond the keyer's own, that people are told to avoid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeytestOptions:
    """What a user can choose.

    key: as for greenback. frames: how many are tested, in evenly spaced stretches of about
    STRETCH_FRAMES. output: the name that greenback would write, of which only the ending counts;
    None = its usual one. Raises UsageError for frames below 1.
    """

    key: str = "green"
    frames: int = 48
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UsageError(
                f"frames is {self.frames}, expected at least 1", hint="--frames 48 suits most clips"
            )


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One way to encode, and what keying made of it; errors and parts are in 0 to 1.

    sampling: "4:2:0 8-bit". command: what writes such a file, "" for the row without encoding.
    megabytes_per_minute: 0 there too. mean: |keyed − true| over all pixels; edge_mean, edge_95: in
    the edge band, mean and 95th percentile.
    keyed_out: part of the subject that became see-through; left_in: part of the background that did
    not go.
    worst_frame: the number of the frame with the largest mean error at the edge, worst_edge.
    """

    name: str
    sampling: str
    encoding: str
    command: str
    megabytes_per_minute: float
    mean: float
    edge_mean: float
    edge_95: float
    keyed_out: float
    left_in: float
    worst_frame: int
    worst_edge: float


@dataclass(frozen=True, slots=True)
class KeytestResult:
    """What was found.

    frames: their numbers. rows: the encoding asked for first, without encoding last.

    edge_width_px: of the band to either side.
    """

    clip: Path
    key: str
    frames: tuple[int, ...]
    edge_width_px: int
    rows: tuple[KeyRow, ...]
    verdict: str
    sheet: Path


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to encode; `plan` None is none at all."""

    name: str
    command: str
    suffix: str = ""
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    plan: EncodePlan | None = None


_USUAL_WAYS = (
    _Way("H.264", "greenback", ".mp4", EncodeOptions(codec="libx264", pixel_format="yuv420p")),
    _Way("ProRes 422 HQ", "greenback -o green.mov", ".mov", EncodeOptions(codec="prores_ks",
    pixel_format="yuv422p10le")),
    _Way(
        "ProRes 4444", "greenback -o green.mov --pixel-format yuv444p10le", ".mov",
        EncodeOptions(codec="prores_ks", pixel_format="yuv444p10le"),
    ),
    _Way(
        "H.265 4:4:4", "greenback --codec libx265 --pixel-format yuv444p10le", ".mp4",
        EncodeOptions(codec="libx265", pixel_format="yuv444p10le"),
    ),
)  # fmt: skip
_BARE = PixelLayout("yuv", 16, (0, 0))
"""What is keyed without encoding: full chroma and depth, so that the keyer's own error is all there
is.
"""


def keytest(
    clip: SegmentedClip,
    options: KeytestOptions,
    *,
    settings: MatteSettings = MatteSettings(),
    tools: Tools = Tools(),
    encode: EncodeOptions = EncodeOptions(),
    sheet: Path | None = None,
    reporter: Reporter,
) -> KeytestResult:
    """Encode, decode and key some of the clip, and compare with the matte.

    settings, tools, encode: as for greenback. sheet: where the contact sheet goes, a PNG; None is
    keytest.png in the clip's folder. Raises UsageError, and what encoding and decoding raise.
    """
    picture = sheet_path(clip, sheet, usual="keytest.png", option="--sheet")
    chosen_objects(clip, settings)
    settings = with_edges(clip, settings, reporter)
    color = choose_key(clip, options.key, settings, reporter=reporter)
    test = _Test(
        clip,
        tools,
        Mattes(clip, settings, tools),
        color,
        Keyer(key=color),
        _stretches(clip, settings, options.frames),
    )
    ways = _ways(clip, color, options.output, encode, reporter)
    rows, closeups = [], []
    with (
        tempfile.TemporaryDirectory(prefix="vfx-matte-keytest-") as folder,
        reporter.progress("key test", (2 * len(ways) - 1) * len(test.frames)) as step,
    ):
        for way in ways:
            row, closeup = test.measure(way, Path(folder), step)
            rows.append(row)
            closeups.append(closeup)
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


def keytest_rows(result: KeytestResult) -> list[tuple[str, ...]]:
    """The table for people, in percent."""
    return [
        (
            row.name, row.sampling, row.encoding,
            f"{row.megabytes_per_minute:.0f}" if row.megabytes_per_minute else "–",
            *(f"{100 * share:.2f} %" for share in (row.edge_mean, row.edge_95, row.mean,
            row.keyed_out, row.left_in)),
            f"{row.worst_frame}: {100 * row.worst_edge:.1f} %",
        )
        for row in result.rows
    ]  # fmt: skip


KEYTEST_COLUMNS = (
    "encoding", "chroma", "written as", "MB/min", "edge off by", "95 % within", "picture off by",
    "keyed out", "left in",
    "worst frame",
)  # fmt: skip


def keytest_json(result: KeytestResult) -> str:
    """Everything as JSON, by the names of `KeytestResult` and `KeyRow`."""
    return json_text(asdict(result), default=str, indent=2)


@dataclass(slots=True)
class _Test:
    """The stretches of a clip that are tested.

    shown: the frame and the place of the first way's largest error.
    """

    clip: SegmentedClip
    tools: Tools
    mattes: Mattes
    color: RGB
    keyer: Keyer
    stretches: list[range]
    shown: tuple[int, tuple[slice, slice]] | None = None

    @property
    def frames(self) -> list[int]:
        """The frames that are tested, ascending."""
        return [index for stretch in self.stretches for index in stretch]

    @property
    def edge_width_px(self) -> int:
        """The edge band's width to either side, in pixels of the clip."""
        return max(1, round(EDGE_WIDTH_PX_AT_1080 * min(self.clip.info.shape) / 1080))

    def measure(self, way: _Way, folder: Path, step: Callable[[], None]) -> tuple[KeyRow, Closeup]:
        """One way's row, and its pictures of the worst frame and place.

        True alphas are kept in `folder` by the first way.
        """
        path, errors = folder / f"green{way.suffix}", KeyAccuracy(self.edge_width_px)
        made = self._encoded(way, path, folder, step) if way.plan else self._composed(way, folder)
        edges: dict[int, float] = {}
        with closing(made) as pictures:
            for index, picture in pictures:
                true = _load(folder, index)
                keyed = self._keyed(picture, true.shape)
                edges[index] = errors.add(to_device(true, self.tools.device), keyed)
                step()
        worst = max(edges, key=lambda index: edges[index])
        closeup = self._closeup(way, path, folder, worst)
        ticks = self.clip.info.timeline
        seconds = float(sum(ticks[index].duration for index in self.frames) * ticks.time_base)
        layout = way.plan.layout if way.plan else _BARE
        row = KeyRow(
            name=way.name,
            sampling=f"{_SAMPLINGS.get(layout.chroma_shift, layout.model)} {layout.bit_depth}-bit",
            encoding=way.plan.describe() if way.plan else "not encoded",
            command=way.command,
            megabytes_per_minute=path.stat().st_size / 1e6 / seconds * 60 if way.plan else 0.0,
            mean=errors.mean,
            edge_mean=errors.edge_mean,
            edge_95=errors.edge_95,
            keyed_out=errors.keyed_out,
            left_in=errors.left_in,
            worst_frame=ticks.number(worst),
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
        alpha: Array = self.keyer.alpha(planes)[: shape[0], : shape[1]]
        return alpha

    def _composed(
        self, way: _Way, folder: Path, step: Callable[[], None] = lambda: None
    ) -> Generator[tuple[int, Picture], None, None]:
        """Every tested frame over the key, in the planes it is mixed in."""
        for stretch in self.stretches:
            for frame in self.clip.reader.frames(stretch.start, stretch.stop):
                yield frame.index, self._green(frame, way, folder)
                step()

    def _green(self, frame: Frame, way: _Way, folder: Path) -> Picture:
        cut, matte = self._mattes(frame, folder)
        layout, tags = (
            working_layout(way.plan, self.clip.info) if way.plan else _bare(self.clip.info.color)
        )
        picture = as_layout(frame.picture, layout, color=tags)
        on_device = picture.with_planes(
            tuple(to_device(plane, self.tools.device) for plane in picture.planes)
        )
        return mix.over_color(self.mattes.subject(on_device, cut), matte, self.color)

    def _mattes(self, frame: Frame, folder: Path) -> tuple[Matte, Matte]:
        """A frame's matte, and what it shows of the frame: made by the first way, in order, and
        kept for the others.
        """
        place, device = _place(folder, frame.index), self.tools.device
        if place.exists():
            with np.load(place) as saved:
                return Matte(to_device(saved["cut"], device)), Matte(
                    to_device(saved["alpha"], device)
                )
        cut = self.mattes.of(frame.index, self.clip.mask(frame.index), lambda: frame.colors)
        matte = seen(frame, cut)
        np.savez_compressed(place, cut=to_numpy(cut.alpha), alpha=to_numpy(matte.alpha))
        return cut, matte

    def _encoded(
        self, way: _Way, path: Path, folder: Path, step: Callable[[], None]
    ) -> Generator[tuple[int, Picture], None, None]:
        """Every tested frame as it comes back from a file."""
        assert way.plan is not None
        info, frames = self.clip.info, self.frames
        with VideoWriter(path, way.plan, source=info, sound=False, notify=_nobody) as writer:
            for index, picture in self._composed(way, folder, step):
                writer.write(picture, info.timeline[index])
        for number, frame in enumerate(open_clip(path, notify=_nobody).frames()):
            yield frames[number], frame.picture

    def _closeup(self, way: _Way, path: Path, folder: Path, worst: int) -> Closeup:
        index = self.shown[0] if self.shown else worst
        true = _load(folder, index)
        if way.plan:
            frame = open_clip(path, notify=_nobody).frame(self.frames.index(index))
            picture, image = frame.picture, frame.image[: true.shape[0], : true.shape[1]]
        else:
            picture = self._green(self.clip.reader.frame(index), way, folder)
            image = _image(picture)
        keyed = to_numpy(self._keyed(picture, true.shape))
        if self.shown is None:
            self.shown = index, worst_place(np.abs(keyed - true))
        return Closeup(
            way.name, self.clip.info.timeline.number(index), self.shown[1], image, true, keyed
        )


_SAMPLINGS = {(1, 1): "4:2:0", (1, 0): "4:2:2", (0, 0): "4:4:4", (0, 1): "4:4:0", (2, 0): "4:1:1"}


def _nobody(line: str) -> None:
    """What the trial files are like concerns nobody."""


def _place(folder: Path, index: int) -> Path:
    return folder / f"alpha-{index}.npz"


def _load(folder: Path, index: int) -> Array:
    """A frame's true alpha, float32 (H, W) in [0, 1]."""
    with np.load(_place(folder, index)) as saved:
        alpha = saved["alpha"]
    levels: Array = alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
    return levels


def _bare(color: ColorTags) -> tuple[PixelLayout, ColorTags]:
    """_BARE and its tags; of RGB clips they are BT.709."""
    return _BARE, replace(color, matrix="bt709", range="tv") if color.matrix == "gbr" else color


def _image(picture: Picture) -> Array:
    rgb = as_layout(
        picture.with_planes(tuple(to_numpy(plane) for plane in picture.planes)),
        PixelLayout("rgb", 8),
    )
    return np.stack(rgb.planes, axis=-1)


def _ways(
    clip: SegmentedClip, color: RGB, output: Path | None, encode: EncodeOptions, reporter: Reporter
) -> list[_Way]:
    """The encoding that was asked for, the usual ones that differ from it, and none at all."""
    path, settled = deliver(
        "greenback",
        info=clip.info,
        output=output,
        folder=clip.folder,
        usual="greenback.mp4",
        encode=encode,
        reporter=reporter,
    )
    layout = mix.layout_for_color(clip.info.layout, color)
    own = _planned(
        clip, _Way("as asked for", "greenback", path.suffix, settled), layout, reporter.notify
    )
    found = [own]
    for way in _USUAL_WAYS:
        usual = _planned(clip, way, layout, _nobody)
        assert usual.plan is not None
        if own.plan is not None and usual.plan.describe() == own.plan.describe():
            found[0] = replace(own, name=way.name)
        else:
            found.append(usual)
    return [*found, _Way("none", "")]


def _planned(
    clip: SegmentedClip, way: _Way, layout: PixelLayout, notify: Callable[[str], None]
) -> _Way:
    encode, info = way.encode, clip.info
    plan = plan_encode(
        Path(f"green{way.suffix}"),
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
    return replace(way, plan=plan)


def _stretches(clip: SegmentedClip, settings: MatteSettings, count: int) -> list[range]:
    """Runs of frames that begin where the subject is seen, `count` frames in all, or every frame
    that has a mask.
    """
    done = clip.store.manifest.done_frames()
    parts = max(1, round(count / STRETCH_FRAMES))
    starts = subject_frames(clip, settings, count=parts)
    if not starts:
        raise UsageError(
            "no mask shows a subject, so there is nothing to key",
            hint="look at the masks: vfx-matte overlay",
        )
    wanted: set[int] = set()
    for start in starts:
        length = -(-(count - len(wanted)) // (len(starts) - starts.index(start)))
        begin = max(0, min(start, max(done) + 1 - length))
        wanted |= {index for index in range(begin, begin + length) if index in done}
    runs: list[range] = []
    for index in sorted(wanted):
        if runs and runs[-1].stop == index:
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return runs


def _verdict(rows: list[KeyRow]) -> str:
    """What an editor should do, in plain words."""
    own, bare = rows[0], rows[-1]
    off = (
        f"the keyed edge is off by {100 * own.edge_mean:.1f} % on average (95 % of it by at most"
        f" {100 * own.edge_95:.0f} %)"
    )
    said = f"with {own.name} ({own.sampling}) {off}"
    if bare.keyed_out > NOTICEABLE or bare.edge_mean > 5 * NOTICEABLE:
        cause = (
            f"{100 * bare.edge_mean:.1f} % without any encoding, and {100 * bare.keyed_out:.1f} %"
            " of the subject keyed out"
        )
        return (
            f"{said}; the subject's colours are too near the key ({cause}): try --key auto, or use"
            " vfx-matte alpha"
        )
    if own.edge_mean - bare.edge_mean <= NOTICEABLE:
        return (
            f"{said}; without any encoding it would be {100 * bare.edge_mean:.1f} %, so this key is"
            " good to use"
        )
    better = [
        row
        for row in rows[1:-1]
        if row.edge_mean - bare.edge_mean <= (own.edge_mean - bare.edge_mean) / 2
    ]
    advice = "use vfx-matte alpha (alpha.mov), which needs no keying"
    if not better:
        return f"{said}; {advice}"
    best = min(better, key=lambda row: row.edge_mean)
    return (
        f"{said}; {advice}, or {best.name} ({best.sampling}), off by {100 * best.edge_mean:.1f} %:"
        f" vfx-matte {best.command}"
    )
