"""The flatfile formats we know: how each names its columns, and which format a header is.

Nothing here touches a file or a number. `recognise` reads a header; `shared/flatfile_convert.py` reads the rows.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from shared.command import InputError

TEXT_COLUMNS = ("record_id", "event_id", "station_id", "mechanism", "region", "tectonic", "component")
CANONICAL = (
    *("record_id", "event_id", "station_id", "mag", "rake", "mechanism", "hypo_depth"),
    *("rjb", "rrup", "repi", "rhypo", "vs30", "ztor", "dip"),
    *("hypo_lat", "hypo_lon", "station_lat", "station_lon", "region", "tectonic", "component"),
    *("longest_period", "shortest_period"),
)
PREDICTORS = ("mag", "rjb", "hypo_depth", "vs30")  # a row that lacks one of these cannot be modelled
_SA = re.compile(r"SA\((\d+(?:\.\d+)?)\)")


# --- names of spectral columns ---------------------------------------------------------------------------------------
def column_of(period: float) -> str:
    """Column name of a period in s: 0.0 is ``"PGA"``, 0.2 is ``"SA(0.200)"``."""
    return "PGA" if period == 0.0 else f"SA({period:.3f})"


def periods_of(columns: Iterable[str]) -> np.ndarray:
    """Periods (P,) in s of spectral columns; PGA is 0.0. Raises ``ValueError`` for any other column."""
    return np.array([_period(column) for column in columns])


def _period(column: str) -> float:
    if column == "PGA":
        return 0.0
    found = _SA.fullmatch(column)
    if found is None:
        raise ValueError(f"{column!r} is not a spectral column: expected 'PGA' or 'SA(0.200)'")
    return float(found[1])


def is_spectral(column: str) -> bool:
    """Whether a canonical column name is PGA or SA(...)."""
    return column == "PGA" or _SA.fullmatch(column) is not None


# --- formats ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Spectra:
    """How one component's spectral columns are written: a pattern, and what its groups say."""

    component: str  # "H", "V", or "" where a column of the file or the file itself says so
    pattern: str
    period: Callable[[re.Match], float]  # in s
    pga: str  # pattern of the PGA column
    example: str


@dataclass(frozen=True)
class Format:
    """A flatfile format. ``columns`` maps a canonical name to the names it goes by, the most trusted first.

    Some names are not canonical but are turned into canonical ones: ``lowest_frequency`` and ``highest_frequency`` (Hz)
    into periods, ``log_vs30`` into ``vs30`` (``log_rjb`` tells its base), ``network_id`` into the front of
    ``station_id``.
    """

    name: str
    family: str  # files of one family share event and station numbers
    columns: dict[str, tuple[str, ...]]
    spectra: tuple[Spectra, ...]
    required: tuple[str, ...] = ("event_id", *PREDICTORS)
    to_g: float = 1.0  # factor from the file's unit of acceleration to g
    mechanisms: dict[str, str] = field(default_factory=dict)  # codes beyond the plain words
    constants: dict[str, str] = field(default_factory=dict)


def _decimal(found: re.Match) -> float:
    return float(found[1])


def _split_decimal(found: re.Match) -> float:
    return float(f"{found[1]}.{found[2]}")


def _from_frequency(found: re.Match) -> float:
    # frequencies are printed with four decimals (0.1333 Hz is 7.5 s), which leaves three digits of the period
    return float(f"{1.0 / float(found[1]):.3g}")


_T_COLUMNS = Spectra("", r"t(\d+\.\d+)s", _decimal, r"pga( ?\(g\))?", "T0.200S")
_SA_COLUMNS = Spectra("", r"sa\((\d+(?:\.\d+)?)\)", _decimal, r"pga", "SA(0.200)")
# Mechanism codes of the NGA-West2 flatfile (Ancheta et al. 2013): obliques go with their dip-slip part
_PEER_CODES = {"0": "SS", "1": "NM", "2": "RV", "3": "RV", "4": "NM"}

_OWN_NAMES = {name: (name,) for name in CANONICAL}

CONVENTIONS = Format("canonical table (CONVENTIONS.md)", "canonical", _OWN_NAMES, (_SA_COLUMNS,))

EGSIM = Format(
    "OpenQuake/eGSIM",
    "eGSIM",
    _OWN_NAMES
    | {
        "record_id": ("gmid", "record_id"),
        "event_id": ("event_id", "evt_id", "ev_id"),
        "station_id": ("station_id", "sta_id"),
        "mag": ("magnitude", "mag"),
        "mechanism": ("style_of_faulting", "mechanism"),
        "hypo_depth": ("event_depth", "evt_depth", "hypocenter_depth", "hypo_depth"),
        "ztor": ("depth_top_of_rupture", "ztor"),
        "hypo_lat": ("event_latitude", "evt_lat", "hypo_lat"),
        "hypo_lon": ("event_longitude", "evt_lon", "hypo_lon"),
        "station_lat": ("station_latitude", "sta_lat", "station_lat"),
        "station_lon": ("station_longitude", "sta_lon", "station_lon"),
        "tectonic": ("tectonic_environment", "tectonic_region", "tectonic"),
    },
    (_SA_COLUMNS,),
)

