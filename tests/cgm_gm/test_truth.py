"""The truth of the synthetic records: its equation written again, its way to a file and back, its deviations."""

import dataclasses

import numpy as np
import pandas as pd
import pykooh
import pytest

from cgm_gm import ergodic, fas, simulation
from cgm_gm.geometry import Frame
from cgm_gm.point_source import Physics, ln_amplification
from cgm_gm.spatial_fields import turning
from cgm_gm.truth import Truth, ray

FRAME = Frame(37.7, -122.1)
PLACE = (37.6, -122.0, 7.0, 37.9, -122.3)  # source, depth, station


@pytest.fixture(scope="module")
def truth():
    return Truth.draw(4, FRAME)


def without_fields() -> Truth:
    return Truth.draw(4, FRAME, dataclasses.replace(Physics(), field_source=0.0, field_site=0.0, field_path=0.0))


def test_ln_fas_written_again(truth):
    """All bins of 60 s, smoothed by pykooh, fields added by hand."""
    physics, (rhyp, azimuth) = truth.physics, ray(*PLACE)
    bins = np.arange(1, 3001) / 60.0
    start, end = FRAME.local(*PLACE[:2]), FRAME.local(*PLACE[3:])
    at = [np.atleast_1d(each) for each in (*start, *end)]
    local = 0.35 * truth.source.at(*at[:2])[0] + 0.40 * truth.site.at(*at[2:])[0]
    path = -0.45 * np.hypot(start[0] - end[0], start[1] - end[1]) / 100.0 * truth.path.along(*at)[0]
    term = local @ turning(bins) + path @ turning(bins) * (bins / 5.0) ** 0.3
    common = term + physics.ln_path(rhyp, bins) + ln_amplification(bins)
    s = np.exp(common + physics.ln_source(3.2, 7.0, bins))
    p = np.exp(common + physics.ln_source(3.2, 7.0, bins, corner_ratio=1.4)) * physics.p_to_s(azimuth)
    amplitude = np.sqrt(s**2 + p**2 + np.exp(2.0 * physics.ln_noise(bins)))
    smooth = pykooh.smooth(np.array(fas.FREQUENCIES), bins, amplitude, 20.0)
    slow = np.log(np.sqrt(np.pi) / 2.0 * smooth) - truth.speckle(np.array([rhyp]))[0] / 2.0
    found = truth.ln_fas(3.2, *PLACE)
    assert found.shape == (1, 4)
    np.testing.assert_allclose(found[0], slow, atol=0.008)  # pykooh's window reaches farther than ours


def test_arguments_broadcast_over_a_map(truth):
    lat = np.array([37.4, 37.8, 38.1])
    found = truth.ln_fas(3.9, 37.6, -122.0, 7.0, lat, -122.2, (5.0,))
    one = [truth.ln_fas(3.9, 37.6, -122.0, 7.0, each, -122.2, (5.0,))[0, 0] for each in lat]
    np.testing.assert_allclose(found[:, 0], one, rtol=1e-12)


def test_median_is_near_the_published_model():
    """Without fields, M 2-4 at 10-80 km: a bias below .1, a deviation below .2 ln units at each frequency."""
    mag, rhyp, depth = (each.ravel() for each in np.meshgrid([2.0, 3.0, 4.0], [12.0, 20.0, 40.0, 80.0], [5.0, 10.0]))
    x = np.sqrt(rhyp**2 - depth**2) * np.sqrt(0.5)
    station = FRAME.degrees(x, x)
    found = without_fields().ln_fas(mag, FRAME.lat, FRAME.lon, depth, *station)
    table = pd.DataFrame({"mag": mag, "rhyp": rhyp, "depth": depth})
    apart = found - ergodic.published().predict(table).ln_median
    assert (np.abs(apart.mean(axis=0)) < 0.1).all()
    assert (apart.std(axis=0) < 0.2).all()
    assert (np.abs(apart) < 0.4).all()


def test_fields_move_the_map(truth):
    lat = np.linspace(37.3, 38.2, 40)
    apart = truth.ln_fas(3.0, *PLACE[:3], lat, -122.0) - without_fields().ln_fas(3.0, *PLACE[:3], lat, -122.0)
    assert (apart.std(axis=0) > 0.15).all() and (np.abs(apart) < 2.5).all()


def test_arrays_and_back(truth):
    again = Truth.of({name: np.asarray(value) for name, value in truth.arrays().items()})
    np.testing.assert_array_equal(again.ln_fas(3.0, *PLACE), truth.ln_fas(3.0, *PLACE))
    assert again.physics == truth.physics
    with pytest.raises(KeyError):
        Truth.of({})


def test_of_one_seed_alone(truth):
    assert not np.array_equal(Truth.draw(5, FRAME).ln_fas(3.0, *PLACE), truth.ln_fas(3.0, *PLACE))
    np.testing.assert_array_equal(Truth.draw(4, FRAME).ln_fas(3.0, *PLACE), truth.ln_fas(3.0, *PLACE))


def test_realisations_scatter_about_the_median_as_foretold():
    """Without aleatory terms: their mean within .04 of `ln_fas`, their deviation within a fifth of `speckle`."""
    table, truth, terms = simulation.plan(7, 20, 40, 60)
    row = int((table["mag"] * (table["rhyp"] > 20)).argmax())
    count = 250
    rows = pd.concat([table.iloc[[row]]] * count, ignore_index=True)
    none = {name: np.zeros_like(terms[name]) for name in ("event_terms", "station_terms")}
    none |= {"record_terms": np.zeros((count, 2))}
    none |= {name: np.full(count, terms[name][row]) for name in ("event_of_record", "station_of_record")}
    made = np.concatenate([part for _, part in simulation.records(truth, rows, none, 11, 6000)])
    ln_fas = np.log(fas.smoothed_fas(made, 0.01))
    names = ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon")
    median = truth.ln_fas(*(table[name][row] for name in names))[0]
    np.testing.assert_allclose(ln_fas.mean(axis=0), median, atol=0.04)
    np.testing.assert_allclose(ln_fas.std(axis=0), np.sqrt(truth.speckle(rows["rhyp"].to_numpy()[:1])[0]), rtol=0.2)


def test_deviations(truth):
    physics = truth.physics
    # far below all corners the stress drop does nothing, far above it acts by 2/3
    np.testing.assert_allclose(truth.tau((1e-3,), 2.0), physics.event_level, rtol=1e-6)
    high = np.hypot(physics.event_level, 2.0 / 3.0 * physics.event_stress)
    np.testing.assert_allclose(truth.tau((1e3,), 4.0), high, rtol=1e-3)
    parts = truth.tau() ** 2 + truth.phi_s2s() ** 2 + truth.phi_ss() ** 2
    np.testing.assert_allclose(truth.sigma(), np.sqrt(parts), rtol=1e-12)
    assert (np.diff(truth.phi_ss()) < 0).all()  # a wider window of smoothing averages more


def test_delays_of_p_and_s(truth):
    p, s = truth.delays(*(np.array([each]) for each in (*PLACE[:2], *PLACE[3:])))
    np.testing.assert_allclose(s, 1.7 * p, rtol=1e-12)
    assert 0.0 < abs(p[0]) < 1.0
