import numpy as np
import pandas as pd
import pytest
from made_segments import made_table
from matplotlib.collections import QuadMesh

from ml4szeq import figures
from ml4szeq.classes import EDGES, class_names, classified
from shared import runs


def held_out(regions: tuple[str, ...] = ("ryu", "sam", "alu"), classes: int = 2) -> pd.DataFrame:
    table = made_table(regions, 12)
    observed = classified(table["MR_GCMT"].to_numpy(), EDGES[classes])
    p = np.random.default_rng(0).dirichlet(np.ones(classes), len(table))
    for k, name in enumerate(class_names(EDGES[classes])):
        table[f"prob_{name}"] = p[:, k]
    return table.assign(observed=observed, predicted=p.argmax(axis=1))


def meshes(axis) -> list[QuadMesh]:
    """Observed and predicted classes."""
    return [each for each in axis.collections if isinstance(each, QuadMesh)]


def log() -> pd.DataFrame:
    return pd.DataFrame(
        [(name, epoch, 1.0 / epoch) for name in ("scenario-1-50km", "final") for epoch in (1, 2, 3)],
        columns=["network", "epoch", "train_loss"],
    )


def test_all_figures_of_a_training(tmp_path):
    for name, figure in figures.of_training(log(), held_out(), EDGES[2], True).items():
        runs.write_figure(tmp_path / f"{name}.png", figure, dpi=50)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"loss", "along_strike", "confusion"}


def test_a_training_whose_log_is_lost_has_its_other_figures():
    assert set(figures.of_training(pd.DataFrame([]), held_out(), EDGES[2], True)) == {"along_strike", "confusion"}


def test_losses():
    axis = figures.losses(log(), False).axes[0]
    assert axis.get_legend_handles_labels()[1] == ["scenario-1-50km", "all segments"]
    np.testing.assert_array_equal(axis.lines[1].get_xydata(), [[1, 1], [2, 1 / 2], [3, 1 / 3]])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "mean training loss")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("regions", [("ryu",), ("sam", "alu"), ("ryu", "sam", "alu")])
def test_along_strike_shows_what_was_predicted(regions: tuple, classes: int, tmp_path):
    table = held_out(regions, classes)
    figure = figures.along_strike(table, EDGES[classes], False)
    runs.write_figure(tmp_path / "a.png", figure, dpi=50)
    for axis, region in zip(figure.axes, pd.unique(table["region"]), strict=False):
        part = table[table["region"] == region].sort_values("along_km")
        curve = axis.lines[0].get_xydata()
        np.testing.assert_array_equal(curve[:, 0], part["along_km"])
        np.testing.assert_array_equal(curve[:, 1], part[f"prob_{class_names(EDGES[classes])[-1]}"])
        observed, predicted = (mesh.get_array().ravel() for mesh in meshes(axis))
        np.testing.assert_array_equal(observed, part["observed"])
        np.testing.assert_array_equal(predicted, part["predicted"])


def test_a_gap_along_the_trench_is_left_white():
    """Segments that lack a feature are not predicted: nobody may read a class there."""
    table = held_out(("ryu",))
    table = table[~table["segment"].isin([4, 5, 6])]
    axis = figures.along_strike(table, EDGES[2], False).axes[0]
    mesh = meshes(axis)[1]
    sides = mesh.get_coordinates()[0, :, 0]
    shown = ~np.ma.getmaskarray(mesh.get_array()).ravel()
    middle = (sides[:-1] + sides[1:]) / 2
    assert not shown[(middle > 175.0) & (middle < 325.0)].any()
    assert shown.sum() == len(table)
    curve = axis.lines[0].get_xydata()
    assert np.isnan(curve[(curve[:, 0] > 175.0) & (curve[:, 0] < 325.0), 1]).all()


def test_segments_without_a_label_are_left_white():
    table = held_out(("ryu",))
    table.loc[table["segment"] == 3, "observed"] = -1
    axis = figures.along_strike(table, EDGES[2], False).axes[0]
    assert np.ma.getmaskarray(meshes(axis)[0].get_array()).ravel().tolist() == [i == 3 for i in range(12)]


def test_confusion_counts():
    table = pd.DataFrame({"observed": [0, 0, 0, 1], "predicted": [0, 0, 1, 1]})
    axis = figures.confusion({"a": table}, EDGES[2], False).axes[0]
    assert [each.get_text() for each in axis.texts] == ["2\n67%", "1\n33%", "0\n0%", "1\n100%"]
