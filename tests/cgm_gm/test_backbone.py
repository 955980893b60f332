"""The backbone: planted coefficients and fields, the largest likelihood, and events left out."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm import backbone
from cgm_gm.backbone import Backbone, _Solver, fit, fixed_terms, lattice
from cgm_gm.conditions import Conditions, completed

FREQUENCIES = np.array([1.0, 5.0, 20.0])


def planted(n_events: int = 60, each: int = 20, field: float = 0.4, tau: float = 0.2, rest: float = 0.2):
    """Rows of events and stations whose ln FAS has a site field over the map, and that field at the stations."""
    generator = np.random.default_rng(1)
    station_lat, station_lon = generator.uniform(37.2, 38.2, 40), generator.uniform(-122.6, -121.6, 40)
    source_lat, source_lon = generator.uniform(37.2, 38.2, n_events), generator.uniform(-122.6, -121.6, n_events)
    event = np.repeat(np.arange(n_events), each)
    station = np.concatenate([generator.choice(40, each, replace=False) for _ in range(n_events)])
    table = pd.DataFrame(
        {
            "event_id": [f"e{number}" for number in event],
            "mag": generator.uniform(1.5, 4.0, n_events)[event],
            "depth": generator.uniform(3.0, 12.0, n_events)[event],
            "source_lat": source_lat[event],
            "source_lon": source_lon[event],
            "station_lat": station_lat[station],
            "station_lon": station_lon[station],
        }
    )
    table = completed(table)
    site = field * np.sqrt(2.0) * np.sin(2 * np.pi * (station_lat + station_lon) / 0.6)
    slopes = np.array([[-12.0], [2.4], [0.0], [0.1], [-1.4], [-0.5]]) + 0.1 * np.log(FREQUENCIES)
    median = fixed_terms(table, 2) @ slopes + site[station][:, None]
    noise = tau * generator.standard_normal((n_events, 1))[event] + rest * generator.standard_normal((len(table), 3))
    return table, median + noise, median, slopes


def test_the_planted_median_and_its_field_come_back():
    table, ln_fas, median, _ = planted()
    frame = Conditions.fit(2, table).frame
    found, held_out = fit(table, ln_fas, FREQUENCIES, 2, frame)
    flat, _ = fit(table, ln_fas, FREQUENCIES, 2, frame, spatial=False)
    assert (found.predict(table) - median).std() < 0.12
    assert (flat.predict(table) - median).std() > 0.35
    assert (held_out - median).std() < 0.15
    np.testing.assert_allclose(found.deviations["event"], 0.2, atol=0.06)
    np.testing.assert_allclose(found.deviations["rest"], 0.2, atol=0.03)


def test_planted_coefficients_come_back_without_a_field():
    table, ln_fas, _, slopes = planted(field=0.0, tau=0.02, rest=0.02)
    found, _ = fit(table, ln_fas, FREQUENCIES, 4, Conditions.fit(4, table).frame)
    np.testing.assert_allclose(found.coefficients, slopes, atol=0.05)
    assert found.weights.size == 0


def test_events_left_out_are_not_learnt_from(monkeypatch):
    monkeypatch.setattr(_Solver, "variances", lambda self, y: np.full(len(self.sizes) + 1, 0.1))  # those see all events
    table, ln_fas, _, _ = planted(n_events=10)
    frame = Conditions.fit(2, table).frame
    _, held_out = fit(table, ln_fas, FREQUENCIES, 2, frame, folds=10)
    changed = ln_fas.copy()
    first = (table["event_id"] == "e0").to_numpy()
    changed[first] += 1.0
    _, again = fit(table, changed, FREQUENCIES, 2, frame, folds=10)
    np.testing.assert_allclose(again[first], held_out[first], atol=1e-6)
    assert np.abs(again[~first] - held_out[~first]).max() > 1e-3


def test_weights_are_those_of_generalised_least_squares():
    generator = np.random.default_rng(2)
    fixed, block = generator.normal(size=(50, 2)), generator.normal(size=(50, 6))
    y, variances = generator.normal(size=50), np.array([0.7, 0.3])
    weights, _ = _Solver(fixed, [block]).solve(y, variances)
    covariance = 0.3 * np.eye(50) + 0.7 * block @ block.T
    inverse = np.linalg.inv(covariance)
    slow = np.linalg.solve(fixed.T @ inverse @ fixed + backbone.RIDGE / 0.3 * np.eye(2), fixed.T @ inverse @ y)
    np.testing.assert_allclose(weights[:2], slow, rtol=1e-4)
    np.testing.assert_allclose(weights[2:], 0.7 * block.T @ inverse @ (y - fixed @ slow), rtol=1e-4, atol=1e-9)


def test_a_lattice_covers_the_points_and_stays_small():
    points = np.random.default_rng(3).uniform(0.0, 500.0, (300, 2))
    centres = lattice(points, 5.0)
    assert len(centres) <= backbone.MOST_CENTRES
    few = lattice(points[:3], 50.0)
    distance = np.sqrt(((points[:3, None] - few[None]) ** 2).sum(axis=-1)).min(axis=1)
    assert (distance < 50.0).all()


def test_it_goes_into_a_checkpoint_and_back():
    table, ln_fas, _, _ = planted(n_events=8)
    found, _ = fit(table, ln_fas, FREQUENCIES, 2, Conditions.fit(2, table).frame)
    again = Backbone.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.predict(table), found.predict(table))
    assert found.predict(table.iloc[:0]).shape == (0, 3)
    assert found.deviations.keys() == {"source", "site", "station", "path", "event", "rest"}


def test_an_earthquake_is_foreseen_from_a_single_other_one():
    table, *_ = planted(n_events=2)
    table = table.assign(mag=np.where(table["event_id"] == "e0", 2.0, 3.5))
    lean, sure = backbone.default_terms(np.array(FREQUENCIES), 2)
    assert lean.shape == (6, 3) and sure.shape == (6,)
    median = fixed_terms(table, 2) @ lean
    noise = 0.2 * np.random.default_rng(4).standard_normal(median.shape)
    _, held_out = fit(table, median + noise, FREQUENCIES, 2, Conditions.fit(2, table).frame)
    assert np.abs((held_out - median).mean(axis=0)).max() < 0.4  # and not 1.5 x 2.4 ln units, the step in magnitude


@pytest.mark.parametrize(("kind", "count"), [(0, 5), (1, 6), (2, 6), (3, 4), (4, 6)])
def test_every_set_of_conditions_has_expected_terms(kind, count):
    table, *_ = planted(n_events=3)
    lean, sure = backbone.default_terms(np.array(FREQUENCIES), kind)
    assert lean.shape == (fixed_terms(table, kind).shape[1], 3) == (len(sure), 3) == (count, 3)


def test_few_events_do_not_run_wild():
    table, ln_fas, median, _ = planted(n_events=2)
    found, _ = fit(table, ln_fas, FREQUENCIES, 2, Conditions.fit(2, table).frame)
    assert np.isfinite(found.predict(table)).all()
    assert (found.predict(table) - median).std() == pytest.approx(0.0, abs=0.5)
