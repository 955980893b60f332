"""Train a generator of waveforms, on your records or on the embedded synthetic default.

python cgm_gm/train_cgm.py --data waveforms.h5
"""

import sys

from cgm_gm import option_bounds
from cgm_gm.config import TrainConfig
from cgm_gm.crew import joined
from cgm_gm.data import load
from cgm_gm.first_look import first_look
from cgm_gm.sessions import PROJECT, WHAT, begun, follow, said_of, train_to_the_end
from shared import runs, training_figures
from shared.command import run_command
from shared.records import split_events, split_summary
from shared.sessions import resolved
from shared.torch_tools import choose_device, seed_everything

LOSS = {"ours": "loss (nats)", "published": "loss (per frame)"}


def main(config: TrainConfig) -> None:
    """Train a generator of waveforms, and look at what it says of earthquakes that it has not seen."""
    config = resolved(config, PROJECT, WHAT)
    option_bounds.check(config)
    recipe = config.recipe()
    device = choose_device(config.device, config.threads)
    seed_everything(config.seed)
    crew = joined(device)
    source = load(config.data, config.seed)
    print(source.summary() if crew.rank == 0 else f"process {crew.rank + 1} of {crew.size} takes part")
    training_rows, test_rows = split_events(source.waveforms.table, config.test_share, config.seed)
    training = begun(source.waveforms.rows(training_rows), recipe, config.seed, device, crew)
    if crew.rank:
        follow(training, config)
        return

    run, generator = train_to_the_end(training, source, config)

    synthetic = source.waveforms.synthetic
    losses = training_figures.loss_curves(run.metrics(), LOSS[config.network], synthetic)
    runs.write_figure(run.figures / "loss.png", losses)
    results = {"data": source.describe(), "epochs": len(run.metrics()), **said_of(generator)}
    results["split"] = split_summary(source.waveforms.table, config.test_share, training_rows, test_rows)
    if len(test_rows):
        table, drawn = first_look(generator, source.waveforms.rows(test_rows), config.seed)
        results["test"] = table.to_dict("records")
        runs.write_table(run.path / "test_summary.csv", table)
        for name, figure in drawn.items():
            runs.write_figure(run.figures / f"{name}.png", figure)
        print(table.round(3).to_string(index=False))
    run.finish(results)
    if synthetic:
        print("warning: trained on synthetic data; give your records with --data", file=sys.stderr)
    print(f"done: {run.path}")


if __name__ == "__main__":
    run_command(main, TrainConfig)
