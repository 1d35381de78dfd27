# ruff: noqa: ANN401
"""Our own interface: frames and a mask in, events with masks out, resumed, stopped, forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.labelling_server import (
    BUILTIN,
    SHAPE,
    Events,
    encoded,
    ended,
    file_of,
    picture,
    region_of,
    serving,
    track_body,
    true_mask,
)
from support.studio_server import Answer, Client

from vfx_matte.masks import Image
from vfx_matte.pipeline.tracking import registry
from vfx_matte.web.serve import service
from vfx_matte.web.serve.service import ServedClip


def begun(client: Client, **changes: Any) -> dict[str, Any]:
    answer = client("POST", "/v1/tracks", track_body(**changes))
    assert answer.status == 201, answer.json
    found: dict[str, Any] = answer.json
    return found


def frames_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["frame"] for event in events if event["type"] == "frame"]


class GatedClip:
    """A clip whose frames come only when a test lets them."""

    def __init__(self, length: int = 50) -> None:
        self.length, self.shape = length, SHAPE
        self.gate = threading.Semaphore(0)
        self.holders = 1

    def images(self, _notify: Any) -> GatedClip:
        return self

    def hold(self) -> None:
        self.holders += 1

    def let_go(self) -> None:
        self.holders -= 1

    def image(self, index: int) -> Image:
        return picture(index)

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        for index in range(start, stop):
            assert self.gate.acquire(timeout=30)
            yield index, picture(index % 8)

    def open_gate(self) -> None:
        self.gate.release(10**6)


def gated(client: Client) -> tuple[GatedClip, str]:
    """A gated clip and its id."""
    clip = GatedClip()
    served: ServedClip = client.studio.clips.add(lambda clip_id: ServedClip(clip_id, clip))
    return clip, served.id


def start_on(client: Client, clip_id: str) -> str:
    body = {"clip": clip_id, "mask": encoded(file_of(true_mask(0)))}
    answer = client("POST", "/v1/tracks", body)
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


def waited(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class MovedClock:
    """A clock that goes on as usual, and that a test can put forward."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    """The clock by which tracks and clips are forgotten, which is looked at all the time."""
    moved = MovedClock()
    monkeypatch.setattr(registry, "time", moved)
    monkeypatch.setattr(service, "_EXPIRE_SECONDS", 0.02)
    return moved


def listeners(client: Client) -> list[int]:
    """How many streams there are of each track."""
    return [track.events.streams for track in client.studio.tracks.kept()]


# what comes out


def test_masks_of_every_frame_with_ids_boxes_and_confidence() -> None:
    with serving(propagator=BUILTIN) as client:
        mask = encoded(file_of(true_mask(2)))
        track = begun(client, length=6, mask=mask, start_frame=2, direction="both")
        assert (track["total"], track["message"]) == (5, "")
        assert [(one["id"], one["pixels"]) for one in track["objects"]] == [
            (k, int((true_mask(2) == k).sum())) for k in (1, 2)
        ]
        events = ended(client, track["id"])
        assert events[0] == {
            "type": "progress", "state": "waiting", "position": 0, "done": 0, "total": 5,
        }  # fmt: skip
        assert [event["type"] for event in events if event["type"] != "notice"][1:3] == [
            "started", "frame",
        ]  # fmt: skip
        assert sorted(frames_of(events)) == [0, 1, 3, 4, 5]
        for event in events:
            if event["type"] != "frame":
                continue
            truth = true_mask(event["frame"])
            assert [one["id"] for one in event["objects"]] == [1, 2]
            for one in event["objects"]:
                region, wanted = region_of(one["rle"]), truth == one["id"]
                assert (region & wanted).sum() / (region | wanted).sum() > 0.8
                assert one["area"] == region.sum()
                ys, xs = np.nonzero(region)
                assert one["box"] == [
                    xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1,
                ]  # fmt: skip
                assert 0 <= one["confidence"] <= 1
        assert events[-1]["type"] == "completed"
        assert events[-1]["frames"] == 5
        assert client("GET", f"/v1/tracks/{track['id']}").json["state"] == "completed"


@pytest.mark.parametrize(
    ("direction", "count", "wanted"),
    [
        ("forward", None, [3, 4, 5]),
        ("forward", 2, [3, 4]),
        ("backward", None, [1, 0]),
        ("backward", 1, [1]),
        ("both", 1, [1, 3]),
        ("both", 10**9, [1, 0, 3, 4, 5]),
    ],
)
def test_direction_and_count(
    client: Client, direction: str, count: int | None, wanted: list[int]
) -> None:
    track = begun(client, start_frame=2, direction=direction, count=count)
    assert frames_of(ended(client, track["id"])) == wanted


def test_frames_are_jpeg_too_with_the_beginning_of_a_data_uri(client: Client) -> None:
    frames = [
        f"data:image/jpeg;base64,{encoded(file_of(picture(index), '.jpg'))}" for index in range(3)
    ]
    assert frames_of(ended(client, begun(client, frames=frames)["id"])) == [1, 2]


def test_a_form_with_files_is_the_same(client: Client) -> None:
    mark = "x1y2"
    parts = [("start_frame", None, b"1"), ("direction", None, b"backward")]
    parts += [("frames", f"{index}.png", file_of(picture(index))) for index in range(3)]
    parts.append(("mask", "mask.png", file_of(true_mask(1))))
    answer = client(
        "POST", "/v1/tracks", form(mark, parts),
        headers={"Content-Type": f"multipart/form-data; boundary={mark}"},
    )  # fmt: skip
    assert answer.status == 201, answer.json
    assert frames_of(ended(client, answer.json["id"])) == [0]


def form(mark: str, parts: list[tuple[str, str | None, bytes]]) -> bytes:
    made = b""
    for name, file, content in parts:
        named = "" if file is None else f'; filename="{file}"'
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        made += head.encode() + content + b"\r\n"
    return made + f"--{mark}--\r\n".encode()


def test_a_clip_serves_several_tracks_and_those_outlive_it(client: Client) -> None:
    answer = client("POST", "/v1/clips", {"frames": track_body(4)["frames"]})
    assert (answer.status, answer.json["frames"]) == (201, 4)
    assert (answer.json["width"], answer.json["height"]) == (SHAPE[1], SHAPE[0])
    clip_id = answer.json["id"]
    assert client("GET", f"/v1/clips/{clip_id}").json == answer.json
    first, second = start_on(client, clip_id), start_on(client, clip_id)
    assert client("DELETE", f"/v1/clips/{clip_id}").status == 200
    assert client("GET", f"/v1/clips/{clip_id}").status == 410
    assert [frames_of(ended(client, one)) for one in (first, second)] == [[1, 2, 3]] * 2


def test_clips_of_served_folders(tmp_path: Path) -> None:
    plates = tmp_path / "shots" / "plate"
    plates.mkdir(parents=True)
    for index in range(3):
        (plates / f"{index:04d}.png").write_bytes(file_of(picture(index)))
    mask = encoded(file_of(true_mask(0)))
    with serving(folders=(tmp_path / "none", tmp_path / "shots")) as client:
        answer = client("POST", "/v1/tracks", {"path": "plate", "mask": mask})
        assert answer.status == 201, answer.json
        assert frames_of(ended(client, answer.json["id"])) == [1, 2]
        answer = client("POST", "/v1/clips", {"path": "plate/%04d.png"})
        assert answer.json["frames"] == 3


# events that are missed, and the end


def test_a_stream_goes_on_where_it_was(client: Client) -> None:
    clip, clip_id = gated(client)
    track_id = start_on(client, clip_id)
    clip.gate.release(3)
    stream = Events(client, f"/v1/tracks/{track_id}/events")
    heard = []
    for event in stream:
        if event["type"] == "frame":
            heard.append(event["frame"])
            if len(heard) == 2:
                break
    stream.close()
    clip.open_gate()
    again = Events(client, f"/v1/tracks/{track_id}/events", last=stream.last_id)
    heard += frames_of(list(again))
    again.close()
    assert heard == list(range(1, clip.length))
    # by the list of clips: a track that is over needs no frames
    waited(lambda: clip.holders == 1)


def test_a_track_is_stopped(client: Client) -> None:
    clip, clip_id = gated(client)
    track_id = start_on(client, clip_id)
    stream = Events(client, f"/v1/tracks/{track_id}/events")
    clip.gate.release(3)
    events = iter(stream)
    while next(events)["type"] != "frame":
        pass
    assert client("DELETE", f"/v1/tracks/{track_id}").status == 200
    clip.open_gate()
    rest = list(events)
    stream.close()
    assert rest[-1] == {"type": "stopped"}
    assert len(frames_of(rest)) < 5
    assert client("GET", f"/v1/tracks/{track_id}").json["state"] == "stopped"


def test_a_client_that_disappears_frees_its_track(clock: MovedClock) -> None:
    with serving(patience=60, at_once=1, idle=1800) as client:
        clip, clip_id = gated(client)
        first, second = start_on(client, clip_id), start_on(client, clip_id)
        gone, stays = (Events(client, f"/v1/tracks/{one}/events") for one in (first, second))
        next(iter(gone))
        gone.close()
        waited(lambda: listeners(client) == [0, 1])
        clock.ahead += 61
        waited(lambda: len(client.studio.tracks) == 1)
        assert client("GET", f"/v1/tracks/{first}").status == 410
        assert client("GET", f"/v1/tracks/{second}").json["state"] == "waiting"
        # the frame that the first one was at, and its own; then the second one has its turn
        clip.gate.release(2)
        waited(lambda: client("GET", f"/v1/tracks/{second}").json["state"] == "running")
        clip.open_gate()
        assert list(stays)[-1]["type"] == "completed"
        stays.close()
        waited(lambda: listeners(client) == [0])
        # results stay for whoever comes back, longer than work that nobody wants goes on
        clock.ahead += 1000
        client.studio.tracks.expire()
        assert client("GET", f"/v1/tracks/{second}").json["state"] == "completed"
        clock.ahead += 1801
        waited(lambda: len(client.studio.tracks) == 0)
        assert client("GET", f"/v1/tracks/{second}").status == 410
        assert client.studio.space.used == 0


def test_a_stream_says_that_the_server_was_closed() -> None:
    with serving() as client:
        clip, clip_id = gated(client)
        stream = Events(client, f"/v1/tracks/{start_on(client, clip_id)}/events")
        events = iter(stream)
        while next(events)["type"] != "started":
            pass
        client.studio.end_streams()
        last = list(events)[-1]
        assert (last["type"], last["message"]) == ("error", "the server was closed")
        clip.open_gate()
        stream.close()


def test_whoever_listens_keeps_the_track(clock: MovedClock) -> None:
    with serving(patience=60) as client:
        clip, clip_id = gated(client)
        track_id = start_on(client, clip_id)
        stream = Events(client, f"/v1/tracks/{track_id}/events")
        waited(lambda: listeners(client) == [1])
        clock.ahead += 61
        client.studio.tracks.expire()
        clip.open_gate()
        assert list(stream)[-1]["type"] == "completed"
        stream.close()


def test_two_run_and_the_others_come_in_their_order() -> None:
    with serving(at_once=2) as client:
        clips = [gated(client) for _ in range(5)]
        ids = [start_on(client, clip_id) for _, clip_id in clips]

        def views() -> list[dict[str, Any]]:
            return [client("GET", f"/v1/tracks/{one}").json for one in ids]

        waited(lambda: [one["state"] for one in views()].count("running") == 2)
        assert [one["position"] for one in views()] == [None, None, 0, 1, 2]
        # one in the middle leaves, and one that runs ends
        client("DELETE", f"/v1/tracks/{ids[3]}")
        assert [one["position"] for one in views()] == [None, None, 0, None, 1]
        clips[1][0].open_gate()
        waited(lambda: views()[2]["state"] == "running")
        assert views()[4]["position"] == 0
        for clip, _ in clips:
            clip.open_gate()
        assert [ended(client, one)[-1]["type"] for one in ids] == [
            "completed", "completed", "completed", "stopped", "completed",
        ]  # fmt: skip


# what there may be no more of


def test_no_more_tracks_than_there_may_be() -> None:
    with serving(sessions=2, at_once=1) as client:
        clip, clip_id = gated(client)
        ids = [start_on(client, clip_id) for _ in range(2)]
        refused = client("POST", "/v1/tracks", track_body())
        assert refused.status == 503
        assert "2 tracks at most" in refused.json["message"]
        clip.open_gate()
        assert all(ended(client, one)[-1]["type"] == "completed" for one in ids)
        # one that is over, and that nobody listens to, goes for a new one
        waited(lambda: begun_or_busy(client).status == 201)
        assert client("GET", f"/v1/tracks/{ids[0]}").status == 410


def begun_or_busy(client: Client) -> Answer:
    return client("POST", "/v1/tracks", track_body())


def test_the_space_is_bounded_and_given_back() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    large = [encoded(file_of(noise))] * 6  # 1.6 MB
    with serving(space_mb=1) as client:
        answer = client("POST", "/v1/clips", {"frames": large})
        assert answer.status == 503
        assert "space" in answer.json["message"]
        assert client.studio.space.used == 0
        assert client("POST", "/v1/clips", {"frames": large[:2]}).status == 201
        assert client.studio.space.used > 0


def test_results_that_do_not_fit_are_an_error_and_not_a_silence() -> None:
    with serving() as client:
        clip, clip_id = gated(client)
        track_id = start_on(client, clip_id)
        waited(lambda: client("GET", f"/v1/tracks/{track_id}").json["state"] == "running")
        client.studio.space.most_bytes = 0
        clip.open_gate()
        last = ended(client, track_id)[-1]
        assert last["type"] == "error"
        assert "space" in last["message"]
        view = client("GET", f"/v1/tracks/{track_id}").json
        assert view["hint"]
        # no mask has come
        assert view["done"] == 0
