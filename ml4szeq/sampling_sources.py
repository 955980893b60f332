"""What `sample_grids.py` is given, read and checked: trenches, grids, poles, catalogue; or the embedded default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml4szeq import simulation
from ml4szeq.catalogue import Catalogue, read_catalogue
from ml4szeq.classes import EDGES, NO_EVENT
from ml4szeq.config import SampleConfig
from ml4szeq.grid_files import read_grid
from ml4szeq.grids import Grid, Mosaic, checked
from ml4szeq.labels import LabelOptions, label
from ml4szeq.quantities import QUANTITIES
from ml4szeq.rotation import PlatePair, read_poles
from ml4szeq.sampling import PLACE, SamplingOptions, lacking, sample
from ml4szeq.trench_geometry import Trench
from ml4szeq.trench_lines import read_trenches
from ml4szeq.trenches import TRENCHES, trench
from shared import runs
from shared.command import InputError


@dataclass(frozen=True)
class Sources:
    """Trenches and poles by region, grids by quantity, and a catalogue or none."""

    trenches: Mapping[str, Trench]
    grids: Mapping[str, Grid | Mosaic]
    poles: Mapping[str, PlatePair] | None
    catalogue: Catalogue | None
    synthetic: bool
    simplified: bool  # our own lines of the trenches

    def table(self, config: SampleConfig) -> pd.DataFrame:
        """The sampled table with its labels; a column ``synthetic``, which is true, marks the embedded default.

        Raises
        ------
        InputError
            Grids and poles say nothing about any segment, or the catalogue does not.
        """
        table = sample(self.trenches, self.grids, self.poles, _sampling_options(config), progress=True)
        features = table.drop(columns=list(PLACE))
        if features.shape[1] and features.isna().all(axis=None):
            raise InputError(
                f"none of the grids ({', '.join(self.grids)}) has values around the trenches {', '.join(self.trenches)}"
            )
        if self.catalogue is not None:
            table = label(table, self.trenches, self.catalogue, _label_options(config))
        return table.assign(synthetic=True) if self.synthetic else table

    def summary(self) -> str:
        """Lines that say what was found."""
        lines = ["embedded default, SYNTHETIC: made grids and a made catalogue"] if self.synthetic else []
        segments = ", ".join(f"{region} {line.length:.0f} km" for region, line in self.trenches.items())
        lines.append(f"{len(self.trenches)} trenches: {segments}" + ("; simplified lines" if self.simplified else ""))
        for name, grid in self.grids.items():
            known = QUANTITIES.get(name.partition("/")[0])
            what = f"{known.title} ({known.unit})" if known else "a quantity of your own, sampled on both plates"
            members = grid.grids if isinstance(grid, Mosaic) else (grid,)
            lines += [f"  {name}: {what}: {_described(each)}" for each in members]
        if self.poles is not None:
            lines.append(f"poles of {', '.join(self.poles)}")
        if self.catalogue is not None:
            left = f"; {self.catalogue.left_out} without place or magnitude left out" if self.catalogue.left_out else ""
            lines.append(f"{len(self.catalogue)} events of {self.catalogue.origin}{left}")
        return "\n".join(lines)


def gathered(config: SampleConfig) -> Sources:
    """Read what the options name; with neither grids, poles nor a catalogue, make the embedded default.

    Raises
    ------
    InputError
        A file or an option is not what it should be, or the output is one of the inputs.
    """
    pairs = _pairs("grid", config.grid)
    units = {name.upper(): unit for name, unit in _pairs("unit", config.unit)}
    files = [path for path in (config.trenches, config.poles, config.catalogue) if path is not None]
    runs.check_output_file(config.output, *files, *(path for _, path in pairs))
    _check(config)
    if not pairs and config.poles is None and config.catalogue is None:
        if config.trenches is not None:
            raise InputError(f"{config.trenches}: nothing to sample along it; give --grid, --poles or --catalogue")
        made = simulation.simulate(config.seed)
        return Sources(made.trenches, made.grids, made.poles, made.catalogue, synthetic=True, simplified=True)
    trenches = read_trenches(config.trenches) if config.trenches else simplified()
    if strange := sorted(set(units) - {name.partition("/")[0].upper() for name, _ in pairs}):
        raise InputError(f"--unit {strange[0]}: there is no --grid {strange[0]}")
    grids: dict[str, tuple[Grid, ...]] = {}
    for name, path in pairs:
        quantity, slash, region = name.partition("/")
        key = quantity.upper() + slash + region
        grid = checked(read_grid(path, key), quantity.upper(), units.get(quantity.upper()))
        grids[key] = (*grids.get(key, ()), grid)
    poles = read_poles(config.poles) if config.poles else None
    if poles is not None and not set(poles) & set(trenches):
        raise InputError(f"{config.poles}: no pole of the trenches' regions {', '.join(trenches)}")
    return Sources(
        trenches,
        {name: members[0] if len(members) == 1 else Mosaic(members) for name, members in grids.items()},
        poles,
        read_catalogue(config.catalogue) if config.catalogue else None,
        synthetic=False,
        simplified=config.trenches is None,
    )


def simplified() -> dict[str, Trench]:
    """Our simplified lines of the eight regions."""
    return {region: trench(region) for region in TRENCHES}


def report(table: pd.DataFrame) -> str:
    """Lines about a sampled table: how many segments and features, what the labels are, and what is lacking."""
    features = [name for name in table.columns.drop(list(PLACE)) if pd.api.types.is_float_dtype(table[name])]
    features = [name for name in features if name not in ("MR_GCMT", "moment", "energy")]
    regions = ", ".join(f"{region} {count}" for region, count in table["region"].value_counts(sort=False).items())
    lines = [f"{len(table)} segments ({regions}), {len(features)} features"]
    if "MR_GCMT" in table:
        mag = table["MR_GCMT"]
        none = int((mag == NO_EVENT).sum())
        lines.append(
            f"largest Mw: from 8 on {int((mag >= 8.0).sum())}, below {int((mag < 8.0).sum())} (no event {none})"
        )
    else:
        lines.append("no labels: give --catalogue")
    for row in lacking(table[[*PLACE, *features]]).itertuples():
        whole = row.segments == len(table)
        lines.append(
            f"  {row.feature} lacks " + ("all; left out" if whole else f"{row.segments} segments: {row.regions}")
        )
    return "\n".join(lines)


def _check(config: SampleConfig) -> None:
    _sampling_options(config).check()
    if not config.across[0] < config.across[1]:
        low, high = config.across
        raise InputError(
            f"--across {low:g} {high:g}: give the smaller distance in km first, positive on the upper plate"
        )
    if not config.deepest > 0.0:
        raise InputError(f"--deepest {config.deepest:g}: give a depth in km above 0")
    if config.seed < 0:
        raise InputError(f"--seed {config.seed}: give 0 or more")


def _sampling_options(config: SampleConfig) -> SamplingOptions:
    names = ("spacing", "chord", "downgoing_box", "upper_box", "step", "least_share", "slab_depth")
    return SamplingOptions(**{name: getattr(config, name) for name in names})


def _label_options(config: SampleConfig) -> LabelOptions:
    return LabelOptions(
        across=config.across,
        deepest=config.deepest,
        smallest=config.smallest,
        thrust_only=config.thrust_only,
        edges=EDGES[config.classes],
        spacing=config.spacing,
    )


def _pairs(option: str, given: tuple[tuple[str, ...], ...]) -> list[tuple[str, str]]:
    """``NAME=VALUE`` of an option that may be there several times."""
    pairs = []
    for text in (each for group in given for each in group):
        name, sign, value = text.partition("=")
        if not sign or not value or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*(/\w+)?", name):
            raise InputError(f"--{option} {text}: write it as NAME=..., NAME of letters, digits and _")
        pairs.append((name, value))
    return pairs


def _described(grid: Grid) -> str:
    low, high = float(np.nanmin(grid.values)), float(np.nanmax(grid.values))
    gaps = float(np.mean(~np.isfinite(grid.values)))
    extent = f"lon {grid.lon[0]:g} to {grid.lon[-1]:g}, lat {grid.lat[0]:g} to {grid.lat[-1]:g}"
    return f"{low:.4g} to {high:.4g}, {extent}" + (f", {100.0 * gaps:.3g} % gaps" if gaps else "") + f" ({grid.label})"
