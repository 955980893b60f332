"""Flatfiles and what is read like them, each with a sound file of a few rows."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from flatfile_samples import canonical, peer
from input_corruptions import Cells
from input_oracle import Column, Reading, TableFormat

from shared.flatfile import read_flatfile, read_scenarios
from shared.residual_tables import read_residuals
from shared.spectra_table import read_spectra

LAT, LON, KM = (-90.0, 90.0), (-180.0, 360.0), (0.0, 20_100.0)
MAG, DEPTH, VS30, SA = (0.0, 10.0), (0.0, 800.0), (1e-300, 10_000.0), (1e-300, math.inf)


def _flatfile(path: Path) -> Reading:
    found = read_flatfile(path, cache=None)
    blanked = [f"{count} {name}" for name, count in found.blanked.items() if count]
    return Reading(found.table, len(found.set_apart), (*found.notes, *blanked, *found.set_apart["reason"]))


def _scenarios(path: Path) -> Reading:
    return Reading(read_scenarios(path))


def _spectra(path: Path) -> Reading:
    table = read_spectra(path)
    return Reading(table, 0, tuple(table.attrs["notes"]))


def _residuals(path: Path) -> Reading:
    found = read_residuals(path)
    values = pd.DataFrame(found.residual, columns=found.columns)
    return Reading(pd.concat([found.table, values], axis=1), 0, tuple(found.notes))


OWN = {
    "mag": Column("mag", limits=MAG),
    "hypo_depth": Column("hypo_depth", limits=DEPTH),
    "rjb": Column("rjb", limits=KM),
    "vs30": Column("vs30", limits=VS30),
}
OWN_IDS = {"event_id": "event_id", "station_id": "station_id"}


def own_table() -> pd.DataFrame:
    """Five records in our own columns."""
    table = pd.concat([canonical(), canonical(event_id=["c", "c", "d"])], ignore_index=True).iloc[:5]
    table["station_id"] = ["007", "8", "007", "21", "9"]
    place = {"hypo_lat": 37.5, "hypo_lon": -122.0, "station_lat": 38.0, "station_lon": -121.5 + 0.1 * np.arange(5)}
    return table.assign(**place, rrup=table["rjb"] + 3.0)


def _own() -> TableFormat:
    columns = OWN | {"rrup": Column("rrup", limits=KM), "PGA": Column("PGA", limits=SA)}
    columns |= {"SA(1.000)": Column("SA(1.000)", limits=SA)}
    columns |= {name: Column(name, limits=LAT if name.endswith("lat") else LON) for name in
                ("hypo_lat", "hypo_lon", "station_lat", "station_lon")}  # fmt: skip
    scaled = (("mag", 10.0), ("rjb", 1000.0), ("hypo_depth", 1000.0), ("vs30", 1e-3), (("PGA", "SA(1.000)"), 980.665))
    scaled += (("rjb", -1.0), (("PGA", "SA(1.000)"), -1.0), ("vs30", -1.0))
    swapped = (("hypo_lat", "hypo_lon"), ("station_lat", "station_lon"))
    return TableFormat(
        "flatfile: canonical",
        "own.csv",
        Cells.of(own_table()),
        _flatfile,
        columns,
        OWN_IDS,
        scaled=scaled,
        swapped=swapped,
    )


def _peer() -> TableFormat:
    table = peer().replace(-999, "")
    table["Lowest Usable Freq - Ave. Component (Hz)"] = [0.4, 0.3, 0.2]
    names = {"mag": ("Earthquake Magnitude", MAG), "hypo_depth": ("Hypocenter Depth (km)", DEPTH)}
    names |= {"rjb": ("Joyner-Boore Dist. (km)", KM), "vs30": ("Vs30 (m/s) selected for analysis", VS30)}
    names |= {"PGA": ("PGA (g)", SA), "SA(0.200)": ("T0.200S", SA), "SA(2.000)": ("T2.000S", SA)}
    columns = {ours: Column(name, limits=limits) for ours, (name, limits) in names.items()}
    columns["longest_period"] = Column(
        "Lowest Usable Freq - Ave. Component (Hz)", lambda hertz: 1.0 / hertz if hertz else math.nan
    )
    ids = {"record_id": "Record Sequence Number", "event_id": "EQID"}
    scaled = (("Joyner-Boore Dist. (km)", 1000.0), ("Hypocenter Depth (km)", 1000.0))
    return TableFormat("flatfile: PEER NGA-West2", "peer.csv", Cells.of(table), _flatfile, columns, ids, scaled=scaled)


def _nzsmd() -> TableFormat:
    table = pd.DataFrame(
        {
            "CuspID": ["2013p1", "1550210", "77"], "Record": ["r1", "r2", "r3"], "SiteCode": ["039E", "WEL", "A"],
            "Mw": [5.5, 6.1, 4.4], "TectClass": ["Slab", "Crustal", "Crustal"], "Mech": ["O", "U", "S"],
            "Rake": [40.0, -80.0, 0.0], "Rjb_km": [30.0, 40.0, 5.0], "Rrup_km": [33.0, 41.0, 9.0],
            "HypDepth_km": [60.0, 10.0, 7.0], "Vs30": [280, 1000, 400], "fmin": [0.1, 0.1, 0.1],
            "f5.0000SA_RotD50": [0.1, 0.2, 0.3], "f0.1333SA_RotD50": [0.01, 0.02, 0.03], "PGA_RotD50": [0.1, 0.2, 0.3],
        }
    )  # fmt: skip
    names = {"mag": ("Mw", MAG), "hypo_depth": ("HypDepth_km", DEPTH), "rjb": ("Rjb_km", KM), "vs30": ("Vs30", VS30)}
    names |= {"rrup": ("Rrup_km", KM), "SA(0.200)": ("f5.0000SA_RotD50", SA), "SA(7.500)": ("f0.1333SA_RotD50", SA)}
    columns = {
        ours: Column(name, limits=limits) for ours, (name, limits) in (names | {"PGA": ("PGA_RotD50", SA)}).items()
    }
    ids = {"record_id": "Record", "event_id": "CuspID", "station_id": "SiteCode"}
    return TableFormat("flatfile: NZSMD", "nz.csv", Cells.of(table), _flatfile, columns, ids)


def _esm() -> TableFormat:
    table = pd.DataFrame(
        {
            "event_id": ["IT-1", "IT-1", "IT-2"], "network_code": ["IT", "IV", "IV"],
            "station_code": ["AQK", "AQK", "B"],
            "Mw": [6.1, 6.1, 5.0], "fm_type_code": ["NF", "NF", "SS"], "ev_depth_km": [8.0, 8.0, 9.0],
            "JB_dist": [2.0, 12.0, 30.0], "vs30_m_sec": [705, 800, 300], "rotD50_pga": [98.0665, 49.03325, 9.80665],
            "rotD50_T0_200": [196.133, 98.0665, 19.6133],
        }
    )  # fmt: skip
    names = {"mag": ("Mw", MAG), "hypo_depth": ("ev_depth_km", DEPTH), "rjb": ("JB_dist", KM)}
    columns = {
        ours: Column(name, limits=limits) for ours, (name, limits) in (names | {"vs30": ("vs30_m_sec", VS30)}).items()
    }
    columns |= {ours: Column(name, lambda gal: gal / 980.665, SA) for ours, name in
                (("PGA", "rotD50_pga"), ("SA(0.200)", "rotD50_T0_200"))}  # fmt: skip
    return TableFormat("flatfile: ESM", "esm.csv", Cells.of(table, ";"), _flatfile, columns, {"event_id": "event_id"})


def _egsim() -> TableFormat:
    table = own_table().rename(columns={"mag": "magnitude", "hypo_depth": "event_depth", "SA(1.000)": "SA(1)"})
    table = table.drop(columns=["hypo_lat", "hypo_lon", "station_lat", "station_lon"]).assign(
        gmid=[f"g{k}" for k in range(5)]
    )
    columns = OWN | {"mag": Column("magnitude", limits=MAG), "hypo_depth": Column("event_depth", limits=DEPTH)}
    columns |= {"PGA": Column("PGA", limits=SA), "SA(1.000)": Column("SA(1)", limits=SA)}
    return TableFormat(
        "flatfile: OpenQuake/eGSIM", "egsim.csv", Cells.of(table), _flatfile, columns, OWN_IDS | {"record_id": "gmid"}
    )


def _authors() -> TableFormat:
    dist, vs30 = np.array([10.0, 10.0, 80.0, 33.0]), np.array([400.0, 400.0, 250.0, 620.0])
    table = pd.DataFrame(
        {
            "eqm": [6.0, 6.0, 6.0, 5.1], "ftype": [3, 3, 1, 0], "hyp": [9.0, 9.0, 9.0, 4.0], "dist": dist,
            "log_dist": np.log(dist), "log_vs30": np.log(vs30), "dir": [0, 1, 0, 0], "pga": [0.2, 0.1, 0.02, 0.07],
            "T0.010S": [0.21, 0.11, 0.021, 0.071], "T4.000S": [0.02, 0.01, 0.002, 0.007],
        }
    )  # fmt: skip
    names = {"mag": ("eqm", MAG), "hypo_depth": ("hyp", DEPTH), "rjb": ("dist", KM), "PGA": ("pga", SA)}
    names |= {"SA(0.010)": ("T0.010S", SA), "SA(4.000)": ("T4.000S", SA)}
    columns = {ours: Column(name, limits=limits) for ours, (name, limits) in names.items()}
    columns["vs30"] = Column("log_vs30", lambda log: math.exp(min(log, 600.0)), VS30)
    return TableFormat("flatfile: the papers' 31 columns", "paper.csv", Cells.of(table), _flatfile, columns)


def _scenario_table() -> TableFormat:
    table = own_table().drop(columns=["PGA", "SA(1.000)"]).rename(columns={"event_id": "case"})
    return TableFormat(
        "scenarios", "scenarios.csv", Cells.of(table), _scenarios, OWN, {"case": "case"},
        scaled=(("mag", 10.0), ("rjb", -1.0), ("hypo_depth", 1000.0), ("vs30", -1.0)),
    )  # fmt: skip


def _spectra_table() -> TableFormat:
    table = own_table()[["event_id", "station_id", "PGA", "SA(1.000)"]]
    columns = {name: Column(name, limits=SA) for name in ("PGA", "SA(1.000)")}
    scaled = ((("PGA", "SA(1.000)"), 980.665), (("PGA", "SA(1.000)"), -1.0))
    return TableFormat("spectra", "spectra.csv", Cells.of(table), _spectra, columns, OWN_IDS, scaled=scaled)


def _residual_table() -> TableFormat:
    rng = np.random.default_rng(0)
    n = 12
    table = pd.DataFrame({"event_id": [f"e{k // 3}" for k in range(n)], "station_id": [f"00{k % 4}" for k in range(n)]})
    table = table.assign(mag=np.round(rng.uniform(4, 7, n), 2), rjb=np.round(rng.uniform(1, 99, n), 1))
    table = table.assign(**{name: np.round(rng.normal(size=n), 4) for name in ("PGA", "SA(0.2)", "SA(1.0)")})
    columns = {"mag": OWN["mag"], "rjb": OWN["rjb"], "PGA": Column("PGA"), "SA(0.2)": Column("SA(0.2)")}
    return TableFormat(
        "residuals", "residuals.csv", Cells.of(table), _residuals, columns | {"SA(1.0)": Column("SA(1.0)")}, OWN_IDS
    )


MAKERS = (_own, _peer, _nzsmd, _esm, _egsim, _authors, _scenario_table, _spectra_table, _residual_table)
FORMATS = {made.name: made for made in (make() for make in MAKERS)}
