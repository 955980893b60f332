"""What is met and what is missed, on tables whose figures are planted."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm import targets
from cgm_gm.comparison import BASELINE, NON_ERGODIC, OURS, REFITTED
from cgm_gm.fas import FREQUENCIES


def tables(**changed):
    deviation = {OURS: 0.42, REFITTED: 0.6, BASELINE: 0.42, NON_ERGODIC: 0.41}
    fas = pd.DataFrame(
        [
            {"model": model, "measure": each, "bias": -0.09 if each < 5 else 0.11, "deviation": value}
            for model, value in deviation.items()
            for each in FREQUENCIES
        ]
    )
    arrivals = pd.DataFrame(
        {
            "of": ["generated", "generated", "observed", "observed"],
            "phase": ["P", "S", "P", "S"],
            "median_absolute_missed_inf": [0.49, 0.81, 0.1, np.nan],
        }
    )
    found = {
        "fas": fas,
        "spread": pd.DataFrame({"measure": FREQUENCIES, "ratio": [0.86, 0.84, 1.14, 1.16]}),
        "phase": pd.DataFrame({"frequency": FREQUENCIES, "bias": [-0.019, 0.021, 0.0, 0.0]}),
        "map_likeness": pd.DataFrame(
            {"model": OURS, "frequency": FREQUENCIES, "correlation": [0.79, 0.81, 0.0, 0.0], "of_places": 0.3}
        ),
        "arrivals": arrivals,
        "discriminative": pd.DataFrame({"amplitude": ["kept", "removed"], "score": [0.26, 0.24]}),
    }
    return {name: table for name, table in (found | changed).items() if table is not None}


def verdicts(table, name):
    rows = table[table["target"].str.contains(name, regex=False)]
    return dict(zip(rows["at"], rows["reached"], strict=True))


def test_each_target_on_either_side_of_its_limit():
    found = targets.targets(tables())
    assert verdicts(found, "FAS bias (ln") == {"2 Hz": True, "5 Hz": False, "10 Hz": False, "15 Hz": False}
    assert set(verdicts(found, f"residuals, {REFITTED}").values()) == {True}
    assert set(verdicts(found, f"residuals, {BASELINE}").values()) == {False}  # equal is not below
    assert set(verdicts(found, f"residuals, {NON_ERGODIC}").values()) == {True}  # within 5 %
    assert set(verdicts(found, "residuals, ergodic, published").values()) == {None}
    assert verdicts(found, "sampled over") == {"2 Hz": True, "5 Hz": False, "10 Hz": True, "15 Hz": False}
    assert verdicts(found, "Griffin-Lim") == {"2 Hz": True, "5 Hz": False, "10 Hz": True, "15 Hz": True}
    assert verdicts(found, "correlation of maps") == {"2 Hz": False, "5 Hz": True}
    assert verdicts(found, "median absolute error") == {"P": True, "S": False}
    assert verdicts(found, "without the ergodic part") == {"2 Hz": None, "5 Hz": None}
    assert verdicts(found, "discriminative") == {"amplitude kept": False, "amplitude removed": True}


def test_the_pickers_own_errors_are_no_target():
    found = targets.targets(tables())
    rows = found[found["target"].str.contains("same picker")]
    assert list(rows["measured"].iloc[:1]) == [0.1] and set(rows["reached"]) == {None}


def test_what_was_not_measured_is_neither_met_nor_missed():
    found = targets.targets(tables(arrivals=None, discriminative=None, map_likeness=None))
    assert verdicts(found, "arrivals") == {"P": None, "S": None}
    assert verdicts(found, "discriminative") == {"": None}
    assert not verdicts(found, "correlation of maps")
    assert "not measured" in targets.text(found, seen=False)


def test_most_arrivals_missed_is_missed_not_unmeasured():
    arrivals = tables()["arrivals"].assign(median_absolute_missed_inf=[np.inf, 0.1, 0.1, 0.1])
    assert verdicts(targets.targets(tables(arrivals=arrivals)), "median absolute error") == {"P": False, "S": True}


@pytest.mark.parametrize("seen", [True, False])
def test_the_terminal_counts_and_warns(seen):
    found = targets.targets(tables())
    said = targets.text(found, seen)
    met = sum(each is True for each in found["reached"])
    known = sum(each is not None for each in found["reached"])
    unknown = 8  # two ergodic models, which the tables have not
    assert f"{met} of {known + unknown} targets met, {unknown} not measured" in said
    assert ("SEEN IN TRAINING" in said) is seen
    assert said.count("MISSED") == known - met
