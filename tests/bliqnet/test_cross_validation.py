"""The fairness of the cross-validation, and what is stored of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet import baselines, fold_fits
from bliqnet.baselines import ENSEMBLE
from bliqnet.config import EvaluateConfig
from bliqnet.cross_validation import BSSA14, CrossValidation, cross_validate, plan
from bliqnet.data import Records, records_of
from bliqnet.fold_fits import MLP, OURS, START
from shared import reference_gmm, synthetic
from shared.command import InputError
from shared.held_out import KNOWN_SITES
from shared.refitted_form import FORM

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")
CONFIG = EvaluateConfig(members=2, epochs=2, hidden=8, head=8, folds=3)
CPU = torch.device("cpu")
POINTS = {
    "ANN": {"hidden_layer_sizes": [(4,)], "alpha": [3.0], "max_iter": [10]},
    "KRR": {"gamma": [0.04], "alpha": [0.03]},
    "RF": {"n_estimators": [5]},
    "SVR": {"gamma": [0.04], "C": [3.0]},
}


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS)))


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One point a grid, and predictions timed once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, grid in POINTS.items():
            patch.setitem(baselines.METHODS, name, baselines.METHODS[name]._replace(grid=grid))
        patch.setattr(fold_fits, "BATCH_SIZES", (1,))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fits")


@pytest.fixture(scope="module")
def found(records, folder) -> CrossValidation:
    return cross_validate(records, plan(records, CONFIG), CONFIG, CPU, folder)


def test_every_row_is_predicted_out_of_fold_by_every_model(found):
    learnt = [OURS, FORM, START, MLP, *POINTS, ENSEMBLE]
    assert found.models() == [*learnt, *reference_gmm.PUBLISHED, OURS + KNOWN_SITES, BSSA14 + KNOWN_SITES]
    assert found.models("random") == [OURS, START, MLP, BSSA14, OURS + KNOWN_SITES, BSSA14 + KNOWN_SITES]
    for (_, model), spectra in found.predictions.items():
        assert np.isfinite(spectra.ln_median).all()
        assert np.isfinite(spectra.sigma).all() == (model not in (*POINTS, ENSEMBLE))


def test_folds_share_no_event_and_hold_every_row_once(records, found):
    for train, test in found.folds["event"]:
        assert not set(records.event[train]) & set(records.event[test])
    for parts in found.folds.values():
        np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in parts])), np.arange(len(records)))


def test_published_models_do_not_depend_on_the_split(records, found):
    expected = reference_gmm.reference_median(records.table, records.columns).ln_median
    for split in ("event", "random"):
        np.testing.assert_array_equal(found.predictions[split, BSSA14].ln_median, expected)


def test_the_ensemble_is_the_mean_of_the_four_and_costs_their_sum(found):
    four = np.mean([found.predictions["event", name].ln_median for name in POINTS], axis=0)
    np.testing.assert_allclose(found.predictions["event", ENSEMBLE].ln_median, four, rtol=1e-12)
    for table, column in (
        (found.costs, "training_seconds"),
        (found.costs, "parameters"),
        (found.speeds, "ms_per_call"),
    ):
        values = table.set_index("model")[column]
        np.testing.assert_allclose(values[ENSEMBLE], values[list(POINTS)].sum(), rtol=1e-12)


def test_an_event_has_no_part_in_its_own_prediction(records, found, tmp_path):
    """Other spectra of one event leave its event-grouped predictions as they were, and change the others."""
    event = records.event == 0
    changed = dataclasses.replace(records, ln_sa=np.where(event[:, None], records.ln_sa + 3.0, records.ln_sa))
    again = cross_validate(changed, plan(changed, CONFIG), CONFIG, CPU, tmp_path)
    for model in (OURS, OURS + KNOWN_SITES, START, FORM, BSSA14 + KNOWN_SITES, MLP, *POINTS):
        before, after = (each.predictions["event", model].ln_median for each in (found, again))
        np.testing.assert_array_equal(before[event], after[event])
        if model != BSSA14 + KNOWN_SITES:
            assert not np.array_equal(before[~event], after[~event])


def test_a_stored_fit_is_not_fitted_again_and_a_lost_one_comes_out_the_same(records, found, folder):
    lost = [folder / "event-2-bliqnet.npz", folder / "event-1-krr.npz", folder / "random-3-plain-mlp.npz"]
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path not in lost}
    for path in lost:
        path.unlink()
    again = cross_validate(records, found.folds, CONFIG, CPU, folder)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert all(path.exists() for path in lost)
    for key, spectra in found.predictions.items():
        np.testing.assert_array_equal(again.predictions[key].ln_median, spectra.ln_median)
    pd.testing.assert_frame_equal(again.table(), found.table(), check_exact=True)


def test_fits_of_other_rows_are_refused(records, found, folder):
    with pytest.raises(InputError, match="of other rows"):
        cross_validate(records, plan(records, dataclasses.replace(CONFIG, folds=2)), CONFIG, CPU, folder)


def test_table_has_a_row_for_each_split_model_component_and_period(found):
    table = found.table()
    assert len(table) == (15 + 6) * 2 * 3
    rows = table[table["model"] == BSSA14]
    np.testing.assert_allclose(rows["ratio_to_bssa14"], 1.0, rtol=1e-12)
    assert table[table["model"] == "RF"]["z_std"].isna().all()


def test_without_baselines_and_without_a_skip(records, tmp_path):
    config = dataclasses.replace(CONFIG, baselines=False, skip="none", epochs=1, folds=2)
    found = cross_validate(records, plan(records, config), config, CPU, tmp_path)
    assert not {*POINTS, ENSEMBLE, START} & set(found.models())


def test_too_few_events_are_refused_before_any_fit(records):
    few = records.rows(np.flatnonzero(records.event < 7))
    with pytest.raises(InputError, match="events to train on in a fold, 5 are needed"):
        plan(few, CONFIG)
