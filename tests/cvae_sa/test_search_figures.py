import math

import pytest

from cvae_sa.config import Recipe, SearchConfig
from cvae_sa.search import SPACES, Trial, propose, trial_table
from cvae_sa.search_figures import NAMES, losses


@pytest.fixture
def table():
    trials = []
    config = SearchConfig(trials=12)
    while len(trials) < config.trials:
        recipe = propose(config, trials)
        base = abs(math.log(recipe.learning_rate / 2e-3)) + 10 * (recipe.backbone == "none")
        trials.append(Trial(recipe, (base, base + 0.1 * recipe.latent), 0.8, 1.6, 30.0))
    return trial_table(trials)


def shown(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def test_every_option_that_varied_has_an_axis_and_the_best_is_marked_on_each(table):
    figure = losses(table, synthetic=True)
    varied = {NAMES[name] for name in SPACES["wide"] if table[name].nunique() > 1}
    assert {axis.get_xlabel() for axis in shown(figure)} == varied
    for axis in shown(figure):
        (star,) = [line for line in axis.lines if line.get_marker() == "*"]
        assert list(star.get_ydata()) == [0.0]
        name = next(name for name, label in NAMES.items() if label == axis.get_xlabel())
        label = axis.get_xticklabels()[round(float(star.get_xdata()[0]))].get_text()
        value = table[name][0]
        assert label == (value if isinstance(value, str) else f"{value:g}")
    assert any("SYNTHETIC" in text.get_text() for text in figure.texts)


def test_a_trial_that_failed_is_left_out(table):
    failed = table.copy()
    failed.loc[failed.index[-1], ["loss", "above_best", "above_best_error"]] = math.nan
    places = [len(losses(each, synthetic=False).axes[0].containers) for each in (table, failed)]
    points = [
        sum(len(container.lines[0].get_xdata()) for container in losses(each, synthetic=False).axes[0].containers)
        for each in (table, failed)
    ]
    assert places[0] >= places[1] >= 1
    assert points == [12, 11]


def test_single_trial_is_drawn():
    table = trial_table([Trial(Recipe(folds=2), (1.0, 2.0), 0.8, 1.6, 30.0)])
    figure = losses(table, synthetic=False)
    assert [axis.get_xlabel() for axis in figure.axes] == [NAMES["hidden"]]
