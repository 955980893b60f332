"""Say what a flatfile holds, what was set apart and why; draw magnitude against distance.

python shared/inspect_flatfile.py data/nga_west2.csv
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from shared import runs
from shared.command import run_command
from shared.flatfile import read_flatfile
from shared.flatfile_figures import magnitude_distance
from shared.flatfile_report import completeness, report


@dataclass(frozen=True)
class Config:
    """What to inspect and where to write."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """One flatfile, or several to be read together (horizontal and vertical): CSV, xlsx or Parquet."""
    output: Path | None = None
    """Folder for magnitude_distance.png, completeness.csv, set_apart.csv and report.json
    (default: runs/inspect/<name of the first file>)."""


def main(config: Config) -> None:
    """Say what a flatfile holds, what was set apart and why; draw magnitude against distance."""
    flatfile = read_flatfile(*config.files)
    print(report(flatfile))
    folder = config.output or runs.ROOT / "inspect" / config.files[0].stem
    runs.write_figure(folder / "magnitude_distance.png", magnitude_distance(flatfile))
    runs.write_table(folder / "completeness.csv", completeness(flatfile.table))
    runs.write_table(folder / "set_apart.csv", flatfile.set_apart)
    runs.write_json(folder / "report.json", flatfile.describe())
    print(f"\nwritten to {folder}: magnitude_distance.png, completeness.csv, set_apart.csv, report.json")


if __name__ == "__main__":
    run_command(main, Config)
