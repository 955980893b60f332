"""What a trained model is asked for and says: scenarios read with warnings, and the table of predicted spectra."""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared.flatfile import CANONICAL, UNKNOWN_STATION, read_scenarios
from shared.reference_gmm import Prediction
from shared.validity import beyond

SYNTHETIC = "this model was trained on synthetic data"
IDENTIFYING = ("record_id", "event_id", "station_id", "mag", "rjb", "vs30", "component")  # kept in predictions
RANGED = ("mag", "rjb", "hypo_depth", "vs30")


def ranges_of(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The least and the greatest of each of `RANGED` among training records, in the units of CONVENTIONS.md."""
    return {name: (float(table[name].min()), float(table[name].max())) for name in RANGED}


def outside(table: pd.DataFrame, ranges: Mapping[str, tuple[float, float]], components: Collection[str]) -> list[str]:
    """One line for every input with values beyond those of training: how many rows, and the range.

    ``ranges`` is that of `ranges_of`; ``components`` are those that training had records of.
    """
    lines = beyond(table, ranges)
    unseen = ~table["component"].isin(list(components))
    if unseen.any():
        lines.append(f"{int(unseen.sum())} of {len(table)} rows have a component that training had none of")
    return lines


def scenarios_to_predict(
    path: Path, ranges: Mapping[str, tuple[float, float]], components: Collection[str], synthetic: bool
) -> pd.DataFrame:
    """The flatfile or table of scenarios at ``path``; what the model has not seen is told on the standard error.

    ``synthetic`` says whether the model was trained on synthetic data.

    Raises
    ------
    InputError
        As `shared.flatfile.read_scenarios`: the file cannot be read, or lacks an input.
    """
    scenarios = read_scenarios(path)
    tell("warning", outside(scenarios, ranges, components) + [SYNTHETIC] * synthetic)
    return scenarios


def tell(kind: str, lines: Iterable[str]) -> None:
    """Each of ``lines`` on the standard error, after its ``kind``: note or warning."""
    for line in lines:
        print(f"{kind}: {line}", file=sys.stderr)


def prediction_table(scenarios: pd.DataFrame, columns: Sequence[str], prediction: Prediction) -> pd.DataFrame:
    """Rows and identifiers of ``scenarios`` with a median (g) and a ``sigma_`` (ln units) column for every period."""
    identifiers = [name for name in scenarios.columns if name not in CANONICAL or name in IDENTIFYING]
    given = [name for name in identifiers if not scenarios[name].isin([np.nan, "", UNKNOWN_STATION]).all()]
    medians = pd.DataFrame(np.exp(prediction.ln_median), columns=columns)
    sigmas = pd.DataFrame(prediction.sigma, columns=[f"sigma_{column}" for column in columns])
    return pd.concat([scenarios[given].reset_index(drop=True), medians, sigmas], axis=1)
