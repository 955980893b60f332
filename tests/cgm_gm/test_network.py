"""Where synthetic earthquakes and stations lie, and which pairs are recorded."""

import numpy as np
import pytest

from cgm_gm import network
from cgm_gm.truth import ray


@pytest.fixture(scope="module")
def drawn():
    return network.draw(np.random.default_rng(1), 120, 80, 1500)


def test_pairs_are_distinct_and_all_there(drawn):
    events, stations, (event, station) = drawn
    assert len(events) == 120 and len(stations) == 80 and len(event) == 1500
    assert len(set(zip(event, station, strict=True))) == 1500
    assert (np.diff(event) >= 0).all()
    assert (np.bincount(event, minlength=120) >= 4).all() and (np.bincount(station, minlength=80) > 0).all()


def test_places_depths_and_magnitudes_are_those_of_the_region(drawn):
    events, stations, _ = drawn
    assert events["source_lat"].between(36.79, 38.57).all() and events["mag"].between(1.1, 4.0).all()
    assert events["depth"].between(0.5, 21.5).all() and events["depth"].median() < 10.0
    assert stations["station_lat"].between(37.25, 38.26).all()
    assert (events["mag"] > 3.0).sum() > 20
    assert not network.inside(stations[["station_lat", "station_lon"]].to_numpy(), np.array(network.BAY)).any()
    assert network.inside(np.array([[37.65, -122.25], [37.4, -121.8]]), np.array(network.BAY)).tolist() == [True, False]


def test_small_earthquakes_are_seen_near_only(drawn):
    events, stations, (event, station) = drawn
    rhyp, _ = ray(
        *(events[name].to_numpy()[event] for name in ("source_lat", "source_lon", "depth")),
        *(stations[name].to_numpy()[station] for name in ("station_lat", "station_lon")),
    )
    mag = events["mag"].to_numpy()[event]
    assert rhyp.max() < network.FARTHEST
    assert np.quantile(rhyp[mag < 1.5], 0.95) < 0.9 * np.quantile(rhyp[mag > 3.0], 0.95)


def test_sources_crowd_along_lines(drawn):
    """The median distance to the nearest other source is well below that of sources spread evenly."""
    place = np.random.default_rng(0).permutation(drawn[0][["source_lat", "source_lon"]].to_numpy())
    even = np.random.default_rng(0).uniform(place.min(axis=0), place.max(axis=0), place.shape)

    def nearest(points):
        apart = np.hypot(*(points[:, None] - points[None]).T)
        return np.median(np.sort(apart, axis=1)[:, 1])

    assert nearest(place) < 0.6 * nearest(even)


def test_more_pairs_than_there_are_is_refused():
    with pytest.raises(ValueError, match="2000 records: 10 events and 12 stations give"):
        network.draw(np.random.default_rng(1), 10, 12, 2000)
