"""What is wrong with a request is said with a status below 500, a message and a hint, and nothing
is kept of it.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.labelling_server import (
    SHAPE,
    encoded,
    file_of,
    picture,
    serving,
    track_body,
    true_mask,
)
from support.studio_server import Answer, Client


def refused(answer: Answer, status: int, text: str) -> None:
    assert answer.status == status, answer.json
    assert text in answer.json["message"], answer.json
    assert answer.json["hint"]


def bomb(side: int) -> bytes:
    """A small PNG that claims to be a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


JPEG = file_of(picture(1), ".jpg")
BAD_FRAMES = {
    "truncated JPEG": (JPEG[: len(JPEG) // 2], 400, "frame 1 "),
    "truncated PNG": (file_of(picture(1))[:500], 400, "frame 1 is damaged"),
    "another size": (file_of(picture(1)[:-1]), 400, "frame 1 is 96×71"),
    "a bomb": (bomb(60000), 400, "frame 1 is 60000×60000, which is too large"),
    "no picture": (b"hello, I am a text and no picture", 400, "frame 1 is not a picture"),
    "PostScript": (b"%!PS-Adobe-3.0\n", 400, "PostScript"),
    "a GIF": (b"GIF89a" + bytes(100), 400, "frame 1"),
    "nothing": (b"", 400, "frame 1"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frames(client: Client, name: str) -> None:
    data, status, text = BAD_FRAMES[name]
    body = track_body(3)
    before = client.studio.space.used, len(client.studio.tracks)
    body["frames"][1] = encoded(data) or "data:,"
    refused(client("POST", "/v1/tracks", body), status, text)
    refused(client("POST", "/v1/clips", {"frames": body["frames"]}), status, text)
    assert (client.studio.space.used, len(client.studio.tracks)) == before


BAD_MASKS = {
    "empty": (file_of(np.zeros(SHAPE, np.uint8)), "mask is empty"),
    "another size": (file_of(true_mask(0)[:, :-1]), "the mask is 95×72, the frames are 96×72"),
    "a JPEG": (file_of(true_mask(0) * 100, ".jpg"), "the mask is JPEG"),
    "a bomb": (bomb(60000), "the mask is 60000×60000"),
    "cut off": (file_of(true_mask(0))[:60], "mask"),
    "a photograph": (
        file_of(np.random.default_rng(2).integers(0, 256, (*SHAPE, 3), np.uint8)),
        "no flat colours",
    ),
    "no picture": (b"hello", "not a picture"),
}


@pytest.mark.parametrize("name", BAD_MASKS)
def test_bad_masks(client: Client, name: str) -> None:
    data, text = BAD_MASKS[name]
    before = client.studio.space.used
    refused(client("POST", "/v1/tracks", track_body(3, mask=encoded(data))), 400, text)
    assert client.studio.space.used == before


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"frames": None}, 400, "none of frames, clip, path is given"),
        ({"clip": "clip-0-1"}, 400, "frames and clip"),
        ({"start_frame": 3}, 400, "there is no frame 3"),
        ({"start_frame": 2}, 400, "nothing to track"),
        ({"direction": "backward"}, 400, "nothing to track"),
        ({"propagator": "magic"}, 400, "propagator"),
        ({"mask": "no base64!"}, 400, "the mask is not base64"),
    ],
)
def test_what_does_not_fit_together(
    client: Client, changes: dict[str, Any], status: int, text: str
) -> None:
    refused(client("POST", "/v1/tracks", track_body(3, **changes)), status, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"start_frame": -1}, "start_frame"),
        ({"start_frame": "0"}, "start_frame"),
        ({"count": 0}, "count"),
        ({"direction": "sideways"}, "direction"),
        ({"frames": []}, "frames"),
        ({"frames": [1]}, "frames.0"),
        ({"mask": None}, "mask"),
        ({"speed": 3}, "speed"),
    ],
)
def test_what_is_of_another_form(client: Client, changes: dict[str, Any], text: str) -> None:
    answer = client("POST", "/v1/tracks", track_body(3, **changes))
    assert answer.status == 422
    assert answer.json["message"].startswith(text)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[1]", b"\xff\xfe", b"[" * 40_000])
def test_no_json(client: Client, body: bytes) -> None:
    for path in ("/v1/tracks", "/v1/clips"):
        answer = client("POST", path, body, headers={"Content-Type": "application/json"})
        assert answer.status == 422
        assert answer.json["message"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"--x--", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nno head", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
            422,
        ),
        ("text/plain", b"hello", 415),
    ],
)
def test_bad_forms(client: Client, kind: str, body: bytes, status: int) -> None:
    answer = client("POST", "/v1/tracks", body, headers={"Content-Type": kind})
    assert answer.status == status, answer.json
    assert answer.json["message"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.mp4", "shots/../../secret.mp4", "/etc/passwd", "shots//a", "./a", "~/a",
        "..\\secret.mp4", "C:\\secret.mp4", "c:secret", "a\0b", ".hidden/a.mp4", "x/" * 400,
        "link/secret.png", "out.png", "links",
    ],
)  # fmt: skip
def test_nothing_outside_of_served_folders_is_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "secret" / "secret.png").write_bytes(file_of(picture(0)))
    shots = tmp_path / "shots"
    (shots / "links").mkdir(parents=True)
    (shots / "link").symlink_to(tmp_path / "secret")
    (shots / "out.png").symlink_to(tmp_path / "secret" / "secret.png")
    (shots / "links" / "0001.png").symlink_to(tmp_path / "secret" / "secret.png")
    with serving(folders=(shots,)) as client:
        answer = client("POST", "/v1/clips", {"path": path})
        assert answer.status in (400, 404)
        assert str(tmp_path) not in str(answer.json)


