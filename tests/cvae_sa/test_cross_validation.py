"""Every event is held out once; what is done is not done again."""

import shutil

import numpy as np
import pytest

from cvae_sa import fold_fits
from cvae_sa.config import EvaluateConfig
from cvae_sa.cross_validation import BSSA14, cross_validate, plan
from cvae_sa.fold_fits import BY_ANN, OURS, PLAIN, VARIANT, Fit
from shared import reference_gmm
from shared.command import InputError
from shared.refitted_form import FORM


def test_folds_share_no_event_and_hold_every_row_once(records, cross):
    for train, test in cross.found.folds:
        assert not set(records.table["event_id"].iloc[train]) & set(records.table["event_id"].iloc[test])
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in cross.found.folds])), range(len(records)))


def test_no_fit_learns_from_the_events_it_is_judged_by(records, cross):
    event = records.table["event_id"]
    for name, each in (("cvae", 2), ("form", 1), ("variant", 1)):  # the CVAE with and without its backbone
        assert len(cross.seen[name]) == each * len(cross.found.folds)
        for number, (train, test) in enumerate(cross.found.folds):
            for events in cross.seen[name][each * number : each * (number + 1)]:
                assert events == set(event.iloc[train])
                assert not events & set(event.iloc[test])


def test_every_model_predicts_every_row(records, cross):
    assert list(cross.found.predictions) == [OURS, BY_ANN, FORM, BSSA14, VARIANT, PLAIN]
    assert all(np.isfinite(each.ln_median).all() for each in cross.found.predictions.values())
    published = reference_gmm.published(BSSA14, records.table, records.columns).ln_median
    np.testing.assert_array_equal(cross.found.predictions[BSSA14].ln_median, published)
    for each in cross.found.samples.values():
        np.testing.assert_array_equal(np.isnan(each.pit), np.isnan(records.ln_sa))


def test_the_table_has_the_reconstruction_too(cross):
    table = cross.found.table()
    assert set(table["model"]) == {*cross.found.predictions, "reconstruction"}
    row = table[(table["model"] == OURS) & (table["component"] == "H")].iloc[0]
    of = (cross.found.records.table["component"] == "H").to_numpy()
    assert row["bias"] == pytest.approx(cross.found.residual(OURS)[of, 0].mean(), rel=1e-4)


def test_fits_that_are_there_are_not_made_again(records, cross, monkeypatch):
    for name in ("fit_ours", "fit_form", "fit_variant", "fit_plain"):
        monkeypatch.setattr(fold_fits, name, lambda *_: pytest.fail("fitted again"))
    again = cross_validate(records, cross.found.folds, cross.config, cross.folder)
    for model, spectra in again.predictions.items():
        np.testing.assert_array_equal(spectra.ln_median, cross.found.predictions[model].ln_median)
    assert again.notes == cross.found.notes


def test_a_fit_of_other_rows_is_refused(records, cross, tmp_path):
    shutil.copytree(cross.folder, tmp_path / "fits")
    path = tmp_path / "fits" / "1-form.npz"
    less = {model: each.rows(np.arange(9)) for model, each in Fit.load(path).predictions.items()}
    Fit(less).save(path)
    with pytest.raises(InputError, match=r"1-form\.npz: of other rows than this fold's; remove it"):
        cross_validate(records, cross.found.folds, cross.config, tmp_path / "fits")


def test_what_cannot_be_held_out_is_refused_before_the_first_fit(records):
    few = records.rows(np.flatnonzero(records.event < 4))
    with pytest.raises(InputError, match="4 groups cannot fill 5 folds"):
        plan(few, EvaluateConfig(folds=2))
    with pytest.raises(InputError, match="3 events are left to train on, 5 are needed"):
        plan(few, EvaluateConfig(outer_folds=4))


@pytest.mark.parametrize(("option", "value"), [("outer_folds", 1), ("samples", 19), ("seed", -1)])
def test_options_that_make_no_sense_are_refused(option, value):
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} {value}: give "):
        EvaluateConfig(**{option: value})
