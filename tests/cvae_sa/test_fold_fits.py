"""What a fit leaves on disk."""

import numpy as np
import pytest

from cvae_sa import fold_fits
from cvae_sa.fold_fits import BY_ANN, OURS, VARIANT, Fit
from shared.command import InputError
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM


def test_what_is_stored_is_what_was_found(cross):
    path = cross.folder / "1-cvae.npz"
    found, test = Fit.load(path), cross.found.folds[0][1]
    assert list(found.predictions) == list(found.samples) == [OURS, BY_ANN]
    for model, spectra in found.predictions.items():
        for name, values in vars(spectra).items():
            np.testing.assert_array_equal(values, getattr(cross.found.predictions[model], name)[test].astype("f4"))
    np.testing.assert_array_equal(found.samples[OURS].kept, cross.found.samples[OURS].kept[test])
    np.testing.assert_array_equal(found.reconstruction, cross.found.reconstruction[test])
    assert found.notes == ["a note"] and found.seconds >= 0


def test_the_reconstruction_is_nearer_than_the_prediction(cross):
    found = cross.found
    left = found.records.ln_sa - found.reconstruction
    assert np.nanstd(left) < 0.7 * np.nanstd(found.residual(OURS))


def test_models_without_a_spread_say_so(cross):
    assert np.isnan(cross.found.predictions[VARIANT].sigma).all()
    assert np.isfinite(cross.found.predictions[VARIANT].ln_median).all()
    assert np.isfinite(cross.found.predictions[FORM].sigma).all()


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:200], lambda content: b"", lambda content: content[:400] + b"x" * 9 + content[409:]],
)
def test_a_damaged_fit_is_refused(cross, tmp_path, damage):
    path = tmp_path / "1-form.npz"
    path.write_bytes(damage((cross.folder / "1-form.npz").read_bytes()))
    with pytest.raises(InputError, match=r"1-form\.npz: damaged .*; remove it"):
        Fit.load(path)


def test_a_component_too_thin_for_the_form_is_noted(records):
    few = records.rows(np.r_[np.flatnonzero(records.table["component"] == "H"), 1, 3])
    found = fold_fits.fit_form(few, records, None, 0)
    assert len(found.notes) == 1 and found.notes[0].startswith(FORM)
    vertical = (records.table["component"] == "V").to_numpy()
    assert np.isnan(found.predictions[FORM].ln_median[vertical]).all()


def test_a_flipped_bit_is_refused_or_changes_a_number(cross, tmp_path):
    """Whatever a bad disk does ends in one line or in a fit."""
    small = Fit({"a": Prediction.empty((2, 3))}, notes=["n"], seconds=1.0)
    path = tmp_path / "small.npz"
    small.save(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            Fit.load(path)
        except InputError as error:
            assert "\n" not in str(error)
