"""Conditions: scaled by training rows, azimuths that are azimuths, bad places refused."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm.conditions import SETS, Conditions, completed
from shared.command import InputError


def table(n: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mag": generator.uniform(1.0, 4.0, n),
            "depth": generator.uniform(2.0, 15.0, n),
            "source_lat": generator.uniform(37.0, 38.0, n),
            "source_lon": generator.uniform(-122.5, -121.5, n),
            "station_lat": generator.uniform(37.0, 38.0, n),
            "station_lon": generator.uniform(-122.5, -121.5, n),
        }
    )


@pytest.mark.parametrize("kind", list(SETS))
def test_training_rows_have_mean_0_and_deviation_1(kind):
    rows = completed(table())
    found = Conditions.fit(kind, rows)
    scaled = found(rows)
    assert scaled.shape == (60, len(SETS[kind])) and scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-4)
    assert Conditions.from_dict(found.to_dict()) == found


def test_an_azimuth_goes_around_the_circle():
    rows = table(3).assign(source_lat=37.5, source_lon=-122.0, station_lat=[37.6, 37.5, 37.6])
    rows["station_lon"] = [-122.0 - 1e-6, -121.9, -122.0 + 1e-6]  # 360, 90 and 0 degrees, nearly
    raw = Conditions.fit(0, completed(table())).raw(completed(rows))
    sine, cosine = raw[:, SETS[0].index("sin_azimuth")], raw[:, SETS[0].index("cos_azimuth")]
    np.testing.assert_allclose(sine, [0.0, 1.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(cosine, [1.0, 0.0, 1.0], atol=1e-3)


def test_coordinates_are_local_and_in_km():
    rows = completed(table())
    found = Conditions.fit(2, rows)
    raw = found.raw(rows)
    assert np.abs(raw[:, 1:5]).max() < 60.0
    x, y = found.frame.local(rows["station_lat"], rows["station_lon"])
    np.testing.assert_allclose(raw[:, 3], x, rtol=1e-12)
    np.testing.assert_allclose(raw[:, 4], y, rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("source_lat", 122.3, "column source_lat, row 4: 122.3, not a number within ±90"),
        ("station_lon", np.nan, "column station_lon, row 4: nan, not a number within ±180"),
        ("mag", "big", "column mag, row 4: big, not a number within ±12"),
    ],
)
def test_what_cannot_be_a_place_is_refused(column, value, said):
    rows = table()
    rows[column] = rows[column].astype(object)
    rows.loc[4, column] = value
    with pytest.raises(InputError, match=said):
        completed(rows)
    with pytest.raises(InputError, match=f"column {column} is absent"):
        completed(rows.drop(columns=column))
