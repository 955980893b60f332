"""What a trained network has learnt, in numbers: its hidden states over time, its sensitivities, its scaling.

Axes: M members, N records or scenarios, T times, H hidden units, P periods, Q input quantities.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from bliqnet.data import INPUTS, derive_inputs
from bliqnet.physics import records_near
from bliqnet.trained import TrainedModel
from shared import reference_gmm
from shared.flatfile import periods_of

# What the seven inputs are functions of. rjb and its log are one quantity.
QUANTITIES = {"mag": "magnitude unit", "ln_rjb": "ln km", "hypo_depth": "km", "ln_vs30": "ln m/s"}
CATEGORIES = {  # what a step means: column, from, to
    "normal": ("mechanism", "SS", "NM"),
    "reverse": ("mechanism", "SS", "RV"),
    "vertical": ("component", "H", "V"),
}


# --- sensitivities ---------------------------------------------------------------------------------------------------
def jacobian(model: TrainedModel, table: pd.DataFrame, batch: int = 1024) -> np.ndarray:
    """d ln Sa / d quantity of the mean of the members, (N, P, Q), by automatic differentiation through all of it.

    Q are mag, ln rjb, hypo_depth (per km) and ln vs30. Distance enters as rjb, as ln sqrt(rjb² + 1 km²) and as rrup,
    which goes with rjb above a given top of the rupture, rrup² = rjb² + ztor². So d/d ln rjb = rjb d/d rjb
    + rjb² / (rjb² + 1 km²) d/d ln sqrt(...) + rjb² / rrup d/d rrup; it is 0 at rjb = 0. All other inputs are held.
    """
    parts = [_input_gradients(model, inputs) for inputs in _inputs(model, table).split(batch)]
    by_input = dict(
        zip(INPUTS, np.moveaxis(torch.cat(parts).cpu().numpy().astype(float), -1, 0), strict=True)
    )  # (N, P)
    rjb = table["rjb"].to_numpy(float)[:, None]
    rrup = np.maximum(derive_inputs(table, model.style_mix)[:, [INPUTS.index("rrup")]].astype(float), 1e-3)
    by_distance = (
        rjb * by_input["rjb"] + rjb**2 / (rjb**2 + 1.0) * by_input["ln_rjb"] + rjb**2 / rrup * by_input["rrup"]
    )
    found = by_input | {"ln_rjb": by_distance}
    return np.stack([found[name] for name in QUANTITIES], axis=-1)


def _input_gradients(model: TrainedModel, inputs: torch.Tensor) -> torch.Tensor:
    """(B, P, D); a record's spectrum depends on its own inputs only, so one backward pass a period does all records."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        total = model.network(inputs).mean(dim=0).sum(dim=0)  # (P,)
        columns = [torch.autograd.grad(each, inputs, retain_graph=True)[0] for each in total]
    return torch.stack(columns, dim=1)


def category_steps(model: TrainedModel, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Change of ln Sa (N, P) from strike-slip to normal and to reverse, and from horizontal to vertical.

    All rows are asked as both; a step to a component that training had none of is left out.
    """
    steps = {}
    for name, (column, before, after) in CATEGORIES.items():
        if column == "component" and not {before, after} <= set(model.components):
            continue
        ends = (model.predict(table.assign(**{column: value})).ln_median for value in (before, after))
        steps[name] = -np.subtract(*ends)
    return steps


def sensitivities(model: TrainedModel, table: pd.DataFrame) -> pd.DataFrame:
    """Means and standard deviations over records of the Jacobian and of the category steps.

    One row for each ``quantity`` and period: ``unit``; ``mean`` and ``spread`` of d ln Sa in ln units per unit;
    ``deviation``, the quantity's standard deviation among the rows (of ln sqrt(rjb² + 1 km²) for distance; 1 for a
    category, whose unit is the whole step); ``mean_per_deviation`` and ``spread_per_deviation``.
    """
    inputs = derive_inputs(table, model.style_mix).astype(float)
    found = dict(zip(QUANTITIES, np.moveaxis(jacobian(model, table), -1, 0), strict=True))
    units = dict(QUANTITIES)
    deviations = {name: inputs[:, INPUTS.index(name)].std() for name in QUANTITIES}
    for name, step in category_steps(model, table).items():
        column, before, after = CATEGORIES[name]
        found[name], units[name], deviations[name] = step, f"{column} {before} to {after}", 1.0
    rows = [
        pd.DataFrame(
            {
                "quantity": name,
                "unit": units[name],
                "column": model.columns,
                "period": periods_of(model.columns),
                "mean": values.mean(axis=0),
                "spread": values.std(axis=0),
                "deviation": deviations[name],
                "mean_per_deviation": values.mean(axis=0) * deviations[name],
                "spread_per_deviation": values.std(axis=0) * deviations[name],
            }
        )
        for name, values in found.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _inputs(model: TrainedModel, table: pd.DataFrame) -> torch.Tensor:
    return torch.from_numpy(derive_inputs(table, model.style_mix)).to(
        model.network.output_scaling.centre
    )  # type, device


# --- hidden states ---------------------------------------------------------------------------------------------------
@torch.no_grad()
def trajectories(model: TrainedModel, table: pd.DataFrame, times: Sequence[float]) -> np.ndarray:
    """Hidden states (T, M, N, H) at ``times``, ascending from 0 to at most 1.

    Raises
    ------
    ValueError
        The times do not ascend from 0.
    """
    times = np.asarray(times, dtype=np.float32)
    if len(times) < 2 or times[0] != 0.0 or (np.diff(times) <= 0.0).any():
        raise ValueError("times have to ascend from 0")
    inputs = _inputs(model, table)
    return model.network.hidden(inputs, torch.from_numpy(times).to(inputs.device)).cpu().numpy()


def principal_components(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of ``states`` (..., H) on their principal components, same shape, and each one's share of variance (H,).

    The variance is that over all leading axes together. A component's sign is that of its largest weight.
    """
    flat = states.reshape(-1, states.shape[-1]).astype(float)
    variance, axes = np.linalg.eigh(np.cov(flat, rowvar=False))
    variance, axes = np.maximum(variance[::-1], 0.0), axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    scores = (states - flat.mean(axis=0)) @ axes
    return scores, variance / variance.sum()


