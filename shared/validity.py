"""Within which values a model has learnt, and what to say of inputs that lie outside: the same words everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Ranges = Mapping[str, Sequence[float]]  # least and greatest value among the training records, by input
UNITS = {"rjb": "km", "hypo_depth": "km", "vs30": "m/s", "depth": "km", "rhyp": "km"}
UNITS |= dict.fromkeys(("source_lat", "source_lon", "station_lat", "station_lon"), "degrees")
MOST = 10  # lines; of a table with dozens of inputs the rest is counted


def beyond(table: pd.DataFrame, ranges: Ranges, units: Mapping[str, str] = UNITS, rows: str = "rows") -> list[str]:
    """One line for every input of which values lie beyond those of training: how many, and the range.

    Of more than `MOST` such inputs those with the most rows outside are named, and the others counted. Inputs that
    ``table`` lacks, and missing values, are passed over. ``rows`` is what the lines call the rows of the table.
    """
    found = []
    for name, (low, high) in ranges.items():
        if name in table:
            values = table[name].to_numpy(float)
            found.append((int(((values < low) | (values > high)).sum()), name, low, high))
    found = [each for each in found if each[0]]
    named = found
    if len(found) > MOST:
        kept = sorted(np.argsort([-each[0] for each in found], kind="stable")[: MOST - 1])
        named = [found[place] for place in kept]
    lines = [
        f"{count} of {len(table)} {rows} have {name} outside the training range {low:g} to {high:g}"
        + (f" {units[name]}" if units.get(name) else "")
        for count, name, low, high in named
    ]
    if len(named) < len(found):
        lines.append(f"{len(found) - len(named)} more inputs have values outside their training ranges")
    return lines


def validity(ranges: Ranges, units: Mapping[str, str] = UNITS, **more: Any) -> dict[str, Any]:
    """For ``results.json``: ranges with their units, and ``more``, such as the components that there were."""
    known = {name: {"low": low, "high": high, "unit": units.get(name, "")} for name, (low, high) in ranges.items()}
    return {"ranges": known, **more}
