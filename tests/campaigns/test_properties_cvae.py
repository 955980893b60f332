"""Laws of the CVAE that is shipped: batches, order of rows, spreads, seeds of its samples."""

import cvae_sa  # noqa: F401  # isort: skip  # before Keras: it settles how TensorFlow computes
import functools

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from laws import law

from shared import runs

SEEDS = st.integers(0, 2**32 - 1)
ROWS = 16  # always: TensorFlow traces its functions for every number of rows


@functools.cache
def model():
    from cvae_sa.trained import TrainedCVAE

    return TrainedCVAE.load(runs.pretrained_folder("cvae_sa") / "cvae.keras")


def scenarios(seed: int, n: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"mag": rng.uniform(3.5, 7.8, n), "rjb": rng.uniform(0.0, 250.0, n)})
    table = table.assign(vs30=rng.uniform(150, 1500, n), hypo_depth=rng.uniform(1, 25, n))
    return table.assign(mechanism=rng.choice(["SS", "NM", "RV", "U"], n), component=rng.choice(["H", "V"], n))


@law(4, 30)
@given(SEEDS)
def test_spectra_know_no_other_row(seed):
    table = scenarios(seed)
    moved = np.random.default_rng(seed).permutation(ROWS)
    one, other = (model().predict(each) for each in (table, table.iloc[moved].reset_index(drop=True)))
    for name in ("ln_median", "tau", "phi"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name)[moved], rtol=0, atol=2e-5)
    doubled = model().predict(pd.concat([table, table], ignore_index=True))
    np.testing.assert_allclose(doubled.ln_median[ROWS:], one.ln_median, rtol=0, atol=2e-5)


@law(4, 30)
@given(SEEDS)
def test_spreads_are_positive_and_add_in_squares(seed):
    found = model().predict(scenarios(seed))
    assert (found.tau > 0).all() and (found.phi > 0).all() and np.isfinite(found.ln_median).all()
    np.testing.assert_allclose(found.tau**2 + found.phi**2, found.sigma**2, rtol=1e-5)


@law(3, 20)
@given(SEEDS, st.integers(0, 99))
def test_samples_are_of_their_seed(seed, draw):
    table = scenarios(seed)
    one, same, other = (model().sample(table, 8, each) for each in (draw, draw, draw + 1))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (8, ROWS, len(model().columns)) and np.isfinite(one).all() and (one != other).any()
    spread = np.abs(one - model().predict(table).ln_median) / model().predict(table).sigma
    assert spread.max() < 8.0
