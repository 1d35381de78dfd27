"""CapCut."""

from __future__ import annotations

from vfx_matte.programs.record import (
    FILM_RATES,
    TO_LOOK_AT,
    Program,
    Step,
    h264,
    h264_or_h265,
    prores_4444,
    rates,
    sound_codecs,
)

CAPCUT = Program(
    name="capcut",
    title="CapCut",
    # Where its makers say nothing, the safest choice is what phones write.
    sources=("no list by its maker was found; reports of its users",),
    encodings={
        "source": h264_or_h265(why="what phones write, at constant rate"),
        "greenback": h264_or_h265(
            why=(
                "for Remove BG, Chroma key; H.264 4:2:0 is what it surely reads on phones"
                " and desktops"
            )
        ),
        "alpha": prores_4444(
            why=(
                "ProRes 4444 is composited with its alpha by the desktop program, as users"
                " report; phones: take the green screen"
            )
        ),
        "maskvideo": h264(
            why="white on black, for blend modes; luma is at full resolution in 4:2:0 too"
        ),
        "overlay": TO_LOOK_AT,
    },
    constant_rate=True,
    sound_copies=sound_codecs("aac"),
    sound_encoders={".mov": "aac", ".mp4": "aac"},
    # the desktop program takes the cut-out, phones take the green screen
    outputs=("alpha", "greenback"),
    rates=rates(FILM_RATES),
    suffixes=(".mp4", ".mov", ".m4v"),
    # It opens no timeline of other programs: the steps say how to put one together by hand.
    steps=(
        Step(
            "CapCut is given no timeline: the files are put together by hand. Import the source and"
            " the folder media."
        ),
        Step(
            "Drag the source on the main track. It has the sound; the other files are silent.",
            ("sound",),
        ),
        Step("Drag the source on the main track.", without=("sound",)),
        Step(
            "On a computer, drag the cut-out on the track above, both from 00:00 on: they have the"
            " same frames.",
            ("alpha",),
            "On a computer, drag the cut-outs, one for each object, each on a track of its own"
            " above, all from 00:00 on: they have the same frames.",
        ),
        Step(
            "On a phone, take the green screen for that, as an overlay, with Cutout > Chroma key.",
            ("greenback",),
        ),
    ),
)
