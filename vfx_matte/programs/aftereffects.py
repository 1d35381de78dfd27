"""Adobe After Effects."""

from __future__ import annotations

from vfx_matte.programs.record import (
    ALL_RATES,
    BETWEEN,
    BETWEEN_ALL,
    TO_LOOK_AT,
    Program,
    Step,
    prores_422,
    prores_444,
    prores_4444,
    rates,
    sound_codecs,
)
from vfx_matte.programs.timelines.files import AFTER_EFFECTS_SCRIPT
from vfx_matte.wording import command

AFTEREFFECTS = Program(
    name="aftereffects",
    title="Adobe After Effects",
    sources=("https://helpx.adobe.com/after-effects/kb/supported-file-formats.html",),
    encodings={
        "source": prores_422(
            why=(
                "ProRes 422 HQ: every frame stands alone, so that any frame of the"
                " composition is there at once"
            )
        ),
        "greenback": prores_444(
            why="ProRes 4444 without alpha: chroma at full resolution for Keylight"
        ),
        "alpha": prores_4444(
            why=(
                "ProRes 4444; Interpret Footage: Straight. For 16-bit stills:"
                f" {command('alpha', output='FOLDER')} (PNG)"
            )
        ),
        "maskvideo": prores_422(
            quality=1,
            why=(
                "ProRes 422 HQ: 10-bit luma for a Luma Matte. For one layer per object:"
                f" {command('maskvideo', output='FOLDER/%07d.exr')}"
            ),
        ),
        "overlay": TO_LOOK_AT,
    },
    constant_rate=True,
    sound_copies=sound_codecs("aac", "pcm"),
    sound_encoders={".mov": "pcm_s24le", ".mp4": "aac"},
    # the script cuts the source out by its matte; the cut-out is there for its clean colours
    outputs=("alpha", "maskvideo"),
    rates=rates(ALL_RATES),
    suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi"),
    timelines=(AFTER_EFFECTS_SCRIPT,),
    # A composition is built by the script, so there is no timeline file to open.
    steps=(
        Step(
            "File > Scripts > Run Script File, choose {aftereffects}. It makes the composition"
            " “{name}”."
        ),
        Step(
            "At the bottom lies the source{with_sound}, above it the source again, cut out by its"
            " matte (the matte's own layer is switched off, as it has to be). " + BETWEEN,
            ("maskvideo",),
            "At the bottom lies the source{with_sound}, above it the source again for each object,"
            " cut out by that object's matte (the mattes' own layers are switched off, as they have"
            " to be). " + BETWEEN_ALL,
        ),
        Step(
            "At the bottom lies the source{with_sound}, above it the cut-out. " + BETWEEN,
            ("alpha",),
            "At the bottom lies the source{with_sound}, above it the cut-outs, one for each"
            " object. " + BETWEEN_ALL,
            without=("maskvideo",),
        ),
        Step(
            "The cut-out in the project panel has an alpha channel of its own and colours without"
            " the old background's fringe; its alpha is {alpha}.",
            ("alpha",),
            "The cut-outs in the project panel, one for each object, have alpha channels of their"
            " own and colours without the old background's fringe; their alpha is {alpha}.",
        ),
        Step("The green screen in the project panel is for the effect Keylight.", ("greenback",)),
        Step("The script looks for the files beside itself first, so the folder may be moved."),
    ),
)
