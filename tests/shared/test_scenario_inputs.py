"""Scenarios and tables of inputs: names, units, limits; what is unknown raises."""

import numpy as np
import pandas as pd
import pytest

from shared.command import InputError
from shared.scenario_inputs import INPUTS, Scenario, inputs_of

KNOWN = {"mag": 6.5, "rjb": 20.0, "hypo_depth": 10.0, "vs30": 400.0}


def test_inputs_have_the_types_of_the_graph():
    table = pd.DataFrame([KNOWN, KNOWN]).assign(mechanism=["RV", "U"], component=["V", "H"], rake=[np.nan, -90.0])
    found = inputs_of(table, "here")
    assert {name: str(values.dtype) for name, values in found.items()} == {n: i.dtype for n, i in INPUTS.items()}
    assert found["style"].tolist() == [2, 3] and found["component"].tolist() == [1, 0]
    assert np.isnan(found["rrup"]).all() and found["rake"].tolist()[1] == -90.0


def test_scenarios_take_pygmms_names():
    ours = Scenario(**KNOWN, mechanism="NM", rrup=21.0)
    assert Scenario.of_pygmm(mag=6.5, dist_jb=20, dist_rup=21.0, depth_hyp=10, v_s30=400, mechanism="NS") == ours
    assert Scenario.of_pygmm(**KNOWN, mechanism="RS").mechanism == "RV"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mag": np.nan}, "mag is nan"),
        ({"mag": "big"}, "mag: 'big' is not a number"),
        ({"rjb": -1.0}, "rjb is -1.0; it must be at least 0"),
        ({"vs30": 0.0}, "vs30 is 0.0; it must be above 0"),
        ({"hypo_depth": 900.0}, "at most 800 km"),
        ({"rake": 200.0}, "rake is 200.0"),
        ({"rrup": -2.0}, "rrup is -2.0"),
        ({"mechanism": "RS"}, "mechanism is RS; it must be one of SS, NM, RV, U"),
        ({"component": "Z"}, "component is Z; it must be one of H, V"),
    ],
)
def test_impossible_scenarios_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        Scenario(**KNOWN | change)


def test_unknown_names_are_refused():
    with pytest.raises(TypeError, match="colour"):
        Scenario(**KNOWN, colour=3)
    with pytest.raises(InputError, match="colour: unknown; a scenario has dist_jb"):
        Scenario.of_pygmm(**KNOWN, colour=3)
    with pytest.raises(InputError, match="vs30: is missing"):
        Scenario.of_pygmm(mag=6.0, rjb=20.0, hypo_depth=10.0)
    with pytest.raises(InputError, match="given twice"):
        Scenario.of_pygmm(**KNOWN, dist_jb=20.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rjb": None}, "here: no column rjb"),
        ({"rjb": ["a", "b"]}, "column rjb holds something else than numbers"),
        ({"rjb": [1.0, np.nan]}, "here: row 1, rjb is nan"),
        ({"rjb": [1.0]}, "different lengths"),
        ({"rjb": [[1.0], [1.0]]}, "must be one value a row"),
        ({"mechanism": ["SS", None]}, "here: row 1, mechanism is None"),
        ({"rake": [0.0, np.inf]}, "here: row 1, rake is inf"),
    ],
)
def test_impossible_tables_are_refused(change, said):
    table = {name: [value, value] for name, value in KNOWN.items()} | change
    with pytest.raises(InputError, match=said):
        inputs_of({name: value for name, value in table.items() if value is not None}, "here")
