"""The steps of the large cases of ``bench_memory.py`` that no command of ours is; each runs in a process of its own.

python benchmarks/memory_steps.py STEP FILE [FILE ...]
"""

import runpy
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from shared import flatfile, runs, splits, synthetic
from shared.flatfile import ln_sa

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (*synthetic.AUTHORS_COLUMNS, "SA(5.000)")  # PGA and 24 periods
RECORDS_AN_EVENT = 250  # horizontal ones, and as many vertical
IDENTIFIERS = ("event_id", "station_id", "component", "mag", "hypo_depth", "vs30", "rjb")


def make(rows: int, csv: Path, parquet: Path) -> None:
    """A synthetic flatfile of so many rows as CSV and as Parquet."""
    made = synthetic.make_flatfile(0, n_events=max(1, rows // (2 * RECORDS_AN_EVENT)), n_rows=rows, columns=COLUMNS)
    table = made.table
    runs.write_table(csv, table)
    with runs.atomic(parquet) as temporary:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), temporary)
    print(f"{len(table)} rows, {table['event_id'].nunique()} events, {table['station_id'].nunique()} stations")


def load(path: Path, rows: int) -> None:
    """Read it, check that nothing is lost, and split it by events."""
    found = flatfile.read_flatfile(path, cache=None)
    if len(found.table) != rows or len(found.set_apart):
        raise AssertionError(f"{len(found.table)} of {rows} rows, {len(found.set_apart)} set apart")
    groups = splits.event_groups(found.table)
    split = splits.three_way(groups, validation=0.1, test=0.2, seed=0)
    if sum(map(len, vars(split).values())) != rows or set(groups[split.train]) & set(groups[split.test]):
        raise AssertionError("the split loses rows, or an event is on both sides")
    print(f"{len(split.train)} rows to train on, {len(split.validation)} to validate, {len(split.test)} to test")


def residuals(observed: Path, predicted: Path, output: Path) -> None:
    """ln(observed) - ln(predicted) at the periods that both have, as Parquet."""
    header = pa.csv.open_csv(predicted).schema.names
    truth = pd.read_parquet(observed)
    columns = [name for name in flatfile.period_columns(truth) if name in header]
    wanted = pa.csv.ConvertOptions(include_columns=columns)
    median = pa.csv.read_csv(predicted, convert_options=wanted).to_pandas()
    if len(median) != len(truth):
        raise AssertionError(f"{len(median)} predictions of {len(truth)} rows")
    table = truth[list(IDENTIFIERS)].assign(synthetic=True)
    values = ln_sa(truth, columns) - ln_sa(median, columns)
    with runs.atomic(output) as temporary:
        whole = pd.concat([table, pd.DataFrame(values, columns=columns)], axis=1)
        pq.write_table(pa.Table.from_pandas(whole, preserve_index=False), temporary)
    print(f"{len(whole)} rows, {len(columns)} periods, deviation {np.nanstd(values):.3f}")


def stand_in(*words: str) -> None:
    """``generate_points.py`` with white noise in the place of what the network says, whose memory is a block's."""
    from cgm_gm import generation  # torch and ObsPy, which the other steps do not need

    noise = np.random.default_rng(0).standard_normal((generation.BLOCK, 1, 20_000), np.float32)

    def block(generator, part, realizations, seed, rows):
        return 1e-4 * noise[: rows.stop - rows.start, :, : generator.scaling.stft.n_samples]

    script = ROOT / "cgm_gm" / "generate_points.py"
    with mock.patch.object(generation, "block", block), mock.patch.object(sys, "argv", [str(script), *words]):
        runpy.run_path(str(script), run_name="__main__")


def main(step: str, *words: str) -> None:
    """Do the step."""
    if step == "stand_in":
        stand_in(*words)
        return
    files = [int(word) if word.isdecimal() else Path(word) for word in words]
    {"make": make, "load": load, "residuals": residuals}[step](*files)


if __name__ == "__main__":
    main(*sys.argv[1:])