def end_state_order(model: TrainedModel, table: pd.DataFrame) -> pd.DataFrame:
    """How well the end states of the rows of ``table`` are ordered by what went in.

    One row for each ``member`` and number of leading principal ``components`` of its end states, 1 to H: ``variance``,
    the share of the end states' own variance in them, and for each of mag, ln_rjb, hypo_depth and ln_vs30 the share of
    its variance among the rows (R²) that the best linear function of these components gives back.
    """
    end = trajectories(model, table, (0.0, 1.0))[-1]  # (M, N, H)
    inputs = derive_inputs(table, model.style_mix).astype(float)
    parts = []
    for member, states in enumerate(end):
        scores, share = principal_components(states)
        spread = scores.std(axis=0)
        unit = np.where(spread > 1e-9, scores / np.maximum(spread, 1e-9), 0.0)
        part = {"member": member, "components": np.arange(1, states.shape[1] + 1), "variance": np.cumsum(share)}
        for name in QUANTITIES:
            wanted = inputs[:, INPUTS.index(name)]
            # components do not correlate, so that their squared correlations with the quantity add up to R²
            correlation = (unit * (wanted - wanted.mean())[:, None]).mean(axis=0) / max(wanted.std(), 1e-9)
            part[name] = np.cumsum(correlation**2)
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


@torch.no_grad()
def gate_activity(model: TrainedModel, table: pd.DataFrame) -> pd.DataFrame | None:
    """What the gates of the ``ltc`` dynamics do, one row a member; None for other dynamics, which have none.

    ``closed`` and ``open``: shares of (record, unit) with a gate below 0.05 and above 0.95 at the end; ``moved``: mean
    |change of a gate| from t = 0 to 1, which the state's feedback brings about, for the inputs do not change;
    ``feedback``: the feedback's variance over records in the gates' arguments, relative to all of their variance;
    ``settled``: 1 - |dh/dt| at the end over |dh/dt| at the start, root mean squares: 1 is an equilibrium.
    """
    liquid = model.network.liquid
    if liquid.shape.dynamics != "ltc":
        return None
    inputs = _inputs(model, table)
    scaled = model.network.input_scaling(inputs).expand(model.network.shape.members, -1, -1)
    drive = liquid.drive(scaled)
    end = torch.from_numpy(trajectories(model, table, (0.0, 1.0))[-1]).to(drive.device)
    feedback = torch.bmm(end, liquid.recurrent.weight)
    first, last = torch.sigmoid(drive), torch.sigmoid(drive + feedback)
    speeds = [liquid.rate(h, drive).pow(2).mean(dim=(1, 2)).sqrt() for h in (torch.zeros_like(end), end)]
    variance = [each.var(dim=1).mean(dim=1) for each in (feedback, drive + feedback)]
    return pd.DataFrame(
        {
            "member": range(len(end)),
            "closed": (last < 0.05).float().mean(dim=(1, 2)).cpu(),
            "open": (last > 0.95).float().mean(dim=(1, 2)).cpu(),
            "feedback": (variance[0] / variance[1]).cpu(),
            "moved": (last - first).abs().mean(dim=(1, 2)).cpu(),
            "settled": (1.0 - speeds[1] / speeds[0]).cpu(),
        }
    )


