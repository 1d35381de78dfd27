"""Plans the outputs of a segmented clip: what every file shows and how it is encoded.

Every output has every frame of the source at the source's time. Frames without a mask (outside the
range that was segmented) count as "nothing chosen": all key colour, all black, fully transparent,
untinted. None is ever dropped.

Where alpha is shown (green screen, alpha, luma and rgb mask videos) its edges are those of the
probabilities that were kept beside the masks, where there are some; `MatteSettings.soft_edges`
decides. Ids (overlay, palette) are hard.
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
from vfx_matte.pipeline.render.key import KeyWatch, choose_key, is_auto
from vfx_matte.pipeline.render.legend import with_legend
from vfx_matte.pipeline.render.mattes import Mattes, may_hide, visible_matte
from vfx_matte.pipeline.render.outputs import FrameJob, PlannedOutput, Submit
from vfx_matte.pipeline.render.request import Tools, check_request, chosen_objects, with_edges
from vfx_matte.settings.edge_methods import usual
from vfx_matte.settings.options import MatteSettings
from vfx_matte.wording import option

COLORED: RGB = (255, 0, 0)
"""Stands for the palette's colours where only the layout that holds them is asked for."""


class Planner:
    """Plans what `write_outputs` makes of one clip.

    What is planned by one planner shares mattes, so it is written together. Every method raises
    UsageError for a request that cannot be met.
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
        self.clip = self._clip = clip
        self._tools, self._reporter = tools, reporter
        timeline = clip.info.timeline
        # a part of a sequence keeps the numbers that its frames have in the whole
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
        """Plan the subject over a key colour, or over a background.

        Args:
            output: where it goes; None is the usual path.
            key: green, blue, magenta, #rrggbb or auto (farthest from the subject's colours).
            background: a colour, a picture or a video; empty = the key.
            is_checked: whether the subject is compared with the key, see `choose_key`.
            settings: how mattes are made.
            encode: how the file is encoded.
        """
        clip, info = self._clip, self._clip.info
        path, encode = output_place(
            "greenback", clip, output, "greenback.mp4", encode, reporter=self._reporter
        )
        is_color = background.startswith("#") and not Path(background).exists()
        behind = Path(background) if background and not is_color else None
        check_request(clip, path, settings, background=behind)
        mattes = self._shared_mattes(settings)
        settings = mattes.settings
        # a background picture covers the key, so any colour will do
        flat = background if is_color else "green"
        color = (
            parse_color(flat)
            if background
            # a colour that was given is compared with the subject's while frames are made
            else choose_key(
                clip, key, settings, is_checked=is_checked and is_auto(key), reporter=self._reporter
            )
        )
        watch = None
        if not background and is_checked and not is_auto(key):
            watch = KeyWatch(clip, color, settings, reporter=self._reporter)
        # a gray clip cannot show a coloured key
        layout = info.layout if behind is not None else mix.layout_for_color(info.layout, color)
        names = self._names(path, encode)
        plan = self._plan(path, layout, info.color, encode) if names is None else None
        working, tags = (info.layout, info.color) if plan is None else working_layout(plan, info)
        # opened now, not at the first frame: a background that cannot be read ends no half render
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

        def compose(job: FrameJob) -> Picture:
            picture = _on_device(as_layout(job.picture, working, color=tags), self._tools.device)
            matte = mattes.matte(job.index, job.mask, job.image)
            # the subject's colours are found with the whole matte: what the clip's own alpha hides
            # is no background that shines through
            picture, visible = mattes.subject(picture, matte), visible_matte(job, matte)
            if backdrop is not None:
                below = backdrop.picture_at(job.time.start - info.timeline.start)
                return mix.over_picture(picture, visible, _on_device(below, self._tools.device))
            return mix.over_color(picture, visible, color)

        planned = self._planned(
            path, plan, names, label="green screen", compose=compose,
            moves=backdrop is not None and backdrop.moves,
            sound=encode.sound,
            settings=settings, mattes=[mattes], background=behind,
        )  # fmt: skip
        return replace(planned, watch=watch)

    def alpha(
        self,
        output: Path | None,
        *,
        premultiplied: bool = False,
        keep_background: bool = False,
        settings: MatteSettings,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        """Plan the subject cut out with alpha: a video, or RGBA PNG files in a folder.

        Args:
            output: where it goes; None is the usual path.
            premultiplied: whether colours are multiplied by alpha.
            keep_background: whether straight alpha hides the source's own colours; otherwise it
                hides those of `fill_hidden`.
            settings: how mattes are made.
            encode: how the file is encoded.
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
        mattes = self._shared_mattes(settings)
        plan = None
        # a name without a suffix is a folder here, as RGBA files are what compositors take
        names = self._names(path, encode, folders=True)
        if names is not None:
            # PNG has 8 or 16 bits per sample, so a 10-bit clip gets 16
            opaque = PixelLayout("rgb", 8 if source.bit_depth == 8 else 16)
        else:
            plan = self._plan(path, replace(source, has_alpha=True), clip.info.color, encode)
            opaque = replace(plan.layout, has_alpha=False)

        def compose(job: FrameJob) -> Picture:
            picture = _on_device(as_layout(job.picture, opaque), self._tools.device)
            matte = mattes.matte(job.index, job.mask, job.image)
            picture, visible = mattes.subject(picture, matte), visible_matte(job, matte)
            # premultiplied colours are black under alpha 0 by themselves
            if not (premultiplied or keep_background):
                picture = fill_hidden(picture, visible)
            return mix.with_alpha(picture, visible, premultiplied=premultiplied)

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
        legend: bool | None = None,
        settings: MatteSettings,
        encode: EncodeOptions,
    ) -> PlannedOutput:
        """Plan every object tinted with its colour.

        Args:
            output: where it goes; None is the usual path.
            alpha: the tint's weight, 0 to 1.
            legend: whether a corner says which object is which; None is where any has a label.
            settings: which objects are tinted, and how the mask's edge is smoothed.
            encode: how the file is encoded.
        """
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
        # 2 px at 1080 lines: seen when the whole frame is looked at, and hides little of the edge
        contour_px = max(1, round(info.height / 540))
        smooth = _smooth(settings)
        names = self._names(path, encode)
        layout = mix.layout_for_color(info.layout, COLORED)
        plan = self._plan(path, layout, info.color, encode) if names is None else None
        add_legend = with_legend(
            clip, chosen_objects(clip, settings), layout, wanted=legend, reporter=self._reporter
        )

        def compose(job: FrameJob) -> Picture:
            # the tint lies over what a player shows, where the clip's own alpha is black
            ids = mix.seen_ids(_ids(clip, job.mask, smooth, settings.objects), job.alpha)
            picture = mix.over_black(job.picture, job.alpha)
            tinted = mix.overlay(picture, ids, clip.palette, alpha=alpha, contour_px=contour_px)
            return add_legend(tinted)

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
        """Plan a video of the masks themselves.

        Ids stay where the clip's own alpha is at least a half. The source's pictures are decoded
        only when edges are found in them, or when they may have alpha; else its times, sound and
        colour tags are used.

        Args:
            output: where it goes.
            style: luma (white on black), palette (DAVIS colours) or rgb (one object per channel, as
                `object_channels` says).
            settings: which objects are shown, and how their edges are made.
            encode: how the file is encoded.
        """
        clip, info = self._clip, self._clip.info
        path, encode = output_place(
            "maskvideo", clip, output, output.name, encode, reporter=self._reporter
        )
        check_request(clip, path, settings)
        # layout and tags: a matte is full range, and ids are 8 bits whatever the clip has
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
                hint=f"use {option('style')} luma, palette or rgb",
            )
        # say which object is where, unless object 1 is red, 2 green and 3 blue
        channels = object_channels(chosen_objects(clip, settings)) if style == "rgb" else {}
        if any(channel != object_id - 1 for object_id, channel in channels.items()):
            self._reporter.notify(f"{path.name}: {describe_channels(channels)}")
        names = self._names(path, encode)
        plan = self._plan(path, layout, color, encode) if names is None else None
        if style == "palette":
            smooth = _smooth(settings)

            # colours of ids have no edge to find, so the palette needs no matte
            def compose_palette(job: FrameJob) -> Picture:
                ids = _ids(clip, job.mask, smooth, settings.objects)
                return mix.paint_mask(mix.seen_ids(ids, job.alpha), clip.palette)

            return self._planned(
                path,
                plan,
                names,
                label="mask video",
                compose=compose_palette,
                decodes=may_hide(info),
                sound=encode.sound,
                settings=settings,
            )
        together = self._shared_mattes(settings)
        # what the encoder takes, so that a matte is rounded once
        if plan is not None:
            layout, color = plan.layout, plan.color
        by_channel = {
            channel: together.for_object(object_id) for object_id, channel in channels.items()
        }

        def compose(job: FrameJob) -> Picture:
            # luma shows all objects as one matte, rgb each one's own in its channel
            if style == "luma":
                matte = visible_matte(job, together.matte(job.index, job.mask, job.image))
                return mix.luma_matte(matte, layout, color)
            mattes = {
                channel: visible_matte(job, mattes.matte(job.index, job.mask, job.image))
                for channel, mattes in by_channel.items()
            }
            return mix.channel_mattes(mattes.get(0), mattes.get(1), mattes.get(2), shape=info.shape)

        return self._planned(
            path, plan, names, label="mask video", compose=compose,
            decodes=together.needs_picture or may_hide(info), sound=encode.sound,
            settings=settings, mattes=[together] if style == "luma" else list(by_channel.values()),
        )  # fmt: skip

    def _names(
        self, path: Path, encode: EncodeOptions, *, folders: bool = False
    ) -> NumberedFiles | None:
        """How the files of an output are numbered; None when it is one file.

        Args:
            path: of the output.
            encode: its `start_number`, where it has one.
            folders: whether a folder's name is enough; otherwise a numbered PNG name is needed.
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
        compose: Callable[[FrameJob], Picture],
        decodes: bool = True,
        moves: bool = False,
        sound: bool,
        settings: MatteSettings,
        mattes: Sequence[Mattes] = (),
        background: Path | None = None,
    ) -> PlannedOutput:
        """An output of what was planned.

        Args:
            path: as it was asked for, with the pattern of numbered files.
            plan: how one file is encoded; None for numbered files.
            names: how they are numbered; None for one file.
            label: what it is, for people.
            compose: gives its pictures.
            decodes: whether that looks at pictures of the clip.
            moves: whether it may change while a frame is held.
            sound: whether it gets the clip's sound.
            settings: what objects are shown.
            mattes: what it is made with; stabilized ones remember frames before a part.
            background: the file that is put behind, which the output must not replace.
        """

        # mattes without pictures are enough to fill what stabilizing remembers
        def precede(job: FrameJob) -> None:
            for each in mattes:
                each.matte(job.index, job.mask, job.image)

        # several mattes of one frame, one per object, are begun side by side
        def begin(job: FrameJob, submit: Submit) -> None:
            for each in mattes:
                each.begin(job, submit)

        can_begin = bool(mattes) and all(each.can_begin for each in mattes)
        # written as a whole folder, so that no old picture lies between new ones
        folder = path if names is None else numbered_files(path, self._clip.info)[0]
        return PlannedOutput(
            path=folder, plan=plan, label=label, compose=compose, decodes=decodes, moves=moves,
            sound=sound,
            names=names or USUAL_NAMES, memory=max((each.memory for each in mattes), default=0),
            precede=precede, begin=begin if can_begin else None,
            check=lambda path: check_request(self._clip, path, settings, background=background),
        )  # fmt: skip

    def _shared_mattes(self, settings: MatteSettings) -> Mattes:
        """The mattes of some settings, with edges settled; the same for every output that has
        these.
        """
        # settings are frozen and comparable, so equal ones share a matte, its network and its past
        if settings in self._mattes:
            self._mattes[settings].is_shared = True
        else:
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

    Args:
        plan: how the file is encoded.
        info: of the source.
    """
    # 4:2:0 into a 4:4:4 file: mixed at 4:2:0, the key's edge would be half as sharp as it can be
    have, want = info.layout, plan.layout
    if (have.model, want.model) == ("yuv", "yuv") and sum(want.chroma_shift) < sum(
        have.chroma_shift
    ):
        return replace(want, has_alpha=False), plan.color
    return have, info.color


def _on_device(picture: Picture, device: Device) -> Picture:
    return picture.with_planes(tuple(to_device(plane, device) for plane in picture.planes))


def _smooth(settings: MatteSettings) -> MatteSettings:
    """Edges for ids, which have no alpha that could be found in the picture."""
    return replace(settings, edges=usual(from_picture=False))


def _ids(
    clip: SegmentedClip, mask: Mask | None, edges: MatteSettings, objects: tuple[int, ...] | None
) -> Mask:
    """The ids that are shown of a frame: uint8 (H, W)."""
    if mask is None:
        return np.zeros(clip.info.shape, np.uint8)
    # all objects are smoothed before some are left out: a neighbour that is not shown keeps its
    # pixels
    smoothed = refine_objects(mask, settings=edges)
    if objects is None:
        return smoothed
    kept: Array = np.where(np.isin(smoothed, objects), smoothed, 0)
    return kept.astype(np.uint8)
