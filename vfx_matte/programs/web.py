"""Web pages, which take the place of an editing program."""

from __future__ import annotations

from vfx_matte.programs.record import (
    TO_LOOK_AT,
    Program,
    ProgramEncoding,
    Step,
    h264,
    h264_or_h265,
    sound_codecs,
)

WEB = Program(
    name="web",
    title="Web pages",
    sources=("https://developer.mozilla.org/docs/Web/Media/Guides/Formats/Video_codecs",),
    encodings={
        "source": h264_or_h265(
            why="plays in every browser; H.265 (deep clips) where the machine decodes it"
        ),
        "greenback": h264_or_h265(
            why="plays in every browser; H.265 (deep clips) where the machine decodes it"
        ),
        "alpha": ProgramEncoding(
            suffix=".webm",
            codec="libvpx-vp9",
            pixel_format="yuva420p",
            alpha="straight",
            why=(
                "VP9 with alpha: Chrome, Edge and Firefox, not Safari; 8 bits, as VP9's"
                " alpha has no more"
            ),
        ),
        "maskvideo": h264(why="white on black, for a shader or mask-mode: luminance"),
        "overlay": TO_LOOK_AT,
    },
    # browsers show every frame at its own time
    constant_rate=False,
    sound_copies=sound_codecs("aac", "opus", "vorbis"),
    sound_encoders={".mp4": "aac", ".webm": "libopus"},
    outputs=("alpha",),
    stacked="",  # the page is the background, so the cut-out has the sound itself
    # There is nothing to open: the note has the line of HTML.
    steps=(
        Step(
            "The video has an alpha channel{and_sound}. On a page it lies over what is behind it,"
            ' with the line <video\u00a0src="{first}"\u00a0controls\u00a0playsinline></video>',
            ("alpha",),
            "The videos, one for each object, have alpha channels. On a page the first lies over"
            " what is behind it, with the line"
            ' <video\u00a0src="{first}"\u00a0controls\u00a0playsinline></video> and the others in'
            " the same way.",
        ),
        Step("Chrome, Edge and Firefox show transparency, Safari does not.", ("alpha",)),
    ),
)
