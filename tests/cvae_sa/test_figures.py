"""The figure of a training: a line for every stage, named axes, its mark when synthetic."""

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from cvae_sa.figures import loss_curves


@pytest.fixture
def metrics(training) -> pd.DataFrame:
    return pd.DataFrame(training.logged)


def lines(axis) -> list[np.ndarray]:
    return [line.get_ydata() for line in axis.lines]


def test_every_stage_has_a_line_and_every_fold_another(metrics):
    figure = loss_curves(metrics, synthetic=False)
    assert isinstance(figure, matplotlib.figure.Figure)
    loss, kl = figure.axes
    for axis, name in ((loss, "loss"), (kl, "kl")):
        expected = [rows[f"train_{name}"] for _, rows in metrics.groupby("stage")]
        expected += [rows[f"validation_{name}"] for stage, rows in metrics.groupby("stage") if stage < 3]
        assert len(axis.lines) == 5
        for found, values in zip(lines(axis), expected, strict=True):
            np.testing.assert_allclose(found, values, rtol=1e-12)
        assert "epoch" in axis.get_xlabel()
        assert "nats" in axis.get_ylabel()
    shown = [text.get_text() for text in loss.get_legend().get_texts()]
    assert shown == ["training events", "held-out events of the fold"]
    assert not any("SYNTHETIC" in text.get_text().upper() for text in figure.texts)


def test_without_folds_nothing_is_held_out(metrics):
    last = metrics[metrics["stage"] == 3].drop(columns=[name for name in metrics if name.startswith("validation")])
    figure = loss_curves(last, synthetic=True)
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]
    assert any("SYNTHETIC" in text.get_text().upper() for text in figure.texts)
