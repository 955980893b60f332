"""What a prediction costs: time per sample against batch size, evaluations of the ODE's right-hand side, weights.

Times are of this machine at this moment. They are comparable within one table only, and not at all between runs.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from torch import nn

from bliqnet.model import LiquidNetwork
from shared.command import InputError
from shared.plotting import COLOURS, mark_synthetic, new_figure

BATCH_SIZES = (1, 16, 128, 1024, 8192)
LEAST_CALLS = 3


def function_evaluations(network: nn.Module, inputs: torch.Tensor | None = None) -> int:
    """How often one prediction evaluates the liquid layer's right-hand side, counted, not computed.

    For ``inputs`` (B, D) raw; by default one row at the scalers' centres, on which a fixed-step solver does not depend
    but dopri5 does. 0 for the closed form (``cfc``) and for a network without a liquid layer.
    """
    if not isinstance(network, LiquidNetwork):
        return 0
    inputs = network.input_scaling.centre[None] if inputs is None else inputs
    liquid, calls = copy.copy(network.liquid), []  # a shallow copy: its weights are the network's own

    def counted(h: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return network.liquid.rate(h, drive)

    liquid.rate = counted
    with torch.enable_grad():  # without gradients rk4 takes a way of its own, with as many evaluations
        liquid(network.input_scaling(inputs).expand(network.shape.members, -1, -1))
    return len(calls)


def milliseconds_per_sample(
    models: Mapping[str, Any],
    table: pd.DataFrame,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> pd.DataFrame:
    """Time ``predict`` of each of ``models`` on so many rows at a time.

    Each pair of model and size has one call to warm up and then at least three, up to about ``seconds``; the median
    counts. Where one call alone takes longer than that, it is all there is.

    Parameters
    ----------
    models
        Anything with ``predict(table)``, by name.
    table
        Rows to predict; repeated where a batch needs more.

    Returns
    -------
    pandas.DataFrame
        One row for each ``model`` and ``batch``: ``calls`` timed, ``ms_per_call`` and ``ms_per_sample``.

    Raises
    ------
    InputError
        ``table`` has no rows.
    """
    if not len(table):
        raise InputError("no rows to time predictions of; give at least one")
    rows = []
    for batch in batch_sizes:
        part = table.iloc[np.resize(np.arange(len(table)), batch)].reset_index(drop=True)
        for name, model in models.items():
            times = _timed(lambda model=model, part=part: model.predict(part), seconds, clock)
            per_call = 1e3 * float(np.median(times))
            rows.append(
                {
                    "model": name,
                    "batch": batch,
                    "calls": len(times),
                    "ms_per_call": per_call,
                    "ms_per_sample": per_call / batch,
                }
            )
    return pd.DataFrame(rows)


def _timed(call: Callable[[], Any], seconds: float, clock: Callable[[], float]) -> list[float]:
    times = []
    while True:
        start = clock()
        call()
        times.append(clock() - start)
        if times[0] > seconds:
            return times
        if sum(times[1:]) >= seconds - times[0] and len(times) > LEAST_CALLS:
            return times[1:]  # the first call warmed up


def costs(models: Mapping[str, Any], training_seconds: Mapping[str, float] | None = None) -> pd.DataFrame:
    """What a model is and what it cost to train, one row each.

    ``parameters``, where the model counts them itself; ``function_evaluations`` of a prediction, where it has a
    ``network``; ``training_seconds``, where given. NaN where unknown.
    """
    given = training_seconds or {}
    return pd.DataFrame(
        [
            {
                "model": name,
                "parameters": float(getattr(model, "parameters", np.nan)),
                "function_evaluations": function_evaluations(model.network) if hasattr(model, "network") else np.nan,
                "training_seconds": given.get(name, np.nan),
            }
            for name, model in models.items()
        ]
    )


def time_against_batch(table: pd.DataFrame, synthetic: bool) -> Figure:
    """``milliseconds_per_sample`` against the batch size, a line a model."""
    figure, axes = new_figure(size=(7.5, 3.8))
    axis = axes[0, 0]
    for index, (name, part) in enumerate(table.groupby("model", sort=False)):
        dashes = "-" if index < len(COLOURS) else "--"
        axis.loglog(
            part["batch"], part["ms_per_sample"], f"{dashes}o", c=COLOURS[index % len(COLOURS)], ms=4, label=name
        )
    sizes = sorted(table["batch"].unique())
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_xlabel("rows predicted at a time")
    axis.set_ylabel("time per row (ms)")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)
