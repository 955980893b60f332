"""Predict response spectra and draw samples for a flatfile or a table of scenarios with a trained CVAE.

python cvae_sa/predict_cvae.py --run latest --input scenarios.csv --output spectra.csv --samples 100
"""

from cvae_sa.config import PredictConfig
from cvae_sa.predictions import spectra_table
from cvae_sa.sessions import PROJECT, choose_device
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from shared import runs
from shared.command import run_command
from shared.predictions import scenarios_to_predict


def main(config: PredictConfig) -> None:
    """Predict median response spectra (g), their spread and, with --samples, spectra drawn at random."""
    runs.check_output_file(config.output, config.input)
    choose_device(config.device)
    run = runs.find_run(PROJECT, config.run, or_pretrained=True)
    model = TrainedCVAE.load(run.path / CHECKPOINT)
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    scenarios = scenarios_to_predict(config.input, model.ranges, model.components, model.synthetic)

    table = spectra_table(model, scenarios, config)

    runs.write_table(config.output, table)
    print(f"{len(scenarios)} rows, {config.samples} samples of each: {config.output}")


if __name__ == "__main__":
    run_command(main, PredictConfig)
