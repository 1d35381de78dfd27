"""Opens video files, only of kinds that hold their pictures themselves.

Many formats of FFmpeg are lists of other files or addresses (HLS, DASH, concat, SDP, IMF …),
scripts or devices, and a file is known by its contents, not by its name: so a clip that somebody
sent could show files of this computer, or call a server. Only the protocol `file` and the formats
below are let in. QuickTime's references to other files stay unfollowed, as is FFmpeg's default
(`enable_drefs`).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from vfx_matte.errors import InputError, MediaError
from vfx_matte.printable import shortened

PROTOCOLS = ("file",)

# FFmpeg's names of the formats that are let in, by kind
CONTAINERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mxf", "gxf", "asf", "flv", "kux", "live_flv",
    "nut", "ogg", "rm", "wtv", "nsv",
    "nuv", "dv", "ivf", "iv8", "ivr", "lxf", "pva", "ty", "dhav", "moflex", "r3d", "cine", "ser",
    "mtv", "swf", "vivo", "amv",
)  # fmt: skip
STREAMS = (
    "h261", "h263", "h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "av1", "obu", "avs2", "avs3",
    "vc1", "vc1test", "dirac",
    "cavsvideo", "dnxhd", "mjpeg", "mjpeg_2000", "mpjpeg", "apv", "ipu", "yuv4mpegpipe", "gif",
    "apng",
)  # fmt: skip
GAMES_AND_OLD = (
    "4xm", "anm", "bethsoftvid", "bfi", "bink", "c93", "cdg", "cdxl", "dfa", "dsicin", "dxa", "ea",
    "ea_cdata", "film_cpk",
    "filmstrip", "flic", "gdv", "hnm", "idcin", "iff", "ipmovie", "jv", "mm", "mv", "mvi",
    "msnwctcp", "paf", "pmp", "psxstr",
    "rl2", "roq", "rpl", "siff", "smk", "smjpeg", "smush", "thp", "tiertexseq", "tmv", "vmd",
    "wc3movie", "wsvqa", "xmv", "yop",
)  # fmt: skip
SOUNDS = (
    "wav",
    "w64",
    "aiff",
    "caf",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "flac",
    "dts",
    "truehd",
    "wv",
    "ape",
    "amr",
    "au",
)
"""Told apart from pictures, so that they get the error "has no video"."""
PICTURES = (
    "png_pipe", "jpeg_pipe", "jpegls_pipe", "jpegxl_pipe", "jpegxl_anim", "j2k_pipe", "tiff_pipe",
    "exr_pipe", "bmp_pipe",
    "webp_pipe", "webp", "dpx_pipe", "hdr_pipe", "psd_pipe", "qoi_pipe", "sgi_pipe", "sunrast_pipe",
    "gif_pipe", "pam_pipe",
    "pbm_pipe", "pcx_pipe", "pfm_pipe", "pgm_pipe", "pgmyuv_pipe", "phm_pipe", "ppm_pipe",
    "xbm_pipe", "xwd_pipe", "cri_pipe",
    "dds_pipe", "fits", "ico",
)  # fmt: skip
DEMUXERS = frozenset((*CONTAINERS, *STREAMS, *GAMES_AND_OLD, *SOUNDS, *PICTURES))
ONE_PICTURE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp", ".dpx"})
"""Endings with which FFmpeg's reader of image files (image2) is let in; with others it looks for
more files by their names.
"""

_LISTS = (
    (b"#EXTM3U", "a playlist (HLS)"),
    (b"ffconcat", "a list of files (ffconcat)"),
    (b"<MPD", "a playlist (DASH)"),
    (b"<SmoothStreamingMedia", "a playlist (Smooth Streaming)"),
    (b"<CompositionPlaylist", "a list of files (IMF)"),
    (b"<PackingList", "a list of files (IMF)"),
    (b"v=0", "the description of a network stream (SDP)"),
    (b"[playlist]", "a playlist (PLS)"),
    (b"[Reference]", "a playlist (ASX)"),
    (b"<ASX", "a playlist (ASX)"),
    (b"<smil", "a playlist (SMIL)"),
)
_LOOK_BYTES = 4096
_WIDE_NUMBER = re.compile(r"%[0-9]{3,}d", re.ASCII)
"""FFmpeg tries whether a name is a pattern, whatever the kind of file: it fills a number up to so
many digits, up to 1 GB.
"""


@contextmanager
def open_input(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a clip or a picture for reading.

    Raises:
        InputError: for what is not there or is not a file, or of a kind that is not let in.
        MediaError: for every FFmpeg or system error inside of the block; it names the file.
    """
    _require_clip(path)
    hint = "the file is damaged, cut short, or not a video; try playing it in a video player"
    try:
        # The "file:" protocol keeps names such as "a:b.mp4" or "-clip.mp4" from being read as
        # something else.
        container = av.open(
            f"file:{path}", container_options=_options(path), metadata_errors="surrogateescape"
        )
    except (av.FFmpegError, OSError) as error:
        # FFmpeg's own message would only say that the format is not in the list
        if listed := _named_list(path):
            raise InputError(
                f"{str(path)!r} is {listed}, which names other files or addresses; these are never"
                " opened",
                hint="give the video itself, or join the parts first in an editing program",
            ) from error
        raise MediaError(f"{str(path)!r} cannot be read: {_reason(error)}", hint=hint) from error
    try:
        with container:
            yield container
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{str(path)!r} cannot be read: {_reason(error)}", hint=hint) from error


def _options(path: Path) -> dict[str, str]:
    # without the suffix of one picture image2 would look for numbered files beside it
    formats = DEMUXERS | {"image2"} if path.suffix.lower() in ONE_PICTURE else DEMUXERS
    return {
        "protocol_whitelist": ",".join(PROTOCOLS),
        "format_whitelist": ",".join(sorted(formats)),
        "pattern_type": "none",  # a picture called a%d.png or a*.png is that one picture
    }


def _require_clip(path: Path) -> None:
    if _WIDE_NUMBER.search(path.name):
        raise InputError(
            f"the name {shortened(path.name)!r} asks for a number of too many digits",
            hint="rename the file",
        )
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"there is no file {str(path)!r}", hint="check the path; quote names with spaces"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} cannot be opened: {_reason(error)}", hint="check the path"
        ) from error
    # opening a pipe would wait for ever, a device might never end
    if stat.S_ISDIR(found.st_mode):
        raise InputError(
            f"{str(path)!r} is a folder, expected a file", hint="give a video or a picture"
        )
    if not stat.S_ISREG(found.st_mode):
        raise InputError(
            f"{str(path)!r} is a pipe, socket or device, expected a file",
            hint="save the video as a file first",
        )
    if not found.st_size:
        raise MediaError(f"{str(path)!r} is an empty file", hint="copy or export it again")


def _named_list(path: Path) -> str:
    """What kind of list of other files this is, in words; "" for anything else."""
    try:
        with path.open("rb") as file:
            start = file.read(_LOOK_BYTES)
    except OSError:
        return ""
    # a byte order mark and blank lines may stand before the beginning; XML may begin with anything
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_page = start.startswith(b"<")
    return next(
        (
            name
            for mark, name in _LISTS
            if start.startswith(mark) or (is_page and mark[:1] == b"<" and mark in start)
        ),
        "",
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
