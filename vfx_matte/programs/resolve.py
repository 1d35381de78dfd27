"""DaVinci Resolve."""

from __future__ import annotations

from vfx_matte.programs.record import (
    BETWEEN,
    BETWEEN_ALL,
    FILM_RATES,
    Program,
    Step,
    prores_422,
    prores_444,
    prores_4444,
    rates,
    sound_codecs,
)
from vfx_matte.programs.timelines.files import FCPXML, OTIO_WITH_PATHS, RESOLVE_SCRIPT

RESOLVE = Program(
    name="resolve",
    title="DaVinci Resolve",
    sources=(
        "https://documents.blackmagicdesign.com/SupportNotes/DaVinci_Resolve_18_Supported_Codec_List.pdf",
        (
            "DaVinci Resolve 18.6 manual, External Mattes (a matte in each of R, G and B"
            " of one file)"
        ),
    ),
    encodings={
        "source": prores_422(
            why=(
                "ProRes 422 HQ with PCM sound: read by every edition; the free one on Linux"
                " decodes neither H.264, H.265 nor AAC"
            )
        ),
        "greenback": prores_444(
            why=(
                "ProRes 4444 without alpha: chroma at full resolution for the 3D Keyer and"
                " Delta Keyer"
            )
        ),
        "alpha": prores_4444(why="ProRes 4444; Clip Attributes: Straight"),
        "maskvideo": prores_444(
            style="rgb",
            quality=1,  # a matte is nearly black and white: the best quality costs little
            why=(
                "External Matte reads R, G and B of one file as separate mattes: 4:4:4,"
                " because subsampled chroma would mix them"
            ),
        ),
        "overlay": prores_422(why="only to look at; ProRes because of the free edition on Linux"),
    },
    constant_rate=True,
    # the free edition on Linux plays no AAC
    sound_copies=sound_codecs("pcm"),
    sound_encoders={".mov": "pcm_s24le", ".mp4": "aac"},
    outputs=("alpha", "maskvideo"),
    rates=rates(f"{FILM_RATES} 100 120000/1001 120"),
    suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi", ".mts", ".m2ts"),
    # The script imports the FCPXML file, and does by itself what the steps say.
    timelines=(
        FCPXML,
        OTIO_WITH_PATHS,
        RESOLVE_SCRIPT,
    ),
    steps=(
        Step(
            "Set the project's timeline frame rate to {rate} while it is still empty; Resolve"
            " cannot change it later. Then File > Import > Timeline, choose {fcpxml}. Should it not"
            " find a clip, show it the clip's folder, or use the script."
        ),
        Step("Resolve 18.5 and later can open {otio} instead.", ("otio",)),
        Step(
            "Track 1 is the source{with_sound}, track 2 the cut-out. " + BETWEEN,
            ("alpha",),
            "Track 1 is the source{with_sound}; tracks 2 to {top} are the cut-outs, one for each"
            " object. " + BETWEEN_ALL,
        ),
        Step(
            "Should the cut-out have a dark or bright edge: Clip Attributes, Alpha mode: {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: Clip Attributes, Alpha mode: {alpha}.",
        ),
        Step(
            "For the External Matte node: select the source in the Media Pool, right-click the"
            " matte's file in Media Storage, Add As Matte; on the Color page right-click among the"
            " nodes, Add Matte.",
            ("maskvideo",),
            "For External Matte nodes: select the source in the Media Pool, right-click the mattes'"
            " files, one per object, in Media Storage, Add As Matte; on the Color page right-click"
            " among the nodes, Add Matte.",
        ),
        Step(
            "The script {resolve} does all of this by itself: copy it to Fusion/Scripts/Utility in"
            " Resolve's folder and choose it in Workspace > Scripts. It adds a bin and a timeline"
            " to the open project and changes nothing else."
        ),
        Step(
            "The free Resolve for Linux reads neither H.264 nor AAC: there make the package with"
            " {convert}."
        ),
    ),
)
