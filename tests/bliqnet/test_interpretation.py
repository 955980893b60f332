"""Sensitivities against finite differences, hidden states against planted structure, scaling against predictions."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bliqnet.config import Recipe
from bliqnet.data import INPUTS, Records, derive_inputs, records_of
from bliqnet.interpretation import (
    QUANTITIES,
    category_steps,
    end_state_order,
    gate_activity,
    jacobian,
    principal_components,
    scaling_curves,
    sensitivities,
    sweeps,
    trajectories,
    trajectory_scenarios,
)
from bliqnet.interpretation_figures import physical_map, scaling_trellis, sensitivity_map, state_trajectories
from bliqnet.model import Scaling
from bliqnet.physics import records_near, violations_map
from bliqnet.trained import TrainedModel
from bliqnet.training import Training
from shared import reference_gmm, synthetic

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
RECIPE = Recipe(members=2, hidden=6, head=6, epochs=2)


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=25, n_rows=800, columns=COLUMNS)))


def trained_on(records: Records, **changes) -> TrainedModel:
    """A model whose head is not nil, as it would be at the start."""
    training = Training(records, dataclasses.replace(RECIPE, **changes), 0, torch.device("cpu"))
    model = TrainedModel.of(training, records, {"data": {"synthetic": True}})
    with torch.no_grad():
        model.network.head_out.weight.normal_(generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture(scope="module")
def model(records) -> TrainedModel:
    return trained_on(records)


# --- sensitivities ---------------------------------------------------------------------------------------------------
def ln_sa(model: TrainedModel, table: pd.DataFrame, **moved: float) -> np.ndarray:
    """The mean of the members in double precision, inputs written again from the physical quantities that move."""
    inputs = dict(zip(INPUTS, derive_inputs(table, model.style_mix).astype(float).T, strict=True))
    rjb = table["rjb"].to_numpy(float) * np.exp(moved.get("ln_rjb", 0.0))
    inputs |= {
        "mag": table["mag"].to_numpy(float) + moved.get("mag", 0.0),
        "rjb": rjb,
        "ln_rjb": np.log(np.sqrt(rjb**2 + 1.0)),
        "hypo_depth": table["hypo_depth"].to_numpy(float) + moved.get("hypo_depth", 0.0),
        "ln_vs30": np.log(table["vs30"].to_numpy(float)) + moved.get("ln_vs30", 0.0),
        "rrup": np.sqrt(inputs["rrup"] ** 2 - table["rjb"].to_numpy(float) ** 2 + rjb**2),
    }
    columns = torch.from_numpy(np.column_stack(list(inputs.values())))
    return model.network(columns).mean(dim=0).detach().numpy()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"skip": "none"},
        {"dynamics": "linear"},
        {"dynamics": "cfc", "scaling": "minmax"},
        {"solver": "dopri5", "adjoint": True, "rtol": 1e-6, "atol": 1e-8, "members": 1},
    ],
)
def test_jacobian_is_the_limit_of_finite_differences(records, options):
    model = trained_on(records, **options)
    model.network.double()
    table = records.table.iloc[:240:20]
    found = jacobian(model, table, batch=7)
    assert found.shape == (12, 3, 4)
    step = 1e-5
    for q, name in enumerate(QUANTITIES):
        ends = (ln_sa(model, table, **{name: sign * step}) for sign in (1.0, -1.0))
        by_difference = np.subtract(*ends) / (2.0 * step)
        np.testing.assert_allclose(found[..., q], by_difference, rtol=1e-4, atol=1e-5)


class Known(nn.Module):
    """Two members whose ln Sa is linear in rjb and ln Vs30; on average by -0.007 and -0.5."""

    def __init__(self):
        super().__init__()
        self.output_scaling = Scaling(3)

    def forward(self, inputs):
        rjb, ln_vs30 = (inputs[:, [INPUTS.index(name)]] for name in ("rjb", "ln_vs30"))
        return torch.stack([-0.006 * rjb - 0.4 * ln_vs30, -0.008 * rjb - 0.6 * ln_vs30]).expand(-1, -1, 3)


def test_jacobian_of_a_known_form(records, model):
    table = records.table.query("component == 'H'").iloc[:5].assign(rjb=[0.0, 1.0, 10.0, 100.0, 200.0])
    by_mag, by_distance, by_depth, by_vs30 = np.moveaxis(
        jacobian(dataclasses.replace(model, network=Known()), table), -1, 0
    )
    np.testing.assert_allclose(by_vs30, -0.5, rtol=1e-5)
    np.testing.assert_allclose(by_distance[:, 0], -0.007 * table["rjb"], rtol=1e-5)
    assert (by_mag == 0.0).all()
    assert (by_depth == 0.0).all()


def test_category_steps_are_differences_of_predictions(records, model):
    steps = category_steps(model, records.table)
    assert set(steps) == {"normal", "reverse", "vertical"}
    ends = [model.predict(records.table.assign(mechanism=style)).ln_median for style in ("RV", "SS")]
    np.testing.assert_allclose(steps["reverse"], ends[0] - ends[1], rtol=1e-6, atol=1e-6)
    ends = [model.predict(records.table.assign(component=name)).ln_median for name in ("V", "H")]
    np.testing.assert_allclose(steps["vertical"], ends[0] - ends[1], rtol=1e-6, atol=1e-6)
    assert "vertical" not in category_steps(dataclasses.replace(model, components=["H"]), records.table)


def test_sensitivities_sum_up_the_jacobian(records, model):
    table = records.table.iloc[:200]
    found = sensitivities(model, table).set_index(["quantity", "column"])
    assert len(found) == 7 * len(COLUMNS)
    by_distance = jacobian(model, table)[:, 1, 1]
    row = found.loc[("ln_rjb", "SA(0.200)")]
    assert row["mean"] == pytest.approx(by_distance.mean(), rel=1e-6)
    assert row["spread"] == pytest.approx(by_distance.std(), rel=1e-6)
    assert row["deviation"] == pytest.approx(np.log(np.hypot(table["rjb"], 1.0)).std(ddof=0), rel=1e-5)
    assert row["mean_per_deviation"] == pytest.approx(row["mean"] * row["deviation"], rel=1e-12)
    row = found.loc[("normal", "PGA")]
    assert row["mean_per_deviation"] == row["mean"]
    assert row["unit"] == "mechanism SS to NM"


# --- hidden states ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dynamics", ["ltc", "linear", "cfc"])
def test_trajectories_end_where_the_network_reads(records, dynamics):
    model = trained_on(records, dynamics=dynamics)
    times = np.linspace(0.0, 1.0, 5)
    path = trajectories(model, records.table.iloc[:20], times)
    assert path.shape == (5, 2, 20, 6)
    end = model.network.hidden(torch.from_numpy(records.inputs[:20])).detach()
    np.testing.assert_allclose(path[-1], end, rtol=1e-4, atol=1e-5)
    if dynamics != "cfc":
        assert (path[0] == 0.0).all()


@pytest.mark.parametrize("times", [[0.0], [0.1, 1.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.5]])
def test_times_have_to_ascend_from_zero(records, model, times):
    with pytest.raises(ValueError, match="ascend from 0"):
        trajectories(model, records.table.iloc[:2], times)


def test_principal_components_find_a_planted_plane():
    draw = np.random.default_rng(0)
    plane = np.linalg.qr(draw.normal(size=(5, 2)))[0]  # (H, 2)
    coordinates = draw.normal(size=(4, 300, 2)) * [3.0, 1.0]
    states = coordinates @ plane.T + 7.0
    scores, share = principal_components(states)
    assert scores.shape == states.shape
    np.testing.assert_allclose(share[2:], 0.0, atol=1e-12)
    np.testing.assert_allclose(share[0] / share[1], 9.0, rtol=0.2)
    np.testing.assert_allclose(share.sum(), 1.0, rtol=1e-12)
    distances = [np.linalg.norm(each[0, 1:] - each[0, :1], axis=-1) for each in (scores, states)]
    np.testing.assert_allclose(distances[0], distances[1], rtol=1e-9)
    again, _ = principal_components(-states)
    np.testing.assert_allclose(np.abs(again), np.abs(scores), rtol=1e-6, atol=1e-9)


def test_end_state_order_is_a_regression_on_components(records, model):
    found = end_state_order(model, records.table).set_index(["member", "components"])
    assert len(found) == 2 * 6
    end = trajectories(model, records.table, (0.0, 1.0))[-1, 1].astype(float)
    variance, axes = np.linalg.eigh(np.cov(end.T))
    design = np.column_stack([np.ones(len(end)), end @ axes[:, ::-1][:, :3]])
    for name in QUANTITIES:
        wanted = records.inputs[:, INPUTS.index(name)].astype(float)
        left = wanted - design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
        assert found.loc[(1, 3), name] == pytest.approx(1.0 - left.var() / wanted.var(), rel=1e-6)
        assert found.loc[1, name].is_monotonic_increasing
    assert found.loc[(1, 3), "variance"] == pytest.approx(variance[::-1][:3].sum() / variance.sum(), rel=1e-6)


def test_gate_activity_of_gates_that_are_known(records):
    model = trained_on(records, members=1)
    liquid = model.network.liquid
    with torch.no_grad():  # two units closed, one open, three half open, none feels the state
        liquid.drive.weight.zero_()
        liquid.drive.bias.copy_(torch.tensor([-9.0, -9.0, 9.0, 0.0, 0.0, 0.0])[None, None])
        liquid.recurrent.weight.zero_()
        liquid.drive.weight[0, 0, 3] = 1e-3  # by magnitude; else the gates' arguments have no variance
    table = records.table.iloc[::80]
    row = gate_activity(model, table).iloc[0]
    assert row["closed"] == pytest.approx(2 / 6)
    assert row["open"] == pytest.approx(1 / 6)
    assert row["feedback"] == 0.0
    assert row["moved"] == pytest.approx(0.0, abs=1e-6)
    # dh/dt = f A - (1 + f) h has the rate 1 + f: what is left at t = 1 of each unit is exp(-(1 + f))
    gate = np.array([0.0, 0.0, 1.0, 0.5, 0.5, 0.5])
    speed = gate * liquid.target.detach().numpy().ravel()
    left = np.sqrt(np.mean((speed * np.exp(-(1.0 + gate))) ** 2) / np.mean(speed**2))
    assert row["settled"] == pytest.approx(1.0 - left, rel=0.02)  # rk4 of two steps
    assert gate_activity(trained_on(records, dynamics="cfc"), table) is None


def test_feedback_moves_gates(records, model):
    table = records.table.iloc[:50]
    before = gate_activity(model, table)
    strong = trained_on(records)
    with torch.no_grad():
        strong.network.liquid.recurrent.weight.mul_(10.0)
    after = gate_activity(strong, table)
    assert (after["feedback"] > before["feedback"]).all()
    assert (after["moved"] > before["moved"]).all()


# --- scaling ---------------------------------------------------------------------------------------------------------
def test_sweeps_move_one_input_each(records):
    for sweep, n_series in zip(sweeps(records.table, points=7), (4, 3, 4), strict=True):
        assert len(sweep.table) == 7 * n_series
        for _, series in sweep.table.groupby("series"):
            fixed = {"mag", "rjb", "vs30", "hypo_depth", "mechanism", "component"} - {sweep.quantity}
            assert (series[list(fixed)].nunique() == 1).all()
            assert series[sweep.quantity].is_monotonic_increasing
    scenarios = trajectory_scenarios(records.table, count=4)
    assert len(scenarios.drop_duplicates(["mag", "rjb"])) == 16


def test_scaling_curves_are_predictions_beside_bssa14(records, model):
    sweep = sweeps(records.table, points=9)[0]
    found = scaling_curves(model, records.table, sweep)
    assert len(found) == len(sweep.table) * len(COLUMNS)
    part = found[found["column"] == "SA(1.000)"]
    ours, theirs = model.predict(sweep.table), reference_gmm.bssa14(sweep.table, COLUMNS)
    np.testing.assert_allclose(part["ln_median"], ours.ln_median[:, 2], rtol=1e-6)
    np.testing.assert_allclose(part["sigma"], ours.sigma[:, 2], rtol=1e-6)
    np.testing.assert_allclose(part["ln_bssa14"], theirs.ln_median[:, 2], rtol=1e-12)
    np.testing.assert_allclose(part["sigma_bssa14"], theirs.sigma[:, 2], rtol=1e-12)
    one = sweep.table.iloc[[0]].assign(mag=5.0, rjb=10.0, hypo_depth=10.0, vs30=500.0)
    inputs = torch.from_numpy(derive_inputs(one, model.style_mix))
    of_members = model.network(inputs)[:, 0, 2].detach().numpy()
    spread = scaling_curves(model, records.table, dataclasses.replace(sweep, table=one)).iloc[2]["epistemic"]
    # two members: their standard deviation is their difference over the root of two
    assert spread == pytest.approx(abs(of_members[0] - of_members[1]) / np.sqrt(2.0), rel=1e-4)
    low, high = records.table["vs30"].quantile([0.01, 0.99])
    near = records_near(records.table, part["mag"], part["rjb"]) & part["vs30"].between(low, high)
    np.testing.assert_array_equal(part["inside"], near)
    assert part["inside"].any()
    assert not part["inside"].all()


def test_one_member_has_no_spread(records):
    lone = trained_on(records, members=1)
    assert scaling_curves(lone, records.table, sweeps(records.table, points=3)[2])["epistemic"].isna().all()


# --- figures ---------------------------------------------------------------------------------------------------------
def texts(figure) -> str:
    axes = [text for axis in figure.axes for text in (axis.get_title("left"), axis.get_xlabel(), axis.get_ylabel())]
    return " | ".join([*axes, *(text.get_text() for text in figure.texts)])


def test_figures_name_their_units_and_their_synthetic_data(records, model):
    table = records.table
    times, scenarios = np.linspace(0.0, 1.0, 4), trajectory_scenarios(table, 3)
    states = trajectories(model, scenarios, times)[:, 0]
    curves = {sweep.quantity: scaling_curves(model, table, sweep) for sweep in sweeps(table, points=5)}
    drawn = {
        "period (s)": sensitivity_map(sensitivities(model, table.iloc[:50]), True),
        "Joyner-Boore distance (km)": state_trajectories(times, states, scenarios, end_state_order(model, table), True),
        "Vs30 (m/s)": scaling_trellis(curves, COLUMNS, True),
        "magnitude": physical_map(violations_map(model, table), table, True),
    }
    for label, figure in drawn.items():
        assert label in texts(figure)
        assert "SYNTHETIC DATA" in texts(figure)


def test_the_heat_map_shows_depth_per_ten_kilometres_and_writes_each_mean(records, model):
    table = sensitivities(model, records.table.iloc[:50])
    figure = sensitivity_map(table, False)
    above, below = (axis for axis in figure.axes if axis.get_images())
    row = table[(table["quantity"] == "hypo_depth") & (table["column"] == "PGA")].iloc[0]
    at = list(QUANTITIES).index("hypo_depth")
    assert above.get_images()[0].get_array()[at, 0] == pytest.approx(10.0 * row["mean"])
    assert below.get_images()[0].get_array()[at, 0] == pytest.approx(row["mean_per_deviation"])
    written = [text.get_text() for text in below.texts if text.get_position() == (0, at)]
    assert written == [f"{row['mean_per_deviation']:.2f}\n±{row['spread_per_deviation']:.2f}"]


def test_the_trellis_is_solid_only_where_records_are(records, model):
    curves = {sweep.quantity: scaling_curves(model, records.table, sweep) for sweep in sweeps(records.table, points=9)}
    axis = scaling_trellis(curves, COLUMNS, False).axes[0]
    first = curves["rjb"].query("column == 'PGA' and series == @curves['rjb']['series'].iloc[0]")
    solid = next(line for line in axis.get_lines() if line.get_label() == first["series"].iloc[0])
    np.testing.assert_array_equal(np.isfinite(solid.get_ydata()), first["inside"])
