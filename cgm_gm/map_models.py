"""What generated maps are laid beside: ergodic and non-ergodic medians, and the truth of synthetic data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from cgm_gm import data, ergodic, generation, network, simulation
from cgm_gm.backbone import Backbone
from cgm_gm.ergodic import Ergodic
from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.generators import AnyGenerator
from cgm_gm.geometry import Frame
from cgm_gm.maps import TRUTH
from cgm_gm.truth import Truth
from shared.command import InputError
from shared.records import split_events

ROWS = 4096


def medians(generator: AnyGenerator, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """ln FAS (N, 4) at `fas.FREQUENCIES` of N `conditions.completed` rows, by the name of the model.

    The ergodic model is refitted to the run's training records where they are still at hand, else it is the published
    one. The non-ergodic one is the generator's own spatial backbone, if it has one, and no model apart from it. The
    truth is that of the embedded synthetic data.
    """
    fitted = refitted(generator.card)
    models = {"ergodic, published": ergodic.published().predict} if fitted is None else {"ergodic": fitted.predict}
    found = {name: predict(table).ln_median for name, predict in models.items()}
    backbone = generator.backbone
    if backbone is not None and len(backbone.weights):
        found["non-ergodic, own backbone"] = in_parts(table, lambda part: at_frequencies(backbone, part))
    truth = truth_of(generator.card)
    if truth is not None:
        names = ["mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon"]
        found[TRUTH] = in_parts(table, lambda part: truth.ln_fas(*part[names].to_numpy(float).T))
    return found


def generated(generator: AnyGenerator, table: pd.DataFrame, realizations: int, seed: int) -> np.ndarray:
    """Median ln FAS (N, 4) over ``realizations`` waveforms at each of N rows, which are not kept."""
    dt = 1.0 / generator.scaling.sampling_rate
    found = np.empty((len(table), len(FREQUENCIES)))
    with tqdm(total=len(table), desc="baseline", unit="point", unit_scale=True) as bar:
        for rows, waveforms in generation.blocks(generator, table, realizations, seed):
            fas = generation.steady_fas(waveforms.reshape(-1, waveforms.shape[-1]), dt)
            found[rows] = np.median(np.log(fas.reshape(*waveforms.shape[:2], -1)), axis=1)
            bar.update(len(waveforms))
    return found


def in_parts(table: pd.DataFrame, predict) -> np.ndarray:
    """``predict`` of some rows at a time: bumps or spectra of many points would fill the memory."""
    parts = [predict(table.iloc[first : first + ROWS]) for first in range(0, len(table), ROWS)]
    return np.concatenate(parts)


def at_frequencies(backbone: Backbone, table: pd.DataFrame) -> np.ndarray:
    """ln FAS (N, 4) of the backbone, linear in ln f between its frequencies."""
    known, ln_fas = np.log(backbone.frequencies), backbone.predict(table)
    wanted = np.log(FREQUENCIES)
    high = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[high - 1]) / (known[high] - known[high - 1])
    return ln_fas[:, high - 1] * (1.0 - share) + ln_fas[:, high] * share


def truth_of(card: Mapping[str, Any]) -> Truth | None:
    """The truth behind a run on the embedded data; None for other runs, and where another version simulated them."""
    described = card.get("provenance", {}).get("data", {})
    if not described.get("synthetic") or described.get("files") or "seed" not in card.get("recipe", {}):
        return None
    if described.get("version") != simulation.VERSION:
        return None
    return Truth.draw(int(card["recipe"]["seed"]), Frame(*network.CENTRE))


def refitted(card: Mapping[str, Any]) -> Ergodic | None:
    """The ergodic form fitted to the run's own training records; None where they are not what they were, or too few."""
    described, recipe = card.get("provenance", {}).get("data", {}), card.get("recipe", {})
    files = described.get("files", [])
    version = None if files else simulation.VERSION
    if not described or "seed" not in recipe or described.get("version") != version:
        return None
    try:
        source = data.load(Path(files[0]) if files else None, int(recipe["seed"]))
        if source.sha256 != described.get("sha256"):
            return None
        rows, _ = split_events(source.waveforms.table, recipe["test_share"], int(recipe["seed"]))
        part = source.waveforms.rows(rows)
        return Ergodic.fit(part.table, np.log(smoothed_fas(part.waveforms, part.dt)), FREQUENCIES)
    except (InputError, OSError, KeyError):
        return None
