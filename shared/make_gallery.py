"""Make the figures of the README's gallery from runs: one a sub-project, small.

python shared/make_gallery.py --bliqnet runs/bliqnet-evaluation/latest --output gallery
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from shared import gallery, runs
from shared.command import InputError, run_command
from shared.sessions import read_json

RUNS = Path("runs/report/runs")  # of reproduce.py


@dataclass(frozen=True)
class Config:
    """From which runs, and where to; the defaults are runs of reproduce.py with real data, CGM-GM's with made ones."""

    bliqnet: Path = RUNS / "bliqnet-nga-west2-evaluate"
    """Run folder of evaluate_bliqnet.py."""
    cvae_sa: Path = RUNS / "cvae_sa-nga-west2-evaluate"
    """Run folder of evaluate_cvae.py."""
    cgm_gm: Path = RUNS / "cgm_gm-embedded-train"
    """Run folder of train_cgm.py."""
    ml4szeq: Path = RUNS / "ml4szeq-trench-segments-map"
    """Folder of the maps of map_segments.py."""
    output: Path = Path("runs/report/gallery")
    """Folder of the four pictures; those that are there are replaced."""


def main(config: Config) -> None:
    """Make the figures of the README's gallery from runs: one a sub-project, small."""
    table = config.bliqnet / "components.csv"
    if not table.is_file():
        raise InputError(f"{table}: no such file; name a run folder of evaluate_bliqnet.py with --bliqnet")
    synthetic = bool(read_json(config.bliqnet / "provenance.json")["data"]["synthetic"])
    runs.write_figure(config.output / "bliqnet.png", gallery.spread(pd.read_csv(table), synthetic), dpi=135)
    gallery.shrunk(config.cvae_sa / "figures" / "examples.png", config.output / "cvae_sa.png")
    gallery.shrunk(config.cgm_gm / "figures" / "waveforms.png", config.output / "cgm_gm.png")
    gallery.shrunk(config.ml4szeq / "regions.png", config.output / "ml4szeq.png")
    gallery.shrunk(config.output / "bliqnet.png", config.output / "bliqnet.png")
    print("\n".join(str(path) for path in sorted(config.output.glob("*.png"))))


if __name__ == "__main__":
    run_command(main, Config)
