"""What is kept for clients: by ids that tell starts apart, for as long as it is used, within the
space that there is.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelling_server import SHAPE, file_of, picture, true_mask

from vfx_matte.errors import MaskError, MediaError, OutputError, UsageError
from vfx_matte.files.spool import Spool, SpoolSpace
from vfx_matte.pipeline.tracking import (
    BusyError,
    GoneError,
    MissingError,
    PackedMasks,
    Registry,
    SentClip,
    read_given_mask,
)


def registry(gone: list[str], **changes: object) -> Registry[str]:
    facts = {"most": 3, "seconds": 60.0, "forget": gone.append, **changes}
    return Registry("clip", "abc", **facts)  # type: ignore[arg-type]


def test_ids_tell_what_is_gone_from_what_never_was() -> None:
    gone: list[str] = []
    kept = registry(gone)
    ids = [kept.add(lambda one: one) for _ in range(2)]
    assert ids == ["clip-abc-1", "clip-abc-2"]
    assert kept.get(ids[0]) == ids[0]
    kept.remove(ids[0])
    assert gone == [ids[0]]
    for number in ("clip-abc-3", "clip-abc-0", "clip-abc-01", "track-abc-1", "", "clip-abc-9" * 9):
        with pytest.raises(MissingError):
            kept.get(number)
    with pytest.raises(GoneError, match="ended"):
        kept.get(ids[0])
    with pytest.raises(GoneError, match="started again"):
        kept.get("clip-xyz-1")
    with pytest.raises(GoneError):
        kept.remove(ids[0])


def test_what_is_over_goes_for_a_new_one_and_what_is_used_stays() -> None:
    gone: list[str] = []
    over: set[str] = set()
    used: set[str] = set()
    kept = registry(gone, is_over=over.__contains__, is_used=used.__contains__)
    ids = [kept.add(lambda one: one) for _ in range(3)]
    with pytest.raises(BusyError, match="3 clips at most"):
        kept.add(lambda one: one)
    over.update(ids)
    used.add(ids[0])
    kept.get(ids[1])  # so that it was used later than the third one
    kept.add(lambda one: one)
    assert gone == [ids[2]]


def test_what_nobody_uses_expires() -> None:
    gone: list[str] = []
    used: set[str] = set()
    kept = registry(gone, seconds=0.2, is_used=used.__contains__)
    ids = [kept.add(lambda one: one) for _ in range(3)]
    used.add(ids[0])
    for _ in range(6):
        time.sleep(0.05)
        kept.get(ids[1])
        kept.expire()
    assert gone == [ids[2]]
    used.clear()
    time.sleep(0.25)
    kept.expire()
    assert sorted(gone) == sorted(ids)
    assert len(kept) == 0


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_a_spool_gives_back_what_it_got(parts: list[bytes]) -> None:
    space = SpoolSpace(1000)
    spool = Spool(space)
    for part in parts:
        spool.append(part)
    assert [spool[index] for index in range(len(spool))] == parts
    assert space.used == sum(map(len, parts))
    spool.close()
    spool.close()
    assert space.used == 0
    with pytest.raises(IndexError):
        spool[0]
    with pytest.raises(OutputError):
        spool.append(b"x")


def test_spools_share_their_space() -> None:
    space = SpoolSpace(10)
    one, other = Spool(space), Spool(space, most_bytes=4)
    one.append(b"12345678")
    with pytest.raises(OutputError, match="full"):
        other.append(b"123")
    other.append(b"12")
    one.close()
    other.append(b"34")
    with pytest.raises(OutputError, match="more than"):
        other.append(b"5")
    assert [other[0], other[1]] == [b"12", b"34"]
    other.close()
    assert space.used == 0


def test_a_full_space_is_told_in_numbers_that_say_so() -> None:
    space = SpoolSpace(1 << 20)
    spool = Spool(space)
    spool.append(bytes(900_000))
    with pytest.raises(OutputError, match=r"0\.19 MB do not fit, 0\.86 MB of 1 MB are taken"):
        spool.append(bytes(200_000))
    large = SpoolSpace(4096 << 20)
    with pytest.raises(OutputError, match=r"5000 MB do not fit, 0 MB of 4096 MB are taken"):
        large.take(5000 << 20)
    spool.close()


def test_a_sent_clip_gives_its_frames_and_its_space_back() -> None:
    space = SpoolSpace(1 << 20)
    pictures = [file_of(picture(index)) for index in range(3)]
    clip = SentClip(iter(pictures), space, most_pixels=10_000, most_frames=3)
    assert (clip.length, clip.shape) == (3, SHAPE)
    images = clip.images(lambda _line: None)
    assert [index for index, _ in images.backward(0, 3)] == [2, 1, 0]
    for index, image in images.forward(0, 3):
        assert np.array_equal(image, picture(index))
    clip.hold()
    clip.let_go()
    assert space.used == sum(map(len, pictures))
    clip.let_go()
    assert space.used == 0
    with pytest.raises(MediaError):
        clip.hold()


@pytest.mark.parametrize(
    ("pictures", "error"),
    [
        ([], UsageError),
        ([file_of(picture(0))] * 4, UsageError),
        ([file_of(picture(0)), file_of(picture(0)[1:])], UsageError),
        ([file_of(picture(0)), b"x"], UsageError),
        ([file_of(picture(0)), file_of(picture(0))[:900]], MediaError),
    ],
)
def test_a_clip_that_cannot_be_takes_no_space(
    pictures: list[bytes], error: type[Exception]
) -> None:
    space = SpoolSpace(1 << 20)
    with pytest.raises(error):
        SentClip(pictures, space, most_pixels=10_000, most_frames=3)
    assert space.used == 0


def test_masks_are_read_as_painted_ones_and_packed_without_loss() -> None:
    given_mask = read_given_mask(file_of(true_mask(0)), shape=SHAPE)
    assert np.array_equal(given_mask.mask, true_mask(0))
    assert [one.id for one in given_mask.objects] == [1, 2]
    white = read_given_mask(file_of((true_mask(0) > 0).astype(np.uint8) * 255), shape=SHAPE)
    assert np.array_equal(white.mask, true_mask(0) > 0)
    packed = PackedMasks({3: given_mask.mask, 5: white.mask})
    assert list(packed) == [3, 5]
    assert np.array_equal(packed[3], given_mask.mask)
    assert np.array_equal(packed[5], white.mask)
    with pytest.raises(MaskError, match="mask of the request"):
        read_given_mask(file_of(true_mask(0))[:70], shape=SHAPE)
