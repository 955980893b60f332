"""The table of predictions and of samples below them."""

import numpy as np
import pandas as pd
import pytest

from cvae_sa import predictions
from cvae_sa import trained as module
from cvae_sa.config import PredictConfig
from cvae_sa.predictions import spectra_table
from shared.command import InputError


def config(**options) -> PredictConfig:
    return PredictConfig(input="in.csv", output="out.csv", **options)


@pytest.fixture
def scenarios(made) -> pd.DataFrame:
    return made.table.iloc[:9].reset_index(drop=True).drop(columns=list(made.table.filter(regex="PGA|SA")))


@pytest.mark.parametrize("road", ["prior", "ann"])
def test_medians_and_sigmas_are_those_of_the_model(trained, scenarios, road):
    table = spectra_table(trained, scenarios, config(road=road))
    found = trained.predict(scenarios, road)
    np.testing.assert_allclose(table[trained.columns], np.exp(found.ln_median), rtol=1e-6)
    np.testing.assert_allclose(table[[f"sigma_{name}" for name in trained.columns]], found.sigma, rtol=1e-6)
    assert table["record_id"].tolist() == scenarios["record_id"].tolist()
    assert "sample" not in table


@pytest.mark.parametrize("chunk", [8192, 5])
def test_samples_lie_below_their_row(chunk, trained, scenarios, monkeypatch):
    drawn = trained.sample(scenarios, 3, 7)
    monkeypatch.setattr(module, "CHUNK", chunk)
    table = spectra_table(trained, scenarios, config(samples=3, seed=7))
    assert table["sample"].tolist() == [0, 1, 2, 3] * 9
    assert table["record_id"].tolist() == np.repeat(scenarios["record_id"], 4).tolist()
    medians = table[table["sample"] == 0].drop(columns="sample").reset_index(drop=True)
    pd.testing.assert_frame_equal(medians, spectra_table(trained, scenarios, config()), check_dtype=False)
    for number in (1, 2, 3):
        rows = table[table["sample"] == number]
        np.testing.assert_allclose(rows[trained.columns], np.exp(drawn[number - 1]), rtol=1e-3)
        assert rows[[f"sigma_{name}" for name in trained.columns]].isna().all(axis=None)


def test_more_samples_than_memory_holds_are_refused(trained, scenarios, monkeypatch):
    with pytest.raises(InputError, match=r"--samples: 10000000 of 9 rows .* memory holds; give at most \d+$"):
        spectra_table(trained, scenarios, config(samples=10_000_000))
    monkeypatch.setattr(predictions, "MOST_VALUES", 100)
    with pytest.raises(InputError, match=r"split the input$"):
        spectra_table(trained, scenarios, config(samples=1))
