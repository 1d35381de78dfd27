"""Plans the outputs of a segmented clip: what every file shows, and how it is encoded.

Every output has every frame of the source at the source's time. Frames without a mask (outside the
range that was segmented) count as "nothing chosen": all key colour, all black, fully transparent,
untinted. None is ever dropped.

Where alpha is shown (green screen, alpha, luma and rgb mask videos) its edges are those of the
probabilities that `segment --soft` kept, when it did; `MatteSettings.soft_edges` decides.
Ids (overlay, palette) are hard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vfx_matte.backend import Array, Device, to_device
from vfx_matte.choices import unknown_choice
from vfx_matte.composite import mix
from vfx_matte.composite.key_color import parse_color
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Mask
from vfx_matte.matting import fill_hidden, refine_objects
from vfx_matte.media.background import open_background
from vfx_matte.media.encode_plan import EncodePlan
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.writers.numbered_files import (
    PNG,
    USUAL_NAMES,
    NumberedFiles,
    is_folder,
    is_numbered,
    numbered_files,
)
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.channels import describe_channels, object_channels
from vfx_matte.pipeline.render.encoding import EncodeOptions, encode_plan, encoding_for
from vfx_matte.pipeline.render.key import choose_key
from vfx_matte.pipeline.render.mattes import Mattes, may_hide, seen
from vfx_matte.pipeline.render.outputs import PlannedOutput, Shot
from vfx_matte.pipeline.render.request import Tools, check_request, chosen_objects, with_edges
from vfx_matte.settings.edge_methods import usual
from vfx_matte.settings.options import MatteSettings

COLORED: RGB = (255, 0, 0)
"""Stands for the palette's colours where only the layout that holds them is asked for."""


