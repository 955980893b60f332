"""A flatfile that nobody recorded: shaped like NGA-West2, with its medians and its event, site and record terms known.

It lets every command run without a download, and shows whether a method finds what is there: the truth lies beside the
table, never in it. Everything made here says so: identifiers begin with ``synthetic``, a column of that name is true.

ln SA = median + event term + site term + record term, for each component and period:

- median: BSSA14 for H, with the V/H ratio of Gülerce and Abrahamson (2011) for V (`shared.reference_gmm`);
- event terms with BSSA14's tau, site and record terms whose variances add up to BSSA14's phi squared. So BSSA14 is the
  best possible model of unknown events and sites here. `site_to_site` is what single-station phi (Al Atik 2015) leaves
  of phi, the mean of small and large magnitudes, since a site's term knows no magnitude;
- all terms correlated between periods as in Baker and Jayaram (2008), and between H and V with `CORRELATION_H_V`.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from shared.command import InputError
from shared.flatfile_formats import periods_of
from shared.reference_gmm import baker_jayaram_2008, bssa14, reference_median

if TYPE_CHECKING:
    from shared.flatfile import Flatfile

# The periods of the CVAE and BLiqNet papers (Neelamraju et al. 2025, 2026)
_PERIODS = (*(k / 100 for k in range(1, 10)), 0.15, 0.2, 0.3, *(k / 10 for k in range(5, 11)), 1.2, 1.5, 2.0, 3.0, 4.0)
AUTHORS_COLUMNS = ("PGA", *(f"SA({period:.3f})" for period in _PERIODS))

TERMS = ("median", "event", "site", "record")
# V/H varies less than H and V do: the standard deviations of ln V/H in Gülerce and Abrahamson (2011), .23 between and
# .45 within events at short periods, and BSSA14's of H imply correlations of .7 to .85.
CORRELATION_H_V = 0.75
# Single-station phi (Al Atik 2015, PEER 2015/07, global model): period (s), at M <= 5, at M >= 6.5
_PHI_SS = np.array(
    [
        (0.01, 0.5477, 0.3505),
        (0.1, 0.5361, 0.3505),
        (0.2, 0.5240, 0.3659),
        (0.5, 0.4923, 0.4170),
        (1.0, 0.4519, 0.4257),
        (2.0, 0.4026, 0.4026),
        (3.0, 0.3775, 0.3775),
        (10.0, 0.3519, 0.3519),
    ]
)
_CENTRES = np.array([(34.2, -117.5), (37.5, -121.0), (35.5, 136.5), (39.5, 31.0)])  # degrees; where networks are dense
_HALF_SIDE = 200.0  # km, of the square that holds a region's stations
_KM_PER_DEGREE = 111.195  # a sphere of 6,371 km


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """A synthetic flatfile and its truth, row by row."""

    table: pd.DataFrame  # canonical columns (CONVENTIONS.md) and ``synthetic``
    truth: pd.DataFrame  # same index: truth_<median, event, site, record>_<column> in ln g, at all periods
    seed: int


def make_flatfile(
    seed: int = 0, *, n_events: int = 325, n_rows: int = 23_929, columns: Sequence[str] = AUTHORS_COLUMNS
) -> Synthetic:
    """Make ``n_rows`` horizontal and vertical rows of ``n_events`` earthquakes; the same seed, the same bits.

    A recording is a row H and a row V; where ``n_rows`` is odd, one recording lacks its V. A few events have hundreds
    of recordings, most have a handful. Spectra beyond a recording's ``longest_period`` are NaN in the table and present
    in the truth.

    Raises
    ------
    InputError
        Fewer than two rows an event, no events or no columns, or a column that the median has no period for.
    """
    if n_events < 1 or n_rows < 2 * n_events or not columns:
        raise InputError(
            f"{n_events} events in {n_rows} rows of {len(columns)} spectra: give two or more rows an event"
        )
    generator = np.random.default_rng(seed)
    columns = list(columns)
    events, stations, pairs = _recordings(generator, n_events, (n_rows + 1) // 2)
    table = _predictors(generator, events, stations, pairs)

    event, station = (np.repeat(position, 2) for position in pairs)  # recordings -> rows H, V, H, V ...
    vertical = np.tile([0, 1], len(table))
    table = table.loc[table.index.repeat(2)].assign(component=np.array(["H", "V"])[vertical])
    reference = reference_median(table, columns)
    uncovered = np.isnan(reference.ln_median).all(axis=0)
    if uncovered.any():
        raise InputError(f"column {columns[int(uncovered.argmax())]}: outside BSSA14's 0.01 to 10 s; leave it out")
    correlation = baker_jayaram_2008(periods_of(columns))
    event_unit = _unit_terms(generator, n_events, correlation)[event, vertical]
    site_unit = _unit_terms(generator, len(stations), correlation)[station, vertical]
    record_unit = _unit_terms(generator, len(table) // 2, correlation).reshape(-1, len(columns))
    phi_s2s = site_to_site(columns)
    terms = {  # (N, P) each
        "median": reference.ln_median,
        "event": reference.tau * event_unit,
        "site": phi_s2s * site_unit,
        "record": np.sqrt(reference.phi**2 - phi_s2s**2) * record_unit,
    }
    spectra = np.exp(sum(terms.values()))
    usable = periods_of(columns) <= table["longest_period"].to_numpy()[:, None]
    kept = np.arange(len(table))
    if n_rows % 2:
        kept = np.delete(kept, 2 * generator.integers(len(table) // 2) + 1)
    table = table.reset_index(drop=True).join(pd.DataFrame(np.where(usable, spectra, np.nan), columns=columns))
    truth = pd.concat([pd.DataFrame(terms[t], columns=[f"truth_{t}_{c}" for c in columns]) for t in TERMS], axis=1)
    return Synthetic(
        table=table.assign(synthetic=True).iloc[kept].reset_index(drop=True),
        truth=truth.iloc[kept].reset_index(drop=True),
        seed=seed,
    )


def as_flatfile(synthetic: Synthetic) -> "Flatfile":
    """The table as what `shared.flatfile` reads from disk, marked synthetic; its SHA-256 is of the content."""
    from shared.flatfile import Flatfile  # here, so that neither module needs the other to be imported

    content = hashlib.sha256(",".join(synthetic.table.columns).encode())
    content.update(pd.util.hash_pandas_object(synthetic.table).to_numpy().tobytes())
    return Flatfile(
        table=synthetic.table,
        set_apart=pd.DataFrame(columns=["file", "row", "component", "reason"]),
        format="synthetic (BSSA14)",
        paths=(),
        sha256=(content.hexdigest(),),
        notes=(f"synthetic: nobody recorded this; seed {synthetic.seed}",),
        synthetic=True,
        blanked={},
    )


# --- variability -----------------------------------------------------------------------------------------------------
def site_to_site(columns: Sequence[str]) -> np.ndarray:
    """phi_S2S (P,): what single-station phi leaves of BSSA14's phi, the mean variance of small and large magnitudes."""
    ends = pd.DataFrame({"mag": [4.5, 6.5], "mechanism": "U", "rjb": 30.0, "vs30": 500.0})
    ln_periods = np.log(np.maximum(periods_of(columns), 0.01))
    phi_ss = np.array([np.interp(ln_periods, np.log(_PHI_SS[:, 0]), end) for end in _PHI_SS[:, 1:].T])  # (2, P)
    return np.sqrt(np.mean(bssa14(ends, columns).phi ** 2 - phi_ss**2, axis=0))


