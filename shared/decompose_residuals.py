"""Split residuals into bias, event, site and record terms, period by period, and draw them.

python shared/decompose_residuals.py --input residuals.csv --output out
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared import residual_tables, runs
from shared.command import run_command
from shared.residual_figures import figures

PROJECT = "residuals"


@dataclass(frozen=True)
class Config:
    """What to decompose and how."""

    input: Path
    """CSV, xlsx or Parquet with event_id, station_id and a column of ln residuals a period (PGA, SA(0.200))."""
    output: Path
    """Folder of components.csv, event_terms.csv, site_terms.csv, record_terms.csv and figures, new or empty."""
    method: Literal["REML", "ML"] = "REML"
    """Restricted or plain maximum likelihood."""
    intervals: Literal["profile", "bootstrap", "none"] = "profile"
    """How intervals of the components are found; the bootstrap takes a few hundred times as long."""
    level: float = 0.95
    """Of the intervals, between 0 and 1."""
    event_only: bool = False
    """No site terms: tau and phi only; no station_id is needed."""
    fixed: tuple[str, ...] = ()
    """Columns to regress on at the same time; the bias is then that at their means."""
    threads: int = 1
    """Threads of the CPU, each with a period of its own."""


def main(config: Config) -> None:
    """Split residuals into bias, event, site and record terms, period by period, and draw them."""
    runs.check_new_run(PROJECT, config.output)
    residuals = residual_tables.read_residuals(config.input, fixed=config.fixed, event_only=config.event_only)
    print("\n".join(residuals.describe()))
    found = residual_tables.decompose_each(
        residuals, method=config.method, intervals=config.intervals, level=config.level, threads=config.threads
    )
    tables = residual_tables.tables(residuals, found)
    drawn, left_out = figures(residuals, found)
    run = runs.new_run(PROJECT, 0, config, config.output)
    runs.write_json(run.path / "provenance.json", runs.provenance(device="cpu", data=residuals.provenance()))
    for name, table in tables.items():
        runs.write_table(run.path / f"{name}.csv", table)
    for name, figure in drawn.items():
        runs.write_figure(run.figures / f"{name}.png", figure)
    print(residual_tables.summary(found, residuals.columns))
    print("\n".join([*(f"left out: {what}" for what in left_out), f"written to {run.path}"]))


if __name__ == "__main__":
    run_command(main, Config)
