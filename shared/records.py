"""Which records and periods of a flatfile a model is trained on, and which of them are kept apart to test it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import flatfile, splits, synthetic
from shared.command import InputError
from shared.flatfile import Flatfile

LEAST_RECORDS = 10  # a period with fewer records can be neither fitted nor checked


def load(paths: Sequence[Path], seed: int) -> Flatfile:
    """The user's files as one flatfile, or the embedded synthetic default when ``paths`` is empty."""
    if paths:
        return flatfile.read_flatfile(*paths)
    return synthetic.as_flatfile(synthetic.make_flatfile(seed))


def columns_of(source: Flatfile, periods: Sequence[float] = ()) -> list[str]:
    """The spectral columns to model: all of ``source``, or those of ``periods`` (s, PGA is 0).

    Raises
    ------
    InputError
        A period that was asked for is not in the file, or a period has no or hardly any usable value.
    """
    name = ", ".join(map(str, source.paths)) or source.format
    columns = flatfile.period_columns(source.table)
    if periods:
        asked = [flatfile.column_of(period) for period in sorted(set(periods))]
        absent = [column for column in asked if column not in columns]
        if absent:
            raise InputError(f"{name}: no column {absent[0]}; the file has {', '.join(columns)}")
        columns = asked
    if not columns:
        raise InputError(f"{name}: no spectral column; SA(...) or PGA columns are needed to train")
    check_periods(flatfile.ln_sa(source.table, columns), columns, name)
    return columns


def check_periods(ln_sa: np.ndarray, columns: Sequence[str], name: str = "training rows") -> None:
    """Refuse a period that nothing can be learnt of; ``name`` says of which rows ``ln_sa`` (N, P) is.

    Raises
    ------
    InputError
        A period has fewer than ``LEAST_RECORDS`` usable values.
    """
    counts = np.isfinite(ln_sa).sum(axis=0)
    if counts.min() < LEAST_RECORDS:
        enough = flatfile.periods_of(columns)[counts >= LEAST_RECORDS]
        raise InputError(
            f"{name}: column {columns[int(counts.argmin())]} has {counts.min()} usable values, "
            f"{LEAST_RECORDS} are needed; drop it"
            + (f", or name the periods to use: --periods {' '.join(f'{p:g}' for p in enough)}" if len(enough) else "")
        )


def crustal(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of crustal earthquakes where the file says which are, else all; and what the reader has to note."""
    tectonic = table["tectonic"].astype(str).str.lower()
    if tectonic.isin(["slab", "interface"]).any():
        kept = table[tectonic == "crustal"].reset_index(drop=True)
        return kept, [f"{len(kept):,} of {len(table):,} rows are said to be crustal; the others are left out"]
    if tectonic.eq("crustal").all():
        return table, []
    return table, ["the file does not say which events are crustal; all are taken"]


def shares_of_style(table: pd.DataFrame) -> tuple[float, float]:
    """Shares of normal and of reverse among the rows of known style of faulting; 0 where there are none."""
    known = table["mechanism"][table["mechanism"] != "U"]
    return (float((known == "NM").mean()), float((known == "RV").mean())) if len(known) else (0.0, 0.0)


def split_events(table: pd.DataFrame, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and of test rows, grouped by event; no test rows where ``test_share`` is 0."""
    split = splits.three_way(splits.event_groups(table), validation=0.0, test=test_share, seed=seed)
    return split.train, split.test


def split_summary(table: pd.DataFrame, share: float, training: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """For ``results.json``: what `split_events` made of ``share``, with records, events and stations of either part."""
    counts = {}
    for part, rows in (("training", training), ("test", test)):
        chosen = table.iloc[rows]
        events, stations = chosen["event_id"].nunique(), chosen["station_id"].nunique()
        counts[part] = {"rows": len(rows), "events": events, "stations": stations}
    return {"grouped_by": "event", "test_share": share, **counts}


def summary(source: Flatfile, table: pd.DataFrame, columns: Sequence[str]) -> str:
    """For the terminal: which rows (``table``) are trained on, what was set apart, what the reader has to note."""
    apart = source.set_apart["reason"].value_counts()
    return (
        f"{source.format}: {len(table)} rows, {table['event_id'].nunique()} events, "
        f"{table['station_id'].nunique()} stations, {len(columns)} periods"
        + (f"; {len(source.set_apart)} rows set apart: " if len(apart) else "")
        + ", ".join(f"{count} {reason}" for reason, count in apart.items())
        + "".join(f"\nnote: {note}" for note in source.notes)
    )
