"""Search for the recipe of a CVAE on event-grouped folds: the paper's grid, or a wider space. Resumable.

python cvae_sa/search_cvae.py --data data/nga_west2.csv --space wide --trials 40
"""

import sys

from cvae_sa import search_figures
from cvae_sa.config import SearchConfig
from cvae_sa.data import load, records_of
from cvae_sa.search import PROJECT, TABLE, TRIALS, WHAT, check, results, results_text, search, trial_table
from cvae_sa.sessions import choose_device, device
from shared import runs
from shared.command import run_command
from shared.records import split_events, summary
from shared.sessions import opened, resolved


def main(config: SearchConfig) -> None:
    """Search for the recipe of a CVAE on event-grouped folds of the training rows; the test events stay unseen."""
    config = resolved(config, PROJECT, WHAT)
    choose_device(config.device)
    source = load(config.data, config.seed, config.tectonic)
    records = records_of(source, config.periods)
    print(summary(source, records.table, records.columns))
    training_rows, _ = split_events(records.table, config.test_share, config.seed)
    records = records.rows(training_rows)
    check(records, config)
    run, _ = opened(config, PROJECT, runs.provenance(device=device(), data=source.describe()), WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    trials = search(records, config, run.path / TRIALS)

    table, found = trial_table(trials), results(trials, config)
    runs.write_table(run.path / TABLE, table)
    runs.write_figure(run.figures / "search.png", search_figures.losses(table, source.synthetic))
    run.finish({"data": source.describe(), **found})
    if source.synthetic:
        print("warning: searched on synthetic data; give your records with --data", file=sys.stderr)
    print(f"done: {run.path}")
    print(results_text(found))


if __name__ == "__main__":
    run_command(main, SearchConfig)
