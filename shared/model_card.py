"""The card of a shipped model, in Markdown, from what its run says of itself: no figure in it is typed by hand.

What no run can say (what the model is, the licence of the data, known limits) are words of the publisher, whose
sections stand below the run's.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.command import InputError

Row = Mapping[str, Any]
SYNTHETIC = "> **Trained on SYNTHETIC data.** It shows how the method works, and says nothing of real earthquakes."
# columns of held-out scores that need a word, in the order of the tables
MEANINGS = {
    "n": "values",
    "bias": "mean residual, observed less predicted (ln units)",
    "event_bias": "mean of the events' mean residuals (ln units)",
    "std": "standard deviation of the residuals (ln units)",
    "r2": "share of the variance explained",
    "z_std": "standard deviation of residual over predicted sigma; 1 where the spread is right",
    "ratio_to_bssa14": "standard deviation over that of BSSA14 on the same values",
    "sigma": "standard deviation of the residuals (ln units)",
    "backbone_sigma": "the same about the model's level alone",
    "sampled_sigma": "standard deviation of the samples of a record (ln units)",
    "mae": "mean absolute error of the median",
    "crps": "continuous ranked probability score",
    "cover_50": "share of the truth within the 50 % interval",
    "cover_90": "share of the truth within the 90 % interval",
}
SCORES = {
    "test": "Held-out earthquakes, by period or frequency",
    "inverse_test": "The inverse on the same held-out earthquakes, by target",
    "splits": "Held-out segments, by block",
}
INVERSE_MEANINGS = {"bias": "mean of predicted less true value"}
UNITS = {"period": "period (s)", "frequency": "frequency (Hz)"}
LEFT_OUT = ("column", "bssa14_event_bias", "bssa14_std", "one_class")


def words_about(path: Path) -> tuple[str, str]:
    """The publisher's words: the title with what follows it, and the sections.

    Raises
    ------
    InputError
        There is no such file, or it has no title.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; write what no run can say of itself, and name it with --about")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; save it as such") from None
    if not text.startswith("# "):
        raise InputError(f"{path}: does not begin with a title; write '# What it is' into its first line")
    head, mark, sections = text.partition("\n## ")
    return head.strip(), f"## {sections.strip()}" if mark else ""


