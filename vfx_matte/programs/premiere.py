"""Adobe Premiere Pro."""

from __future__ import annotations

from vfx_matte.programs.record import (
    ALL_RATES,
    BETWEEN,
    BETWEEN_ALL,
    TO_LOOK_AT,
    Program,
    Step,
    h264_or_h265,
    prores_422,
    prores_4444,
    rates,
    sound_codecs,
)
from vfx_matte.programs.timelines.files import OTIO, XMEML

PREMIERE = Program(
    name="premiere",
    title="Adobe Premiere Pro",
    sources=(
        "https://helpx.adobe.com/premiere-pro/using/supported-file-formats.html",
        (
            "https://www.reich-consulting.net/support/fixing-sync-ipad-iphone-videos-import-adobe-premiere/"
            " (variable rate drifts)"
        ),
    ),
    encodings={
        "source": h264_or_h265(
            why=(
                "small, and decoded in hardware; constant rate is what matters here, since"
                " Premiere counts frames at one rate"
            )
        ),
        "greenback": prores_422(
            why=(
                "ProRes 422 HQ: twice the chroma columns of H.264, so Ultra Key gets a clean"
                " edge; Matroska is not imported"
            )
        ),
        "alpha": prores_4444(
            why=(
                "ProRes 4444: the one codec with alpha that Premiere reads on Windows and"
                " macOS alike"
            )
        ),
        "maskvideo": prores_422(
            quality=1,  # a matte is nearly black and white: the best quality costs little
            why=(
                "ProRes 422 HQ: 10-bit luma for Track Matte Key, Matte Luma; Matroska is not"
                " imported"
            ),
        ),
        "overlay": TO_LOOK_AT,
    },
    constant_rate=True,
    sound_copies=sound_codecs("aac", "pcm"),
    sound_encoders={".mov": "pcm_s24le", ".mp4": "aac"},
    outputs=("alpha", "maskvideo", "greenback"),
    rates=rates(ALL_RATES),
    # no Matroska and no WebM: other files are converted
    suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi", ".mts", ".m2ts"),
    # FCP7 XML is read by every version, OpenTimelineIO from 2025 on.
    timelines=(
        XMEML,
        OTIO,
    ),
    # In the order in which an editor works: open, look, mend, and what else lies in the bin.
    steps=(
        Step("File > Import, choose {xmeml}, and open the sequence “{name}”."),
        Step("Premiere 2025 and later can open {otio} instead.", ("otio",)),
        Step(
            "Track V1 is the source{with_sound}, track V2 the cut-out. " + BETWEEN,
            ("alpha",),
            "Track V1 is the source{with_sound}; tracks V2 to V{top} are the cut-outs, one for each"
            " object. " + BETWEEN_ALL,
        ),
        Step(
            "Should the cut-out have a dark or bright edge: right-click it in the project panel,"
            " Modify > Interpret Footage, and make its alpha {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: right-click it in the project panel,"
            " Modify > Interpret Footage, and make its alpha {alpha}.",
        ),
        Step(
            "The matte in the bin is for the effect Track Matte Key, Composite Using: Matte Luma.",
            ("maskvideo",),
            "The mattes in the bin, one for each object, are for the effect Track Matte Key,"
            " Composite Using: Matte Luma.",
        ),
        Step("The green screen in the bin is for the effect Ultra Key.", ("greenback",)),
    ),
)
