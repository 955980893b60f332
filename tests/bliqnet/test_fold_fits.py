"""A stored fit comes back as it was, and what is damaged is said to be; each fit predicts the rows it is asked for."""

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet import baselines, fold_fits
from bliqnet.config import EvaluateConfig
from bliqnet.data import Records, records_of
from bliqnet.fold_fits import MLP, OURS, START, Fit
from shared import synthetic
from shared.command import InputError
from shared.held_out import KNOWN_SITES
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")
TINY = EvaluateConfig(members=2, epochs=1, hidden=4, head=4)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS)))


def test_a_fit_comes_back_as_it_was(tmp_path):
    draw = np.random.default_rng(0)
    spectra = Prediction(*(draw.normal(size=(4, 2)).astype(np.float32) for _ in range(3)))
    none = Prediction(draw.normal(size=(4, 2)), np.full((4, 2), np.nan), np.full((4, 2), np.nan))
    costs = pd.DataFrame({"model": ["a", "b, c"], "parameters": [3.0, np.nan], "training_seconds": [0.1, 1 / 3]})
    fit = Fit({"a": spectra, "b, c": none}, costs, pd.DataFrame(), ["why V was left out"])
    fit.save(tmp_path / "fit.npz")
    back = Fit.load(tmp_path / "fit.npz")
    assert list(back.predictions) == ["a", "b, c"]
    for model in fit.predictions:
        for before, after in zip(*(vars(each.predictions[model]).values() for each in (fit, back)), strict=True):
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
    pd.testing.assert_frame_equal(back.costs, costs, check_exact=True)
    assert back.speeds.empty
    assert back.notes == fit.notes


@pytest.mark.parametrize("spoiled", [b"", b"hello", b"half"])
def test_a_damaged_fit_is_named(spoiled, tmp_path):
    path = tmp_path / "event-1-bliqnet.npz"
    Fit({}, pd.DataFrame(), pd.DataFrame()).save(path)
    path.write_bytes(path.read_bytes()[:60] if spoiled == b"half" else spoiled)
    with pytest.raises(InputError, match=r"event-1-bliqnet\.npz: damaged .*remove it"):
        Fit.load(path)


def test_what_each_fit_predicts_and_costs(records, monkeypatch):
    monkeypatch.setitem(baselines.METHODS, "RF", baselines.METHODS["RF"]._replace(grid={"n_estimators": [3]}))
    monkeypatch.setattr(fold_fits, "BATCH_SIZES", (1, 4))
    rows, unseen = records.rows(np.arange(500)), records.table.iloc[500:].reset_index(drop=True)
    ours = fold_fits.fit_ours(rows, unseen, TINY, CPU, timed=True)
    assert set(ours.predictions) == {OURS, START, OURS + KNOWN_SITES}
    assert set(ours.speeds["model"]) == {OURS, START}
    costs = ours.costs.set_index("model")
    assert 0 < costs.loc[START, "training_seconds"] < costs.loc[OURS, "training_seconds"]
    assert 0 < costs.loc[START, "parameters"] < costs.loc[OURS, "parameters"]
    assert costs.loc[OURS, "function_evaluations"] == 8  # rk4, two steps
    others = [
        fold_fits.fit_mlp(rows, unseen, TINY, CPU, timed=False),
        fold_fits.fit_form(rows, unseen, TINY, CPU, timed=False),
        fold_fits.fit_baseline("RF", rows, unseen, TINY, CPU, timed=False),
    ]
    for fit, names in zip(others, (MLP, FORM, "RF"), strict=True):
        assert set(fit.predictions) == {names}
        assert fit.speeds.empty
        assert (fit.costs["parameters"] > 0).all()
        assert (fit.costs["training_seconds"] > 0).all()
    for fit in [ours, *others]:
        for model, spectra in fit.predictions.items():
            assert np.isfinite(spectra.ln_median).all()
            assert np.isfinite(spectra.sigma).all() == (model != "RF")
