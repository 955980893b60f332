"""Places of segments on maps, the pieces they are drawn as, and which of them are wrong."""

import numpy as np
import pandas as pd
import pytest

from ml4szeq.classes import class_names, class_titles
from ml4szeq.map_pieces import class_title, in_order, located, missed_and_false, pieces, shifted
from ml4szeq.trench_geometry import Trench, distance_km
from ml4szeq.trenches import places
from shared.command import InputError


def table(code: str = "alu", segments: int = 85) -> pd.DataFrame:
    return pd.DataFrame({"region": code, "segment": range(segments), "along_km": np.arange(segments) * 50.0})


def test_located_on_the_simplified_axes():
    found = located(table().sample(frac=1.0, random_state=0))
    lon, lat, azimuth = places(table())
    np.testing.assert_allclose(found["lon"], lon, rtol=1e-12)
    np.testing.assert_allclose(found["lat"], lat, rtol=1e-12)
    np.testing.assert_allclose(found["azimuth"], azimuth, rtol=1e-12)
    assert list(found["segment"]) == list(range(85))
    assert found["simplified"].all()


def test_own_columns_and_own_lines_count_more():
    both = pd.concat([table("ryu", 3), table("own", 3).assign(lon=[190.0, 191.0, 192.0], lat=10.0)])
    found = located(both, {"ryu": Trench("ryu", np.array([[0.0, 0.0], [0.0, 10.0]]), -1)})
    np.testing.assert_allclose(found["lon"][:3], [-170.0, -169.0, -168.0], rtol=1e-12)
    np.testing.assert_allclose(found["lon"][3:], 0.0, atol=1e-9)
    np.testing.assert_allclose(found["lat"][3:], np.degrees([0.0, 50.0 / 6371.0, 100.0 / 6371.0]), atol=1e-9)
    assert list(found["downgoing_side"]) == [1, 1, 1, -1, -1, -1]
    assert not found["simplified"].any()


def test_places_that_cannot_be_found():
    with pytest.raises(InputError, match="region own: no coordinates"):
        located(table("own", 2))
    line = Trench("own", np.array([[0.0, 0.0], [0.0, 10.0]]))
    with pytest.raises(InputError, match="region own: no along_km"):
        located(table("own", 2).drop(columns="along_km"), {"own": line})


def test_pieces_meet_and_are_as_long_as_segments():
    found = pieces(located(table()))
    assert found.shape == (85, 3, 2)
    np.testing.assert_allclose(found[1:, 0], found[:-1, 2], rtol=1e-12)
    length = sum(distance_km(*found[:, i].T, *found[:, i + 1].T) for i in (0, 1))
    np.testing.assert_allclose(length, 4250.0 / 85, rtol=0.03)


def test_gaps_stay_open_and_lone_segments_are_50_km():
    kept = located(table().iloc[[0, 1, 2, 10, 40, 41]])
    found = pieces(kept)
    assert distance_km(*found[2, 2], *found[3, 0]) > 300.0
    assert distance_km(*found[3, 0], *found[3, 2]) == pytest.approx(50.0, rel=1e-6)
    lone = kept.iloc[3]
    east, north = (found[3, 2] - found[3, 0]) * [np.cos(np.radians(lone["lat"])), 1.0]
    assert np.degrees(np.arctan2(east, north)) == pytest.approx(lone["azimuth"], abs=0.5)
    np.testing.assert_allclose(found[4, 2], found[5, 0], rtol=1e-12)
    # the first of a run is as long before its middle as after it
    before, after = (distance_km(*found[4, 1], *found[4, i]) for i in (0, 2))
    assert before == pytest.approx(after, rel=1e-4)


def test_regions_do_not_join():
    both = located(pd.concat([table("ryu", 35), table("kur", 56)]))
    found = pieces(both)
    assert distance_km(*found[55, 2], *found[56, 0]) > 500.0


def test_shifted_to_the_right():
    north = np.array([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]])
    np.testing.assert_allclose(shifted(north, np.array([1]), 0.5)[0, :, 0], 0.5, rtol=1e-12)
    np.testing.assert_allclose(shifted(north, np.array([-1]), 0.5)[0, :, 0], -0.5, rtol=1e-12)


def test_missed_and_false():
    found = pd.DataFrame({"observed": [0, 1, 0, 1, -1, 2, 1], "predicted": [0, 1, 1, 0, 1, 0, -1]})
    missed, false = missed_and_false(found)
    assert list(np.flatnonzero(missed)) == [3, 5]
    assert list(np.flatnonzero(false)) == [2]


@pytest.mark.parametrize("edges", [(8.0,), (6.4, 8.3), (6.0, 7.5, 8.5)])
def test_titles_of_names_are_those_of_edges(edges: tuple[float, ...]):
    assert tuple(map(class_title, class_names(edges))) == class_titles(edges)
    assert class_title("low") == "low"


def test_order_of_regions():
    assert in_order(["zz", "sum", "alu", "aa", "sum"]) == ["alu", "sum", "aa", "zz"]
