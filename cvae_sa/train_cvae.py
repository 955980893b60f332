"""Train a CVAE of response spectra on a flatfile, or on the embedded synthetic default; report on unseen events.

python cvae_sa/train_cvae.py --data data/nga_west2.csv
"""

import sys

from cvae_sa import figures
from cvae_sa.config import TrainConfig
from cvae_sa.data import load, records_of
from cvae_sa.sessions import PROJECT, WHAT, choose_device, train_to_the_end
from cvae_sa.training import Training
from shared import runs, training_figures
from shared.command import run_command
from shared.records import split_events, split_summary, summary
from shared.sessions import resolved
from shared.summaries import summary_line, summary_table
from shared.validity import validity


def main(config: TrainConfig) -> None:
    """Train a CVAE of response spectra on a flatfile, or on the embedded default, and report on unseen events."""
    config = resolved(config, PROJECT, WHAT)
    choose_device(config.device)
    source = load(config.data, config.seed, config.tectonic)
    records = records_of(source, config.periods)
    print(summary(source, records.table, records.columns))
    training_rows, test_rows = split_events(records.table, config.test_share, config.seed)
    training = Training(records.rows(training_rows), config, config.seed)

    run, model = train_to_the_end(training, source, config)

    runs.write_figure(run.figures / "loss.png", figures.loss_curves(run.metrics(), source.synthetic))
    results = {"data": source.describe(), "held_out_loss": training.held_out_loss, "parameters": model.parameters}
    results["notes"] = list(dict.fromkeys(training.notes))
    results["split"] = split_summary(records.table, config.test_share, training_rows, test_rows)
    results["validity"] = validity(model.ranges, components=model.components)
    if len(test_rows):
        test = records.rows(test_rows)
        observed, found = (test.table, test.ln_sa, test.columns), model.predict(test.table)
        table = summary_table(*observed, found)
        results["test"] = table.to_dict("records")
        runs.write_table(run.path / "test_summary.csv", table)
        figure = training_figures.observed_predicted(*observed, found, table, source.synthetic)
        runs.write_figure(run.figures / "observed_predicted.png", figure)
        print(summary_line(table, "test events"))
    run.finish(results)
    if source.synthetic:
        print("warning: trained on synthetic data; give your records with --data", file=sys.stderr)
    print(f"done: {run.path}")


if __name__ == "__main__":
    run_command(main, TrainConfig)
