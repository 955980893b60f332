"""What a trained run says of a table: spectra of scenarios, or of spectra the parameters behind them."""

import sys

import pandas as pd
import torch

from bliqnet.config import PredictConfig
from bliqnet.trained import CHECKPOINT, TrainedModel, prediction_table
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse, posterior_table
from shared.flatfile import read_scenarios
from shared.runs import Run
from shared.spectra_table import read_spectra

SYNTHETIC = "this model was trained on synthetic data"


def predicted_spectra(run: Run, config: PredictConfig, device: torch.device) -> pd.DataFrame:
    """Median spectra (g) and their spread for every row of the flatfile or table of scenarios.

    Raises
    ------
    InputError
        The model or the table cannot be used.
    """
    model = TrainedModel.load(run.path / CHECKPOINT, device)
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    scenarios = read_scenarios(config.input)
    _say("warning", model.outside(scenarios) + [SYNTHETIC] * model.synthetic)
    if config.known_sites:
        print(f"{model.site_terms.known(scenarios).sum()} of {len(scenarios)} rows have a site term")
    spectra = model.predict(scenarios, known_sites=config.known_sites, batch=config.batch, threads=config.threads)
    return prediction_table(scenarios, model, spectra)


def posterior_of_spectra(run: Run, config: PredictConfig, device: torch.device) -> pd.DataFrame:
    """Quantiles of magnitude, distance, Vs30 and depth, and styles of faulting, for every row of observed spectra.

    Raises
    ------
    InputError
        The run has learnt no inverse, or the inverse or the table cannot be used.
    """
    inverse = TrainedInverse.load(run.path / INVERSE_CHECKPOINT, device)
    print(f"inverse: {run.path}, trained on {inverse.provenance['data']['format']}")
    table = read_spectra(config.input)
    ln_sa = inverse.spectra_of(table, str(config.input))
    _say("note", table.attrs["notes"] + inverse.left_out(table))
    _say("warning", [SYNTHETIC] * inverse.synthetic)
    return posterior_table(inverse, table, inverse.posterior(ln_sa))


def _say(kind: str, lines: list[str]) -> None:
    for line in lines:
        print(f"{kind}: {line}", file=sys.stderr)