PEER = Format(
    "PEER NGA-West2",
    "PEER",
    {
        "record_id": ("Record Sequence Number",),
        "event_id": ("EQID",),
        "station_id": ("Station Sequence Number", "Station ID No.", "Station Name"),
        "mag": ("Earthquake Magnitude",),
        "rake": ("Rake Angle (deg)",),
        "mechanism": ("Mechanism Based on Rake Angle",),
        "hypo_depth": ("Hypocenter Depth (km)",),
        "rjb": ("Joyner-Boore Dist. (km)",),
        "rrup": ("ClstD (km)",),
        "repi": ("EpiD (km)",),
        "rhypo": ("HypD (km)",),
        "vs30": ("Vs30 (m/s) selected for analysis",),
        "ztor": ("Depth to Top Of Fault Rupture Model",),
        "dip": ("Dip (deg)",),
        "hypo_lat": ("Hypocenter Latitude (deg)",),
        "hypo_lon": ("Hypocenter Longitude (deg)",),
        "station_lat": ("Station Latitude",),
        "station_lon": ("Station Longitude",),
        "component": ("component",),
        "lowest_frequency": (
            *("Lowest Usable Freq - Ave. Component (Hz)", "Lowest Usable Freq - V (Hz)"),
            *("Lowest Usable Freq - Vertical (Hz)", "Lowest Usable Freq - Vert. (Hz)"),
        ),
    },
    (_T_COLUMNS,),
    mechanisms=_PEER_CODES,
    constants={"tectonic": "crustal"},  # NGA-West2 holds shallow crustal events only
)

NZSMD = Format(
    "NZSMD",
    "NZSMD",
    {
        "record_id": ("Record",),
        "event_id": ("CuspID",),
        "station_id": ("SiteCode",),
        "mag": ("Mw",),
        "rake": ("Rake",),
        "mechanism": ("Mech",),
        "hypo_depth": ("HypDepth_km",),
        "rjb": ("Rjb_km",),
        "rrup": ("Rrup_km",),
        "repi": ("Repi_km",),
        "rhypo": ("Rhyp_km",),
        "vs30": ("Vs30",),
        "ztor": ("ZTOR_km",),
        "dip": ("Dip",),
        "hypo_lat": ("HypLat",),
        "hypo_lon": ("HypLon",),
        "station_lat": ("StationLat",),
        "station_lon": ("StationLon",),
        "tectonic": ("TectClass",),
        "lowest_frequency": ("fmin",),
        "highest_frequency": ("fmax",),
    },
    (
        Spectra("H", r"f(\d+\.\d+)sa_rotd50", _from_frequency, r"pga_rotd50", "f5.0000SA_RotD50"),
        Spectra("V", r"f(\d+\.\d+)sa_vert", _from_frequency, r"pga(_vert)?", "f5.0000SA_Vert"),
    ),
    mechanisms={"o": "RV"},  # oblique with a reverse part
    constants={"region": "New Zealand"},
)

ESM = Format(
    "ESM",
    "ESM",
    {
        "event_id": ("event_id",),
        "network_id": ("network_code",),
        "station_id": ("station_code",),
        "mag": ("Mw", "EMEC_Mw"),
        "rake": ("es_rake",),
        "mechanism": ("fm_type_code",),
        "hypo_depth": ("ev_depth_km",),
        "rjb": ("JB_dist",),
        "rrup": ("rup_dist",),
        "repi": ("epi_dist", "EpiD"),
        "vs30": ("vs30_m_sec",),
        "ztor": ("es_z_top",),
        "dip": ("es_dip",),
        "hypo_lat": ("ev_latitude",),
        "hypo_lon": ("ev_longitude",),
        "station_lat": ("st_latitude",),
        "station_lon": ("st_longitude",),
        "region": ("ev_nation_code",),
    },
    (
        Spectra("H", r"rotd50_t(\d+)_(\d+)", _split_decimal, r"rotd50_pga", "rotD50_T0_200"),
        Spectra("V", r"w_t(\d+)_(\d+)", _split_decimal, r"w_pga", "W_T0_200"),
    ),
    to_g=1.0 / 980.665,  # cm/s2
    mechanisms={"o": "U"},  # oblique of either sign: the rake decides
)

AUTHORS = Format(
    "31-column CSV of the CVAE and BLiqNet papers",
    "authors",
    {
        "mag": ("eqm",),
        "mechanism": ("ftype",),
        "hypo_depth": ("hyp",),
        "rjb": ("dist",),
        "log_rjb": ("log_dist",),
        "log_vs30": ("log_vs30",),
        "component": ("dir",),
    },
    (_T_COLUMNS,),
    required=("mag", "mechanism", "hypo_depth", "rjb", "log_vs30", "component"),
    mechanisms=_PEER_CODES,
)

