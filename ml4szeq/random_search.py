"""Search at random for recipes of a network, inside the training part of every split; on your table or the default.

python ml4szeq/random_search.py --data segments.csv --network features --trials 30
"""

import sys

from ml4szeq import search_figures, splits
from ml4szeq.config import SearchConfig
from ml4szeq.data import load
from ml4szeq.recipes import BEST
from ml4szeq.search import (
    PROJECT,
    REFITS,
    TRIALS,
    WHAT,
    check,
    check_folds,
    nested,
    recipes,
    results,
    results_text,
    search,
    trial_table,
)
from shared import runs
from shared.command import run_command
from shared.sessions import opened, resolved


def main(config: SearchConfig) -> None:
    """Search for a recipe in the training part of every split, and judge it once by the segments held out."""
    config = resolved(config, PROJECT, WHAT)
    check(config)
    source = load(config.data, config.drop, config.features)
    print(source.summary())
    segments = source.learnable()
    parts = splits.every(segments.table, [config.split], [config.exclusion], config.seed)
    check_folds(segments, parts, config)
    now = runs.provenance(device="cpu", data=source.describe())
    run, _ = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    trials = search(segments, parts, config, run.path / TRIALS)
    judged = nested(trials, segments, parts, config, run.path / REFITS)

    table, found = trial_table(trials), results(trials, judged, config, run.path)
    runs.write_table(run.path / "trials.csv", table)
    recipes(trials, segments, parts, config).save(run.path / BEST)
    for name, figure in search_figures.every(table, judged, source.synthetic).items():
        runs.write_figure(run.figures / f"{name}.png", figure)
    run.finish({"data": source.describe(), **found})
    if source.synthetic:
        print("warning: searched on synthetic data; give your segments with --data", file=sys.stderr)
    print(f"done: {run.path}")
    print(results_text(found))


if __name__ == "__main__":
    run_command(main, SearchConfig)
