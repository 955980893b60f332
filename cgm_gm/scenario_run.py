"""From the options of ``generate_points.py`` to a table of scenarios, its warnings and its figure."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from cgm_gm import comparison, generation, generators, map_models, maps, miniseed, option_bounds, points, streams
from cgm_gm.coastline import known_outline
from cgm_gm.conditions import completed
from cgm_gm.config import GenerateConfig
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generation import Blocks
from cgm_gm.generator import CHECKPOINT
from cgm_gm.generators import AnyGenerator
from shared import ray_cluster, runs
from shared.command import InputError
from shared.predictions import SYNTHETIC

FEW_RECORDS = 300  # of fewer, nothing much is learnt


def check(config: GenerateConfig) -> None:
    """Refuse, as InputErrors, options that nothing can be generated with, before any work."""
    runs.check_output_file(config.output, *[each for each in (config.points, config.coastline) if each is not None])
    if config.maps:
        runs.check_output_file(figure_path(config), config.output)
    generation.check_options(config.realizations, config.batch)
    option_bounds.check(config)
    if config.engine == "ray":
        ray_cluster.check(config.address)
    elif config.address is not None:
        raise InputError("--address: is of a Ray cluster; add --engine ray, or drop it")
    if config.points is not None and config.region is not None:
        raise InputError("--region is of a grid; drop it, or --points")
    if config.mseed is not None:
        miniseed.check_folder(config.mseed)
        streams.origin_time(config.origin_time)
    elif config.origin_time is not None:
        raise InputError("--origin-time: is of --mseed; add it, or drop this")
    if config.coastline is not None:
        maps.read_outline(config.coastline)


@contextlib.contextmanager
def engine(config: GenerateConfig) -> Iterator[Blocks | None]:
    """What computes the waveforms; None where that is this process."""
    if config.engine == "local":
        yield None
        return
    from cgm_gm import ray_generation  # Ray is an extra

    with ray_generation.on_cluster(config.address, config.workers, config.threads) as computed:
        yield computed


def table_of(config: GenerateConfig, card: Mapping[str, Any]) -> pd.DataFrame:
    """The scenarios that are asked for; InputErrors as of `points`."""
    if config.points is not None:
        places, name = points.read(config.points), str(config.points)
    else:
        places, name = points.grid(config.grid, config.region or points.region_of(card)), "the scenario"
    source = {column: getattr(config, column) for column in points.SOURCE}
    return points.scenarios(places, source, card, name)


def warnings_of(table: pd.DataFrame, card: Mapping[str, Any]) -> list[str]:
    """What of the scenarios lies outside of the training records, and whether those were synthetic or too few."""
    described, few = card.get("provenance", {}).get("data", {}), []
    if 0 < described.get("records", 0) < FEW_RECORDS:
        number = f"{described['records']} records of {described.get('events')} events"
        few = [f"this model was made from {number}: its waveforms are a trial of the method, not of earthquakes"]
    return points.outside(completed(table), card) + few + [SYNTHETIC] * synthetic(card)


def baseline(config: GenerateConfig, generator: AnyGenerator, device: torch.device) -> AnyGenerator | None:
    """The generator that ``--baseline`` names, if it is to be drawn beside.

    Raises
    ------
    InputError
        That run is none, is not our network of --tcondvar 4, or is of another quantity.
    """
    if config.baseline is None:
        return None
    other = generators.load(runs.find_run("cgm_gm", config.baseline).path / CHECKPOINT, device)
    comparison.check_placeless(config.baseline, other)
    if quantity(other.card) != quantity(generator.card):
        raise InputError(
            f"--baseline {config.baseline}: is of {quantity(other.card)}, --run of {quantity(generator.card)}"
        )
    return other


def drawn_beside(config: GenerateConfig, table: pd.DataFrame, other: AnyGenerator | None) -> dict[str, np.ndarray]:
    """The row of maps of the baseline ``other``: median ln FAS (N, 4) of N scenarios. Empty where there are none."""
    if other is None or not config.maps or not points.one_source(table):
        return {}
    return {"distance only": map_models.generated(other, completed(table), config.realizations, config.seed)}


def quantity(card: Mapping[str, Any]) -> str:
    """Velocity or acceleration."""
    return card.get("provenance", {}).get("data", {}).get("quantity", "velocity")


def synthetic(card: Mapping[str, Any]) -> bool:
    """Whether the run was trained on synthetic data."""
    return bool(card.get("provenance", {}).get("data", {}).get("synthetic", False))


def figure_path(config: GenerateConfig) -> Path:
    """Beside the waveforms."""
    return config.output.with_suffix(".png")


def figure(
    config: GenerateConfig, generator: AnyGenerator, table: pd.DataFrame, beside: Mapping[str, np.ndarray]
) -> Figure | None:
    """The maps, those of `drawn_beside` too; None where none are wanted, or the points are of several earthquakes."""
    if not config.maps or not points.one_source(table):
        return None
    known, card = completed(table), generator.card
    median, spread = maps.summary(config.output)
    rows = {maps.MEDIAN if config.realizations > 1 else "generated: one realization": median}
    if config.realizations > 1:
        rows[maps.SPREAD] = spread
    rows |= beside | map_models.medians(generator, known)
    lat, lon = known["station_lat"], known["station_lon"]
    region = (lat.min(), lat.max(), lon.min(), lon.max())
    stations = card.get("stations", {})
    mag, depth = known["mag"].iloc[0], known["depth"].iloc[0]
    count = "1 realization" if config.realizations == 1 else f"{config.realizations} realizations"
    return maps.fas_maps(
        known,
        rows,
        FREQUENCIES,
        shape=config.grid if config.points is None else None,
        stations=(stations.get("station_lat", ()), stations.get("station_lon", ())),
        outline=known_outline(region) if config.coastline is None else maps.read_outline(config.coastline),
        unit=generation.FAS_UNITS[quantity(card)],
        synthetic=synthetic(card),
        title=f"M {mag:g}, depth {depth:g} km; {count}; seed {config.seed}",
    )
