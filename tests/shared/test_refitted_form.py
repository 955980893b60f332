"""The form by component: fitted where there are enough records, NaN and a note where there are not."""

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, synthetic
from shared.classical_form import ClassicalForm
from shared.refitted_form import FORM, refitted

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS).table


def test_each_component_is_fitted_by_itself(table):
    model, notes = refitted(table, flatfile.ln_sa(table, list(COLUMNS)), COLUMNS)
    assert notes == []
    assert np.isfinite(model.predict(table).ln_median).all()
    assert model.parameters == sum(one.coefficients.size + 2 for one in model.form.components.values()) > 0


def test_a_component_with_too_few_records_is_left_out(table):
    component = table["component"].to_numpy()
    horizontal = np.flatnonzero(component == "H")
    rows = np.sort(np.concatenate([horizontal, np.flatnonzero(component == "V")[:20]]))
    ln_sa = flatfile.ln_sa(table, list(COLUMNS))
    model, notes = refitted(table.iloc[rows], ln_sa[rows], COLUMNS)
    assert len(notes) == 1
    assert notes[0].startswith(f"{FORM}: component V: 20 records")
    found = model.predict(table)
    for values in vars(found).values():
        assert np.isfinite(values[component == "H"]).all()
        assert np.isnan(values[component == "V"]).all()
    alone = table.iloc[horizontal].reset_index(drop=True)
    form = ClassicalForm.fit(alone, ln_sa[horizontal], COLUMNS)
    np.testing.assert_allclose(found.ln_median[horizontal], form.predict(alone).ln_median, rtol=1e-9)
