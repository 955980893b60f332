"""What a catalogue says about trench segments: largest magnitude, moment, energy, counts, and shared ruptures.

An event belongs to one trench, the nearest of those whose window it lies in, and to the segments that its rupture
spans: those whose middle is within half a rupture length of it along the trench, and the one that holds it. Moment and
energy are shared equally by these, so that sums over segments are sums over events.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ml4szeq.catalogue import PLANES, Catalogue
from ml4szeq.classes import EDGES, NO_EVENT, class_names, classified
from ml4szeq.trench_geometry import Trench
from shared.command import InputError

REPEATED = 7.0  # Mw; neighbours that repeat a smaller one, given to .1, do so by chance too
GAP = 3  # segments


@dataclasses.dataclass(frozen=True)
class LabelOptions:
    """Which events count, and as what.

    Parameters
    ----------
    across
        Window of distances from the trench in km, positive towards the upper plate. The interface is seismogenic down
        to about 50 km depth, which gently dipping slabs reach 200 to 250 km behind the trench; 50 km before it leave
        room for errors of epicentres and of simplified trench lines.
    deepest
        Largest depth in km; interface earthquakes above 70 km leave out those within the slab.
    smallest
        Least Mw. Global CMT is far from complete below about 5.
    thrust_only
        Whether events whose mechanism is known count only as thrusts on the interface: by column ``thrust`` where it
        is filled, otherwise by `interface_thrusts`. Events of unknown mechanism count.
    edges
        Mw between the classes that are counted.
    spacing
        Length of a segment along the trench, km.
    """

    across: tuple[float, float] = (-50.0, 250.0)
    deepest: float = 70.0
    smallest: float = 4.5
    thrust_only: bool = True
    edges: tuple[float, ...] = EDGES[3]
    spacing: float = 50.0


def rupture_length(mag: np.ndarray) -> np.ndarray:
    """Length in km of an interface rupture of ``mag`` (Mw): Strasser et al. (2010), table 1."""
    return 10.0 ** (-2.477 + 0.585 * np.asarray(mag, dtype=float))


def seismic_moment(mag: np.ndarray) -> np.ndarray:
    """Moment in N m of ``mag`` (Mw): Hanks and Kanamori (1979), with 9.1 as Global CMT and the USGS have it."""
    return 10.0 ** (1.5 * np.asarray(mag, dtype=float) + 9.1)


def radiated_energy(mag: np.ndarray) -> np.ndarray:
    """Radiated energy in J of ``mag``: Gutenberg and Richter (1956)."""
    return 10.0 ** (1.5 * np.asarray(mag, dtype=float) + 4.8)


def interface_thrusts(table: pd.DataFrame, azimuth: np.ndarray, downgoing_side: int) -> np.ndarray:
    """Which events (N,) have a nodal plane like the interface below a trench of ``azimuth`` (N,), degrees.

    The plane dips towards the upper plate at up to 50 degrees, its strike is within 45 degrees of the trench's, its
    rake within 45 of pure thrust. True where the mechanism is not known.
    """
    if not set(PLANES) <= set(table):
        return np.ones(len(table), dtype=bool)
    strike = np.asarray(azimuth) + (180.0 if downgoing_side > 0 else 0.0)  # planes dip to the right of their strike
    like = np.zeros(len(table), dtype=bool)
    for k in (1, 2):
        turned = np.abs((table[f"strike{k}"].to_numpy() - strike + 180.0) % 360.0 - 180.0)
        rake = np.abs(table[f"rake{k}"].to_numpy() - 90.0)
        like |= (turned <= 45.0) & (table[f"dip{k}"].to_numpy() <= 50.0) & (rake <= 45.0)
    return like | table[list(PLANES)].isna().any(axis=1).to_numpy()


def label(
    segments: pd.DataFrame,
    trenches: Mapping[str, Trench],
    catalogue: Catalogue,
    options: LabelOptions | None = None,
) -> pd.DataFrame:
    """The table of segments with what the catalogue says about each.

    Parameters
    ----------
    segments
        Columns ``region``, ``segment`` and ``along_km``, the middle of the segment along the trench.
    trenches
        The trench of each region.
    catalogue
        Earthquakes; `Catalogue` names its columns. ``length_km`` takes the place of the scaling relation, ``offset_km``
        moves the middle of the rupture along the trench.
    options
        By default `LabelOptions()`.

    Returns
    -------
    DataFrame
        The same rows, with ``MR_GCMT`` (largest Mw, `NO_EVENT` where there is none), ``rupture_id`` (the event that
        gives it; empty where there is none), ``moment`` (N m) and ``energy`` (J), cumulative, and a count
        ``n_<class>`` for each class between ``options.edges``. Columns of these names are replaced.

    Raises
    ------
    InputError
        A region has no trench, or the catalogue has no event in any window.
    """
    options = options or LabelOptions()
    lacking = sorted(set(segments["region"]) - set(trenches))
    if lacking:
        raise InputError(f"region {lacking[0]} has no trench; give its line, or leave its segments out")
    events = _events_of_trenches(segments, trenches, catalogue, options)
    labelled = segments.copy()
    count = len(labelled)
    largest, ids = np.full(count, NO_EVENT), np.full(count, "", dtype=object)
    moment, energy = np.zeros(count), np.zeros(count)
    counts = np.zeros((count, len(options.edges) + 1), dtype=int)
    along = labelled["along_km"].to_numpy(dtype=float)
    for region, of_region in events.groupby("region"):
        rows = np.flatnonzero((labelled["region"] == region).to_numpy())
        distance = np.abs(along[rows] - of_region["along"].to_numpy()[:, None])  # (E, n)
        spanned = distance <= of_region["length"].to_numpy()[:, None] / 2.0
        spanned[np.arange(len(distance)), np.argmin(distance, axis=1)] = True
        share = spanned / spanned.sum(axis=1, keepdims=True)
        mag = of_region["mag"].to_numpy()
        moment[rows] = seismic_moment(mag) @ share
        energy[rows] = radiated_energy(mag) @ share
        classes = np.eye(counts.shape[1], dtype=int)[classified(mag, options.edges)]
        counts[rows] = spanned.T.astype(int) @ classes
        # the largest; of equal ones the nearest
        order = np.lexsort((distance, np.broadcast_to(-mag[:, None], distance.shape)), axis=0)
        first = np.argmax(np.take_along_axis(spanned, order, axis=0), axis=0)
        best = order[first, np.arange(len(rows))]
        hit = spanned.any(axis=0)
        largest[rows[hit]], ids[rows[hit]] = mag[best[hit]], of_region["event_id"].to_numpy()[best[hit]]
    labelled["MR_GCMT"], labelled["rupture_id"] = largest, pd.Series(ids, index=labelled.index, dtype=object)
    labelled["moment"], labelled["energy"] = moment, energy
    for k, name in enumerate(class_names(options.edges)):
        labelled[f"n_{name}"] = counts[:, k]
    return labelled


def _events_of_trenches(
    segments: pd.DataFrame, trenches: Mapping[str, Trench], catalogue: Catalogue, options: LabelOptions
) -> pd.DataFrame:
    """The events that count: region, event_id, mag, along (km, middle of the rupture) and length (km)."""
    table = catalogue.table
    table = table[(table["depth"] <= options.deepest) & (table["mag"] >= options.smallest)].reset_index(drop=True)
    nearest = np.full(len(table), np.inf)
    region, middle = np.full(len(table), "", dtype=object), np.zeros(len(table))
    offset = table["offset_km"].fillna(0.0).to_numpy() if "offset_km" in table else np.zeros(len(table))
    told = table["thrust"].to_numpy(dtype=float) if "thrust" in table else np.full(len(table), np.nan)
    for code in pd.unique(segments["region"]):
        trench, reach = trenches[code], options.spacing / 2.0
        along, across = trench.project(table["lon"].to_numpy(), table["lat"].to_numpy())
        at = segments.loc[segments["region"] == code, "along_km"].to_numpy(dtype=float)
        counts = (across >= options.across[0]) & (across <= options.across[1])
        counts &= (along >= at.min() - reach) & (along <= at.max() + reach)
        if options.thrust_only:
            azimuth = _azimuths(trench, along)
            like = interface_thrusts(table, azimuth, trench.downgoing_side)
            counts &= np.where(np.isnan(told), like, told == 1.0)
        counts &= np.abs(across) < nearest
        nearest[counts], region[counts] = np.abs(across[counts]), code
        middle[counts] = (along + offset)[counts]
    length = rupture_length(table["mag"].to_numpy())
    if "length_km" in table:
        length = table["length_km"].fillna(pd.Series(length)).to_numpy()
    found = pd.DataFrame(
        {"region": region, "event_id": table["event_id"], "mag": table["mag"], "along": middle, "length": length}
    )[region != ""]
    if not len(found):
        raise InputError(
            f"{catalogue.origin}: none of its {len(catalogue)} events is within {options.across[0]:g} to "
            f"{options.across[1]:g} km of a trench, above {options.deepest:g} km and of Mw {options.smallest:g} or "
            "more; give a catalogue of these regions, or widen the window"
        )
    return found


def _azimuths(trench: Trench, along: np.ndarray) -> np.ndarray:
    """Direction of the trench (N,), degrees, as its 50-km segments have it."""
    segments = trench.segments()
    return segments.azimuth[np.clip((along / segments.spacing).astype(int), 0, len(segments) - 1)]


def rupture_groups(table: pd.DataFrame, repeated: float = REPEATED, gap: int = GAP) -> np.ndarray:
    """Group (N,) of each segment, numbered from 0 in order of appearance: segments of one earthquake share it.

    By ``rupture_id`` where the table has any; segments whose id is empty are alone. The published table has none: there
    segments of a region with the same ``MR_GCMT`` of at least ``repeated`` are one earthquake, across up to ``gap``
    other segments. A rupture is interrupted where a segment had a larger earthquake, or the table misses it. Two
    earthquakes of one magnitude side by side become one group, which is the safe error. Other segments are alone.
    """
    names = [f"segment {i}" for i in range(len(table))]
    given = table["rupture_id"].fillna("").astype(str).str.strip().to_list() if "rupture_id" in table else []
    if any(given):
        names = [f"rupture {each}" if each else alone for each, alone in zip(given, names, strict=True)]
    elif "MR_GCMT" in table:
        order = np.lexsort((table["segment"].to_numpy(), table["region"].astype(str).to_numpy()))
        region, segment = table["region"].to_numpy(), table["segment"].to_numpy()
        mag = table["MR_GCMT"].to_numpy(dtype=float)
        last: dict[tuple, int] = {}  # the latest segment of a region and magnitude
        for i in order:
            key = (region[i], mag[i])
            before = last.get(key)
            if mag[i] >= repeated:
                if before is not None and segment[i] - segment[before] <= gap + 1:
                    names[i] = names[before]
                last[key] = i
    return pd.factorize(np.asarray(names, dtype=object))[0]
