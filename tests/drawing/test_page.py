"""Parts of pages: curves that show every peak, whatever their length, and pictures that are inside
of the page.
"""

from __future__ import annotations

import base64
import io
import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from support.examples import examples

from vfx_matte.drawing.page import (
    Curve,
    Marks,
    command,
    curve,
    escaped,
    facts,
    page,
    picture,
    strip,
)

NUMBER = r"(-?\d+(?:\.\d+)?)"


def line_of(drawn: str) -> list[tuple[str, float, float]]:
    """The points of the curve's path: M or L, x, y."""
    path = re.search(r'class="line" d="([^"]*)"', drawn)
    assert path is not None
    return [
        (word, float(x), float(y))
        for word, x, y in re.findall(rf"([ML]){NUMBER} {NUMBER}", path[1])
    ]


def of(values: list[float], **options: object) -> Curve:
    places = np.linspace(0, 1, len(values), endpoint=False)
    return Curve("Area", "how much", places, np.array(values, np.float64), **options)  # type: ignore[arg-type]


def test_a_curve_goes_through_its_values_from_bottom_to_top() -> None:
    points = line_of(curve(of([0, 5, 10], span=(0, 10))))
    assert [x for _, x, _ in points] == [0, pytest.approx(333.3), pytest.approx(666.7)]
    assert [y for _, _, y in points] == [96, 50, 4]
    assert [word for word, _, _ in points] == ["M", "L", "L"]


def test_it_breaks_where_nothing_is_known() -> None:
    points = line_of(curve(of([1, 2, math.nan, math.nan, 3, 4])))
    assert [word for word, _, _ in points] == ["M", "L", "M", "L"]
    assert "not known for this clip" in curve(of([math.nan] * 4))


@examples(30)
@given(st.integers(1, 9000), st.data())
def test_a_long_clip_takes_a_short_path_and_loses_no_peak(count: int, data: st.DataObject) -> None:
    values = [0.0] * count
    peak = data.draw(st.integers(0, count - 1))
    values[peak] = 1.0
    points = line_of(curve(of(values, span=(0, 1))))
    assert len(points) <= 2000
    assert min(y for _, _, y in points) == 4
    assert all(one <= two for one, two in pairwise(x for _, x, _ in points))
    tops = [x for _, x, y in points if y == 4]
    assert tops[0] == pytest.approx(1000 * peak / count, abs=1.1)


def test_limits_dots_and_marks_are_drawn_where_they_belong() -> None:
    marks = Marks(
        lines=[0.25], points=[0.5], gaps=[(0.75, 1.0)], ticks=[(0.0, "0:00.000"), (1.0, "0:09.000")]
    )
    one = of(
        [0, 8, 2, 1],
        limits=[5, math.nan],
        dots=[1],
        notes=["frame 1 <odd>"],
        span=(0, 10),
        shown="{:.0f} %",
        marks=marks,
    )
    drawn = curve(one)
    assert '<path class="cut" d="M250.0 0V100"/>' in drawn
    assert '<path class="point" d="M500.0 0V18"/>' in drawn
    assert '<rect class="gap" x="750.0" y="0" width="250.0" height="100"/>' in drawn
    assert '<path class="limit" d="M0 50.0H1000"/>' in drawn
    assert drawn.count("limit") == 1
    assert '<path class="dot" d="M250.0 22.4h0"><title>frame 1 &lt;odd&gt;</title></path>' in drawn
    assert ">10 %<" in drawn
    assert ">0 %<" in drawn
    assert "0:09.000" in drawn


def test_the_strip_leads_to_the_places_and_shows_the_shortest_too() -> None:
    drawn = strip(
        Marks(), [(0.5, 0.5001, 1.0, "frame 7: <gone>", "p1"), (0.9999, 1.0, 0.0, "frame 9", "p2")]
    )
    assert '<a href="#p1">' in drawn
    assert "frame 7: &lt;gone&gt;" in drawn
    for left, width in re.findall(rf'x="{NUMBER}" y="0" width="{NUMBER}"', drawn):
        assert float(width) >= 4
        assert float(left) + float(width) <= 1000


def test_a_picture_is_inside_of_the_page() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 20:] = (250, 120, 10)
    drawn = picture(image, 'frame 3 "x"', strong=True)
    data = re.search(r"data:image/jpeg;base64,([^\"]+)", drawn)
    assert data is not None
    with Pillow.open(io.BytesIO(base64.b64decode(data[1]))) as read:
        assert read.size == (40, 30)
        assert np.abs(np.asarray(read).astype(int)[:, 25:] - (250, 120, 10)).max() < 25
    assert 'width="40" height="30"' in drawn
    assert "frame 3 &quot;x&quot;" in drawn
    assert "strong" in drawn
    assert "strong" not in picture(image, "x")


def test_texts_are_taken_as_they_are_meant() -> None:
    assert escaped("<a & 'b'>") == "&lt;a &amp; &#x27;b&#x27;&gt;"
    assert "&lt;b&gt;" in page("<b>", [])
    assert "a &amp;&amp; b\nc" in command(["a && b", "c"])
    assert "&lt;5" in facts([("<5", "frames", "bad")])


def test_the_page_follows_light_and_dark_and_fits_a_phone() -> None:
    text = page("x", ["<p>y</p>"])
    assert text.startswith("<!doctype html>")
    assert "prefers-color-scheme:dark" in text
    assert "width=device-width" in text
    assert text.count("{") == text.count("}")
