"""Collapse, associations and traversals of codes whose truth is known, and of a trained model."""

import numpy as np
import pytest

from cvae_sa import latent
from cvae_sa.data import derive_inputs
from cvae_sa.latent import Codes
from shared import held_out


@pytest.fixture(scope="module")
def normal() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4000, 4))


def codes_of(mean: np.ndarray, deviation: float, ann_mean=0.0, ann_deviation=1.0) -> Codes:
    full = [np.broadcast_to(np.asarray(each, float), mean.shape) for each in (2 * np.log(deviation), ann_mean)]
    return Codes(mean, full[0], full[1], np.broadcast_to(float(ann_deviation), mean.shape))


# --- is it used? -----------------------------------------------------------------------------------------------------
def test_a_collapsed_dimension_is_told_from_a_used_one(normal):
    mean = np.column_stack([0.8 * normal[:, 0], np.zeros(len(normal)), 0.05 * normal[:, 1]])
    codes = Codes(mean, np.log(np.broadcast_to([0.36, 1.0, 1.0], mean.shape)), np.zeros_like(mean), np.ones_like(mean))
    table = latent.collapse_table(codes).set_index("dimension")
    assert list(table["active"]) == [True, False, False]
    assert table.loc["z2", "kl"] == 0.0
    # 0.64 + 0.36 = 1: together the records fill the prior
    np.testing.assert_allclose(table.loc["z1", ["mean", "deviation"]].astype(float), [0.0, 1.0], atol=0.03)
    expected = 0.5 * ((mean[:, 0] ** 2).mean() + 0.36 - 1.0 - np.log(0.36))
    np.testing.assert_allclose(table.loc["z1", "kl"], expected, rtol=1e-12)


def test_what_the_ann_knows(normal):
    known = np.sqrt(0.75) * normal[:, :1]
    codes = codes_of(known + 0.5 * normal[:, 1:2], 0.3, known, np.sqrt(0.25 + 0.09))
    row = latent.ann_table(codes).iloc[0]
    np.testing.assert_allclose(row["r2"], 0.75, atol=0.02)
    np.testing.assert_allclose(row["z_deviation"], 1.0, atol=0.03)
    np.testing.assert_allclose(row["deviation"], np.sqrt(0.34), rtol=1e-9)
    assert latent.ann_table(codes_of(known, 0.3, known, 0.1)).iloc[0]["z_deviation"] > 2.0
    assert np.isnan(latent.ann_table(codes_of(np.zeros((5, 1)), 1.0)).iloc[0]["r2"])


# --- what sits in it? ------------------------------------------------------------------------------------------------
def test_association_finds_lines_curves_and_classes_and_nothing_else(normal):
    mag, curve, noise, spare = normal.T
    style = np.array(["SS", "NM"])[(spare > 0).astype(int)]
    mean = np.column_stack([mag + 0.5 * noise, curve**2 + 0.2 * noise, (spare > 0) + 0.5 * noise])
    quantities = {"mag": mag, "curve": curve, "style": style, "constant": np.full(len(mag), 7.0)}
    quantities["gaps"] = np.where(curve > 0.5, np.nan, mag)
    table = latent.association_table(codes_of(mean, 0.5), quantities).set_index(["dimension", "quantity"])
    np.testing.assert_allclose(table.loc[("z1", "mag"), "share"], 0.8, atol=0.03)  # 1 / (1 + 0.25)
    np.testing.assert_allclose(table.loc[("z1", "mag"), "rank"], np.sqrt(0.8), atol=0.03)
    assert table.loc[("z2", "curve"), "share"] > 0.7  # less than 1: bins are wide in the tails
    assert abs(table.loc[("z2", "curve"), "rank"]) < 0.05
    np.testing.assert_allclose(table.loc[("z3", "style"), "share"], 0.5, atol=0.03)  # 0.25 / (0.25 + 0.25)
    assert np.isnan(table.loc[("z3", "style"), "rank"])
    for dimension, quantity in (("z1", "curve"), ("z1", "style"), ("z2", "mag"), ("z3", "curve")):
        assert abs(table.loc[(dimension, quantity), "share"]) < 0.02
    assert table.loc[(slice(None), "constant"), :].isna().all(axis=None)
    np.testing.assert_allclose(table.loc[("z1", "gaps"), "share"], 0.8, atol=0.04)
    assert table.loc[("all", "curve"), "share"] < 0.02  # a parabola is no line
    assert table.loc[("all", "mag"), "share"] > 0.78


