"""Final Cut Pro."""

from __future__ import annotations

from vfx_matte.programs.record import (
    BETWEEN,
    BETWEEN_ALL,
    FILM_RATES,
    TO_LOOK_AT,
    Program,
    Step,
    prores_422,
    prores_4444,
    rates,
    sound_codecs,
)
from vfx_matte.programs.timelines.files import FCPXML

FINALCUT = Program(
    name="finalcut",
    title="Final Cut Pro",
    sources=(
        "https://support.apple.com/guide/final-cut-pro/supported-media-formats-ver2833f855/mac",
        (
            "http://documentation.apple.com/en/finalcutpro/professionalformatsandworkflows/chapter_10_section_5.html"
            " (alpha is detected)"
        ),
    ),
    encodings={
        "source": prores_422(
            why=(
                "ProRes 422 HQ: what Final Cut would make of it in the background anyway"
                " (optimised media)"
            )
        ),
        "greenback": prores_422(why="ProRes 422 HQ for the Keyer"),
        "alpha": prores_4444(
            why="ProRes 4444: its alpha is seen on import; Info, Alpha Handling: Straight"
        ),
        "maskvideo": prores_422(quality=1, why="ProRes 422 HQ: 10-bit luma for Stencil Luma"),
        "overlay": TO_LOOK_AT,
    },
    constant_rate=True,
    # what plays in QuickTime stays as it is
    sound_copies=sound_codecs("aac", "alac", "pcm"),
    sound_encoders={".mov": "pcm_s24le", ".mp4": "aac"},
    outputs=("alpha", "maskvideo", "greenback"),
    rates=rates(FILM_RATES),
    suffixes=(".mp4", ".mov", ".m4v", ".mxf"),
    # the one format of timelines that it imports
    timelines=(FCPXML,),
    # The cut-out hangs on the source: a connected clip moves with it.
    steps=(
        Step("File > Import > XML, choose {fcpxml}, and open the project “{name}”."),
        Step(
            "The storyline is the source{with_sound}; the cut-out is connected above it. "
            + BETWEEN,
            ("alpha",),
            "The storyline is the source{with_sound}; the cut-outs, one for each object, are"
            " connected above it. " + BETWEEN_ALL,
        ),
        Step(
            "Should the cut-out have a dark or bright edge: Info inspector, Settings, Alpha"
            " Handling: {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: Info inspector, Settings, Alpha Handling:"
            " {alpha}.",
        ),
        Step(
            "The matte in the event is for the blend mode Stencil Luma in a compound clip.",
            ("maskvideo",),
            "The mattes in the event, one for each object, are for the blend mode Stencil Luma in a"
            " compound clip.",
        ),
        Step("The green screen in the event is for the effect Keyer.", ("greenback",)),
    ),
)