def card(
    words: tuple[str, str],
    project: str,
    config: Row,
    results: Row,
    provenance: Row,
    sizes: Mapping[str, int],
) -> str:
    """The whole card; ``sizes`` are the bytes of the checkpoints."""
    head, sections = words
    synthetic = bool(provenance.get("data", {}).get("synthetic"))
    parts = [
        head,
        SYNTHETIC if synthetic else "",
        "Data, split, scores, ranges and how it was made are written from the run's own files.",
        _data(provenance.get("data", {})),
        _split(results.get("split", {})),
        *_scores(results),
        _ranges(results.get("validity", {})),
        _made(project, config, results, provenance, sizes),
        sections,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def number(value: Any) -> str:
    """A figure as the card writes it: three decimals, or three digits of what is small; ``–`` where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e4 else f"{value:.3g}"


def table(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *([number(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _data(data: Row) -> str:
    shown = {"format": data.get("format"), "files": ", ".join(data.get("paths") or data.get("files") or ["none"])}
    digests = data.get("sha256")
    shown["SHA-256"] = ", ".join(digests if isinstance(digests, list) else [digests] if digests else [])
    for name in ("rows", "complete_rows", "labelled_rows", "records", "events", "stations", "features", "quantity"):
        shown[name.replace("_", " ")] = data.get(name)
    for name in ("components", "mechanisms"):
        shown[name] = ", ".join(f"{key} {number(count)}" for key, count in data.get(name, {}).items())
    shown["regions"] = ", ".join(data.get("regions", []))
    if "periods" in data:
        count, low, high = data["periods"]
        shown["periods"] = f"{number(count)}, {low:g} to {high:g} s (0 is PGA)"
    shown["left out, by reason"] = "; ".join(f"{reason} {n}" for reason, n in data.get("set_apart", {}).items())
    shown["notes of the reader"] = "; ".join(data.get("notes", []))
    rows = [(name, value) for name, value in shown.items() if value not in (None, "")]
    return "## Data\n\n" + table(rows, ("of all that was read", ""))


def _split(split: Row) -> str:
    if "test_share" in split:
        rows = [
            (part, *(split[part][name] for name in ("rows", "events", "stations"))) for part in ("training", "test")
        ]
        said = (
            f"By {split['grouped_by']}: a share of {split['test_share']:g} of them, drawn at random, was held out. The "
            "shipped model has not learnt from them, and the scores below are theirs."
        )
        return f"## Split\n\n{said}\n\n" + table(rows, ("part", "rows", "events", "stations"))
    if "parts" in split:
        return (
            f"## Split\n\nBy {split['grouped_by']}, {split['parts']} parts, {split['exclusion_km']:g} km left out "
            f"about each. The network that answers has learnt from all {number(split['rows'])} complete segments; the "
            f"scores below are of {split['parts']} sister networks of the same recipe, none of which has seen the part "
            "that it is judged by."
        )
    return ""


def _scores(results: Row) -> list[str]:
    held = results.get("held_out", {})
    found = {"test": results.get("test"), "inverse_test": results.get("inverse_test"), "splits": held.get("splits")}
    parts = []
    for name, rows in found.items():
        if not rows:
            continue
        if name == "splits":
            together = [("mean of the parts", held.get("mean")), ("all segments together", held.get("pooled"))]
            rows = [*rows, *({"split": said, **each} for said, each in together if each)]
        columns = [column for column in dict.fromkeys(key for row in rows for key in row) if column not in LEFT_OUT]
        meanings = MEANINGS | (INVERSE_MEANINGS if name == "inverse_test" else {})
        told = [f"{column}: {meanings[column]}" for column in columns if column in meanings]
        heads = [UNITS.get(column, column) for column in columns]
        body = table([[row.get(column) for column in columns] for row in rows], heads)
        parts.append("\n\n".join(filter(None, (f"## {SCORES[name]}", body, "; ".join(told) + "." if told else ""))))
    return parts


def _ranges(validity: Row) -> str:
    ranges = validity.get("ranges", {})
    if not ranges:
        return ""
    rows = [(name, each["low"], each["high"], each["unit"]) for name, each in ranges.items()]
    said = "Least and greatest values that it has learnt from; what lies outside is answered with a warning."
    more = [f"{name}: {', '.join(map(str, each))}" for name, each in validity.items() if name != "ranges" and any(each)]
    body = table(rows, ("input", "from", "to", "unit"))
    return "\n\n".join(filter(None, ("## Ranges of validity", said, body, "; ".join(more) + "." if more else "")))


def _made(project: str, config: Row, results: Row, provenance: Row, sizes: Mapping[str, int]) -> str:
    commit, dirty = provenance.get("git_commit") or "unknown", provenance.get("git_dirty")
    clean = {False: "", True: " with changes that are in no commit"}.get(dirty, " (no checkout)")
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items())
    command = re.sub(r"\s+", " ", str(provenance.get("command", "")))
    lines = [
        "## How it was made",
        f"```\npython {command}\npython shared/publish_run.py --project {project}\n```",
        f"On {provenance.get('time_utc', 'unknown')}, seed {config.get('seed')}, device {provenance.get('device')}, "
        f"commit {commit}{clean}; Python {provenance.get('python')}, {versions}.",
        table([(name, size) for name, size in sizes.items()], ("file", "bytes")),
    ]
    if "parameters" in results:
        lines.insert(-1, f"Learnt numbers: {number(results['parameters'])}.")
    return "\n\n".join(lines)
