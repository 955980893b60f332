"""Flatfile rows -> the network's inputs and targets; the only place where the paper's inputs are derived."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from shared import flatfile, splits, synthetic
from shared.command import InputError
from shared.flatfile import Flatfile
from shared.scenarios import rupture_tops

# The paper's seven inputs: magnitude, Joyner-Boore distance, its log, style of faulting, hypocentral depth, log Vs30,
# direction; the two categories take three columns: strike-slip and horizontal are the zeros. And rupture distance,
# which tells a shallow large rupture from a deep one; where a table has none, it is estimated.
INPUTS = ("mag", "rjb", "ln_rjb", "hypo_depth", "ln_vs30", "normal", "reverse", "vertical", "rrup")
LEAST_RECORDS = 10  # a period with fewer records can be neither fitted nor checked


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


def load(paths: Sequence[Path], seed: int) -> Flatfile:
    """The user's files as one flatfile, or the embedded synthetic default when ``paths`` is empty."""
    if paths:
        return flatfile.read_flatfile(*paths)
    return synthetic.as_flatfile(synthetic.make_flatfile(seed))


def records_of(source: Flatfile, periods: Sequence[float] = ()) -> Records:
    """Inputs and targets of every row of ``source``; ``periods`` (s, PGA is 0) picks among its columns.

    Raises
    ------
    InputError
        A period that was asked for is not in the file, or a period has no or hardly any usable value.
    """
    table, name = source.table, ", ".join(map(str, source.paths)) or source.format
    columns = flatfile.period_columns(table)
    if periods:
        asked = [flatfile.column_of(period) for period in sorted(set(periods))]
        absent = [column for column in asked if column not in columns]
        if absent:
            raise InputError(f"{name}: no column {absent[0]}; the file has {', '.join(columns)}")
        columns = asked
    if not columns:
        raise InputError(f"{name}: no spectral column; SA(...) or PGA columns are needed to train")
    ln_sa = flatfile.ln_sa(table, columns)
    style_mix = shares_of_style(table)
    records = Records(
        inputs=derive_inputs(table, style_mix),
        ln_sa=ln_sa.astype(np.float32),
        event=pd.factorize(table["event_id"], sort=True)[0],
        columns=columns,
        style_mix=style_mix,
        table=table,
    )
    check_periods(records, name)
    return records


def check_periods(records: Records, name: str = "training rows") -> None:
    """Refuse a period that nothing can be learnt of; ``name`` says of which rows.

    Raises
    ------
    InputError
        A period has fewer than ``LEAST_RECORDS`` usable values.
    """
    counts = np.isfinite(records.ln_sa).sum(axis=0)
    if counts.min() < LEAST_RECORDS:
        enough = flatfile.periods_of(records.columns)[counts >= LEAST_RECORDS]
        raise InputError(
            f"{name}: column {records.columns[int(counts.argmin())]} has {counts.min()} usable values, "
            f"{LEAST_RECORDS} are needed; drop it"
            + (f", or name the periods to use: --periods {' '.join(f'{p:g}' for p in enough)}" if len(enough) else "")
        )


def shares_of_style(table: pd.DataFrame) -> tuple[float, float]:
    """Shares of normal and of reverse among the rows of known style of faulting; 0 where there are none."""
    known = table["mechanism"][table["mechanism"] != "U"]
    return (float((known == "NM").mean()), float((known == "RV").mean())) if len(known) else (0.0, 0.0)


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


def split_events(records: Records, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and of test rows, grouped by event; no test rows where ``test_share`` is 0."""
    split = splits.three_way(splits.event_groups(records.table), validation=0.0, test=test_share, seed=seed)
    return split.train, split.test


def summary(source: Flatfile, records: Records) -> str:
    """For the terminal: what is trained on, what was set apart, and what the reader has to note."""
    apart = source.set_apart["reason"].value_counts()
    table = records.table
    return (
        f"{source.format}: {len(table)} rows, {table['event_id'].nunique()} events, "
        f"{table['station_id'].nunique()} stations, {len(records.columns)} periods"
        + (f"; {len(source.set_apart)} rows set apart: " if len(apart) else "")
        + ", ".join(f"{count} {reason}" for reason, count in apart.items())
        + "".join(f"\nnote: {note}" for note in source.notes)
    )
