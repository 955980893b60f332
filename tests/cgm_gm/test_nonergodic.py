"""The non-ergodic model against dense Gaussian processes in numpy, its gradient, and what it finds of a planted map."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from cgm_gm import nonergodic
from cgm_gm.ergodic import Ergodic
from cgm_gm.geometry import Frame, hypocentral_distance
from cgm_gm.nonergodic import NonErgodic
from cgm_gm.spatial_terms import Deviations, Layout
from shared.command import InputError

FRAME, SPACING = Frame(37.7, -122.1), 30.0
FIELD = {"source": 0.4, "site": 0.5}


def bump(x, y, shift):
    """A smooth map of deviation about 1."""
    return np.sqrt(2.0) * np.sin(x / 18.0 + shift) * np.cos(y / 22.0 + 2.0 * shift) * np.sqrt(2.0)


def table_of(seed=0, n_events=60, n_stations=40, n=700):
    """A table, and ln FAS (N, 1) with smooth maps of source and site, event, station and record terms."""
    generator = np.random.default_rng(seed)
    places = [generator.uniform(-45.0, 45.0, (count, 2)) for count in (n_events, n_stations)]
    depth, mag = generator.uniform(4.0, 12.0, n_events), generator.uniform(1.5, 4.0, n_events)
    event, station = generator.integers(0, n_events, n), generator.integers(0, n_stations, n)
    at = [FRAME.degrees(*each.T) for each in places]
    table = pd.DataFrame(
        {
            "event_id": [f"e{k:03d}" for k in event],
            "station_id": [f"s{k:03d}" for k in station],
            "mag": mag[event],
            "depth": depth[event],
            "source_lat": at[0][0][event],
            "source_lon": at[0][1][event],
            "station_lat": at[1][0][station],
            "station_lon": at[1][1][station],
        }
    )
    table["rhyp"] = hypocentral_distance(
        *(table[name] for name in ("source_lat", "source_lon", "depth", "station_lat", "station_lon"))
    )
    fields = FIELD["source"] * bump(*places[0].T, 0.5)[event] + FIELD["site"] * bump(*places[1].T, 2.0)[station]
    median = -14.0 + 2.6 * table["mag"] - 1.6 * np.log(table["rhyp"]) + fields
    noise = 0.15 * generator.standard_normal(n_events)[event] + 0.25 * generator.standard_normal(n)
    noise += 0.1 * generator.standard_normal(n_stations)[station]
    return table, (median + noise).to_numpy()[:, None], fields.to_numpy() if hasattr(fields, "to_numpy") else fields


@pytest.fixture(scope="module")
def small():
    """A layout of 40 records, its matrix, and kernels with numbers of their own."""
    table, ln_fas, _ = table_of(1, 8, 6, 40)
    layout, matrix = Layout.of(table, "linear", SPACING)
    deviations = Deviations()
    for name, size, length in (("source", 0.2, 15.0), ("site", 0.3, 30.0), ("path", 0.5, 40.0)):
        getattr(deviations, name).outputscale = size
        getattr(deviations, name).base_kernel.lengthscale = length
    return table, ln_fas, layout, matrix, deviations


def matern(first, second, variance, length):
    """Matérn 3/2 written out."""
    apart = np.sqrt(3.0) * np.hypot(*(first[:, None] - second[None]).transpose(2, 0, 1)) / length
    return variance * (1.0 + apart) * np.exp(-apart)


def dense(table, other, layout):
    """Covariance of the medians (events' and stations' own terms included where labels are equal) of two tables."""
    place = [np.stack(layout.frame.local(each["source_lat"], each["source_lon"]), axis=1) for each in (table, other)]
    site = [np.stack(layout.frame.local(each["station_lat"], each["station_lon"]), axis=1) for each in (table, other)]
    rays = [layout.rays(a, b) for a, b in zip(place, site, strict=True)]
    columns = [layout.columns(each) for each in (table, other)]
    same_event = table["event_id"].to_numpy()[:, None] == other["event_id"].to_numpy()
    same_station = table["station_id"].to_numpy()[:, None] == other["station_id"].to_numpy()
    nodes = layout.nodes.numpy()
    return (
        matern(*place, 0.2, 15.0)
        + 0.3**2 * same_event
        + matern(*site, 0.3, 30.0)
        + 0.25**2 * same_station
        + rays[0] @ matern(nodes, nodes, 0.5, 40.0) @ rays[1].T
        + columns[0] @ columns[1].T
    )


def test_likelihood_is_that_of_the_dense_process(small):
    table, ln_fas, layout, matrix, deviations = small
    y = (ln_fas - ln_fas.mean())[:, 0]
    covariance = dense(table, table, layout) + 0.4**2 * np.eye(len(y))
    slow = stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)
    found = nonergodic.ln_likelihood(
        deviations, layout, torch.from_numpy(matrix.T @ matrix), torch.from_numpy(matrix.T @ y), float(y @ y), len(y)
    )
    np.testing.assert_allclose(found.item(), slow, rtol=1e-4)


def test_gradient_is_that_of_differences(small):
    _, ln_fas, layout, matrix, deviations = small
    y = (ln_fas - ln_fas.mean())[:, 0]
    known = torch.from_numpy(matrix.T @ matrix), torch.from_numpy(matrix.T @ y), float(y @ y), len(y)

    def loss():
        return nonergodic.ln_likelihood(deviations, layout, *known) + deviations.ln_prior()

    deviations.zero_grad()
    loss().backward()
    for name, parameter in deviations.named_parameters():
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                parameter += step
                ends.append(loss().item())
            parameter += 1e-5
        np.testing.assert_allclose(
            parameter.grad.item(), (ends[0] - ends[1]) / 2e-5, rtol=1e-3, atol=1e-4, err_msg=name
        )


def test_predictions_are_those_of_kriging(small):
    """Mean and error of new events at known and at new stations, against the dense equations."""
    table, ln_fas, layout, matrix, deviations = small
    ergodic = Ergodic((5.0,), "linear", np.zeros((4, 1)), *(np.zeros(1),) * 4)
    y = (ln_fas - ln_fas.mean())[:, 0]
    one = nonergodic.posterior_of(layout, deviations, matrix, y)
    new = table_of(9, 5, 6, 12)[0].assign(event_id="new")
    new["station_id"] = np.where(np.arange(12) % 2, table["station_id"].to_numpy()[:12], "unknown")
    for name in ("station_lat", "station_lon"):
        new[name] = np.where(np.arange(12) % 2, table[name].to_numpy()[:12], new[name])
    found = NonErgodic(ergodic, layout, [one]).predict(new)
    cross = dense(new, table, layout)
    weights = np.linalg.solve(dense(table, table, layout) + 0.4**2 * np.eye(len(y)), cross.T)
    alone = new.assign(
        station_id=[f"{name}{k}" if name == "unknown" else name for k, name in enumerate(new["station_id"])]
    )
    own = np.diag(dense(alone, alone, layout)) - 0.3**2 - np.where(new["station_id"] == "unknown", 0.25**2, 0.0)
    np.testing.assert_allclose(found.ln_median[:, 0], y @ weights, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.median_error[:, 0] ** 2, own - (cross.T * weights).sum(axis=0), rtol=2e-3)
    np.testing.assert_allclose(found.phi_s2s[:, 0], np.where(new["station_id"] == "unknown", 0.25, 0.0), rtol=1e-6)
    total = found.tau**2 + found.phi_s2s**2 + found.phi_ss**2 + found.median_error**2
    np.testing.assert_allclose(found.sigma**2, total, rtol=1e-9)


def test_rays_add_to_their_length(small):
    layout = small[2]
    source, station = np.array([[-30.0, -20.0], [5.0, 5.0]]), np.array([[25.0, 40.0], [5.0, 5.0]])
    rays = layout.rays(source, station)
    np.testing.assert_allclose(rays.sum(axis=1), [np.hypot(55.0, 60.0) / 100.0, 0.0], rtol=1e-9)
    assert (rays >= 0).all()
    # a linear function of place is integrated without error
    value = layout.nodes.numpy() @ [0.3, -0.2]
    middle = (source[0] + station[0]) / 2.0 @ [0.3, -0.2]
    np.testing.assert_allclose(rays[0] @ value, middle * np.hypot(55.0, 60.0) / 100.0, rtol=1e-9)


@pytest.fixture(scope="module")
def fitted():
    table, ln_fas, fields = table_of()
    held = table["event_id"].isin([f"e{k:03d}" for k in range(12)]).to_numpy()
    train = table[~held].reset_index(drop=True)
    model = NonErgodic.fit(train, ln_fas[~held], (5.0,), spacing=SPACING)
    return model, train, table[held].reset_index(drop=True), ln_fas[held], fields[held]


def test_held_out_events_are_foretold_better_than_by_the_ergodic_form(fitted):
    model, _, held, ln_fas, _ = fitted
    found = model.predict(held)
    apart = ln_fas - found.ln_median
    assert apart.std() < 0.75 * (ln_fas - model.ergodic.predict(held).ln_median).std()
    assert 0.75 < (apart / found.sigma).std() < 1.3


def test_fields_are_found(fitted):
    model, _, held, _, fields = fitted
    found = model.predict(held).ln_median - model.ergodic.predict(held).ln_median
    assert np.corrcoef(found[:, 0], fields)[0, 1] > 0.85
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(-40.0, 40.0, 9), np.linspace(-40.0, 40.0, 9)))
    mean, error = model.field("site", *FRAME.degrees(x, y))
    assert mean.shape == error.shape == (81, 1) and (error > 0).all()
    assert np.corrcoef(mean[:, 0], bump(x, y, 2.0))[0, 1] > 0.8


def test_parameters_are_near_what_was_planted(fitted):
    found = fitted[0].parameters().loc[5.0]
    np.testing.assert_allclose(found["phi_ss"], 0.25, rtol=0.12)
    assert found["tau"] < 0.3 and found["phi_s2s"] < 0.25 and 0.2 < found["source"] < 0.8 and 0.25 < found["site"] < 1.0
    assert found[["length_source", "length_site"]].between(8.0, 80.0).all()


def test_a_station_is_known_by_its_id(fitted):
    model, _, held, _, _ = fitted
    known, unknown = model.predict(held), model.predict(held.assign(station_id="elsewhere"))
    assert (known.sigma < unknown.sigma).all() and (known.phi_s2s == 0).all() and (unknown.phi_s2s > 0).all()
    np.testing.assert_array_equal(model.predict(held.drop(columns="station_id")).ln_median, unknown.ln_median)


def test_far_from_all_data_the_ergodic_form_comes_back_with_its_full_error(fitted):
    model, _, held, _, _ = fitted
    far = held.assign(source_lat=held["source_lat"] + 3.0, station_lat=held["station_lat"] + 3.0, station_id="x")
    near, found = model.predict(held), model.predict(far)
    wide = np.hypot(*(model.parameters()[name].iloc[0] for name in ("source", "site")))
    assert (found.median_error > 0.95 * wide).all() and (near.median_error < 0.9 * wide).all()


def test_missing_values_are_left_out():
    table, ln_fas, _ = table_of(3, 20, 15, 200)
    two = np.concatenate([ln_fas, np.where(np.arange(200)[:, None] % 4, ln_fas, np.nan)], axis=1)
    found = NonErgodic.fit(table, two, (2.0, 5.0), spacing=60.0).predict(table)
    assert np.isfinite(found.ln_median).all() and not np.allclose(found.ln_median[:, 0], found.ln_median[:, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"source_lat": None}, "no column source_lat"), ({"station_lon": np.nan}, "row 0 has no place")],
)
def test_bad_tables_are_refused(change, message):
    table, ln_fas, _ = table_of(3, 20, 15, 200)
    ((name, value),) = change.items()
    table = table.drop(columns=name) if value is None else table.assign(**change)
    with pytest.raises(InputError, match=message):
        NonErgodic.fit(table, ln_fas, (5.0,))