class Planner:
    """Plans what `write_outputs` makes of one clip.

    What is planned by one planner shares mattes, so it is written together.

    Every method raises UsageError for a request that cannot be met.
    """

    def __init__(
        self, clip: SegmentedClip, tools: Tools, reporter: Reporter, *, first: int = 0
    ) -> None:
        """Plan outputs of one clip.

        Args:
            clip: a segmented clip.
            tools: what renders compute with.
            reporter: receives notices.
            first: index of the frame that outputs begin with; numbered files begin with its number.
        """
        self._clip, self._tools, self._reporter = clip, tools, reporter
        timeline = clip.info.timeline
        self._numbered = replace(
            clip.info, timeline=replace(timeline, first_number=timeline.number(first))
        )
        self._mattes: dict[MatteSettings, Mattes] = {}

    def greenback(
        self,
        output: Path | None,
        *,
        key: str = "green",
        background: str = "",
        is_checked: bool = True,
        settings: MatteSettings,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        """The subject over a key colour, or over a background.

        key: green, blue, magenta, #rrggbb or auto (farthest from the subject's colours).
        background: a colour, a picture or a video; empty = the key. is_checked: see `choose_key`.
        """
        clip, info = self._clip, self._clip.info
        path, encode = output_place(
            "greenback", clip, output, "greenback.mp4", encode, reporter=self._reporter
        )
        is_color = background.startswith("#") and not Path(background).exists()
        behind = Path(background) if background and not is_color else None
        check_request(clip, path, settings, background=behind)
        mattes = self._of(settings)
        settings = mattes.settings
        # before a picture no key is seen, so any will do
        flat = background if is_color else "green"
        color = (
            parse_color(flat)
            if background
            else choose_key(clip, key, settings, is_checked=is_checked, reporter=self._reporter)
        )
        layout = info.layout if behind is not None else mix.layout_for_color(info.layout, color)
        names = self._names(path, encode)
        plan = self._plan(path, layout, info.color, encode) if names is None else None
        working, tags = (info.layout, info.color) if plan is None else working_layout(plan, info)
        backdrop = None
        if behind is not None:
            backdrop = open_background(
                behind,
                size=(info.width, info.height),
                layout=working,
                color=tags,
                sample_aspect=info.sample_aspect,
                notify=self._reporter.notify,
            )

        def compose(shot: Shot) -> Picture:
            picture = _on_device(as_layout(shot.picture, working, color=tags), self._tools.device)
            cut = mattes.of(shot.index, shot.mask, shot.image)
            picture, matte = mattes.subject(picture, cut), seen(shot, cut)
            if backdrop is not None:
                shown = backdrop.picture_at(shot.time.start - info.timeline.start)
                return mix.over_picture(picture, matte, _on_device(shown, self._tools.device))
            return mix.over_color(picture, matte, color)

        moves = backdrop is not None and backdrop.moves
        return self._planned(
            path, plan, names, label="green screen", compose=compose, moves=moves,
            sound=encode.sound,
            settings=settings, mattes=[mattes], background=behind,
        )  # fmt: skip

    def alpha(
        self,
        output: Path | None,
        *,
        premultiplied: bool = False,
        keep_background: bool = False,
        settings: MatteSettings,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        """The subject cut out with alpha: a video, or RGBA PNG files in a folder.

        keep_background: straight alpha hides the source's own colours; otherwise those of
        `fill_hidden`.
        """
        clip, source = self._clip, self._clip.info.layout
        path, encode = output_place(
            "alpha",
            clip,
            output,
            "alpha.mov",
            encode,
            premultiplied=premultiplied,
            reporter=self._reporter,
        )
        check_request(clip, path, settings)
        mattes = self._of(settings)
        plan = None
        names = self._names(path, encode, folders=True)
        if names is not None:
            opaque = PixelLayout("rgb", 8 if source.bit_depth == 8 else 16)
        else:
            plan = self._plan(path, replace(source, has_alpha=True), clip.info.color, encode)
            opaque = replace(plan.layout, has_alpha=False)

        def compose(shot: Shot) -> Picture:
            picture = _on_device(as_layout(shot.picture, opaque), self._tools.device)
            cut = mattes.of(shot.index, shot.mask, shot.image)
            picture, shown = mattes.subject(picture, cut), seen(shot, cut)
            if not (premultiplied or keep_background):
                picture = fill_hidden(picture, shown)
            return mix.with_alpha(picture, shown, premultiplied=premultiplied)

        return self._planned(
            path,
            plan,
            names,
            label="alpha",
            compose=compose,
            sound=encode.sound,
            settings=settings,
            mattes=[mattes],
        )

    def overlay(
        self,
        output: Path | None,
        *,
        alpha: float = 0.5,
        settings: MatteSettings,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        """Every object tinted with its colour. alpha: the tint's weight, 0..1."""
        if not 0 <= alpha <= 1:
            raise UsageError(
                f"overlay alpha {alpha} is outside 0..1",
                hint="0 shows the clip, 1 hides it behind the tint",
            )
        clip, info = self._clip, self._clip.info
        path, encode = output_place(
            "overlay", clip, output, f"out-{clip.name}.mp4", encode, reporter=self._reporter
        )
        check_request(clip, path, settings)
        contour_px = max(1, round(info.height / 540))
        smooth = _smooth(settings)
        names = self._names(path, encode)
        layout = mix.layout_for_color(info.layout, COLORED)
        plan = self._plan(path, layout, info.color, encode) if names is None else None

        def compose(shot: Shot) -> Picture:
            shown = mix.seen_ids(_ids(clip, shot.mask, smooth, settings.objects), shot.alpha)
            picture = mix.over_black(shot.picture, shot.alpha)
            return mix.overlay(picture, shown, clip.palette, alpha=alpha, contour_px=contour_px)

        return self._planned(
            path,
            plan,
            names,
            label="overlay",
            compose=compose,
            sound=encode.sound,
            settings=settings,
        )

    def maskvideo(
        self, output: Path, *, style: str = "luma", settings: MatteSettings, encode: EncodeOptions
    ) -> PlannedOutput:
        """The masks themselves: luma (white on black), palette (DAVIS colours) or rgb (an object in
        each channel, as `object_channels` says).

        Ids stay where the clip's own alpha is at least a half. The source's pictures are decoded
        only when edges are found in them, or when they may have alpha; else its times, sound and
        colour tags are used.
        """
        clip, info = self._clip, self._clip.info
        path, encode = output_place(
            "maskvideo", clip, output, output.name, encode, reporter=self._reporter
        )
        check_request(clip, path, settings)
        if style == "luma":
            layout, color = (
                PixelLayout("gray", 8 if info.layout.bit_depth == 8 else 16),
                replace(info.color, range="pc"),
            )
        elif style in ("palette", "rgb"):
            layout, color = (
                PixelLayout("rgb", 8),
                ColorTags("gbr", "pc", info.color.primaries, info.color.transfer),
            )
        else:
            raise unknown_choice(
                "mask style",
                style,
                ("luma", "palette", "rgb"),
                hint="use --style luma, palette or rgb",
            )
        channels = object_channels(chosen_objects(clip, settings)) if style == "rgb" else {}
        if any(channel != object_id - 1 for object_id, channel in channels.items()):
            self._reporter.notify(f"{path.name}: {describe_channels(channels)}")
        names = self._names(path, encode)
        if style == "palette":
            smooth, plan = (
                _smooth(settings),
                self._plan(path, layout, color, encode) if names is None else None,
            )

            def painted(shot: Shot) -> Picture:
                ids = _ids(clip, shot.mask, smooth, settings.objects)
                return mix.paint_mask(mix.seen_ids(ids, shot.alpha), clip.palette)

            decodes = may_hide(info)
            return self._planned(
                path,
                plan,
                names,
                label="mask video",
                compose=painted,
                decodes=decodes,
                sound=encode.sound,
                settings=settings,
            )
        together = self._of(settings)
        plan = self._plan(path, layout, color, encode) if names is None else None
        if plan is not None:
            layout, color = plan.layout, plan.color
        single = {channel: together.alone(object_id) for object_id, channel in channels.items()}

        def compose(shot: Shot) -> Picture:
            if style == "luma":
                matte = seen(shot, together.of(shot.index, shot.mask, shot.image))
                return mix.luma_matte(matte, layout, color)
            mattes = {
                channel: seen(shot, one.of(shot.index, shot.mask, shot.image))
                for channel, one in single.items()
            }
            return mix.channel_mattes(mattes.get(0), mattes.get(1), mattes.get(2), shape=info.shape)

        decodes = together.needs_picture or may_hide(info)
        return self._planned(
            path, plan, names, label="mask video", compose=compose, decodes=decodes,
            sound=encode.sound,
            settings=settings, mattes=[together] if style == "luma" else list(single.values()),
        )  # fmt: skip

    def _names(
        self, path: Path, encode: EncodeOptions, *, folders: bool = False
    ) -> NumberedFiles | None:
        """How the files of an output are numbered; None when it is one file.

        folders: a folder's name is enough.
        """
        if not (
            (folders and is_folder(path)) or (is_numbered(path) and path.suffix.lower() == PNG)
        ):
            return None
        return numbered_files(path, self._numbered, encode.start_number)[1]

    def _planned(
        self,
        path: Path,
        plan: EncodePlan | None,
        names: NumberedFiles | None,
        *,
        label: str,
        compose: Callable[[Shot], Picture],
        decodes: bool = True,
        moves: bool = False,
        sound: bool,
        settings: MatteSettings,
        mattes: Sequence[Mattes] = (),
        background: Path | None = None,
    ) -> PlannedOutput:
        def precede(shot: Shot) -> None:
            for one in mattes:
                one.of(shot.index, shot.mask, shot.image)

        folder = path if names is None else numbered_files(path, self._clip.info)[0]
        return PlannedOutput(
            path=folder, plan=plan, label=label, compose=compose, decodes=decodes, moves=moves,
            sound=sound,
            names=names or USUAL_NAMES, memory=max((one.memory for one in mattes), default=0),
            precede=precede,
            check=lambda place: check_request(self._clip, place, settings, background=background),
        )  # fmt: skip

    def _of(self, settings: MatteSettings) -> Mattes:
        """The mattes of some settings, with edges settled."""
        if settings not in self._mattes:
            self._mattes[settings] = Mattes(
                self._clip, with_edges(self._clip, settings, self._reporter), self._tools
            )
        return self._mattes[settings]

    def _plan(
        self, path: Path, layout: PixelLayout, color: ColorTags, encode: EncodeOptions
    ) -> EncodePlan:
        return encode_plan(
            path,
            self._clip.info,
            layout=layout,
            color=color,
            encode=encode,
            reporter=self._reporter,
        )


def output_place(
    kind: str,
    clip: SegmentedClip,
    output: Path | None,
    usual: str,
    encode: EncodeOptions,
    *,
    premultiplied: bool = False,
    reporter: Reporter,
) -> tuple[Path, EncodeOptions]:
    """Where an output of a clip goes and how it is encoded, see `encoding_for`."""
    return encoding_for(
        kind, info=clip.info, output=output, folder=clip.folder, usual=usual, encode=encode,
        premultiplied=premultiplied, reporter=reporter,
    )  # fmt: skip


def working_layout(plan: EncodePlan, info: ClipInfo) -> tuple[PixelLayout, ColorTags]:
    """The layout and tags to mix in: the source's, unless the file has more chroma samples, which a
    keyed edge then uses.
    """
    have, want = info.layout, plan.layout
    if (have.model, want.model) == ("yuv", "yuv") and sum(want.chroma_shift) < sum(
        have.chroma_shift
    ):
        return replace(want, has_alpha=False), plan.color
    return have, info.color


def _on_device(picture: Picture, device: Device) -> Picture:
    return picture.with_planes(tuple(to_device(plane, device) for plane in picture.planes))


def _smooth(settings: MatteSettings) -> MatteSettings:
    """Edges for ids, which have no alpha to find in the picture."""
    return replace(settings, edges=usual(from_picture=False))


def _ids(
    clip: SegmentedClip, mask: Mask | None, edges: MatteSettings, objects: tuple[int, ...] | None
) -> Mask:
    """The ids that are shown of a frame: uint8 (H, W)."""
    if mask is None:
        return np.zeros(clip.info.shape, np.uint8)
    smoothed = refine_objects(mask, options=edges)
    if objects is None:
        return smoothed
    kept: Array = np.where(np.isin(smoothed, objects), smoothed, 0)
    return kept.astype(np.uint8)
