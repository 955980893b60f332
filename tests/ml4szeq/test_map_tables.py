"""Tables of predictions and relevances from CSV, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml4szeq.map_tables import read_predictions, read_relevances
from shared.command import InputError


def predictions() -> pd.DataFrame:
    highest = np.linspace(0.1, 0.9, 6)
    return pd.DataFrame(
        {
            "region": ["sam"] * 3 + ["alu"] * 3,
            "segment": [2, 1, 0, 0, 1, 2],
            "along_km": [100.0, 50.0, 0.0, 0.0, 50.0, 100.0],
            "observed": [0, 1, np.nan, 1, 0, 1],
            "predicted": [0, 0, 0, 1, 1, 1],
            "prob_below_8": 1.0 - highest,
            "prob_8_up": highest,
        }
    )


def relevances() -> pd.DataFrame:
    return pd.DataFrame({"region": "sam", "segment": range(3), "AGE": [1.0, 2, 3], "V_TN": -1.0, "V_UP": 0.5})


def saved(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def test_predictions_in_order_and_in_place(tmp_path: Path):
    found = read_predictions(saved(predictions(), tmp_path))
    assert list(found["region"]) == ["alu"] * 3 + ["sam"] * 3
    assert list(found["segment"]) == [0, 1, 2, 0, 1, 2]
    assert list(found["observed"]) == [1, 0, 1, -1, 1, 0]
    assert (found["lon"][:3] > 160.0).all()
    assert (found["lat"][3:].diff().dropna() < 0.0).all()  # southwards
    assert len(read_predictions(saved(predictions(), tmp_path), ["sam"])) == 3


def test_without_labels(tmp_path: Path):
    found = read_predictions(saved(predictions().drop(columns="observed"), tmp_path))
    assert (found["observed"] == -1).all()


def test_wide_and_long_relevances_are_the_same(tmp_path: Path):
    wide, names = read_relevances(saved(relevances(), tmp_path))
    assert names == ["AGE", "V_TN", "V_UP"]
    np.testing.assert_allclose(wide["kinematics"], -0.5, rtol=1e-12)
    np.testing.assert_allclose(wide["physical state"], [1.0, 2.0, 3.0], rtol=1e-12)
    assert "dynamics" not in wide
    parts = []
    for method, factor in (("lrp", 1.0), ("ig", 2.0)):
        part = relevances().melt(["region", "segment"], var_name="feature", value_name="relevance")
        parts.append(part.assign(method=method, relevance=part["relevance"] * factor, observed="8_up", input=0.0))
    long = saved(pd.concat(parts), tmp_path)
    for method, factor in ((None, 1.0), ("lrp", 1.0), ("ig", 2.0)):
        found, said = read_relevances(long, method=method)
        assert said == names
        np.testing.assert_allclose(found[names], wide[names] * factor, rtol=1e-12)
        np.testing.assert_allclose(found[["lon", "lat"]], wide[["lon", "lat"]], rtol=1e-12)
    with pytest.raises(InputError, match="no method gradient; it has lrp, ig"):
        read_relevances(long, method="gradient")
    with pytest.raises(InputError, match="--method"):
        read_relevances(saved(relevances(), tmp_path), method="lrp")


BAD = [
    (lambda t: t.drop(columns="region"), "no column region"),
    (lambda t: t.drop(columns="predicted"), "no column predicted"),
    (lambda t: t.drop(columns="prob_8_up"), "no column prob_<class>"),
    (lambda t: t.assign(prob_8_up=1.5), "row 2, column prob_8_up: 1.5 is no number from 0 to 1"),
    (lambda t: t.assign(predicted=2), "row 2, column predicted: 2"),
    (lambda t: t.assign(predicted=0.5), "row 2, column predicted: 0.5 is no whole number"),
    (lambda t: t.assign(observed="great"), "row 2, column observed: great"),
    (lambda t: t.assign(segment=1), "segment 1 of region sam is there twice"),
    (lambda t: t.assign(segment=-1), "row 2, column segment"),
    (lambda t: t.assign(region=""), "row 2, column region: empty"),
    (lambda t: t.assign(lat=95.0, lon=0.0), "row 2, column lat: 95"),
    (lambda t: t.assign(region="med", segment=range(6)), "region med: no coordinates"),
    (lambda t: t.assign(region="ryu", segment=range(100, 106)), "segment 100 is not one of the 35"),
    (lambda t: t.iloc[:0], "no rows"),
]


@pytest.mark.parametrize(("spoil", "said"), BAD)
def test_bad_predictions_are_refused(spoil, said: str, tmp_path: Path):
    path = saved(spoil(predictions()), tmp_path)
    with pytest.raises(InputError) as refused:
        read_predictions(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_bad_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="a binary file"):
        read_predictions(tmp_path / "binary.csv")
    with pytest.raises(InputError, match="no region ker; it has alu, sam"):
        read_predictions(saved(predictions(), tmp_path), ["ker"])


def test_bad_relevances_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no column of relevances"):
        read_relevances(saved(relevances()[["region", "segment"]], tmp_path))
    with pytest.raises(InputError, match="row 2, column AGE: old"):
        read_relevances(saved(relevances().assign(AGE="old"), tmp_path))
    long = relevances().melt(["region", "segment"], var_name="feature", value_name="relevance")
    with pytest.raises(InputError, match="row 11: a feature of one segment is there twice"):
        read_relevances(saved(pd.concat([long, long[:1]]), tmp_path))
