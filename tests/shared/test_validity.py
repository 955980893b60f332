"""What lies outside of the training ranges is told once for every input, in the same words everywhere."""

import numpy as np
import pandas as pd

from shared import validity

RANGES = {"mag": (3.0, 7.0), "rjb": (0.0, 100.0), "vs30": (100.0, 1500.0)}


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame({"mag": [3.0, 5.0, 7.0], "rjb": [0.0, 50.0, 100.0], **columns})


def test_the_ends_of_a_range_are_inside():
    assert validity.beyond(table(), RANGES) == []


def test_every_input_is_told_once_with_count_range_and_unit():
    far = table(rjb=[100.1, 500.0, -1.0], mag=[2.9, 5.0, 5.0])
    assert validity.beyond(far, RANGES, rows="points") == [
        "1 of 3 points have mag outside the training range 3 to 7",
        "3 of 3 points have rjb outside the training range 0 to 100 km",
    ]


def test_what_is_missing_is_passed_over():
    assert validity.beyond(table(vs30=[np.nan, 50.0, 760.0]), RANGES) == [
        "1 of 3 rows have vs30 outside the training range 100 to 1500 m/s"
    ]


def test_of_many_inputs_the_worst_are_named_and_the_rest_counted():
    names = [f"f{k}" for k in range(15)]
    rows = {name: np.where(np.arange(20) <= k, 2.0, 0.5) for k, name in enumerate(names)}  # k + 1 values outside
    lines = validity.beyond(pd.DataFrame(rows), dict.fromkeys(names, (0.0, 1.0)))
    assert len(lines) == validity.MOST
    kept = [f"f{k}" for k in range(6, 15)]
    assert [line.split()[5] for line in lines[:-1]] == kept
    assert lines[-1] == "6 more inputs have values outside their training ranges"


def test_results_hold_ranges_with_units():
    found = validity.validity({"rjb": (0.0, 5.0), "SED": (1.0, 2.0)}, {"SED": "m"}, components=["H"])
    assert found["ranges"] == {
        "rjb": {"low": 0.0, "high": 5.0, "unit": ""},
        "SED": {"low": 1.0, "high": 2.0, "unit": "m"},
    }
    assert found["components"] == ["H"]
    assert validity.validity({"rjb": (0.0, 5.0)})["ranges"]["rjb"]["unit"] == "km"
