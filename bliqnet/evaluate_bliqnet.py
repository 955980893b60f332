"""Cross-validate BLiqNet, a plain MLP and BSSA14 on the same records, by event and at random.

python bliqnet/evaluate_bliqnet.py --data data/nga_west2.csv --folds 5
"""

from bliqnet import data, figures
from bliqnet.config import EvaluateConfig
from bliqnet.evaluation import OURS, SPLITS, cross_validate, results_of, results_text
from shared import runs
from shared.command import run_command
from shared.torch_tools import choose_device, seed_everything

PROJECT = "bliqnet-evaluation"  # apart from trained runs, so that runs/bliqnet/latest is always a model


def main(config: EvaluateConfig) -> None:
    """Cross-validate BLiqNet, a plain MLP and BSSA14 on the same records, by event and at random."""
    runs.check_new_run(PROJECT, config.output)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    source = data.load(config.data, config.seed)
    records = data.records_of(source, config.periods)
    print(data.summary(source, records))

    found = cross_validate(records, config, device)

    run = runs.new_run(PROJECT, config.seed, config, config.output)
    runs.write_json(run.path / "provenance.json", runs.provenance(device=str(device), data=source.describe()))
    table = found.table()
    runs.write_table(run.path / "evaluation.csv", table)
    runs.write_figure(run.figures / "against_period.png", figures.spread_against_period(table, source.synthetic))
    for split in SPLITS:
        figure = figures.residuals_against(
            records, found.residual(split, OURS), f"{OURS}, {SPLITS[split]}", source.synthetic
        )
        runs.write_figure(run.figures / f"residuals_{split}.png", figure)
    run.finish(results_of(table, source))
    print(results_text(table))
    print(f"run folder: {run.path}")


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
