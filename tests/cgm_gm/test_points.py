from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from cgm_gm import points
from cgm_gm.conditions import completed
from shared.command import InputError

CARD = {
    "ranges": {
        "mag": [2.0, 4.0],
        "depth": [3.0, 15.0],
        "rhyp": [5.0, 90.0],
        "source_lat": [37.0, 38.0],
        "source_lon": [-122.5, -121.5],
        "station_lat": [37.2, 38.2],
        "station_lon": [-122.6, -121.6],
    }
}
SOURCE = {"mag": 3.0, "source_lat": 37.5, "source_lon": -122.0, "depth": 8.0}
NOTHING = dict.fromkeys(points.SOURCE)


def places(**columns) -> pd.DataFrame:
    return pd.DataFrame({"station_lat": [37.4, 37.9], "station_lon": [-122.1, -121.8]} | columns)


def test_a_grid_covers_the_region_row_by_row():
    found = points.grid((3, 2), (37.0, 38.0, -122.0, -121.0))
    assert_allclose(found["station_lat"], [37.0, 37.0, 37.5, 37.5, 38.0, 38.0], rtol=1e-12)
    assert_allclose(found["station_lon"], [-122.0, -121.0] * 3, rtol=1e-12)


def test_the_region_is_that_of_the_stations():
    assert points.region_of(CARD) == (37.2, 38.2, -122.6, -121.6)
    with pytest.raises(InputError, match="--region or --points"):
        points.region_of({})


@pytest.mark.parametrize(
    ("shape", "region", "said"),
    [
        ((1, 5), (37.0, 38.0, -122.0, -121.0), "at least 2"),
        ((5, 5), (38.0, 37.0, -122.0, -121.0), "south < north"),
        ((5, 5), (37.0, 38.0, 121.0, np.nan), "south < north"),
        ((5, 5), (-122.0, -121.0, 37.0, 38.0), "south < north"),
    ],
)
def test_grids_that_are_none(shape, region, said):
    with pytest.raises(InputError, match=said):
        points.grid(shape, region)


def test_scenarios_take_the_source_from_options_or_from_the_table():
    found = points.scenarios(places(mag=[2.5, 3.5]), SOURCE | {"mag": None}, CARD, "a.csv")
    assert_allclose(found["mag"], [2.5, 3.5], rtol=0)
    assert_allclose(found["depth"], [8.0, 8.0], rtol=0)
    assert list(found["station_id"]) == ["P000000", "P000001"]
    assert list(found["event_id"]) == ["scenario-0", "scenario-1"]
    assert not points.one_source(found)
    same = points.scenarios(places(station_id=["a", "b"]), SOURCE, CARD, "a.csv")
    assert list(same["station_id"]) == ["a", "b"]
    assert same["event_id"].nunique() == 1 and points.one_source(same)


@pytest.mark.parametrize(
    ("columns", "source", "said"),
    [
        ({}, SOURCE | {"mag": None}, "give --mag"),
        ({"mag": [2.0, 3.0]}, SOURCE, "--mag: a.csv has a column mag too"),
        ({"mag": [2.0, np.nan]}, SOURCE | {"mag": None}, "a.csv, row 2, column mag: nan"),
        ({"mag": [2.0, "x"]}, SOURCE | {"mag": None}, "a.csv, row 2, column mag: x"),
        ({}, SOURCE | {"mag": float("nan")}, "--mag: nan is not a magnitude"),
        ({}, SOURCE | {"depth": -5.0}, "--depth: -5.0 is not a depth"),
        ({}, SOURCE | {"source_lat": -122.0, "source_lon": 37.5}, "--source-lat: -122.0 .*swapped"),
        ({"station_lat": [-122.1, -121.8], "station_lon": [37.4, 37.9]}, SOURCE, "row 1, column station_lat.*swapped"),
        ({"station_id": ["a", None]}, SOURCE, "row 2: no station_id"),
    ],
)
def test_scenarios_that_cannot_be(columns, source, said):
    with pytest.raises(InputError, match=said):
        points.scenarios(places(**columns), source, CARD, "a.csv")


def test_swapped_coordinates_are_seen_where_both_may_be_latitudes():
    card = {"ranges": {"source_lat": [41.0, 44.0], "source_lon": [11.0, 14.0]}}
    swapped = SOURCE | {"source_lat": 12.0, "source_lon": 42.0}
    with pytest.raises(InputError, match="latitude and longitude are swapped"):
        points.scenarios(places(), swapped, card, "the scenario")
    points.scenarios(places(), SOURCE | {"source_lat": 42.0, "source_lon": 12.0}, card, "the scenario")
    points.scenarios(places(), SOURCE | {"source_lat": -30.0, "source_lon": 60.0}, card, "the scenario")  # but far off


def test_what_lies_outside_of_training_is_told():
    inside = completed(points.scenarios(places(), SOURCE, CARD, "a.csv"))
    assert points.outside(inside, CARD) == []
    far = places(station_lat=[37.4, 39.0])
    lines = points.outside(completed(points.scenarios(far, SOURCE | {"mag": 5.0}, CARD, "a.csv")), CARD)
    assert lines == [
        "2 of 2 points have mag outside the training range 2 to 4",
        "1 of 2 points have rhyp outside the training range 5 to 90 km",
        "1 of 2 points have station_lat outside the training range 37.2 to 38.2 degrees",
    ]


def test_tables_of_points_are_read(tmp_path: Path):
    path = tmp_path / "points.csv"
    path.write_text("station_lat,station_lon,station_id\n37.5,-122,007\n")
    assert points.read(path)["station_id"][0] == "007"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "the file is empty"),
        ("lat,lon\n1,2\n", "no column station_lat, station_lon"),
        ("station_lat,station_lon\n", "no point"),
    ],
)
def test_tables_that_are_none(text, said, tmp_path: Path):
    if text is not None:
        (tmp_path / "points.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        points.read(tmp_path / "points.csv")
