"""The results table of `reproduce.py`: ours, the strongest competitor and the published claim, from runs' results.json.

Every figure is read from a run. Published claims are in ``published_claims.csv``, each with its source.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import held_out
from shared.command import InputError
from shared.reproduction_plan import Step
from shared.reproduction_progress import DONE, Outcome
from shared.sessions import RESULTS, read_json

CLAIMS = Path(__file__).with_name("published_claims.csv")
NO_CLAIM = "–"
# fitted to the records of NGA-West2 by their authors, so not out of sample there: they stand apart
PUBLISHED = ("BSSA14", "ASK14", "CB14", "CY14")
NAMES = {"bliqnet": "BLiqNet", "cvae_sa": "CVAE", "cgm_gm": "CGM-GM", "ml4szeq": "ml4szeq"}
SYNTHETIC = "SYNTHETIC (embedded)"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table: what is measured on which data, ours beside others."""

    key: str
    measure: str
    best: str  # "lowest" or "highest"
    ours: float
    rivals: Mapping[str, float]  # trained on the same records, judged on the same held-out ones
    published: tuple[str, float] | None = None  # a published model as it is


def rows_of(step: Step) -> list[Row]:
    """What the run of an evaluation says, in the terms of the table; none for a step that evaluates nothing.

    Raises
    ------
    InputError
        Its ``results.json`` is damaged, or lacks what the table shows.
    """
    readers: dict[str, Callable[[dict[str, Any], Path], list[Row]]] = {
        "bliqnet": _bliqnet,
        "cvae_sa": _cvae,
        "cgm_gm": _cgm,
        "ml4szeq": _ml4szeq,
    }
    if step.verb != "evaluate":
        return []
    file = step.output / RESULTS
    found = read_json(file)
    try:
        return readers[step.project](found, step.output)
    except (KeyError, TypeError, ValueError, IndexError, FileNotFoundError):
        raise InputError(f"{file}: lacks what the results table shows; do the step again with --restart") from None


def results_table(outcomes: Iterable[Outcome]) -> tuple[pd.DataFrame, list[str]]:
    """The table, and a line for every run that cannot be read.

    A row for every measure of every evaluation that is done; its figures have three decimals.

    Columns ``model, data, measure, ours, strongest competitor, its figure, ahead, published model as it is, published
    claim, run``.
    """
    claims = pd.read_csv(CLAIMS, dtype=str).set_index(["project", "data", "key"])["claim"].to_dict()
    lines, problems = [], []
    done = [outcome.step for outcome in outcomes if outcome.state == DONE]
    for step in sorted(done, key=lambda each: (list(NAMES).index(each.project), each.synthetic, each.data)):
        try:
            rows = rows_of(step)
        except InputError as error:
            problems.append(str(error))
            continue
        for row in rows:
            pick = min if row.best == "lowest" else max
            rival = pick(row.rivals, key=row.rivals.get) if row.rivals else None
            against = row.rivals[rival] if rival else np.nan
            ahead = "ours" if (row.ours < against) == (row.best == "lowest") else "competitor"
            as_is = f"{row.published[0]} {row.published[1]:.3f}" if row.published else NO_CLAIM
            lines.append(
                {
                    "model": NAMES[step.project],
                    "data": SYNTHETIC if step.synthetic else step.data,
                    "measure": f"{row.measure}, {row.best} is best",
                    "ours": row.ours,
                    "strongest competitor": rival or NO_CLAIM,
                    "its figure": against,
                    "ahead": ahead if rival else NO_CLAIM,
                    "published model as it is": as_is,
                    "published claim": claims.get((step.project, step.data, row.key), NO_CLAIM),
                    "run": step.name,
                }
            )
    return pd.DataFrame(lines), problems


def sources(projects: Collection[str]) -> list[str]:
    """Where each published claim of ``projects`` was taken from, a line each."""
    claims = pd.read_csv(CLAIMS, dtype=str)
    claims = claims[claims["project"].isin(list(projects))]
    return [f"{NAMES[row.project]}, {row.data}: {row.claim}. {row.source}." for row in claims.itertuples()]


def _bliqnet(found: dict[str, Any], folder: Path) -> list[Row]:
    rows = _sigma_rows(folder, "BLiqNet", {"classical start"})  # that is BLiqNet before its first epoch
    about = {each["model"]: each["r2"] for each in found.get("inverse", []) if each["target"] == "mag"}
    if about:
        rivals = {"random forest": about["random-forest inverse"]}
        ours = about["liquid inverse"]
        rows.append(Row("inverse_mag", "R² of magnitude, from the spectrum", "highest", ours, rivals))
    return rows


def _cvae(found: dict[str, Any], folder: Path) -> list[Row]:
    return _sigma_rows(folder, "CVAE", {"CVAE, codes by ANN", "reconstruction"})


def _sigma_rows(folder: Path, ours: str, apart: set[str]) -> list[Row]:
    """A row for every component, the means of `held_out.sigma_table`; models that know sites are not compared."""
    table, rows = pd.read_csv(folder / "components.csv"), []
    for component, part in table.groupby("component"):
        means = held_out.sigma_table(part, ours).set_index("model")["mean"].to_dict()
        left_out = {ours, *apart, *PUBLISHED}
        rivals = {
            name: mean for name, mean in means.items() if name not in left_out and not name.endswith("known sites")
        }
        which = {"H": "horizontal", "V": "vertical"}.get(component, component)
        measure = f"σ of ln Sa, {which}, held-out earthquakes, mean over PGA to 2 s"
        as_is = ("BSSA14", means["BSSA14"])
        rows.append(Row(f"sigma_{component}", measure, "lowest", means[ours], rivals, as_is))
    return rows


def _cgm(found: dict[str, Any], folder: Path) -> list[Row]:
    values: dict[str, list[float]] = {}
    for each in found["fas"]:
        values.setdefault(each["model"], []).append(float(each["deviation"]))
    means = {name: float(np.mean(each)) for name, each in values.items()}
    as_is = "ergodic, published"
    rivals = {name: mean for name, mean in means.items() if name not in ("generator", "truth", as_is)}
    seen = "records learnt from" if found["seen_in_training"] else "held-out earthquakes"
    measure = f"standard deviation of ln FAS, {seen}, mean over 2, 5, 10, 15 Hz"
    return [Row("fas", measure, "lowest", means["generator"], rivals, (as_is, means[as_is]))]


# which of our networks is for which split: chosen before the test, not by it
SPLITS = {
    ("scenario", 50.0): ("network, neighbours", "macro-F1, blocks along strike, 50 km away"),
    ("scenario", 100.0): ("network, neighbours", "macro-F1, blocks along strike, 100 km away"),
    ("rupture", None): ("network, along strike", "macro-F1, ruptures kept together"),
    ("region", None): ("network, transfer", "macro-F1, one region out"),
}
OWN_VOTE = "neighbours' vote alone"


def _ml4szeq(found: dict[str, Any], folder: Path) -> list[Row]:
    rows = []
    for (kind, exclusion), (ours, measure) in SPLITS.items():
        means = {
            each["model"]: float(each["mean"])
            for each in found["summary"]
            if each["kind"] == kind and each["exclusion"] == exclusion
        }
        rivals = {name: mean for name, mean in means.items() if not name.startswith("network") and name != OWN_VOTE}
        key = kind if exclusion is None else f"{kind}_{exclusion:g}"
        if ours in means:
            rows.append(Row(key, f"{measure} ({ours.removeprefix('network, ')})", "highest", means[ours], rivals))
    return rows
