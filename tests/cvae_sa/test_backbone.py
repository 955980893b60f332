"""The classical backbone: the equations of `shared.classical_form` and `shared.scenarios`, in Keras."""

import numpy as np
import pandas as pd
import pytest
from keras import ops

from cvae_sa import backbone as module
from cvae_sa.backbone import UNKNOWN_COLUMNS, ClassicalBackbone, rupture_top
from cvae_sa.data import STYLES, derive_inputs
from shared import scenarios
from shared.classical_form import ClassicalForm
from shared.command import InputError
from shared.reference_gmm import nonlinear_site


@pytest.fixture(scope="module")
def table(made) -> pd.DataFrame:
    """Rows of all styles, a fifth of them unknown, without what the seven conditions do not hold."""
    generator = np.random.default_rng(0)
    mechanism = made.table["mechanism"].mask(generator.random(len(made.table)) < 0.2, "U")
    return made.table.drop(columns=list(UNKNOWN_COLUMNS), errors="ignore").assign(mechanism=mechanism)


@pytest.fixture(scope="module")
def form(table, records) -> ClassicalForm:
    return ClassicalForm.fit(table, records.ln_sa, records.columns)


def built(n_periods: int) -> ClassicalBackbone:
    layer = ClassicalBackbone(n_periods)
    layer.build((None, 7))
    return layer


def test_it_is_the_classical_form_without_its_nonlinear_site_term(table, records, form):
    layer = built(len(records.columns))
    for position, name in enumerate("HV"):
        part = form.components[name]
        layer.assign(position, part.coefficients, part.hinge, part.depth, part.style_mix)
    generator = np.random.default_rng(1)
    extremes = table.assign(
        mag=generator.uniform(2.5, 8.5, len(table)),
        rjb=np.exp(generator.uniform(-3.0, 6.0, len(table))),
        vs30=np.exp(generator.uniform(4.0, 8.0, len(table))),
        hypo_depth=generator.uniform(0.0, 40.0, len(table)),
        mechanism=generator.choice(STYLES, len(table)),
    )
    for rows in (table, extremes):
        expected = form.predict(rows).ln_median - nonlinear_site(rows, records.columns)
        np.testing.assert_allclose(layer(derive_inputs(rows)), expected, atol=3e-4)


@pytest.mark.parametrize("code", range(4))
def test_the_rupture_top_is_that_of_the_scenarios(code):
    mag, depth = (each.ravel() for each in np.meshgrid(np.linspace(2.5, 8.5, 13), np.linspace(0.0, 40.0, 9)))
    table = pd.DataFrame({"mag": mag, "hypo_depth": depth, "mechanism": STYLES[code]})
    found = rupture_top(*(ops.array(each, "float32") for each in (mag, depth)), ops.full((len(mag),), code, "int32"))
    np.testing.assert_allclose(found, scenarios.rupture_tops(table), atol=1e-4)
    assert (np.asarray(found) > 0).any() and (np.asarray(found) == 0).any()
    assert module.STYLES[code] == scenarios.PYGMM_MECHANISM[STYLES[code]]


def test_it_fits_what_it_can_say(table, form):
    """Spectra made by the backbone itself come back, in both components."""
    truth = built(1)
    columns = ["SA(1.000)"]
    for position, name in enumerate("HV"):
        part = form.components[name]
        truth.assign(position, part.coefficients[:, 3:4], 5.4 + 0.2 * position, 4.0, part.style_mix)
    known = table[table["mechanism"] != "U"].reset_index(drop=True)
    made = ops.convert_to_numpy(truth(derive_inputs(known))).astype(float)
    made += np.random.default_rng(2).normal(0.0, 0.05, made.shape)
    found = built(1)
    found.fit(known, made, columns)
    left = ops.convert_to_numpy(found(derive_inputs(known))) - made
    assert np.sqrt(np.mean(left**2)) < 0.08


def test_a_component_with_few_records_takes_the_form_of_the_other_shifted(table, records):
    few = np.flatnonzero(table["component"] == "V")[:12]
    rows = np.sort(np.concatenate([np.flatnonzero(table["component"] == "H"), few]))
    part = table.iloc[rows].reset_index(drop=True)
    layer = built(len(records.columns))
    notes = layer.fit(part, records.ln_sa[rows], records.columns)
    assert any("component V takes the classical form of the other" in note for note in notes)
    vertical = (part["component"] == "V").to_numpy()
    left = records.ln_sa[rows] - ops.convert_to_numpy(layer(derive_inputs(part)))
    np.testing.assert_allclose(np.nan_to_num(pd.DataFrame(left[vertical]).mean()), 0.0, atol=1e-3)
    other = derive_inputs(part.assign(component=np.where(vertical, "H", "V")))
    difference = ops.convert_to_numpy(layer(derive_inputs(part)) - layer(other))[vertical]
    np.testing.assert_allclose(difference, difference[:1].repeat(len(difference), axis=0), atol=1e-3)


@pytest.mark.parametrize("component", ["H", "V"])
def test_one_component_alone_will_do(component, table, records):
    rows = np.flatnonzero(table["component"] == component)
    layer = built(len(records.columns))
    assert layer.fit(table.iloc[rows].reset_index(drop=True), records.ln_sa[rows], records.columns) == []
    left = records.ln_sa[rows] - ops.convert_to_numpy(layer(derive_inputs(table.iloc[rows])))
    assert 0.3 < np.nanstd(left) < 1.0


def test_too_few_records_of_either_are_refused(table, records):
    with pytest.raises(InputError, match="records"):
        built(5).fit(table.iloc[:40], records.ln_sa[:40], records.columns)


def test_it_does_not_know_what_the_conditions_do_not_hold(made, table, records):
    first, second = built(5), built(5)
    first.fit(made.table, records.ln_sa, records.columns)
    styles = made.table["mechanism"].to_numpy()
    second.fit(table.assign(mechanism=styles), records.ln_sa, records.columns)
    np.testing.assert_array_equal(first.coefficients.numpy(), second.coefficients.numpy())


def test_a_constant_is_no_classical_model_at_all(table):
    layer = built(3)
    layer.set_constant(np.array([-1.0, -2.0, -3.0]))
    found = ops.convert_to_numpy(layer(derive_inputs(table)))
    np.testing.assert_allclose(found, np.tile([-1.0, -2.0, -3.0], (len(table), 1)), rtol=1e-6)


def test_it_is_finite_at_the_fault():
    layer = built(2)
    layer.assign(0, np.ones((module.N_TERMS, 2)), 5.5, 5.0, (0.1, 0.3))
    inputs = np.array([[8.5, 0, 0, 2, 0, 6, 0], [2, 0, 0, 3, 0, 4, 0]], np.float32)
    assert np.isfinite(layer(inputs)).all()
