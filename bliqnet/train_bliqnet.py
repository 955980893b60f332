"""Train BLiqNet on a flatfile, or on the embedded synthetic default, and report on events it has never seen.

python bliqnet/train_bliqnet.py --data data/nga_west2.csv
"""

import sys

from bliqnet.config import TrainConfig
from bliqnet.data import records_of
from bliqnet.inverse_evaluation import held_out_scores
from bliqnet.sessions import PROJECT, WHAT, train_to_the_end
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse
from bliqnet.training import LOSS, Training
from shared import runs, training_figures
from shared.command import run_command
from shared.records import load, split_events, split_summary, summary
from shared.sessions import resolved
from shared.summaries import summary_line, summary_table
from shared.torch_tools import choose_device, seed_everything
from shared.validity import validity


def main(config: TrainConfig) -> None:
    """Train BLiqNet on a flatfile, or on the embedded synthetic default, and report on unseen events."""
    config = resolved(config, PROJECT, WHAT)
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    source = load(config.data, config.seed)
    records = records_of(source, config.periods)
    print(summary(source, records.table, records.columns))
    training_rows, test_rows = split_events(records.table, config.test_share, config.seed)
    training = Training(records.rows(training_rows), config, config.seed, device)

    run, model = train_to_the_end(training, records.rows(training_rows), source, config)

    runs.write_figure(run.figures / "loss.png", training_figures.loss_curves(run.metrics(), LOSS, source.synthetic))
    results = {"data": source.describe(), "epochs": len(run.metrics()), "parameters": model.parameters}
    results["split"] = split_summary(records.table, config.test_share, training_rows, test_rows)
    results["validity"] = validity(model.ranges, components=model.components)
    if len(test_rows):
        test = records.rows(test_rows)
        spectra, observed = model.predict(test.table), (test.table, test.ln_sa, test.columns)
        table = summary_table(*observed, spectra)
        results["test"] = table.to_dict("records")
        runs.write_table(run.path / "test_summary.csv", table)
        figure = training_figures.observed_predicted(*observed, spectra, table, source.synthetic)
        runs.write_figure(run.figures / "observed_predicted.png", figure)
        print(summary_line(table, "test events"))
        if config.inverse:
            inverse = TrainedInverse.load(run.path / INVERSE_CHECKPOINT, device)
            results["inverse_test"] = held_out_scores(inverse, test).to_dict("records")
    run.finish(results)
    if source.synthetic:
        print("warning: trained on synthetic data; give your records with --data", file=sys.stderr)
    print(f"done: {run.path}")


if __name__ == "__main__":
    run_command(main, TrainConfig)
