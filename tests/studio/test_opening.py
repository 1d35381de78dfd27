"""A studio that is being opened: the first picture is there before the frames are counted."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of
from support.slow_opening import SlowOpening

from vfx_matte.errors import MediaError
from vfx_matte.pipeline.studio import FirstFacts, Studio

# the first frame has number 5, as an edit list hides those before
HIDDEN = 5
PTS = tuple(range(-HIDDEN * 1001, 40 * 1001, 1001))


@pytest.fixture
def opening(tmp_path: Path, make_clip: Callable[..., Path]) -> Iterator[SlowOpening]:
    clip = tmp_path / "clip.mp4"
    shutil.copy2(make_clip("long.mp4", pts=PTS, options={"g": "20", "bf": "2"}), clip)
    made = SlowOpening(clip, tmp_path)
    yield made
    made.finish()
    made.close()


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_first_picture_is_that_of_the_studio(opening: SlowOpening) -> None:
    facts = opening.first_facts()
    early = opening.first_jpeg(None)
    assert opening.studio is None
    opening.finish()
    studio = opening.wait()
    info = studio.info
    assert facts == FirstFacts("clip.mp4", info.width, info.height, info.pts[0])
    assert info.frames == 40
    assert number_of(np.asarray(picture(early))) == HIDDEN
    assert early == studio.frame_jpeg(0)
    # nothing early is told of a clip that is open
    assert opening.first_facts() is None
    assert picture(opening.first_jpeg(80)).size[0] == 80
    assert opening.studio is studio


def test_who_waits_gets_the_studio_and_who_listens_comes_first(opening: SlowOpening) -> None:
    heard: list[Studio | None] = []
    got: list[tuple[Studio, int]] = []

    def wait() -> None:
        studio = opening.wait()
        got.append((studio, len(heard)))

    opening.then(heard.append)
    waiting = threading.Thread(target=wait)
    waiting.start()
    assert heard == []
    opening.finish()
    waiting.join(20)
    assert got == [(opening.studio, 1)]
    opening.then(heard.append)
    assert heard == [opening.studio, opening.studio]


def test_a_clip_that_cannot_be_opened(opening: SlowOpening) -> None:
    heard: list[Studio | None] = []
    opening.then(heard.append)
    opening.finish(MediaError("the file is cut short"))
    with pytest.raises(MediaError, match="cut short"):
        opening.wait()
    with pytest.raises(MediaError, match="cut short"):
        opening.first_jpeg(None)
    assert heard == [None]
    assert opening.studio is None
    opening.close()


def test_a_clip_without_a_picture_to_show_early(tmp_path: Path) -> None:
    """Whoever asks for its first frame waits for the studio, and hears what is wrong."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"nothing")
    made = SlowOpening(clip, tmp_path)
    assert made.first_facts() is None
    made.finish()
    with pytest.raises(MediaError):
        made.first_jpeg(None)
    with pytest.raises(MediaError):
        made.wait_a_moment()
