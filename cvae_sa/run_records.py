"""The records that a finished run was trained on, read again; and those of its rows, or of the user's, to look at."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cvae_sa.config import TrainConfig
from cvae_sa.data import Records, load, records_of
from cvae_sa.trained import TrainedCVAE
from shared.command import InputError
from shared.flatfile import CANONICAL, UNKNOWN_STATION, Flatfile, period_columns
from shared.predictions import scenarios_to_predict
from shared.records import split_events
from shared.runs import Run
from shared.sessions import CONFIG, read_config

GIVEN = ("record_id", "event_id", "station_id", "mag", "rjb", "hypo_depth", "vs30", "mechanism", "component")


def records_of_run(run: Run, model: TrainedCVAE, data: Sequence[Path] = ()) -> tuple[Flatfile, Records]:
    """The flatfile and the training records of a finished run; ``data`` says where the files are now.

    Raises
    ------
    InputError
        The files are not there any more, or are not those that the run was trained on.
    """
    config = read_config(run.path / CONFIG, TrainConfig)
    paths = tuple(data) or config.data
    gone = [path for path in config.data if not path.exists()]
    if gone and not data:
        raise InputError(f"{gone[0]}: the run's data are no longer there; say with --data where they are")
    source = load(paths, config.seed, config.tectonic)
    if list(source.sha256) != list(model.provenance["data"]["sha256"]):
        where = ", ".join(map(str, paths)) or "synthetic default"
        raise InputError(f"{where}: not the data that {run.path} was trained on; give those with --data")
    records = records_of(source, config.periods)
    training_rows, _ = split_events(records.table, config.test_share, config.seed)
    return source, records.rows(training_rows)


def drawn(n: int, wanted: int, seed: int, stream: int) -> np.ndarray:
    """``wanted`` of ``n`` positions, ascending, or all; every ``stream`` of one ``seed`` draws by itself."""
    return np.sort(np.random.default_rng([seed, stream]).permutation(n)[:wanted])


def rows_to_explain(path: Path | None, model: TrainedCVAE, records: Records) -> tuple[pd.DataFrame, list[dict]]:
    """All rows of the user's file, or without one the ``records``; and the file described, for the provenance.

    Raises
    ------
    InputError
        The file cannot be used.
    """
    if path is None:
        return records.table, []
    table = scenarios_to_predict(path, model.ranges, model.components, model.synthetic)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return table, [{"format": "input", "paths": [str(path)], "sha256": [digest], "rows": len(table)}]


def identified(table: pd.DataFrame) -> pd.DataFrame:
    """What names the rows of ``table``, and their inputs; columns without content are left out."""
    spectra = {*period_columns(table), *(f"sigma_{name}" for name in period_columns(table))}
    names = [name for name in table if name in GIVEN or name not in {*CANONICAL, *spectra}]
    kept = [name for name in names if not table[name].isin([np.nan, "", UNKNOWN_STATION]).all()]
    return table[kept].reset_index(drop=True)


def said_of(model: TrainedCVAE) -> dict[str, Any]:
    """The model's training, for the provenance of what is made with it."""
    return {name: model.provenance.get(name) for name in ("time_utc", "git_commit", "data")}
