"""Extents across the date line, degrees on the axes, and rows of panels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from ml4szeq.map_frames import Frame, Margins, add_map, frame_of, in_rows


def inside(frame: Frame, lon: float, lat: float) -> bool:
    left, right, bottom, top = frame.limits
    x, y = frame.points(np.array([lon, lat]))
    return left < x < right and bottom < y < top


@pytest.mark.parametrize(
    ("lon", "lat", "middle"),
    [
        ([163.0, 180.0, -139.0], [55.0, 50.0, 59.0], -168.0),
        ([-78.0, -71.0], [5.0, -45.0], -74.0),
        ([91.0, 120.0], [23.0, -11.0], 106.0),
        ([10.0, -10.0], [0.0, 0.0], 0.0),
    ],
)
def test_a_frame_goes_around_its_places(lon: list[float], lat: list[float], middle: float):
    frame = frame_of(np.array(lon), np.array(lat))
    assert frame.middle == pytest.approx(middle, abs=0.51)
    assert all(inside(frame, *at) for at in zip(lon, lat, strict=True))
    assert not inside(frame, middle + 180.0, lat[0])
    west, east, south, north = frame.extent
    assert west < east < west + 360.0
    assert (south, north) == (pytest.approx(min(lat), abs=30.0), pytest.approx(max(lat), abs=30.0))
    assert 0.45 - 1e-9 <= frame.aspect <= 2.6 + 1e-9
    assert ((np.array(lon) - west) % 360.0 < east - west).all()


def test_all_regions_are_in_plain_degrees():
    frame = frame_of(np.array([91.0, 142.0, -139.0, -71.0]), np.array([23.0, 11.0, 60.0, -46.0]))
    assert type(frame.projection).__name__ == "PlateCarree"
    assert frame.middle == pytest.approx(-170.0, abs=1.0)  # half way from 91 E to 71 W across the Pacific
    assert frame.extent[0] < -269.0
    assert frame.extent[1] > -71.0


def test_places_around_the_globe_and_at_one_point():
    frame = frame_of(np.arange(-180.0, 180.0, 10.0), np.zeros(36))
    assert frame.extent[1] - frame.extent[0] <= 359.0 + 1e-6
    point = frame_of(np.array([20.0]), np.array([40.0]))
    assert inside(point, 20.0, 40.0)
    assert point.extent[1] - point.extent[0] == pytest.approx(3.0, rel=0.01)


def test_degrees_on_the_axes():
    frame = frame_of(np.array([163.0, -139.0]), np.array([50.0, 60.0]))
    figure = Figure(figsize=(7, 4))
    axes = add_map(figure, frame, (0.5, 0.5, 6.0))
    shown = {text.get_text(): x for text, x in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}
    assert {"170°E", "180°", "170°W", "150°W"} <= set(shown)
    assert shown["170°E"] < shown["180°"] < shown["170°W"] < shown["150°W"]
    assert shown["170°W"] == pytest.approx(frame.points(np.array([-170.0, 55.0]))[0], rel=1e-9)
    assert "54°N" in [text.get_text() for text in axes.get_yticklabels()]
    assert axes.get_xticklabels()[0].get_fontsize() >= 6.0
    assert axes.get_xlim() == pytest.approx(frame.limits[:2], rel=1e-9)
    box = axes.get_position()
    assert box.width * 7.0 / (box.height * 4.0) == pytest.approx(frame.aspect, rel=1e-6)


def test_rows_fill_the_page_and_hold_every_block_once():
    margins = Margins()
    aspects = [2.4, 0.5, 0.45, 1.0, 0.6, 1.8, 0.8, 0.75]
    rows = in_rows(aspects, [1.5] * 8, 3, 6.9, margins)
    assert sorted(block for row, _ in rows for block in row) == list(range(8))
    for row, tall in rows:
        across = sum(margins.left + 3 * (aspects[block] * tall + margins.gap) for block in row)
        assert across <= 6.9 + 1e-9
        assert tall == 2.6 or across == pytest.approx(6.9, rel=1e-9)
        assert len(row) == 1 or all(margins.left + 3 * aspects[block] * tall >= 1.5 for block in row)


def test_titles_that_need_room_get_rows_of_their_own():
    rows = in_rows([0.5, 0.5, 0.5], [6.0] * 3, 1, 6.9, Margins())
    assert [row for row, _ in rows] == [[0], [1], [2]]
    assert len(in_rows([0.5, 0.5, 0.5], [0.5] * 3, 1, 6.9, Margins())) == 1


@pytest.mark.parametrize("width", [0.45, 0.8, 1.5, 6.0])
def test_labels_have_room(width: float):
    for lon, lat in (([142.0, 148.0], [11.0, 34.0]), ([163.0, -139.0], [50.0, 60.0]), ([-82.0, -71.0], [5.0, -46.0])):
        frame = frame_of(np.array(lon), np.array(lat))
        axes = add_map(Figure(figsize=(8, 8)), frame, (0.5, 0.5, width))
        inch = np.ptp(axes.get_xlim()) / width
        x, y = axes.get_xticks(), axes.get_yticks()
        assert len(x) > 0
        assert len(y) > 0
        assert (np.diff(x) >= 0.4 * inch).all()
        assert x.min() - axes.get_xlim()[0] > 0.1 * inch
