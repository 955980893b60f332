import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ml4szeq import agreement, relevance, relevance_figures
from ml4szeq.features import PUBLISHED
from ml4szeq.relevance import Relevances

REGIONS = ("ryu", "sam")


def made(names: tuple[str, ...] = PUBLISHED, edges: tuple[float, ...] = (8.0,), **changes) -> Relevances:
    """Relevances of 20 segments of each of two trenches; of the first one four in the middle are missing."""
    rng = np.random.default_rng(0)
    segment = [np.r_[0:10, 14:24], np.arange(20)]
    places = pd.concat([pd.DataFrame({"region": r, "segment": s}) for r, s in zip(REGIONS, segment, strict=True)])
    places = places.assign(along_km=places["segment"] * 50.0).reset_index(drop=True)
    values, classes = rng.normal(size=(40, len(names))), len(edges) + 1
    fields = {
        "names": names,
        "values": {"lrp": values, "permutation": np.abs(values)},
        "inputs": values,
        "explained": np.full(40, classes - 1),
        "predicted": np.arange(40) % classes,
        "observed": np.arange(40) // 5 % (classes + 1) - 1,
        "groups": np.arange(40) // 4,
        "places": places,
        "edges": edges,
        "synthetic": False,
    }
    return Relevances(**(fields | changes))


def drawn(figure: Figure) -> list[str]:
    """Draw it, and return all of its texts."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))]


def test_along_a_trench():
    found = made()
    figure = relevance_figures.along_trench(found, "lrp", "ryu", limit=1.5, planted=("AGE",))
    texts = drawn(figure)
    assert "Ryukyu-Nankai: LRP" in texts
    assert {"physical state", "dynamics", "kinematics", "observed", "predicted", "★ AGE", "Mw < 8"} <= set(texts)
    assert "distance along the trench (km)" in texts and "relevance for Mw ≥ 8" in texts
    strip, body = figure.axes[:2]
    heat = body.collections[0].get_array().reshape(49, 24)
    assert heat.mask[:, 10:14].all() and heat.mask.sum() == 4 * 49
    row = [text.get_text() for text in body.get_yticklabels()].index("V_TN")
    np.testing.assert_array_equal(heat[row, :10], found.values["lrp"][:10, PUBLISHED.index("V_TN")])
    np.testing.assert_array_equal(heat[row, 14:], found.values["lrp"][10:20, PUBLISHED.index("V_TN")])
    assert body.collections[0].get_clim() == (-1.5, 1.5)
    classes = strip.collections[0].get_array().reshape(2, 24)
    assert classes.mask[0, :5].all()  # not observed
    np.testing.assert_array_equal(classes[1, :10], np.arange(10) % 2)


def test_segments_may_come_in_any_order():
    found = made()
    order = np.random.default_rng(1).permutation(40)
    other = made(
        values={"lrp": found.values["lrp"][order]},
        predicted=found.predicted[order],
        observed=found.observed[order],
        places=found.places.iloc[order].reset_index(drop=True),
    )
    heats = []
    for each in (found, other):
        figure = relevance_figures.along_trench(each, "lrp", "sam")
        heats.append(figure.axes[1].collections[0].get_array())
    np.testing.assert_array_equal(heats[0], heats[1])


@pytest.mark.parametrize("edges", [(8.0,), (6.4, 8.3), (6.0, 7.0, 8.0)])
def test_other_classes_and_few_features(edges: tuple[float, ...]):
    found = made(("AGE", "MINE"), edges, synthetic=True, explained=np.arange(40) % 2)
    assert "SYNTHETIC DATA" in drawn(relevance_figures.along_trench(found, "lrp", "sam"))
    texts = drawn(relevance_figures.by_class(found, "lrp"))
    assert "relevance for the class explained" in texts
    assert "AGE\nage of the downgoing plate" in texts and "MINE" in texts


def test_a_trench_of_one_segment():
    found = made()
    one = made(
        values={"lrp": found.values["lrp"][:1]},
        explained=np.array([-1]),
        predicted=found.predicted[:1],
        observed=found.observed[:1],
        places=found.places.iloc[:1],
    )
    assert "relevance for the magnitude (standard deviations)" in drawn(
        relevance_figures.along_trench(one, "lrp", "ryu")
    )


def test_limit():
    values = np.concatenate([np.ones(999), [-7.0]])[:, None]
    assert relevance_figures.limit_of(made(("AGE",), values={"lrp": values}), "lrp") == pytest.approx(1.0)
    assert relevance_figures.limit_of(made(("AGE",), values={"lrp": values * 0.0}), "lrp") > 0.0


def test_by_class_shows_the_first_features():
    found = made()
    scaled = made(values={"lrp": found.values["lrp"] * np.arange(1, 50)})
    figure = relevance_figures.by_class(scaled, "lrp", top=3, planted=(PUBLISHED[-1],))
    texts = drawn(figure)
    assert f"★ {PUBLISHED[-1]}\nstrain rate, dilatation (upper, std)" in texts
    assert {"Mw < 8", "Mw ≥ 8", "median", "relevance for Mw ≥ 8"} <= set(texts)
    assert len(figure.axes[0].get_yticks()) == 3


def test_top_features():
    found = made()
    rankings = {m: relevance.ranking(found, m, np.random.default_rng(0), draws=50) for m in found.values}
    figure = relevance_figures.top_features(rankings, synthetic=True, top=5, planted=("AGE",))
    assert {"permutation", "share of importance (%)", "physical state", "SYNTHETIC DATA"} <= set(drawn(figure))
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(bars, 100 * rankings["lrp"]["share"].head(5), rtol=1e-12)
    nothing = relevance.ranking(made(values={"lrp": np.zeros((40, 49))}), "lrp", np.random.default_rng(0), draws=20)
    drawn(relevance_figures.top_features({"lrp": nothing}, synthetic=False))


@pytest.mark.parametrize("measure", agreement.MEASURES)
def test_agreement_matrix(measure: str):
    table = agreement.pairs({"lrp": np.arange(12.0), "permutation": -np.arange(12.0)}, top=3)
    texts = drawn(relevance_figures.agreement_matrix(table, True, measure))
    expected = f"{table[measure].iloc[0]:.2f}"  # on both sides of the diagonal
    assert texts.count(expected) >= 2
    assert "LRP" in texts and "SYNTHETIC DATA" in texts


def test_against_noise():
    share, control = np.array([0.1, 0.6, 0.3]), np.array([[0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])
    figure = relevance_figures.against_noise(("AGE", "V_TN", "MINE"), share, control, False, ("V_TN",))
    texts = drawn(figure)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["★ V_TN", "MINE", "AGE"]
    dots = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    np.testing.assert_allclose(dots.get_ydata(), [60.0, 30.0, 10.0], rtol=1e-12)
    assert "shuffled labels, range of 2" in texts
