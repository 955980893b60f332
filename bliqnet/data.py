"""Flatfile rows -> the network's inputs and targets; the only place where the paper's inputs are derived."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from shared import flatfile
from shared.flatfile import Flatfile
from shared.records import columns_of, shares_of_style
from shared.scenarios import rupture_tops

# The paper's seven inputs: magnitude, Joyner-Boore distance, its log, style of faulting, hypocentral depth, log Vs30,
# direction; the two categories take three columns: strike-slip and horizontal are the zeros. And rupture distance,
# which tells a shallow large rupture from a deep one; where a table has none, it is estimated.
INPUTS = ("mag", "rjb", "ln_rjb", "hypo_depth", "ln_vs30", "normal", "reverse", "vertical", "rrup")


@dataclass(frozen=True)
class Records:
    """What training needs of a table: N records, P periods, D inputs.

    ``inputs`` (N, D) float32; ``ln_sa`` (N, P) float32, ln g, NaN where missing; ``event`` (N,) integer codes;
    ``columns`` the P spectral columns; ``style_mix`` the shares of normal and reverse rows, which stand in for an
    unknown style of faulting; ``table`` the rows themselves.
    """

    inputs: np.ndarray
    ln_sa: np.ndarray
    event: np.ndarray
    columns: list[str]
    style_mix: tuple[float, float]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, positions: np.ndarray) -> "Records":
        """The records at ``positions``, with a style mix of their own: nothing of the others is left in them."""
        table = self.table.iloc[positions].reset_index(drop=True)
        style_mix = shares_of_style(table)
        return dataclasses.replace(
            self,
            inputs=derive_inputs(table, style_mix),
            ln_sa=self.ln_sa[positions],
            event=self.event[positions],
            style_mix=style_mix,
            table=table,
        )


def records_of(source: Flatfile, periods: Sequence[float] = ()) -> Records:
    """Inputs and targets of every row of ``source``; ``periods`` (s, PGA is 0) picks among its columns.

    Raises
    ------
    InputError
        A period that was asked for is not in the file, or a period has no or hardly any usable value.
    """
    table, columns = source.table, columns_of(source, periods)
    style_mix = shares_of_style(table)
    return Records(
        inputs=derive_inputs(table, style_mix),
        ln_sa=flatfile.ln_sa(table, columns).astype(np.float32),
        event=pd.factorize(table["event_id"], sort=True)[0],
        columns=columns,
        style_mix=style_mix,
        table=table,
    )


def derive_inputs(table: pd.DataFrame, style_mix: tuple[float, float]) -> np.ndarray:
    """The network's inputs, (N, D) float32, in the order of ``INPUTS``, from canonical columns.

    ``ln_rjb`` is the log of sqrt(rjb² + 1 km²), finite at the fault. A row of unknown style of faulting gets
    ``style_mix``, the shares of normal and reverse among the training rows. An unknown ``rrup`` is sqrt(rjb² + ztor²),
    an unknown ztor that of `shared.scenarios.rupture_tops`.
    """
    mechanism = table["mechanism"].to_numpy()
    rjb = table["rjb"].to_numpy(float)
    unknown = mechanism == "U"
    rrup = table["rrup"].to_numpy(float) if "rrup" in table else np.full(len(table), np.nan)
    return np.column_stack(
        [
            table["mag"].to_numpy(float),
            rjb,
            0.5 * np.log(rjb**2 + 1.0),
            table["hypo_depth"].to_numpy(float),
            np.log(table["vs30"].to_numpy(float)),
            np.where(unknown, style_mix[0], mechanism == "NM"),
            np.where(unknown, style_mix[1], mechanism == "RV"),
            table["component"].to_numpy() == "V",
            np.where(np.isnan(rrup), np.hypot(rjb, rupture_tops(table)), rrup),
        ]
    ).astype(np.float32)


def tensors(records: Records, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """``inputs`` (N, D) and ``ln_sa`` (N, P) on ``device``."""
    return torch.from_numpy(records.inputs).to(device), torch.from_numpy(records.ln_sa).to(device)
