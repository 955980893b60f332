"""What the generator must reach, what was measured, and whether it did."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cgm_gm.comparison import BASELINE, NON_ERGODIC, OURS, PUBLISHED, REFITTED, RICHER
from cgm_gm.fas import FREQUENCIES

BIAS, ABOVE_GP, CORRELATION, VARIABILITY, ROUND_TRIP = 0.1, 0.05, 0.8, 0.15, 0.02
ARRIVALS = {"P": 0.5, "S": 0.8}  # s, median absolute errors
DISCRIMINATIVE = 0.25
FACTORS = {REFITTED: 1.0, RICHER: 1.0, PUBLISHED: 1.0, BASELINE: 1.0, NON_ERGODIC: 1.0 + ABOVE_GP}
CORRELATED = (2.0, 5.0)  # Hz
SEEN = ", ON RECORDS SEEN IN TRAINING: this says nothing of new earthquakes"
MET = {True: "met", False: "MISSED"}


def targets(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row a target: ``target``, ``at``, ``measured``, ``wanted``, ``reached`` (True, False; None where unmeasured).

    ``tables`` are those of `evaluation`; one that lacks leaves its targets unmeasured.
    """
    made = (_bias, _deviations, _maps, _variability, _round_trip, _arrivals, _discriminative)
    rows = [row for make in made for row in make(tables)]
    return pd.DataFrame(rows, columns=["target", "at", "measured", "wanted", "reached"])


def _row(target: str, at: str, measured: float, limit: float, below: bool = True, size: bool = False) -> tuple:
    wanted = f"{'|.| ' if size else ''}{'<' if below else '>'} {limit:.3g}"
    if np.isnan(measured) or not np.isfinite(limit):
        return (target, at, np.nan, wanted if np.isfinite(limit) else "–", None)
    value = abs(measured) if size else measured
    return (target, at, measured, wanted, bool(value < limit if below else value > limit))


def _of(table: pd.DataFrame, model: str, part: str) -> dict[float, float]:
    rows = table[table["model"] == model]
    return dict(zip(rows["measure"], rows[part], strict=True))


def _bias(tables) -> list[tuple]:
    found = _of(tables["fas"], OURS, "bias")
    return [_row("FAS bias (ln units)", f"{each:g} Hz", found[each], BIAS, size=True) for each in FREQUENCIES]


def _deviations(tables) -> list[tuple]:
    rows, ours = [], _of(tables["fas"], OURS, "deviation")
    for other, factor in FACTORS.items():
        theirs = _of(tables["fas"], other, "deviation")
        name = f"deviation of FAS residuals, {other}" + (" plus 5 %" if factor != 1.0 else "")
        for each in FREQUENCIES:
            rows.append(_row(name, f"{each:g} Hz", ours[each], factor * theirs.get(each, np.nan)))
    return rows


def _maps(tables) -> list[tuple]:
    if "map_likeness" not in tables:
        return []
    table = tables["map_likeness"]
    found = table[table["model"] == OURS].set_index("frequency")["correlation"]
    name = "correlation of maps with the truth"
    rows = [_row(name, f"{each:g} Hz", found[each], CORRELATION, below=False) for each in CORRELATED]
    apart = table[table["model"] == OURS].set_index("frequency")["of_places"]
    name = "the same, without the ergodic part"  # which any model of distance gets right
    return rows + [(name, f"{each:g} Hz", float(apart[each]), "", None) for each in CORRELATED]


def _variability(tables) -> list[tuple]:
    rows, name = [], "sampled over observed deviation of FAS, less 1"
    for measure, ratio in zip(tables["spread"]["measure"], tables["spread"]["ratio"], strict=True):
        rows.append(_row(name, f"{measure:g} Hz", ratio - 1.0, VARIABILITY, size=True))
    return rows


def _round_trip(tables) -> list[tuple]:
    table, name = tables["phase"], "FAS bias of Griffin-Lim (published network only; ln units)"
    pairs = zip(table["frequency"], table["bias"], strict=True)
    return [_row(name, f"{frequency:g} Hz", bias, ROUND_TRIP, size=True) for frequency, bias in pairs]


def _arrivals(tables) -> list[tuple]:
    rows, name = [], "median absolute error of arrivals, missed ones inf (s)"
    if "arrivals" not in tables:
        return [_row(name, phase, np.nan, limit) for phase, limit in ARRIVALS.items()]
    table = tables["arrivals"]
    found = table.set_index(["of", "phase"])["median_absolute_missed_inf"]
    rows = [_row(name, phase, float(found["generated", phase]), limit) for phase, limit in ARRIVALS.items()]
    same = "the same picker on the observed records (s)"  # what it cannot do on these it cannot do on generated ones
    return rows + [(same, phase, float(found["observed", phase]), "", None) for phase in ARRIVALS]


def _discriminative(tables) -> list[tuple]:
    name = "discriminative score"
    if "discriminative" not in tables:
        return [_row(name, "", np.nan, DISCRIMINATIVE)]
    table = tables["discriminative"]
    return [
        _row(name, f"amplitude {kind}", score, DISCRIMINATIVE)
        for kind, score in zip(table["amplitude"], table["score"], strict=True)
    ]


def text(table: pd.DataFrame, seen: bool) -> str:
    """`targets` for the terminal."""
    lines = [f"{'target':58} {'at':18} {'measured':>9}  wanted"]
    for _, row in table.iterrows():
        measured = "–" if np.isnan(row["measured"]) else f"{row['measured']:.3f}"
        said = MET.get(row["reached"], "not measured" if row["wanted"] else "")
        lines.append(f"{row['target'][:58]:58} {row['at']:18} {measured:>9}  {row['wanted']:10} {said}")
    known = [each for each in table["reached"] if each is not None]
    count = int((table["wanted"] != "").sum())
    lines.append(f"{sum(known)} of {count} targets met, {count - len(known)} not measured" + SEEN * seen)
    return "\n".join(lines)