def test_without_folders_no_path_is_read(client: Client) -> None:
    answer = client("POST", "/v1/clips", {"path": "a.mp4"})
    refused(answer, 400, "reads no clips")
    assert "--clips" in answer.json["hint"]


def test_limits_of_frames_and_pixels() -> None:
    with serving(most_frames=2, megapixels=0.01) as client:
        refused(client("POST", "/v1/tracks", track_body(3)), 400, "more than 2 frames")
        large = [encoded(file_of(np.zeros((101, 100), np.uint8)))]
        refused(client("POST", "/v1/clips", {"frames": large}), 400, "100×101")


def test_a_body_that_is_too_large() -> None:
    with serving(body_mb=1) as client:
        answer = client("POST", "/v1/tracks", {"mask": "A" * (1 << 20)})
        refused(answer, 413, "too large")
        answer = client("POST", "/v1/video/cancel/session-1-1", b"x" * (1 << 19))
        refused(answer, 413, "too large")


def test_json_of_many_values_is_refused_before_it_is_read(client: Client) -> None:
    # each wrong frame would be a message, and each list take twenty times its text
    for frames in ([1] * 200_000, [[]] * 200_000):
        for path in ("/v1/tracks", "/v1/clips", "/v1/video/init", "/v1/predict"):
            refused(client("POST", path, {"frames": frames}), 413, "too many values")
    frames = ["data:image/png;base64,eA=="] * client.studio.settings.most_frames
    answer = client("POST", "/v1/clips", {"frames": frames})
    refused(answer, 400, "frame 0 is not a picture")


@pytest.mark.parametrize("kind", ["track", "clip"])
def test_ids_that_are_none_or_gone(client: Client, kind: str) -> None:
    path = f"/v1/{kind}s/"
    for wrong in ("x", "1", f"{kind}-", f"{kind}-zz-0", f"{kind}-{'z' * 99}-1"):
        assert client("GET", path + wrong).status == 404
    gone = client("GET", f"{path}{kind}-00000000-1")
    refused(gone, 410, "started again")


def test_events_that_were_never_given_out(client: Client) -> None:
    track_id = client("POST", "/v1/tracks", track_body(3)).json["id"]
    answer = client(
        "GET", f"/v1/tracks/{track_id}/events", headers={"Last-Event-ID": "next, please"}
    )
    assert answer.status == 400
