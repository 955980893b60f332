"""What a trained CVAE says of a table of scenarios: medians, their spread, and spectra drawn at random."""

import numpy as np
import pandas as pd

from cvae_sa.config import PredictConfig
from cvae_sa.trained import TrainedCVAE
from shared.command import InputError
from shared.predictions import prediction_table

MOST_VALUES = 100_000_000  # cells of a table, some 20 bytes each in the making


def spectra_table(model: TrainedCVAE, scenarios: pd.DataFrame, config: PredictConfig) -> pd.DataFrame:
    """Medians (g) and ``sigma_`` (ln units) of every row; with samples, those of row i below it.

    Then ``sample`` numbers the rows: 0 is the median, 1 to ``config.samples`` are spectra (g) drawn with the spread of
    records of unknown events and sites, correlated between periods; their ``sigma_`` is left empty.

    Raises
    ------
    InputError
        The samples are more than fit in memory.
    """
    medians = prediction_table(scenarios, model.columns, model.predict(scenarios, config.road))
    if not config.samples:
        return medians
    most = MOST_VALUES // max(medians.size, 1)
    if config.samples > most:
        mend = f"give at most {most}" if most else "split the input"
        raise InputError(f"--samples: {config.samples} of {len(medians)} rows are more than memory holds; {mend}")
    place = medians.columns.get_loc(model.columns[0])
    medians.insert(place, "sample", 0)
    parts = [medians]
    sigmas = [f"sigma_{column}" for column in model.columns]
    for rows, ln_sa in model.sample_chunks(scenarios, config.samples, config.seed, config.road):
        drawn = medians.iloc[rows].loc[np.repeat(medians.index[rows], config.samples)]
        drawn = drawn.assign(sample=np.tile(np.arange(1, config.samples + 1), len(drawn) // config.samples))
        drawn[model.columns] = np.exp(ln_sa.swapaxes(0, 1).reshape(len(drawn), -1))
        drawn[sigmas] = np.nan
        parts.append(drawn)
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
