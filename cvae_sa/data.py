"""Flatfile rows -> the network's conditions and targets; the only place where the paper's seven inputs are derived."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from shared import flatfile, records
from shared.flatfile import Flatfile

# The paper's seven inputs. ``style`` and ``direction`` are codes: of `STYLES`, and 0 horizontal, 1 vertical.
INPUTS = ("mag", "rjb", "ln_rjb", "style", "hypo_depth", "ln_vs30", "direction")
STYLES = ("SS", "NM", "RV", "U")


@dataclass(frozen=True)
class Records:
    """What training needs of a table: N records, P periods.

    ``inputs`` (N, 7) float32, in the order of `INPUTS`; ``ln_sa`` (N, P) float32, ln g, NaN where missing; ``event``
    (N,) integer codes; ``columns`` the P spectral columns; ``table`` the rows themselves.
    """

    inputs: np.ndarray
    ln_sa: np.ndarray
    event: np.ndarray
    columns: list[str]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, positions: np.ndarray) -> "Records":
        """The records at ``positions``."""
        return dataclasses.replace(
            self,
            inputs=self.inputs[positions],
            ln_sa=self.ln_sa[positions],
            event=self.event[positions],
            table=self.table.iloc[positions].reset_index(drop=True),
        )


def load(paths: Sequence[Path], seed: int, tectonic: str = "crustal") -> Flatfile:
    """The user's files as one flatfile, or the embedded synthetic default when ``paths`` is empty.

    With ``tectonic`` "crustal", rows that the file says to be of slab or interface events are left out.
    """
    source = records.load(paths, seed)
    if tectonic == "all":
        return source
    table, notes = records.crustal(source.table)
    return dataclasses.replace(source, table=table, notes=(*source.notes, *notes))


def records_of(source: Flatfile, periods: Sequence[float] = ()) -> Records:
    """Conditions and targets of every row of ``source``; ``periods`` (s, PGA is 0) picks among its columns.

    Raises
    ------
    InputError
        A period that was asked for is not in the file, or a period has no or hardly any usable value.
    """
    columns = records.columns_of(source, periods)
    table = source.table
    return Records(
        inputs=derive_inputs(table),
        ln_sa=flatfile.ln_sa(table, columns).astype(np.float32),
        event=pd.factorize(table["event_id"], sort=True)[0],
        columns=columns,
        table=table,
    )


def derive_inputs(table: pd.DataFrame) -> np.ndarray:
    """The seven inputs, (N, 7) float32, in the order of `INPUTS`, from canonical columns.

    ``ln_rjb`` is the log of sqrt(rjb² + 1 km²), finite at the fault.
    """
    rjb = table["rjb"].to_numpy(float)
    style = pd.Categorical(table["mechanism"], categories=list(STYLES)).codes
    return np.column_stack(
        [
            table["mag"].to_numpy(float),
            rjb,
            0.5 * np.log(rjb**2 + 1.0),
            np.where(style < 0, STYLES.index("U"), style),
            table["hypo_depth"].to_numpy(float),
            np.log(table["vs30"].to_numpy(float)),
            table["component"].to_numpy() == "V",
        ]
    ).astype(np.float32)


def event_weights(table: pd.DataFrame, correlation: float = 0.25) -> np.ndarray:
    """Weight (N,) of every record in the loss, of mean 1: records of one earthquake share its event term.

    n records of an earthquake whose residuals correlate by ``correlation`` (tau² / sigma²) tell as much of the mean as
    n / (1 + (n - 1) correlation) independent ones. H and V count apart.
    """
    count = table.groupby(["event_id", "component"])["mag"].transform("size").to_numpy(float)
    weight = 1.0 / (1.0 + (count - 1.0) * correlation)
    return (weight / weight.mean()).astype(np.float32)
