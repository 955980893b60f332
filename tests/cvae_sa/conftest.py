"""One small CVAE for all tests of the sub-project: trained once, on made records."""

import dataclasses
from types import SimpleNamespace

import cvae_sa  # noqa: F401  # isort: skip  # before Keras: it settles how TensorFlow computes
import numpy as np
import pytest

from shared import synthetic

COLUMNS = ("PGA", "SA(0.050)", "SA(0.200)", "SA(1.000)", "SA(3.000)")


@pytest.fixture(scope="session")
def made():
    """A synthetic flatfile, H and V of 40 events, whose longest period lacks some values."""
    return synthetic.as_flatfile(synthetic.make_flatfile(3, n_events=40, n_rows=1200, columns=COLUMNS))


@pytest.fixture(scope="session")
def records(made):
    """What is trained on."""
    from cvae_sa.data import records_of

    return records_of(made)


@pytest.fixture(scope="session")
def recipe():
    """A recipe that takes seconds."""
    from cvae_sa.config import Recipe

    return Recipe(latent=2, hidden=(8, 6), epochs=3, folds=2)


@pytest.fixture(scope="session")
def training(records, recipe):
    """A finished training, with what it logged and its state after every epoch; do not change it."""
    from cvae_sa.training import Training

    done = Training(records, recipe, seed=1)
    done.logged, done.states = [], []

    def after_epoch(metrics):
        done.logged.append(metrics)
        done.states.append({name: np.copy(array) for name, array in done.state().items()})

    done.run(after_epoch)
    return done


@pytest.fixture(scope="session")
def trained(training, made):
    """The CVAE that came of it; do not change it."""
    from cvae_sa.trained import TrainedCVAE

    return TrainedCVAE.of(training, {"data": made.describe(), "note": "test"})


def without(records, period: int):
    """The records with one period all missing."""
    spectra = records.ln_sa.copy()
    spectra[:, period] = np.nan
    return dataclasses.replace(records, ln_sa=spectra)


@pytest.fixture(scope="session")
def cross(records, trained, tmp_path_factory):
    """A cross-validation whose every fold has the one trained CVAE, so that nothing is trained: it is not blind."""
    from cvae_sa import fold_fits
    from cvae_sa.config import EvaluateConfig
    from cvae_sa.cross_validation import cross_validate, plan

    config = EvaluateConfig(latent=2, hidden=(8, 6), folds=2, outer_folds=3, samples=40, ablation=True)
    seen = {"cvae": [], "form": [], "variant": []}  # events that each fit has learnt from

    def watched(name, fit):
        def of(rows, *arguments):
            seen[name].append(set(getattr(rows, "table", rows)["event_id"]))
            return fit(rows, *arguments)

        return of

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_fits, "train", watched("cvae", lambda *_: (trained, ["a note"])))
        patch.setattr(fold_fits, "refitted", watched("form", fold_fits.refitted))
        patch.setattr(fold_fits.PublishedCVAE, "fit", watched("variant", fold_fits.PublishedCVAE.fit))
        patch.setattr(fold_fits, "VARIANT_EPOCHS", 1)
        folder = tmp_path_factory.mktemp("fits")
        found = cross_validate(records, plan(records, config), config, folder)
    return SimpleNamespace(config=config, folder=folder, found=found, seen=seen)
