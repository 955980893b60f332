"""Which maps a command line asks for, and their names."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ml4szeq import maps
from ml4szeq.config import MapConfig
from ml4szeq.features import GROUPS
from ml4szeq.map_layers import most_relevant
from ml4szeq.map_pages import Page
from ml4szeq.map_pieces import in_order
from ml4szeq.map_tables import read_predictions, read_relevances
from ml4szeq.trench_lines import read_trenches
from shared import runs
from shared.command import InputError
from shared.untrusted import read_json


@dataclasses.dataclass(frozen=True)
class Tables:
    """What is to be drawn, and what to say about it."""

    predictions: pd.DataFrame | None
    relevances: pd.DataFrame | None
    features: tuple[str, ...]
    notes: tuple[str, ...]


def checked(config: MapConfig) -> Tables:
    """Read the tables, and refuse what cannot be drawn or written before anything is.

    Raises
    ------
    InputError
        It names the option, or the file and its column, row or region.
    """
    if config.predictions is None and config.relevances is None:
        raise InputError("nothing to draw; give --predictions, --relevances, or both")
    if not 50 <= config.dpi <= 1200:
        raise InputError(f"--dpi: {config.dpi} is not from 50 to 1200")
    if not 1 <= config.top <= 12:
        raise InputError(f"--top: {config.top} is not from 1 to 12")
    if config.relevances is None and (config.features or config.method):
        raise InputError("--features and --method are about relevances; give --relevances too")
    runs.check_new_run("ml4szeq", config.output)
    lines = read_trenches(config.trenches) if config.trenches else {}
    predictions = relevances = None
    names: list[str] = []
    if config.predictions is not None:
        predictions = read_predictions(config.predictions, config.regions, lines)
    if config.relevances is not None:
        relevances, names = read_relevances(config.relevances, config.regions, lines, config.method)
        groups = [group for group in GROUPS if group in relevances]
        for name in config.features:
            if name not in (*names, *groups):
                raise InputError(
                    f"{config.relevances}: no feature {name}; it has {', '.join(names[:8])}..., and the groups"
                    f" {', '.join(groups)}"
                )
    drawn = [table for table in (predictions, relevances) if table is not None]
    simplified = in_order([code for table in drawn for code in table.loc[table["simplified"], "region"]])
    notes = ()
    if simplified:
        notes = (f"{', '.join(simplified)} on our simplified trench lines, which may be tens of km off",)
    return Tables(predictions, relevances, tuple(names), notes)


def maps_of(tables: Tables, config: MapConfig) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one after the other."""
    if (table := tables.predictions) is not None:
        page = Page(config.width, _synthetic(table, config.predictions), config.download)
        codes = in_order(table["region"])
        if len(codes) > 1:
            yield "regions", maps.class_maps(table, dataclasses.replace(page, width="double"))
            yield "global", maps.global_class_map(table, page)
        for code in codes:
            yield f"region_{_safe(code)}", maps.class_maps(table[table["region"] == code], page)
    if (table := tables.relevances) is not None:
        page = Page(config.width, _synthetic(table, config.relevances), config.download)
        top = most_relevant(table, tables.features, config.top)
        yield "relevance_top", maps.top_relevance_maps(table, top, page)
        groups = [group for group in GROUPS if group in table]
        if len(groups) > 1:
            yield "relevance_groups", maps.top_relevance_maps(table, groups, page)
        for name in config.features:
            yield f"relevance_{_safe(name)}", maps.relevance_maps(table, name, page)


def _synthetic(table: pd.DataFrame, path: Path) -> bool:
    """Whether the table says so, or the provenance of the run that it lies in."""
    if "synthetic" in table and table["synthetic"].astype(str).str.lower().isin(["true", "1"]).any():
        return True
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return bool(read_json(path.parent / "provenance.json")["data"]["synthetic"])
    return False


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
