"""Forms with files: what curl and the standard library's own writer send comes back, and what is
damaged is refused.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.web.failures import RequestError
from vfx_matte.web.serve.multipart import read_form

FILES = frozenset({"frames"})
MARK = "AaB03x"
MOST = 9
KIND = f"multipart/form-data; boundary={MARK}"

contents = st.binary(max_size=60).filter(lambda data: MARK.encode() not in data)


def form(files: list[bytes], texts: dict[str, str]) -> bytes:
    parts = [
        b'Content-Disposition: form-data; name="frames"; filename="a b.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + data
        for data in files
    ]
    parts += [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in texts.items()
    ]
    body = b"".join(f"--{MARK}\r\n".encode() + part + b"\r\n" for part in parts)
    return body + f"--{MARK}--\r\n".encode()


@given(
    files=st.lists(contents, max_size=4),
    texts=st.dictionaries(
        st.sampled_from(["count", "direction", "x y"]), st.text(max_size=9), max_size=3
    ),
)
def test_what_is_sent_is_read(files: list[bytes], texts: dict[str, str]) -> None:
    if any(MARK in text for text in texts.values()):
        return
    found = read_form(form(files, texts), KIND, files=FILES, most_parts=MOST)
    assert found.files.get("frames", []) == files
    assert found.texts == texts


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (form([b"x"], {})[2:], "damaged"),
        (b"a preamble\r\n" + form([b"x"], {}), "damaged"),
        (form([b"x"], {}).replace(MARK.encode(), b"other"), "damaged"),
        (form([b"x"], {}).replace(b"Content-Type:", b"\x00:"), "damaged"),
        (form([b"x"], {}).replace(b"image/png", b"x" * 100_000), "damaged"),
        (form([b"x"], {}).replace(b"form-data; name", b"form-data; title"), "no name"),
        (form([b"x"], {}).replace(b"form-data;", b"attachment;"), "no name"),
        (form([b"x"], {}).replace(b"Content-Disposition", b"Content-Other"), "no name"),
        (b"", "cut off"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_form(body, KIND, files=FILES, most_parts=MOST)
    assert caught.value.status == 400
    assert caught.value.hint


def test_more_parts_than_there_may_be_are_refused() -> None:
    assert (
        len(read_form(form([b"x"] * MOST, {}), KIND, files=FILES, most_parts=MOST).files["frames"])
        == MOST
    )
    with pytest.raises(RequestError, match="more than 9 parts") as caught:
        # refused before what follows is looked at
        read_form(form([b"x"] * (MOST + 1), {})[:-9], KIND, files=FILES, most_parts=MOST)
    assert caught.value.status == 413


def test_names_in_quotes_and_in_any_script() -> None:
    sent = form([], {'a \\"b\\" 跳舞': "é"})
    assert read_form(sent, KIND, files=FILES, most_parts=MOST).texts == {'a "b" 跳舞': "é"}


@given(files=st.lists(contents, min_size=1, max_size=3), data=st.data())
def test_what_is_cut_off_is_refused(files: list[bytes], data: st.DataObject) -> None:
    whole = form(files, {"count": "3"})
    end = data.draw(st.integers(0, len(whole) - 5))
    with pytest.raises(RequestError) as caught:
        read_form(whole[:end], KIND, files=FILES, most_parts=MOST)
    assert caught.value.status == 400


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_no_boundary(kind: str) -> None:
    with pytest.raises(RequestError, match="no boundary"):
        read_form(form([], {}), kind, files=FILES, most_parts=MOST)


def test_a_boundary_in_quotes_and_a_text_that_comes_twice() -> None:
    quoted = f'multipart/form-data; charset=utf-8; boundary="{MARK}"'
    assert read_form(form([b"x"], {}), quoted, files=FILES, most_parts=MOST).files == {
        "frames": [b"x"]
    }
    twice = form([], {"count": "1"})[: -len(MARK) - 6] + form([], {"count": "2"})
    with pytest.raises(RequestError, match="twice"):
        read_form(twice, KIND, files=FILES, most_parts=MOST)
    with pytest.raises(RequestError, match="not a text"):
        read_form(
            form([], {"count": "1"}).replace(b"\r\n1\r\n", b"\r\n\xff\r\n"),
            KIND,
            files=FILES,
            most_parts=MOST,
        )
