from pathlib import Path

import numpy as np
import pytest

from ml4szeq.rotation import PlatePair, Pole, read_poles, relative_velocity, trench_components, velocity
from ml4szeq.trench_geometry import RADIUS, distance_km, moved
from shared.command import InputError

FAST = RADIUS * np.pi / 180.0  # mm/yr at 90 degrees from a pole of 1 degree per million years


def test_the_equator_about_the_axis():
    lon = np.array([-170.0, 0.0, 95.0])
    east, north = velocity(Pole(90.0, 0.0, 1.0), lon, np.zeros(3))
    np.testing.assert_allclose(east, FAST, rtol=1e-12)
    np.testing.assert_allclose(north, 0.0, atol=1e-9)
    east, _ = velocity(Pole(90.0, 0.0, 1.0), lon, np.array([60.0, 60.0, -60.0]))
    np.testing.assert_allclose(east, FAST / 2.0, rtol=1e-12)
    east, _ = velocity(Pole(-90.0, 0.0, 0.5), lon, np.zeros(3))
    np.testing.assert_allclose(east, -FAST / 2.0, rtol=1e-12)


def test_speed_and_direction_anywhere():
    """Speed is that of the sine of the distance from the pole; the direction is normal to the way to it."""
    pole, generator = Pole(48.7, -78.2, 0.75), np.random.default_rng(0)
    lon, lat = generator.uniform(-180.0, 180.0, 50), generator.uniform(-80.0, 80.0, 50)
    east, north = velocity(pole, lon, lat)
    angle = distance_km(lon, lat, pole.lon, pole.lat) / RADIUS
    np.testing.assert_allclose(np.hypot(east, north), 0.75 * FAST * np.sin(angle), rtol=1e-9)
    way = np.hypot(east, north) / 1e3  # a small step along the velocity keeps the distance from the pole
    there = moved(lon, lat, np.degrees(np.arctan2(east, north)), way)
    np.testing.assert_allclose(distance_km(*there, pole.lon, pole.lat) / RADIUS, angle, rtol=1e-6)
    counterclockwise = velocity(Pole(0.0, 0.0, 1.0), np.array([90.0]), np.array([0.0]))
    np.testing.assert_allclose(counterclockwise, [[0.0], [FAST]], atol=1e-9)


def test_relative_motion():
    lon, lat = np.array([10.0]), np.array([0.0])
    east, north = relative_velocity(Pole(90.0, 0.0, 1.0), Pole(90.0, 0.0, 0.25), lon, lat)
    np.testing.assert_allclose((east[0], north[0]), (0.75 * FAST, 0.0), atol=1e-9)


@pytest.mark.parametrize(
    ("azimuth", "side", "normal", "parallel"),
    [
        (90.0, 1, 2.0, 1.0),  # walking east, downgoing plate in the south: the upper plate is north
        (90.0, -1, -2.0, 1.0),
        (0.0, 1, -1.0, 2.0),  # walking north, downgoing plate in the east
        (180.0, 1, 1.0, -2.0),
        (45.0, 1, (2.0 - 1.0) / np.sqrt(2.0), 3.0 / np.sqrt(2.0)),
    ],
)
def test_components(azimuth: float, side: int, normal: float, parallel: float):
    found = trench_components(np.array([1.0]), np.array([2.0]), np.array([azimuth]), side)
    np.testing.assert_allclose(np.ravel(found), [normal, parallel], rtol=1e-12)


def write(folder: Path, text: str) -> Path:
    path = folder / "poles.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_poles_of_a_file(tmp_path: Path):
    text = "region,plate,pole_lat,pole_lon,rate\nalu,Upper,48,-78,0.75\nalu,downgoing,-60,100,0.6\nsam,upper,1,2,-3\n"
    assert read_poles(write(tmp_path, text)) == {
        "alu": PlatePair(Pole(48.0, -78.0, 0.75), Pole(-60.0, 100.0, 0.6)),
        "sam": PlatePair(upper=Pole(1.0, 2.0, -3.0)),
    }


HEAD = "region,plate,pole_lat,pole_lon,rate\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEAD, "no poles"),
        ("region,lat,lon\n", "no column plate, pole_lat, pole_lon, rate; poles need region"),
        (HEAD + "a,over,1,2,3\n", "row 2: plate 'over' is neither upper nor downgoing"),
        (HEAD + "a,upper,1,2,3\na,upper,1,2,3\n", "row 3: region a has more than one upper plate"),
        (HEAD + "a,upper,91,2,3\n", "row 2: pole_lat 91 is not within -90 to 90"),
        (HEAD + "a,upper,1,2,75\n", "rate 75 is not within -20 to 20 degrees per million years"),
        (HEAD + "a,upper,1,2,nan\n", "row 2: rate 'nan' is no number"),
        (HEAD + "a,upper,1,x,2\n", "row 2: pole_lon 'x' is no number"),
    ],
)
def test_broken_poles(text: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        read_poles(write(tmp_path, text))
    with pytest.raises(InputError, match="no such file"):
        read_poles(tmp_path / "none.csv")
