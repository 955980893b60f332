"""Other records than those that were trained on: what a model leaves there, before and after a constant correction."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bliqnet.data import Records
from shared import flatfile
from shared.command import InputError
from shared.held_out import on_common_values, sites_of
from shared.records import crustal
from shared.residuals import decompose

SAME_PLACE, SAME_MAG = 0.3, 0.4  # degrees and magnitude units, within which two events may be one
LEAST_EVENTS = 5  # for tau, and for a correction of an event by the others
DEVIATIONS = ("bias", "tau", "phi_s2s", "phi_ss", "phi", "sigma")
IN_SAMPLE, LEFT_OUT = "in-sample", "by the other events"


@dataclasses.dataclass(frozen=True)
class External:
    """The usable rows of a file at the periods that the model has, and what was left out of it."""

    name: str  # the file's, without its suffix
    table: pd.DataFrame  # N rows
    ln_sa: np.ndarray  # (N, P)
    columns: list[str]
    notes: list[str]
    described: dict[str, Any]  # for the provenance


def read_externals(paths: Sequence[Path], records: Records, source: flatfile.Flatfile) -> list[External]:
    """`read_external` of each of ``paths``, under names of their own; ``records`` are those of ``source``.

    Raises
    ------
    InputError
        As `read_external`; a file is named twice or is among those that are trained on.
    """
    found: list[External] = []
    for path in paths:
        one = read_external(path, records)
        known = set(source.sha256).union(*(each.described["sha256"] for each in found))
        if known & set(one.described["sha256"]):
            raise InputError(f"{path}: is trained on or named twice; --external wants other records, each file once")
        names = [each.name for each in found]
        found.append(dataclasses.replace(one, name=f"{one.name}-{len(found) + 1}") if one.name in names else one)
    return found


def read_external(path: Path, records: Records) -> External:
    """Read a flatfile to evaluate on: crustal rows where it says which are, of the components and periods of records.

    Raises
    ------
    InputError
        As `flatfile.read_flatfile`; the file has none of the periods, or no row of a trained component or crustal.
    """
    columns, components = records.columns, sorted(records.table["component"].unique())
    source = flatfile.read_flatfile(path)
    table, notes = crustal(source.table)
    known = table["component"].isin(components)
    if not known.all():
        notes.append(f"{int((~known).sum()):,} rows of a component that was not trained on are left out")
    table = table[known].reset_index(drop=True)
    twice = seen_before(table, records.table)
    if twice.any():
        names = ", ".join(table["event_id"][twice].unique()[:5])
        notes.append(f"{int(twice.sum()):,} rows of events that training may know are left out: {names}")
        table = table[~twice].reset_index(drop=True)
        if not len(table):
            raise InputError(f"{path}: every event in it is trained on; --external wants other records")
    own = flatfile.period_columns(table)
    common = [column for column in columns if column in own and table[column].notna().any()]
    if not len(table):
        raise InputError(f"{path}: no crustal row of component {' or '.join(components)}; name another --external")
    if not common:
        raise InputError(f"{path}: none of the periods {', '.join(columns)} is there; name another --external")
    lacking = len(columns) - len(common)
    notes += [f"{lacking} of the {len(columns)} periods are not there"] * bool(lacking)
    if source.synthetic:
        notes.append("these records are synthetic")
    return External(path.stem, table, flatfile.ln_sa(table, common), common, notes, source.describe())


def seen_before(table: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Which rows (N,) are of an earthquake that lies within 0.3° and 0.4 magnitude units of one in ``known``.

    Data bases give one earthquake other names, and slightly other places and magnitudes. Rows without a hypocentre
    cannot be compared.
    """
    what = ["hypo_lat", "hypo_lon", "mag"]
    events = known.groupby("event_id")[what].first().dropna().to_numpy()
    own = table[what].to_numpy(float)
    twice = np.zeros(len(table), bool)
    for lat, lon, mag in events:
        near = np.abs(own - [lat, lon, mag])
        twice |= (near[:, 0] < SAME_PLACE) & (near[:, 1] < SAME_PLACE) & (near[:, 2] < SAME_MAG)
    return twice


def external_table(external: External, medians: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per component, model and period, of residuals from ln ``medians`` (N, P) by model.

    ``n``, ``n_events``, ``n_sites``; ``bias``, ``tau``, ``phi_s2s``, ``phi_ss``, ``phi``, ``sigma`` of the
    decomposition, NaN where the records cannot tell, tau and sigma also with fewer than `LEAST_EVENTS` events;
    ``mean``, ``std`` and ``rms`` of the residuals; then, after a constant correction of each period,
    ``std_corrected`` and ``rms_corrected``, and how the constant was found, ``correction``.
    """
    parts, component = [], external.table["component"].to_numpy()
    for name in np.unique(component):
        rows = component == name
        table = external.table[rows].reset_index(drop=True)
        event, site = table["event_id"].to_numpy(), sites_of(table)
        own = {model: external.ln_sa[rows] - ln_median[rows] for model, ln_median in medians.items()}
        own = {model: each for model, each in own.items() if np.isfinite(each).any()}
        for model, residual in on_common_values(own).items():
            found = decompose(residual, event, site)
            if np.isnan(found.phi).all():
                found = decompose(residual, event)
                unknown = np.full_like(found.phi, np.nan)
                found = dataclasses.replace(found, phi_s2s=unknown, phi_ss=unknown)
            corrected, how = corrected_residual(residual, event)
            part = {"file": external.name, "component": name, "model": model, "column": external.columns}
            part |= {"period": flatfile.periods_of(external.columns), "n": found.n_records}
            part |= {"n_events": found.n_events, "n_sites": np.isfinite(found.phi_s2s) * found.n_sites}
            part |= {deviation: getattr(found, deviation) for deviation in DEVIATIONS}
            for deviation in ("tau", "sigma"):  # a spread between a few events says nothing
                part[deviation] = np.where(found.n_events < LEAST_EVENTS, np.nan, part[deviation])
            part["mean"] = pd.DataFrame(residual).mean().to_numpy()
            for suffix, values in (("", residual), ("_corrected", corrected)):
                part[f"std{suffix}"] = pd.DataFrame(values).std(ddof=0).to_numpy()
                part[f"rms{suffix}"] = np.sqrt((pd.DataFrame(values) ** 2).mean().to_numpy())
            parts.append(pd.DataFrame(part | {"correction": how}))
    return pd.concat(parts, ignore_index=True)


def corrected_residual(residual: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Residuals (N, P) less a constant a period, and how that was found at each.

    With at least `LEAST_EVENTS` events at a period, the constant of an event is the mean residual of all other events'
    records: the event has no part in it. With fewer it is the mean of all residuals, in-sample.
    """
    code = pd.factorize(event)[0]
    groups = pd.DataFrame(residual).groupby(code)
    total, count = groups.sum().to_numpy(), groups.count().to_numpy()  # (E, P)
    others = (total.sum(axis=0) - total) / np.maximum(count.sum(axis=0) - count, 1)
    left_out = (count > 0).sum(axis=0) >= LEAST_EVENTS
    constant = np.where(left_out, others[code], pd.DataFrame(residual).mean().to_numpy())
    return residual - constant, [LEFT_OUT if each else IN_SAMPLE for each in left_out]