FORMATS = (CONVENTIONS, EGSIM, PEER, NZSMD, ESM, AUTHORS)


# --- telling them apart ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Match:
    """A header read as one format: positions of the columns in the file."""

    format: Format
    header: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]  # canonical name -> columns, the most trusted first
    spectra: dict[str, dict[str, int]]  # component -> canonical spectral name -> column
    missing: tuple[str, ...]  # required columns that the header lacks, in the format's own words
    repeated: tuple[str, ...]  # wanted columns that are there twice
    synthetic: int | None  # column that says the data is synthetic

    @property
    def score(self) -> int:
        """How many columns of the header belong to the format."""
        return len(self.positions) + sum(map(len, self.spectra.values()))

    def wanted(self) -> list[int]:
        """Columns of the file that the format uses, ascending."""
        named = [position for positions in self.positions.values() for position in positions]
        spectral = [position for columns in self.spectra.values() for position in columns.values()]
        return sorted({*named, *spectral, *self._flag()})

    def text_positions(self) -> list[int]:
        """Columns to be read as text, so that a station 007 stays 007."""
        names = (*TEXT_COLUMNS, "network_id")
        return sorted({*self._flag(), *(position for name in names for position in self.positions.get(name, ()))})

    def _flag(self) -> tuple[int, ...]:
        return () if self.synthetic is None else (self.synthetic,)


def recognise(header: list[str], where: str, *, scenarios: bool = False) -> Match:
    """Say which format a header is; case and repeated spaces do not matter.

    ``scenarios`` asks for the inputs of a prediction only: no spectra, no event.

    Raises
    ------
    InputError
        No format is complete (the message names the nearest and what it lacks), or a wanted column is there twice.
    """
    matches = [read_as(known, header, scenarios=scenarios) for known in FORMATS]
    complete = [match for match in matches if not match.missing]
    if not complete:
        raise InputError(f"{where}: unknown header; {_what_is_missing(matches, header)}")
    best = max(complete, key=lambda match: match.score)
    if best.repeated:
        raise InputError(f"{where}: column '{best.repeated[0]}' is there twice; keep one")
    return best


def folded(header: list[str]) -> list[str]:
    """Names of columns without what does not count: case, and blanks beyond one."""
    return [" ".join(str(name).split()).casefold() for name in header]


def _what_is_missing(matches: list[Match], header: list[str]) -> str:
    nearest = max(matches, key=lambda match: (match.score, -len(match.missing)))
    if nearest.score == 0:
        start = ", ".join(str(name) for name in header[:4])[:60]
        return f"none of '{start} ...' belongs to {', '.join(known.name for known in FORMATS)}; see data/README.md"
    lacks = ", ".join(f"'{name}'" for name in nearest.missing)
    return f"nearest to {nearest.format.name}, which also needs {lacks}; add what is missing or see data/README.md"


def read_as(known: Format, header: list[str], *, scenarios: bool = False) -> Match:
    """What a header has of one format, and what it lacks."""
    names = folded(header)
    optional = ("event_id", "component") if scenarios else ()
    positions, repeated = {}, []
    for canonical, sources in known.columns.items():
        found = [source for source in sources if source.casefold() in names]
        if found:
            positions[canonical] = tuple(names.index(source.casefold()) for source in found)
            repeated += [source for source in found if names.count(source.casefold()) > 1]
    spectra = {}
    for group in known.spectra:
        columns, twice = _match_spectra(group, names)
        if columns:
            spectra[group.component] = columns
            repeated += [header[position] for position in twice]
    missing = [known.columns[name][0] for name in known.required if name not in positions and name not in optional]
    if scenarios and not ("rake" in positions or "mechanism" in positions):
        missing.append(known.columns.get("rake", known.columns["mechanism"])[0])
    if not scenarios and not spectra:
        missing.append(known.spectra[0].example)
    flag = names.index("synthetic") if "synthetic" in names else None
    unique = tuple(dict.fromkeys(missing))
    return Match(known, tuple(map(str, header)), positions, spectra, unique, tuple(repeated), flag)


def _match_spectra(group: Spectra, names: list[str]) -> tuple[dict[str, int], list[int]]:
    """Columns of one component by canonical name, ascending in period, and the positions of repeated ones."""
    columns, twice = {}, []
    for position, name in enumerate(names):
        if re.fullmatch(group.pga, name):
            period = 0.0
        elif (found := re.fullmatch(group.pattern, name)) and re.search("[1-9]", found[0][1:]):
            period = group.period(found)
        else:
            continue
        if columns.setdefault(column_of(period), position) != position:
            twice.append(position)
    return dict(sorted(columns.items(), key=lambda item: _period(item[0]))), twice
