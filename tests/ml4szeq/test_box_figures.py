import numpy as np
import pytest
from matplotlib.collections import LineCollection

from ml4szeq.box_figures import boxes, corners
from ml4szeq.grids import Grid
from ml4szeq.sampling import SamplingOptions
from ml4szeq.trench_geometry import Trench, distance_km
from shared import runs

LON, LAT = np.arange(170.0, 191.0, 0.5), np.arange(-10.0, 10.5, 0.5)
TRENCH = Trench("mine", np.array([[178.0, -3.0], [179.5, 0.0], [-179.0, 3.0]]))


def grid(name: str) -> Grid:
    return Grid(name, LON, LAT, np.add.outer(LAT, LON))


def lines(figure) -> dict[str, LineCollection]:
    return {each.get_label(): each for each in figure.axes[0].collections if isinstance(each, LineCollection)}


def test_outlines_hold_the_points_that_are_sampled():
    segments = TRENCH.segments()
    place = segments.lon, segments.lat, segments.azimuth, segments.downgoing_side
    outline = corners(*place, 25.0, 10.0, 60.0)
    assert outline.shape == (len(segments), 5, 2)
    np.testing.assert_array_equal(outline[:, 0], outline[:, 4])
    lon, lat = segments.boxes(10.0, 60.0, 0.01 * 50.0)
    for k in range(4):  # the outermost points of a fine lattice are next to the corners
        gap = distance_km(lon, lat, outline[:, k, :1], outline[:, k, 1:]).min(axis=1)
        np.testing.assert_allclose(gap, 0.25 * np.sqrt(2.0), rtol=0.05)


@pytest.mark.parametrize(
    ("name", "plates", "title"),
    [
        ("SED", ["downgoing plate"], "sediment thickness (m)"),
        ("EGR", ["downgoing plate", "upper plate"], "free-air gravity (EIGEN model) (mGal)"),
        ("EGO", ["upper plate"], "geoid height (m)"),
        ("MINE", ["downgoing plate", "upper plate"], "MINE"),
        ("DEPTH/mine", ["downgoing plate", "upper plate"], "slab depth (km)"),
    ],
)
def test_boxes_are_of_the_plates_of_a_quantity(name, plates, title, tmp_path):
    figure = boxes(grid(name), TRENCH, (100.0, 400.0), synthetic=True)
    found = lines(figure)
    assert [label for label in found if not label.startswith("_")] == [f"boxes, {plate}" for plate in plates]
    assert all(len(each.get_segments()) == 6 for each in found.values())  # of 50 km, across the date line
    assert figure.axes[1].get_ylabel() == title
    assert any(each.get_text() == "SYNTHETIC DATA" for each in figure.texts)
    runs.write_figure(tmp_path / "a.png", figure)


def test_boxes_lie_where_the_options_say_and_colours_are_the_grids():
    options = SamplingOptions(downgoing_box=(0.0, 100.0))
    figure = boxes(grid("AGE"), TRENCH, (0.0, 60.0), options)
    axis = figure.axes[0]
    outline = lines(figure)["boxes, downgoing plate"].get_segments()[0]
    degree = axis.projection.x_limits[1] / 180.0
    sides = np.linalg.norm(np.diff(outline, axis=0), axis=1) / degree * 111.19
    np.testing.assert_allclose(sides, [50.0, 100.0, 50.0, 100.0], rtol=0.01)  # Mercator near the equator
    mesh = next(each for each in axis.collections if not isinstance(each, LineCollection))
    shown = mesh.get_array()
    assert LAT[0] + LON[0] < np.nanmin(shown) < np.nanmax(shown) < LAT[-1] + LON[-1]
    assert not [each for each in figure.texts if "SYNTHETIC" in each.get_text()]


def test_a_stretch_without_segments():
    with pytest.raises(ValueError, match="trench mine: no segment from 5000 to 6000 km"):
        boxes(grid("SED"), TRENCH, (5000.0, 6000.0))
