"""What there is to say about a flatfile: completeness by period, and the report that ``inspect_flatfile.py`` prints."""

import pandas as pd

from shared.flatfile import Flatfile, period_columns, periods_of

UNITS = {"mag": "", "rjb": "km", "hypo_depth": "km", "vs30": "m/s", "longest_period": "s"}
LINES = 24  # periods printed; the rest are in completeness.csv


def completeness(table: pd.DataFrame) -> pd.DataFrame:
    """One row per period: ``column``, ``period_s``, and for each component the count and share of records that have it.

    Columns ``H``, ``V`` are counts, ``H_share``, ``V_share`` lie in [0, 1]; a component without records is left out.
    """
    columns = period_columns(table)
    result = pd.DataFrame({"column": columns, "period_s": periods_of(columns)})
    for component, rows in table.groupby("component"):
        present = rows[columns].notna()
        result[component] = present.sum().to_numpy()
        result[f"{component}_share"] = present.mean().to_numpy()
    return result


def report(flatfile: Flatfile) -> str:
    """The whole report as text, lines of at most about 100 characters."""
    about = flatfile.describe()
    sources = about["paths"] or ["made in memory"]
    lines = [f"{path}  (SHA-256 {digest[:12]}...)" for path, digest in zip(sources, about["sha256"], strict=True)]
    lines.append(f"format      {about['format']}" + ("   SYNTHETIC DATA" if about["synthetic"] else ""))
    rows = ", ".join(f"{count:,} {component}" for component, count in about["components"].items())
    lines.append(f"rows        {about['rows']:,} ({rows}) of {about['records']:,} recordings")
    lines.append(f"events      {about['events']:,}")
    lines.append(f"stations    {about['stations']:,}")
    lines.append("mechanisms  " + ", ".join(f"{count:,} {name}" for name, count in about["mechanisms"].items()))
    lines += ["", "ranges"]
    for name, (low, high) in about["ranges"].items():
        lines.append(f"  {name:15s} {low:9.4g} to {high:9.4g} {UNITS[name]}".rstrip())
    count, shortest, longest = about["periods"]
    lines += ["", f"completeness by period ({count} periods, {shortest:g} to {longest:g} s; 0 s is PGA)"]
    lines += _bars(completeness(flatfile.table))
    lines += ["", f"set apart   {len(flatfile.set_apart):,} rows"]
    lines += [f"  {number:7,}  {reason}" for reason, number in about["set_apart"].items()]
    lines.append(f"blanked     {sum(about['blanked'].values()):,} spectral values in rows that stay")
    lines += [f"  {number:7,}  {reason}" for reason, number in about["blanked"].items() if number]
    if flatfile.notes:
        lines += ["", "notes", *(f"  {note}" for note in flatfile.notes)]
    return "\n".join(lines)


def _bars(shares: pd.DataFrame) -> list[str]:
    components = [name for name in ("H", "V") if name in shares]
    step = -(-len(shares) // LINES)
    lines = []
    for _, row in shares.iloc[::step].iterrows():
        parts = [
            f"{name} {row[name]:7,} {row[f'{name}_share']:6.1%} {'#' * round(20 * row[f'{name}_share']):20s}"
            for name in components
        ]
        lines.append(f"  {row['column']:11s} " + "   ".join(parts).rstrip())
    if step > 1:
        lines.append(f"  (one in {step} of {len(shares)} periods; all of them in completeness.csv)")
    return lines
