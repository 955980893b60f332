"""The shipped models say what they said when they were shipped, whatever versions and device they run on.

The tables lie beside this file; `make_golden.py` has made them, from the same models.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))
RTOL = 1e-3  # of medians in g, deviations in ln units, amplitudes, probabilities
LEAST = {"bliqnet": (200, 20), "cvae_sa": (200, 20), "cgm_gm": (30, 4), "ml4szeq": (80, 2)}  # rows, columns of a part


def held(name: str, device: str) -> None:
    import make_golden

    golden = pd.read_parquet(HERE / f"{name}.parquet")
    model = make_golden.model_of(name, device)
    asked = [column for column in golden if " " not in column]
    found = make_golden.answer(name, model, golden[asked])
    assert list(found) == [column for column in golden if column not in asked]
    parts = {column.split(" ")[0] for column in found}
    assert parts == ({"median", "tau", "phi", "sigma"} if name in make_golden.SPECTRA else parts)
    rows, columns = LEAST[name]
    assert len(golden) >= rows and found.shape[1] >= columns * len(parts)
    for column in found:
        np.testing.assert_allclose(found[column], golden[column], rtol=RTOL, atol=1e-7, err_msg=column)


@pytest.mark.parametrize("name", [*LEAST])
def test_a_shipped_model_says_what_it_said(name):
    held(name, "cpu")


@pytest.mark.parametrize("name", ["bliqnet", "cgm_gm"])
def test_a_shipped_model_says_the_same_on_a_gpu(name):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch knows")
    held(name, "cuda")


@pytest.mark.parametrize("name", ["bliqnet", "cvae_sa"])
def test_the_design_covers_the_ranges(name):
    golden = pd.read_parquet(HERE / f"{name}.parquet")
    assert set(golden["mechanism"]) == {"SS", "NM", "RV", "U"}
    assert golden["mag"].max() - golden["mag"].min() > 3.0
    assert golden["rjb"].min() < 2.0 and golden["rjb"].max() > 150.0
    assert golden["vs30"].max() > 3.0 * golden["vs30"].min()
    assert (golden.filter(like="median ") > 0.0).all().all()
    assert (golden.filter(like="sigma ") > 0.1).all().all()
