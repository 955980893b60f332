"""Predict response spectra for a flatfile or a table of scenarios with a trained BLiqNet; or, from spectra, parameters.

python bliqnet/predict_bliqnet.py --run latest --input scenarios.csv --output predictions.csv
python bliqnet/predict_bliqnet.py --inverse --input spectra.csv --output posterior.csv
"""

from bliqnet.config import PredictConfig
from bliqnet.predictions import posterior_of_spectra, predicted_spectra
from shared import runs
from shared.command import run_command
from shared.torch_tools import choose_device


def main(config: PredictConfig) -> None:
    """Predict median response spectra (g) and their spread for every row of a table, or the inverse of that."""
    runs.check_output_file(config.output, config.input)
    device = choose_device(config.device, threads=config.threads if config.inverse else 1)
    run = runs.find_run("bliqnet", config.run, or_pretrained=True)

    table = (posterior_of_spectra if config.inverse else predicted_spectra)(run, config, device)

    runs.write_table(config.output, table)
    print(f"{len(table)} rows: {config.output}")


if __name__ == "__main__":
    run_command(main, PredictConfig)
