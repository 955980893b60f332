"""Train networks on trench segments, from your table or the embedded synthetic default: one a scenario, one on all.

python ml4szeq/train_fcn.py --data segments.csv
"""

import sys

from ml4szeq import figures, option_bounds, splits
from ml4szeq.config import TrainConfig
from ml4szeq.data import load
from ml4szeq.recipes import of_search
from ml4szeq.sessions import PROJECT, WHAT, held_out_table, results, results_text, trained_networks
from ml4szeq.training import check_magnitudes
from shared import runs
from shared.command import run_command
from shared.sessions import opened, resolved
from shared.torch_tools import choose_device, seed_everything


def main(config: TrainConfig) -> None:
    """Train a network for each scenario, which is judged by the block that it has not seen, and one on all segments."""
    config = resolved(config, PROJECT, WHAT)
    option_bounds.check(config)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    source = load(config.data, config.drop, config.features)
    print(source.summary())
    segments = source.learnable()
    parts = splits.every(segments.table, [config.split], [config.exclusion], config.seed)
    check_magnitudes(segments, parts, config.task)
    config, recipes = of_search(config, segments, parts)
    now = runs.provenance(device=str(device), data=source.describe())
    run, provenance = opened(config, PROJECT, now, WHAT)
    print(f"run folder: {run.path} (should it be interrupted: --resume {run.path})")

    networks = trained_networks(segments, parts, config, run, provenance, device, recipes)

    table = held_out_table(segments, parts, networks)
    runs.write_table(run.path / "predictions.csv", table)
    found = results(table, networks)
    for name, figure in figures.of_training(run.metrics(), table, networks[-1].edges, source.synthetic).items():
        runs.write_figure(run.figures / f"{name}.png", figure)
    split = {"grouped_by": config.split, "exclusion_km": config.exclusion, "parts": len(parts), "rows": len(segments)}
    run.finish({"data": source.describe(), "split": split, **found})
    if source.synthetic:
        print("warning: trained on synthetic data; give your segments with --data", file=sys.stderr)
    print(results_text(found))
    print(f"done: {run.path}")


if __name__ == "__main__":
    run_command(main, TrainConfig)
