"""Predict response spectra for a flatfile or a table of scenarios with a trained BLiqNet.

python bliqnet/predict_bliqnet.py --run latest --input scenarios.csv --output predictions.csv
"""

import sys

from bliqnet.config import PredictConfig
from bliqnet.trained import CHECKPOINT, TrainedModel, prediction_table
from shared import runs
from shared.command import run_command
from shared.flatfile import read_scenarios
from shared.torch_tools import choose_device


def main(config: PredictConfig) -> None:
    """Predict median response spectra (g) and their aleatory spread (ln units) for every row of a table."""
    runs.check_output_file(config.output, config.input)
    device = choose_device(config.device, threads=1)
    run = runs.find_run("bliqnet", config.run)
    model = TrainedModel.load(run.path / CHECKPOINT, device)
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    scenarios = read_scenarios(config.input)
    for line in model.outside(scenarios):
        print(f"warning: {line}", file=sys.stderr)
    if model.synthetic:
        print("warning: this model was trained on synthetic data", file=sys.stderr)

    spectra = model.predict(scenarios, known_sites=config.known_sites, batch=config.batch, threads=config.threads)

    runs.write_table(config.output, prediction_table(scenarios, model, spectra))
    if config.known_sites:
        print(f"{model.site_terms.known(scenarios).sum()} of {len(scenarios)} rows have a site term")
    print(f"{len(scenarios)} rows, {len(model.columns)} periods: {config.output}")


if __name__ == "__main__":
    run_command(main, PredictConfig)
