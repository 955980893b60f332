"""Codes that SEED and StationXML take, one for every place, and which way positive motion points."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from cgm_gm import seed_codes


def table_of(ids, lat, lon) -> pd.DataFrame:
    return pd.DataFrame({"station_id": ids, "station_lat": lat, "station_lon": lon})


def test_codes_of_twelve_thousand_points_are_their_own_and_have_five_letters():
    lat, lon = np.divmod(np.arange(12_000), 120)
    codes, number = seed_codes.stations(table_of([f"P{k:06d}" for k in range(12_000)], lat / 100.0, lon / 100.0))
    assert len(set(codes)) == 12_000
    assert all(re.fullmatch("P[A-Z0-9]{4}", code) for code in codes)
    assert codes[36] == "P0010"
    np.testing.assert_array_equal(number, np.arange(12_000))


def test_ids_that_are_codes_are_kept_and_rows_of_one_place_are_one_station():
    codes, number = seed_codes.stations(table_of(["BRK", "CMB", "BRK"], [37.9, 38.0, 37.9], [-122.3, -120.4, -122.3]))
    assert list(codes) == ["BRK", "CMB", "BRK"]
    assert list(number) == [0, 1, 0]


@pytest.mark.parametrize(
    "ids", [["BRK", "brk", "CMB"], ["BRK", "LONGER1", "CMB"], ["BRK", "BRK", "CMB"], ["BRK", "", "CMB"]]
)
def test_one_id_that_is_no_code_or_of_two_places_numbers_all(ids):
    codes, _ = seed_codes.stations(table_of(ids, [37.0, 37.1, 37.2], [-122.0, -122.0, -122.0]))
    assert list(codes) == ["P0000", "P0001", "P0002"]


def test_a_thousand_realizations_have_a_location_code_each():
    codes = {seed_codes.location(k) for k in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch("[A-Z0-9]{2}", code) for code in codes)
    assert (seed_codes.location(0), seed_codes.location(35), seed_codes.location(36)) == ("00", "0Z", "10")


@pytest.mark.parametrize(
    ("rate", "quantity", "component", "code"),
    [
        (100.0, "velocity", "E", "HHE"),
        (100.0, "acceleration", "Z", "HNZ"),
        (50.0, "velocity", "N", "BHN"),
        (250.0, "velocity", "R", "CHR"),
        (1000.0, "acceleration", "T", "FNT"),
        (100.0, "velocity", "", "HH1"),
    ],
)
def test_a_channel_code_says_rate_quantity_and_component(rate, quantity, component, code):
    assert seed_codes.channel(rate, quantity, component) == code


def test_radial_points_away_from_the_source_and_transverse_clockwise_of_it():
    places = {"source_lat": 0.0, "source_lon": 10.0, "station_lat": [1.0, 0.0, -1.0, 0.0]}
    table = pd.DataFrame(places | {"station_lon": [10.0, 11.0, 10.0, 9.0]})  # north, east, south, west of it
    assert_allclose(seed_codes.azimuths(table, "R"), [0.0, 90.0, 180.0, 270.0], rtol=0, atol=1e-9)
    assert_allclose(seed_codes.azimuths(table, "T"), [90.0, 180.0, 270.0, 0.0], rtol=0, atol=1e-9)
    assert_allclose(seed_codes.azimuths(table, "E"), 90.0, rtol=0)
    assert np.isnan(seed_codes.azimuths(table, "")).all()
    assert (seed_codes.dip("Z"), seed_codes.dip("E")) == (-90.0, 0.0)
