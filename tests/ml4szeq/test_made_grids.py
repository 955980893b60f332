import numpy as np
import pytest

from ml4szeq import made_grids
from ml4szeq.made_grids import make_grids, plate_pairs, trench_lines
from ml4szeq.quantities import QUANTITIES
from ml4szeq.rotation import velocity

TWO = ("ker", "ryu")  # one over the date line


@pytest.fixture(scope="module")
def grids() -> dict:
    return make_grids(trench_lines(TWO), 0)


def test_quantities(grids: dict):
    quantities = {name.partition("/")[0] for name in grids}
    assert quantities == set(QUANTITIES) - {"BATHYMETRY"}  # the roughnesses are given instead
    assert {"DEPTH/ker", "DEPTH/ryu"} <= set(grids)
    for name, grid in grids.items():
        known = QUANTITIES[name.partition("/")[0]]
        values = grid.values[np.isfinite(grid.values)]
        assert values.min() >= known.low
        assert values.max() <= known.high
        assert grid.wraps


def test_values_lie_around_the_trenches_and_nowhere_else(grids: dict):
    for code, trench in trench_lines(TWO).items():
        segments = trench.segments()
        for across in (-200.0, -50.0, 0.0, 50.0, 200.0):
            assert np.isfinite(grids["SED"].sample(*segments.offset(across))).all(), (code, across)
        depths = [grids[f"DEPTH/{code}"].sample(*segments.offset(across)) for across in (50.0, 200.0, 400.0, 600.0)]
        assert (np.diff(depths, axis=0) > 0.0).mean() > 0.99  # slabs go down
        assert np.isnan(grids[f"DEPTH/{code}"].sample(*segments.offset(-150.0))).mean() > 0.8
    assert np.isnan(grids["SED"].sample(np.array([0.0, -100.0]), np.array([0.0, 0.0]))).all()


def test_the_two_sides_of_gravity_differ(grids: dict):
    segments = trench_lines(TWO)["ker"].segments()
    sea, land = (grids["FRE"].sample(*segments.offset(across)) for across in (-60.0, 60.0))
    assert abs(np.corrcoef(sea, land)[0, 1]) < 0.7


def test_the_seed_decides(grids: dict):
    again, other = (make_grids(trench_lines(TWO), seed) for seed in (0, 1))
    np.testing.assert_array_equal(grids["SED"].values, again["SED"].values)
    known = np.isfinite(grids["SED"].values)
    assert np.corrcoef(np.log(grids["SED"].values[known]), np.log(other["SED"].values[known]))[0, 1] < 0.7


def test_a_process_has_unit_variance_and_the_length_asked_for():
    generator = np.random.default_rng(0)
    found = np.array([made_grids._smooth(41, 200.0, generator) for _ in range(4000)])  # every 10 km
    np.testing.assert_allclose(found.var(axis=0), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.mean(found[:, 0] * found[:, 20]), np.exp(-0.5), atol=0.05)  # 200 km apart


def test_poles_are_summed_as_vectors():
    pacific, australia = (made_grids._PLATES[name] for name in ("Pacific", "Australia"))
    together = made_grids._sum(pacific, australia)
    np.testing.assert_allclose(together.vector, pacific.vector + australia.vector, rtol=1e-12)
    lon, lat = np.array([10.0, -170.0]), np.array([5.0, -40.0])
    added = np.add(velocity(pacific, lon, lat), velocity(australia, lon, lat))
    np.testing.assert_allclose(velocity(together, lon, lat), added, rtol=1e-9)
    pair = plate_pairs(("ker",))["ker"]
    # relative motion knows no frame: the Pacific and Australian poles as they were
    np.testing.assert_allclose(pair.downgoing.vector - pair.upper.vector, pacific.vector - australia.vector, rtol=1e-9)
