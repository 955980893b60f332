"""What the figures of Shapley values show, and that they leave out what does not vary."""

import numpy as np
import pytest

from cvae_sa import explanation
from cvae_sa import explanation_figures as drawings
from cvae_sa.data import INPUTS


@pytest.fixture(scope="module")
def found(trained, records) -> explanation.Explained:
    return explanation.explain(trained, records.inputs[:40], records.inputs[-10:], check=0)


@pytest.fixture(scope="module")
def horizontal(trained, records) -> explanation.Explained:
    rows = records.inputs[records.inputs[:, INPUTS.index("direction")] == 0]
    return explanation.explain(trained, rows[:20], rows[-10:], check=0)


def labels(axis) -> list[str]:
    return [text.get_text() for text in axis.get_yticklabels()]


def test_summary_orders_inputs_and_leaves_out_the_constant(found, horizontal):
    drawn = labels(drawings.summary(found, synthetic=False).axes[0])
    mean = found.grouped.importance.mean(axis=1)
    expected = [drawings.NAMES[found.grouped.players[place]] for place in mean.argsort()]
    assert drawn == expected
    assert "direction" not in labels(drawings.summary(horizontal, synthetic=False).axes[0])


def test_dependence_has_units_and_every_record(found):
    figure = drawings.dependence(found, synthetic=True)
    names = [axis.get_xlabel() for axis in figure.axes[12:18]]
    assert names[:3] == ["magnitude", "Joyner-Boore distance (km)", "Vs30 (m/s)"]
    assert len(figure.axes[0].collections[0].get_offsets()) == 40
    assert figure.texts[0].get_text() == "SYNTHETIC DATA"


def test_importance_and_grouping_draw_their_tables(found):
    table = explanation.importance_table(found)
    axis = drawings.importance_against_period(table, synthetic=False).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    np.testing.assert_allclose(lines["magnitude"], found.grouped.importance[0], rtol=1e-12)
    apart = explanation.grouping_table(found)
    left, _, right = drawings.grouping(found, apart, synthetic=False).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), apart["distance"], rtol=1e-12)
    np.testing.assert_allclose(
        np.abs(right.lines[0].get_ydata()).mean(), apart["mean difference"].max(), rtol=1e-9, atol=1e-12
    )