def trajectory_scenarios(table: pd.DataFrame, count: int = 9) -> pd.DataFrame:
    """``count`` magnitudes by ``count`` distances over the records' range, all else at the records' medians."""
    mag = np.linspace(*table["mag"].quantile([0.01, 0.99]), count)
    rjb = np.geomspace(*np.maximum(table["rjb"].quantile([0.01, 0.99]), 1.0), count)
    points = pd.DataFrame([(m, r) for m in mag for r in rjb], columns=["mag", "rjb"])
    return points.assign(**_typical(table))


def _typical(table: pd.DataFrame) -> dict[str, object]:
    """A strike-slip earthquake of median depth under a site of median Vs30; horizontal, where there is such."""
    return {
        "mechanism": "SS",
        "component": "H" if (table["component"] == "H").any() else "V",
        "hypo_depth": round(float(table["hypo_depth"].median())),
        "vs30": round(float(table["vs30"].median()), -1),
    }


# --- scaling ---------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Sweep:
    """One input goes through its values while the others stay: (S, L) scenarios in S series."""

    quantity: str  # rjb, mag or vs30
    table: pd.DataFrame  # S x L scenarios with ``series``, the label of the curve


def sweeps(table: pd.DataFrame, points: int = 60) -> list[Sweep]:
    """Three sweeps for the records of ``table``: distance at whole magnitudes, magnitude at fixed distances, Vs30.

    Each goes a little beyond the range of the records. The rest stays at the records' medians: strike-slip, horizontal
    (vertical where there are no others), depth and Vs30 rounded to 1 km and 10 m/s.
    """
    low, high = table["mag"].min(), table["mag"].max()
    mags = [m for m in (4.0, 5.0, 6.0, 7.0) if low <= m <= high] or [round(table["mag"].median(), 1)]
    rjbs = [r for r in (10.0, 50.0, 150.0) if r <= table["rjb"].max()] or [round(table["rjb"].median(), 0)]
    base = _typical(table)
    rjb = np.geomspace(1.0, 1.3 * max(table["rjb"].max(), 2.0), points)
    mag = np.linspace(low - 0.5, high + 0.3, points)
    vs30 = np.geomspace(0.8 * table["vs30"].min(), 1.2 * table["vs30"].max(), points)
    corners = [(m, r) for m in (mags[0], mags[-1]) for r in (rjbs[0], rjbs[-1])]

    def sweep(quantity: str, values: np.ndarray, series: dict[str, dict[str, float]]) -> Sweep:
        parts = [pd.DataFrame({**base, **fixed, quantity: values, "series": label}) for label, fixed in series.items()]
        return Sweep(quantity, pd.concat(parts, ignore_index=True))

    return [
        sweep("rjb", rjb, {f"M {m:g}": {"mag": m} for m in mags}),
        sweep("mag", mag, {f"{r:g} km": {"rjb": r} for r in rjbs}),
        sweep("vs30", vs30, {f"M {m:g}, {r:g} km": {"mag": m, "rjb": r} for m, r in corners}),
    ]


def scaling_curves(model: TrainedModel, table: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """``sweep`` predicted by ``model`` and by BSSA14; ``table`` holds the records that training knew.

    One row for each scenario and period: its inputs and ``series``; ``inside``, whether records lie near (in magnitude
    and distance as `physics.records_near` says; Vs30 between the 1 and 99 % quantiles); ``column``, ``period``;
    ``ln_median`` and ``sigma``; ``epistemic``, the standard deviation of the members' medians (NaN for one member);
    ``ln_bssa14`` and ``sigma_bssa14``, NaN beyond 10 s.
    """
    scenarios = sweep.table
    ours = model.predict(scenarios)
    theirs = reference_gmm.bssa14(scenarios, model.columns)
    with torch.no_grad():
        members = model.network(_inputs(model, scenarios)).cpu().numpy()  # (M, N, P)
    spread = members.std(axis=0, ddof=1) if len(members) > 1 else np.full(members.shape[1:], np.nan)
    low, high = table["vs30"].quantile([0.01, 0.99])
    near = records_near(table, scenarios["mag"], scenarios["rjb"])
    inside = near & scenarios["vs30"].between(low, high).to_numpy()
    parts = []
    for p, (column, period) in enumerate(zip(model.columns, periods_of(model.columns), strict=True)):
        values = {
            "ln_median": ours.ln_median[:, p],
            "sigma": ours.sigma[:, p],
            "epistemic": spread[:, p],
            "ln_bssa14": theirs.ln_median[:, p],
            "sigma_bssa14": theirs.sigma[:, p],
        }
        parts.append(scenarios.assign(inside=inside, column=column, period=period, **values))
    return pd.concat(parts, ignore_index=True)