def _unit_terms(generator: np.random.Generator, count: int, correlation: np.ndarray) -> np.ndarray:
    """Standard normal terms (count, 2, P): correlated between periods, and between H and V."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))  # of the nearest matrix that is a correlation, up to its scale
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    # einsum and not BLAS, whose last bits depend on the number of threads
    terms = np.einsum("ckq,pq->ckp", generator.standard_normal((count, 2, len(root))), root)
    terms[:, 1] = CORRELATION_H_V * terms[:, 0] + np.sqrt(1 - CORRELATION_H_V**2) * terms[:, 1]
    return terms


# --- who recorded what -----------------------------------------------------------------------------------------------
def _recordings(
    generator: np.random.Generator, n_events: int, n_recordings: int
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[np.ndarray, np.ndarray]]:
    """Events, stations and which event (R,) was recorded where (R,).

    Two catalogues in one, as in NGA-West2: small events of dense networks, and moderate to large ones of which a few
    have hundreds of records, out to large distances, and most have some, close by.
    """
    regions = int(np.clip(n_events // 20, 1, len(_CENTRES)))
    n_stations = max(round(0.33 * n_recordings), 3 * regions * -(-n_recordings // n_events))
    stations = _places(generator, np.arange(n_stations) % regions, _HALF_SIDE)
    stations["vs30"] = np.exp(_truncated(generator, n_stations, np.log(400), 0.4, *np.log([150, 1500])))
    events = _events(generator, n_events, regions)

    small, mag = events["mag"].to_numpy() < 5, events["mag"].to_numpy()
    expected = np.where(small, 35.0, 7.0 * np.exp(0.9 * (mag - 6)))
    weights = expected * np.exp(np.where(small, 0.8, 1.5) * generator.standard_normal(n_events))
    most = int(0.6 * (n_stations // regions))
    counts = np.ones(n_events, dtype=int)
    while (short := n_recordings - counts.sum()) > 0:
        room = weights * (counts < most)
        counts = np.minimum(counts + generator.multinomial(short, room / room.sum()), most)

    reach = np.where(small, np.clip(60 + 55 * (mag - 3), 60, 100), 25 * (counts / 3) ** 0.35)  # km
    places, home = stations[["lat", "lon"]].to_numpy(), stations["region"].to_numpy()
    recorded = []
    for k, (lat, lon, region) in enumerate(events[["lat", "lon", "region"]].to_numpy()):  # all at once would be (E, S)
        distance, _ = _distance_azimuth(np.array([lat, lon]), places)  # (S,)
        chance = generator.gumbel(size=n_stations) - (distance / reach[k]) ** 2
        chance[home != region] = -np.inf
        recorded.append(np.sort(np.argpartition(-chance, counts[k] - 1)[: counts[k]]))
    return events, stations, (np.repeat(np.arange(n_events), counts), np.concatenate(recorded))


def _places(generator: np.random.Generator, region: np.ndarray, half_side: float) -> pd.DataFrame:
    """Points spread evenly over the square of their region: lat, lon (degrees), region."""
    north, east = generator.uniform(-half_side, half_side, (2, len(region))) / _KM_PER_DEGREE
    lat, lon = _CENTRES[region].T
    return pd.DataFrame({"lat": lat + north, "lon": lon + east / np.cos(np.radians(lat)), "region": region})


def _events(generator: np.random.Generator, count: int, regions: int) -> pd.DataFrame:
    """Hypocentres and straight ruptures: lat, lon, region, mag, mechanism, rake, dip, strike (degrees), depths, km."""
    events = _places(generator, generator.integers(regions, size=count), 0.7 * _HALF_SIDE)
    small = generator.random(count) < 0.48
    mag = np.where(small, _truncated(generator, count, 4.0, 0.45, 3.0, 5.0), generator.triangular(5.0, 5.7, 7.9, count))
    mechanism = generator.choice(["SS", "NM", "RV"], count, p=[0.62, 0.13, 0.25])
    of = {"SS": (0.0, 82.0), "NM": (-90.0, 55.0), "RV": (90.0, 42.0)}  # rake and dip
    rake, dip = np.array([of[name] for name in mechanism]).T
    rake = np.where((mechanism == "SS") & (generator.random(count) < 0.5), 180.0, rake)
    rake = rake + np.round(generator.uniform(-28, 28, count))
    events["mag"], events["mechanism"] = np.round(mag, 2), mechanism
    events["rake"] = np.where(rake > 180, rake - 360, rake)
    events["dip"] = np.round(dip + generator.uniform(-8, 8, count))
    events["strike"] = generator.uniform(0, 360, count)
    events["hypo_depth"] = np.exp(_truncated(generator, count, np.log(9.5), 0.42, *np.log([2, 20]))).round(2)
    # Wells and Coppersmith (1994), all slip types: subsurface length and width, the width within 18 km of crust
    sine = np.sin(np.radians(events["dip"]))
    events["length"] = 10 ** (-2.44 + 0.59 * mag)
    events["width"] = np.minimum(10 ** (-1.01 + 0.32 * mag), 18 / sine)
    events["before"] = events["length"] * generator.uniform(0.1, 0.9, count)  # of the hypocentre, along strike
    above = events["width"] * sine * generator.uniform(0.3, 0.9, count)
    events["ztor"] = np.maximum(events["hypo_depth"] - above, 0)
    return events


def _predictors(
    generator: np.random.Generator, events: pd.DataFrame, stations: pd.DataFrame, pairs: tuple[np.ndarray, np.ndarray]
) -> pd.DataFrame:
    """The canonical columns, but for ``component``, of each recording."""
    event, station = events.iloc[pairs[0]].reset_index(drop=True), stations.iloc[pairs[1]].reset_index(drop=True)
    repi, azimuth = _distance_azimuth(event.to_numpy()[:, :2], station.to_numpy()[:, :2])
    rjb, rrup = _rupture_distances(event, repi, azimuth)
    # fitted by eye to NGA-West2: half of the records end at 1.75 s up to M 3.6, nearly all above M 5.5 reach 4 s
    longest = 1.75 * np.exp(0.73 * (event["mag"] - 3.6).clip(lower=0) + 0.35 * generator.standard_normal(len(event)))
    return pd.DataFrame(
        {
            "record_id": [f"synthetic-R{k:05d}" for k in range(len(event))],
            "event_id": [f"synthetic-E{k:04d}" for k in pairs[0]],
            "station_id": [f"synthetic-S{k:05d}" for k in pairs[1]],
            **event[["mag", "rake", "mechanism", "hypo_depth"]],
            "rjb": rjb,
            "rrup": rrup,
            "repi": repi,
            "rhypo": np.hypot(repi, event["hypo_depth"]),
            "vs30": station["vs30"],
            **event[["ztor", "dip"]],
            "hypo_lat": event["lat"],
            "hypo_lon": event["lon"],
            "station_lat": station["lat"],
            "station_lon": station["lon"],
            "region": "synthetic " + event["region"].map(dict(enumerate("ABCD"))),
            "tectonic": "crustal",
            "component": "H",
            "longest_period": longest.clip(0.5, 20.0),
            "shortest_period": 0.01,
        }
    )


def _rupture_distances(event: pd.DataFrame, repi: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rjb and Rrup (R,), km, from sites at ``repi`` and ``azimuth`` (radians) to rectangles dipping right of strike."""
    towards = azimuth - np.radians(event["strike"].to_numpy())
    along, across = repi * np.cos(towards), repi * np.sin(towards)  # from the epicentre
    length, width, before, ztor = (event[name].to_numpy() for name in ("length", "width", "before", "ztor"))
    cosine, sine = np.cos(np.radians(event["dip"].to_numpy())), np.sin(np.radians(event["dip"].to_numpy()))
    across = across + (event["hypo_depth"].to_numpy() - ztor) * cosine / sine  # from the top edge
    along = along - np.clip(along, -before, length - before)
    rjb = np.hypot(along, across - np.clip(across, 0, width * cosine))
    down = np.clip(across * cosine - ztor * sine, 0, width)  # foot of the perpendicular on the plane
    rrup = np.sqrt(along**2 + (across - down * cosine) ** 2 + (ztor + down * sine) ** 2)
    return rjb, rrup


def _distance_azimuth(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Great-circle distance (km) and azimuth (radians) between points (..., 2) of latitude and longitude in degrees."""
    (lat, lon), (end_lat, end_lon) = (np.moveaxis(np.radians(p.astype(float)), -1, 0) for p in (start, end))
    half = np.sin((end_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(end_lat) * np.sin((end_lon - lon) / 2) ** 2
    east = np.sin(end_lon - lon) * np.cos(end_lat)
    north = np.cos(lat) * np.sin(end_lat) - np.sin(lat) * np.cos(end_lat) * np.cos(end_lon - lon)
    return _KM_PER_DEGREE * np.degrees(2 * np.arcsin(np.sqrt(half))), np.arctan2(east, north)


def _truncated(
    generator: np.random.Generator, count: int, mean: float, deviation: float, low: float, high: float
) -> np.ndarray:
    """Normal values (count,) between ``low`` and ``high``."""
    ends = (low - mean) / deviation, (high - mean) / deviation
    return stats.truncnorm.rvs(*ends, loc=mean, scale=deviation, size=count, random_state=generator)
