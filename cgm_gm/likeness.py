"""Maps of median Fourier amplitudes beside the known truth of synthetic records, for a few earthquakes.

Axes: N points of all maps, K frequencies of `fas.FREQUENCIES`.
"""

import dataclasses

import numpy as np
import pandas as pd
from tqdm import tqdm

from cgm_gm import points
from cgm_gm.comparison import NON_ERGODIC, OURS, PUBLISHED, REFITTED, TRUTH, Comparison
from cgm_gm.conditions import completed
from cgm_gm.ergodic import published
from cgm_gm.fas import FREQUENCIES, smoothed_fas
from cgm_gm.sampled import Generates
from cgm_gm.subject import Subject

SHAPE, SOURCES, SAMPLES = (16, 16), 3, 25


@dataclasses.dataclass(frozen=True)
class Maps:
    """``table`` of N points, `SOURCES` grids of `SHAPE`; ``medians`` and ``spread`` (N, K) in ln units."""

    table: pd.DataFrame
    medians: dict[str, np.ndarray]
    spread: np.ndarray


def maps_of(generator: Generates, subject: Subject, comparison: Comparison, seed: int) -> Maps:
    """Maps of earthquakes like those that are judged, about the stations: the generator's median beside others."""
    table = completed(scenarios(subject))
    parts, step = [], int(np.prod(SHAPE)) // 3
    for first in tqdm(range(0, len(table), step), desc="maps", unit="part"):
        for _, drawn in generator.generate(table.iloc[first : first + step], SAMPLES, seed, first=first):
            ln_fas = np.log(smoothed_fas(drawn.reshape(-1, drawn.shape[2]), subject.judged.dt))
            parts.append(ln_fas.reshape(*drawn.shape[:2], -1))
    sampled = np.concatenate(parts)
    medians = {OURS: sampled.mean(axis=1)}
    if PUBLISHED in comparison.medians:
        medians[PUBLISHED] = published().predict(table).ln_median
    for name in (REFITTED, NON_ERGODIC):
        if name in comparison.fitted:
            medians[name] = comparison.fitted[name].predict(table).ln_median
    if subject.truth is not None:
        columns = [table[name] for name in ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon")]
        medians[TRUTH] = subject.truth.ln_fas(*(each.to_numpy() for each in columns))
    return Maps(table, medians, sampled.std(axis=1, ddof=1))


def scenarios(subject: Subject) -> pd.DataFrame:
    """Grids about the stations for events of the judged records: the one in their middle, one to either side of it."""
    events = subject.judged.table.drop_duplicates("event_id")
    places = events[["source_lat", "source_lon"]].to_numpy()
    across = (places - places.mean(axis=0)) @ np.linalg.svd(places - places.mean(axis=0), full_matrices=False)[2][0]
    ranks = np.unique(np.round(np.linspace(0.1, 0.9, SOURCES) * (len(events) - 1)).astype(int))
    chosen = events.iloc[np.argsort(across)[ranks]]
    grid = points.grid(SHAPE, points.region_of(subject.generator.card))
    mag = float(np.round(np.quantile(events["mag"], 0.9), 1))
    parts = [
        grid.assign(
            mag=mag, **event[["source_lat", "source_lon", "depth"]].astype(float), event_id=event["event_id"],
            station_id=[f"point-{k}" for k in range(len(grid))],
        )
        for _, event in chosen.iterrows()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def correlations(maps: Maps) -> pd.DataFrame:
    """A row a model and frequency (Hz): how its maps go with the truth.

    ``correlation`` of the maps, the mean over earthquakes, and ``of_places``: the same less the refitted ergodic model,
    that is of what is due to the place alone. ``rms`` of their difference, ln units.
    """
    rows, events, truth = [], maps.table["event_id"].to_numpy(), maps.medians[TRUTH]
    for model, median in maps.medians.items():
        for column, frequency in enumerate(FREQUENCIES):
            told, apart = [], []
            for event in dict.fromkeys(events):
                here = events == event
                pair = median[here, column], truth[here, column]
                told.append(np.corrcoef(*pair)[0, 1])
                if REFITTED in maps.medians and model not in (PUBLISHED, REFITTED):
                    common = maps.medians[REFITTED][here, column]
                    apart.append(np.corrcoef(*(each - common for each in pair))[0, 1])
            rms = np.sqrt(((median - truth)[:, column] ** 2).mean())
            rows.append((model, frequency, np.mean(told), np.mean(apart) if apart else np.nan, rms))
    found = pd.DataFrame(rows, columns=["model", "frequency", "correlation", "of_places", "rms"])
    return found[found["model"] != TRUTH].reset_index(drop=True)
