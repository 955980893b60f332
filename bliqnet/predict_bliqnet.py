"""Predict response spectra for a flatfile or a table of scenarios with a trained BLiqNet; or, from spectra, parameters.

python bliqnet/predict_bliqnet.py --run latest --input scenarios.csv --output predictions.csv
python bliqnet/predict_bliqnet.py --inverse --input spectra.csv --output posterior.csv
"""

import sys

from bliqnet.config import PredictConfig
from bliqnet.trained import CHECKPOINT, TrainedModel, prediction_table
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse, posterior_table
from shared import runs
from shared.command import run_command
from shared.flatfile import read_scenarios
from shared.spectra_table import read_spectra
from shared.torch_tools import choose_device


def main(config: PredictConfig) -> None:
    """Predict median response spectra (g) and their spread for every row of a table, or the inverse of that."""
    runs.check_output_file(config.output, config.input)
    (invert if config.inverse else predict)(config)


def predict(config: PredictConfig) -> None:
    """From source, path and site to spectra."""
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


def invert(config: PredictConfig) -> None:
    """From spectra to magnitude, distance, site, depth and mechanism."""
    device = choose_device(config.device, threads=config.threads)
    run = runs.find_run("bliqnet", config.run)
    inverse = TrainedInverse.load(run.path / INVERSE_CHECKPOINT, device)
    print(f"inverse: {run.path}, trained on {inverse.provenance['data']['format']}")
    table = read_spectra(config.input)
    for line in [*table.attrs["notes"], *inverse.left_out(table)]:
        print(f"note: {line}", file=sys.stderr)
    if inverse.provenance["data"]["synthetic"]:
        print("warning: this model was trained on synthetic data", file=sys.stderr)

    posterior = inverse.posterior(inverse.spectra_of(table, str(config.input)))

    runs.write_table(config.output, posterior_table(inverse, table, posterior))
    print(f"{len(table)} rows: {config.output}")


if __name__ == "__main__":
    run_command(main, PredictConfig)
