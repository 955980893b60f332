"""What a trained run says of a table: spectra of scenarios, or of spectra the parameters behind them."""

import pandas as pd
import torch

from bliqnet.config import PredictConfig
from bliqnet.trained import CHECKPOINT, TrainedModel
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, TrainedInverse, posterior_table
from shared.predictions import SYNTHETIC, prediction_table, scenarios_to_predict, tell
from shared.runs import Run
from shared.spectra_table import read_spectra
from shared.validity import beyond


def predicted_spectra(run: Run, config: PredictConfig, device: torch.device) -> pd.DataFrame:
    """Median spectra (g) and their spread for every row of the flatfile or table of scenarios.

    Raises
    ------
    InputError
        The model or the table cannot be used.
    """
    model = TrainedModel.load(run.path / CHECKPOINT, device)
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    scenarios = scenarios_to_predict(config.input, model.ranges, model.components, model.synthetic)
    if config.known_sites:
        print(f"{model.site_terms.known(scenarios).sum()} of {len(scenarios)} rows have a site term")
    spectra = model.predict(scenarios, known_sites=config.known_sites, batch=config.batch, threads=config.threads)
    return prediction_table(scenarios, model.columns, spectra)


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
    tell("note", table.attrs["notes"] + inverse.left_out(table))
    outside = beyond(table, inverse.ranges, dict.fromkeys(inverse.columns, "g"))
    tell("warning", outside + [SYNTHETIC] * inverse.synthetic)
    return posterior_table(inverse, table, inverse.posterior(ln_sa))
