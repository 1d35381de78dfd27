"""Pictures that come as bytes: decoded as files are, and refused where they are not whole."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vfx_matte.errors import MediaError, UsageError, VfxMatteError
from vfx_matte.media.open import open_clip
from vfx_matte.media.readers.sent import decode_sent

RAMP = np.linspace(0, 255, 48 * 64 * 3).astype(np.uint8).reshape(48, 64, 3)
ENCODINGS = {
    "png": ("PNG", {}),
    "gray.png": ("PNG", {"mode": "L"}),
    "palette.png": ("PNG", {"mode": "P"}),
    "alpha.png": ("PNG", {"mode": "RGBA"}),
    "jpg": ("JPEG", {}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "turned.jpg": ("JPEG", {"turn": 6}),
    "webp": ("WEBP", {}),
    "bmp": ("BMP", {}),
}


def encoded(name: str) -> bytes:
    kind, facts = ENCODINGS[name]
    picture = Image.fromarray(RAMP).convert(str(facts.get("mode", "RGB")))
    if facts.get("mode") == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    exif = Image.Exif()
    if "turn" in facts:
        exif[0x0112] = facts["turn"]
    made = io.BytesIO()
    picture.save(made, kind, exif=exif, progressive=bool(facts.get("progressive")))
    return made.getvalue()


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_same_as_a_file_of_a_sequence(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"0001.{name.rpartition('.')[2]}"
    file.write_bytes(encoded(name))
    wanted = open_clip(file, notify=lambda _line: None).frame(0).image
    image = decode_sent(file.read_bytes(), "frame 0", most_pixels=10_000)
    assert image.dtype == np.uint8
    assert np.array_equal(image, wanted)


# a PNG's last twelve bytes, of 200 here, only say that it ends
@given(name=st.sampled_from(sorted(ENCODINGS)), share=st.floats(0, 0.9))
def test_what_is_cut_short_is_refused(name: str, share: float) -> None:
    data = encoded(name)
    with pytest.raises(VfxMatteError) as caught:
        decode_sent(data[: int(len(data) * share)], "frame 7", most_pixels=10_000)
    assert "frame 7" in caught.value.message
    assert caught.value.hint


@given(name=st.sampled_from(sorted(ENCODINGS)), data=st.data())
def test_what_is_damaged_is_a_picture_or_an_error(name: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(name))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_sent(bytes(damaged), "frame 7", most_pixels=10_000)
    except VfxMatteError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[0] * image.shape[1] <= 10_000


def test_sizes_are_checked_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("av.open")
    with pytest.raises(UsageError, match="64×48, which is too large"):
        decode_sent(encoded("png"), "frame 7", most_pixels=3000)


def test_other_formats_are_named() -> None:
    made = io.BytesIO()
    Image.fromarray(RAMP).save(made, "TIFF")
    with pytest.raises(UsageError, match="frame 7 is TIFF"):
        decode_sent(made.getvalue(), "frame 7", most_pixels=10_000)
    with pytest.raises(MediaError, match="empty"):
        decode_sent(b"", "frame 7", most_pixels=10_000)
