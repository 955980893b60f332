"""Exporting a trained model as one ONNX file: what it says of itself, and the check that it computes the same.

Needs the extra export; `writer` says so where it is missing. Axes: N rows, P periods.
"""

import dataclasses
import datetime
import importlib.metadata
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import runs
from shared.command import InputError
from shared.flatfile_convert import mechanism_of
from shared.flatfile_formats import periods_of
from shared.onnx_model import OUTPUTS, OnnxModel
from shared.reference_gmm import Prediction
from shared.scenario_inputs import COMPONENTS, INPUTS, STYLES

TOLERANCE = 1e-5  # ln units, of medians, tau, phi and sigma
AT_RANDOM = 4000  # scenarios drawn, besides all corners
EDGES = {  # where one of the models bends, and what users ask for beyond the records
    "mag": (3.0, 4.5, 5.4, 5.5, 6.5, 8.0),
    "rjb": (0.0, 0.1, 1.0, 60.0, 300.0),
    "hypo_depth": (0.0, 10.0, 18.0, 40.0),
    "vs30": (100.0, 180.0, 760.0, 1000.0, 1500.0),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """What is known of a trained model beside its graph."""

    name: str  # of the sub-project
    about: str  # one sentence for whoever opens the file
    columns: Sequence[str]  # (P,)
    components: Sequence[str]
    ranges: Mapping[str, tuple[float, float]]
    provenance: Mapping[str, Any]  # of the training


def check_installed() -> None:
    """Raise an `InputError` where what an export needs is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise InputError("needs onnx and onnxruntime: install the extra export, pip install -e '.[export]'") from None


def check_output(path: Path) -> None:
    """Refuse early an ``--output`` that could not be written or is not named ``.onnx``."""
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: --output must be named .onnx")
    runs.check_output_file(path)


def write(
    path: Path, known: Exported, made: Any, outputs: Mapping[str, Any], predict: Callable[[pd.DataFrame], Prediction]
) -> float:
    """Write the graph ``made`` with its ``outputs`` to ``path``, if it gives what ``predict`` does; the difference.

    The file is first asked, by onnxruntime, for `scenarios_to_check`. ``predict`` is the framework's own prediction
    for a table of canonical columns.

    Raises
    ------
    InputError
        A median, tau, phi or sigma differs by more than `TOLERANCE`; nothing is written then.
    """
    card = card_of(known, made.given)
    data = made.model(outputs, len(known.columns), json.dumps(runs.plain(card), allow_nan=False))
    model = OnnxModel.of(data, path)
    difference = largest_difference(model, predict, scenarios_to_check(known))
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path}: not written, as what was exported differs from the trained model by {difference:.1e} ln units, "
            f"more than {TOLERANCE:g}; please report this run"
        )
    with runs.atomic(path) as temporary:
        temporary.write_bytes(data)
    return difference


def card_of(known: Exported, names: Sequence[str]) -> dict[str, Any]:
    """What the file says of itself: see `shared.onnx_model.card_of`. ``names`` are the graph's inputs."""
    data, commit = known.provenance["data"], known.provenance.get("git_commit")
    about_data = {name: data[name] for name in ("format", "sha256", "rows", "events", "stations") if name in data}
    return {
        "name": known.name,
        "about": known.about,
        "inputs": {name: INPUTS[name]._asdict() for name in names},
        "outputs": {name: {"unit": unit, "shape": "rows by periods"} for name, unit in OUTPUTS.items()},
        "columns": list(known.columns),
        "periods": periods_of(known.columns).tolist(),
        "period_unit": "s; 0.0 is PGA",
        "components": list(known.components),
        "component_codes": COMPONENTS,
        "style_codes": STYLES,
        "ranges": {name: [float(low), float(high)] for name, (low, high) in known.ranges.items()},
        "synthetic": bool(data["synthetic"]),
        "provenance": {
            "data": about_data,
            "trained_utc": known.provenance.get("time_utc"),
            "trained_at_commit": commit,
            "exported_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "project_version": importlib.metadata.version("ground-motion-learning"),
        },
        "checked": {"tolerance": TOLERANCE, "unit": "ln units", "rows": len(scenarios_to_check(known))},
    }


def scenarios_to_check(known: Exported, seed: int = 0) -> pd.DataFrame:
    """Canonical columns of scenarios: all corners of the ranges and `EDGES`, and `AT_RANDOM` between and beyond them.

    Styles of faulting by name, by rake alone and unknown; ``rrup`` known and not; every component.
    """
    generator = np.random.default_rng(seed)
    values = {name: sorted({*EDGES[name], *known.ranges.get(name, ())}) for name in EDGES}
    corners = np.array(list(itertools.product(*([each[0], each[-1]] for each in values.values()))))
    grid = np.column_stack([generator.choice(each, AT_RANDOM // 2) for each in values.values()])
    spread = np.column_stack([generator.uniform(each[0], each[-1], AT_RANDOM // 2) for each in values.values()])
    spread[:, list(values).index("rjb")] = np.exp(
        generator.uniform(np.log(0.1), np.log(values["rjb"][-1]), len(spread))
    )
    table = pd.DataFrame(np.concatenate([corners, grid, spread]), columns=list(values))
    count = len(table)
    table["rake"] = np.where(
        generator.random(count) < 0.5, np.nan, generator.choice([-180.0, -90, -30, 0, 30, 31, 90, 150, 180], count)
    )
    table["mechanism"] = generator.choice(list(STYLES), count)
    top = generator.uniform(0.0, 20.0, count)
    table["rrup"] = np.where(generator.random(count) < 0.5, np.nan, np.hypot(table["rjb"], top))
    table["component"] = generator.choice(list(known.components), count)
    return table


def largest_difference(model: OnnxModel, predict: Callable[[pd.DataFrame], Prediction], table: pd.DataFrame) -> float:
    """The largest absolute difference of ln median, tau, phi and sigma, in ln units."""
    ours = model.predict(table, warn=False)
    from_rake = mechanism_of(table["rake"].to_numpy())
    theirs = predict(table.assign(mechanism=np.where(table["mechanism"] == "U", from_rake, table["mechanism"])))
    return max(
        float(np.abs(getattr(ours, name) - getattr(theirs, name)).max())
        for name in ("ln_median", "tau", "phi", "sigma")
    )
