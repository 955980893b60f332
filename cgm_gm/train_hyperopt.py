"""Search for the recipe of a generator by hyperopt, on your records or on the embedded synthetic default. Resumable.

python cgm_gm/train_hyperopt.py --data waveforms.h5 --tcondvar 2 --max-evals 30
"""

import sys

from cgm_gm import search_figures
from cgm_gm.config import SearchConfig
from cgm_gm.data import load
from cgm_gm.search import PROJECT, TABLE, TRIALS, WHAT, check, described, results, results_text, search, trial_table
from cgm_gm.search_spaces import SPACES
from cgm_gm.search_trials import Shelf
from shared import runs
from shared.command import run_command
from shared.records import split_events
from shared.sessions import opened, resolved
from shared.torch_tools import choose_device, seed_everything


def main(config: SearchConfig) -> None:
    """Search for the recipe of a generator by its validation events; the test events stay unseen."""
    config = resolved(config, PROJECT, WHAT)
    check(config)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    source = load(config.data, config.seed)
    rows, _ = split_events(source.waveforms.table, config.test_share, config.seed)
    shelf = Shelf(source.waveforms.rows(rows), config)
    print(described(source, shelf))
    now = runs.provenance(device=str(device), data=source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    trials = search(shelf, config, run.path / TRIALS, provenance, device)

    synthetic, table, found = source.waveforms.synthetic, trial_table(trials), results(trials, config)
    runs.write_table(run.path / TABLE, table)
    for name, figure in search_figures.every(table, SPACES[config.network], synthetic).items():
        runs.write_figure(run.figures / f"{name}.png", figure)
    run.finish({"data": source.describe(), **found})
    if synthetic:
        print("warning: searched on synthetic data; give your records with --data", file=sys.stderr)
    print(f"done: {run.path}")
    print(results_text(trials, found))


if __name__ == "__main__":
    run_command(main, SearchConfig)