def test_linear_share_is_one_for_what_is_a_sum_of_codes(normal):
    np.testing.assert_allclose(latent.linear_share(3.0 + normal @ [1.0, -2.0, 0.5, 0.0], normal), 1.0, rtol=1e-9)
    assert abs(latent.linear_share(normal[:, 0], normal[:, 1:])) < 0.01


def test_residual_terms_are_those_of_the_decomposition(trained, records):
    terms = latent.residual_terms(trained, records)
    names = [f"{which} term, {period}" for which in ("event", "site", "record") for period in ("PGA", "0.2 s", "1 s")]
    assert list(terms) == names
    place = records.columns.index("SA(1.000)")
    residual = records.ln_sa - trained.moments(records.inputs)[0]
    rows = np.flatnonzero(records.table["component"] == "V")
    found = held_out.decompose_models(records.table, {"": residual[:, [place]]})["V", ""].found
    total = sum(terms[f"{which} term, 1 s"][rows] for which in ("event", "site", "record"))
    np.testing.assert_allclose(total + found.bias[0], residual[rows, place], rtol=1e-3, atol=1e-3)
    event = records.table["event_id"].iloc[rows[0]]
    expected = found.event_terms[found.events.index(event), 0]
    np.testing.assert_allclose(terms["event term, 1 s"][rows[0]], expected, rtol=1e-3, atol=1e-4)


def test_residual_terms_of_missing_values_are_missing(trained, records):
    place = records.columns.index("SA(1.000)")
    spectra = records.ln_sa.copy()
    spectra[3, place] = np.nan
    gaps = type(records)(records.inputs, spectra, records.event, records.columns, records.table)
    assert np.isnan(latent.residual_terms(trained, gaps)["event term, 1 s"][3])


# --- what does it do? ------------------------------------------------------------------------------------------------
def test_traversal_moves_one_dimension_at_a_time(trained):
    scenario = latent.reference_scenario(trained)
    steps = np.array([-1.0, 0.0, 2.0])
    ln_sa = latent.traversal(trained, scenario, steps)
    latent_size = trained.model.latent
    assert ln_sa.shape == (latent_size, 3, len(trained.columns))
    inputs = derive_inputs(scenario)
    for k in range(latent_size):
        code = np.zeros((1, latent_size))
        code[0, k] = 2.0
        np.testing.assert_allclose(ln_sa[k, 2], trained.decode(code, inputs)[0][0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ln_sa[k, 1], ln_sa[0, 1], rtol=1e-5, atol=1e-5)
    table = latent.traversal_table(ln_sa, trained.columns, steps)
    assert list(table["z"]) == [-1.0, 0.0, 2.0] * latent_size
    np.testing.assert_allclose(table["PGA"].iloc[2], np.exp(ln_sa[0, 2, 0]), rtol=1e-6)


def test_the_reference_scenario_stays_in_the_training_ranges(trained):
    row = latent.reference_scenario(trained).iloc[0]
    for name, (low, high) in trained.ranges.items():
        assert low <= row[name] <= high
    assert row["component"] == "H"
    assert f"M {row['mag']:g}" in latent.scenario_text(latent.reference_scenario(trained))


# --- all of it -------------------------------------------------------------------------------------------------------
def test_study_of_a_trained_model(trained, records):
    space = latent.study(trained, records)
    mean, log_variance = trained.encode(records)
    np.testing.assert_array_equal(space.codes.mean, mean)
    table = latent.codes_table(records, space.codes)
    np.testing.assert_allclose(table["z2_sd"], np.exp(0.5 * log_variance[:, 1]), rtol=1e-6)
    assert list(table["record_id"]) == list(records.table["record_id"])
    assert {"ann_z1", "ann_z1_sd"} <= set(table)
    said = latent.headline(space)
    assert said["units"] == trained.model.latent
    assert said["active_units"] == (mean.var(axis=0) > 0.01).sum()
    assert {"event term, 0.2 s", "mag", "direction"} <= set(space.associations["quantity"])
    # the code holds what the inputs do not say
    shares = space.associations.set_index(["dimension", "quantity"])["share"]
    assert shares["all", "record term, 0.2 s"] > shares["all", "rjb"]
