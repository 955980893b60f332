from pathlib import Path

import numpy as np
import pytest
from made_segments import FEATURES, made_segments, made_table, written

from ml4szeq import data, simulation
from shared.command import InputError


def test_from_files(tmp_path: Path):
    found = data.load([written(tmp_path, made_table())], drop=("V_TN",))
    assert found.features == ("DXT_200", "AGE") and len(found) == 90
    assert data.load([tmp_path], keep=("V_TN",)).features == ("V_TN",)


def test_the_embedded_default_is_synthetic_and_the_same_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulation, "segments", lambda seed: made_table(seed=seed).assign(synthetic=True))
    found = data.load([], drop=("V_TN",))
    assert found.synthetic and found.features == ("DXT_200", "AGE")
    assert found.summary().startswith("embedded default, SYNTHETIC: 90 segments")
    assert found.sha256 == data.load([]).sha256
    with pytest.raises(InputError, match="embedded synthetic default: no feature NONE to drop"):
        data.load([], drop=("NONE",))


def unseen(tmp_path: Path, table) -> tuple:
    return data.with_unseen(made_segments(("ryu", "sam")).learnable(), [written(tmp_path, table)])


def test_unseen_files_are_tested_and_never_learnt_from(tmp_path: Path):
    other = made_table(("alu",), 12, seed=5).assign(MORE=1.0)
    other.loc[2, "AGE"] = np.nan
    other.loc[3, "MR_GCMT"] = np.nan
    both, split = unseen(tmp_path, other)
    assert (split.kind, split.name) == ("unseen", "unseen-files")
    assert len(both) == 70 and both.features == FEATURES
    assert split.train.tolist() == list(range(60)) and split.test.tolist() == list(range(60, 70))
    assert set(both.table["region"].iloc[split.test]) == {"alu"}
    np.testing.assert_array_equal(both.magnitude[:60], made_segments(("ryu", "sam")).magnitude)
    assert both.sha256 != made_segments(("ryu", "sam")).sha256 and len(both.paths) == 1


def test_synthetic_unseen_files_make_the_figures_synthetic(tmp_path: Path):
    assert unseen(tmp_path, made_table(("alu",)).assign(synthetic=True))[0].synthetic
    assert not unseen(tmp_path, made_table(("alu",)))[0].synthetic


def test_bad_unseen_files(tmp_path: Path):
    for table, said in (
        (made_table(("alu",)).drop(columns="AGE"), r"segments\.csv: no column AGE, a feature of .*; add it, or --drop"),
        (made_table(("sam",)), "region sam is in .* too; unseen files have to hold other segments"),
        (made_table(("alu",)).assign(MR_GCMT=np.nan), "nothing can be tested with it"),
    ):
        with pytest.raises(InputError, match=said):
            unseen(tmp_path, table)
