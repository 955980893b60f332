"""What a trained network says of a table that it may never have seen."""

import numpy as np
import pandas as pd

from ml4szeq import metrics
from ml4szeq.classes import classified
from ml4szeq.features import unit_of
from ml4szeq.segments import LABEL, PLACE, Segments
from ml4szeq.sessions import said
from ml4szeq.trained import Classifier
from shared.validity import beyond


def predictions(network: Classifier, segments: Segments) -> tuple[pd.DataFrame, list[str]]:
    """One row a segment in the table's order, and what a user ought to know.

    Columns: place, `LABEL` and ``observed`` where the table has labels, ``class`` (name), ``predicted`` (its number),
    ``missing_features`` (replaced by medians of training), ``magnitude`` where the network has a head for it, and
    ``prob_<class>``, the highest class last.
    """
    table = segments.table
    found = table[[name for name in PLACE if name in table]].copy()
    if not np.isnan(segments.magnitude).all():
        found[LABEL] = segments.magnitude
        found["observed"] = classified(segments.magnitude, network.edges)
    numbers = said(network, table)
    found["class"] = np.array(network.names)[numbers["predicted"]]
    found["predicted"] = numbers["predicted"]
    found["missing_features"] = table[list(network.features)].isna().sum(axis=1)
    if "magnitude" in numbers:
        found["magnitude"] = numbers["magnitude"]
    made = segments.synthetic or network.about.get("provenance", {}).get("data", {}).get("synthetic", False)
    if made:
        found["synthetic"] = True  # so that maps of it say so
    for name in network.names:
        found[f"prob_{name}"] = numbers[f"prob_{name}"]
    notes = []
    lacking = int((found["missing_features"] > 0).sum())
    if lacking:
        notes.append(f"{lacking} segments lack a feature; the median of the training segments stands in for it")
    notes += beyond(table, network.about.get("ranges", {}), {name: unit_of(name) for name in table}, rows="segments")
    new = sorted(set(table["region"]) - set(network.regions))
    if new:
        notes.append(f"region {', '.join(new)}: not among those learnt from ({', '.join(network.regions)})")
    if made:
        notes.append("the network has learnt from, or is asked about, synthetic segments")
    return found, notes


def scores_text(network: Classifier, table: pd.DataFrame) -> str:
    """Counts of the predicted classes, and scores where labels are known."""
    counts = ", ".join(f"{name} {int((table['class'] == name).sum())}" for name in network.names)
    said_ = f"predicted: {counts}"
    known = table[table["observed"] >= 0] if "observed" in table else table.iloc[:0]
    if len(known):
        probability = known[[f"prob_{name}" for name in network.names]].to_numpy()
        scores = metrics.scored(known["observed"].to_numpy(), probability, network.edges)
        one = "; one class only is observed" if scores["one_class"] else ""
        said_ += (
            f"\n{len(known)} labelled segments: accuracy {scores['accuracy']:.3f}, "
            f"macro-F1 {scores['macro_f1']:.3f}{one} (in sample where the network has learnt from them)"
        )
    return said_
