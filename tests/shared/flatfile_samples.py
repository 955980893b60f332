"""Tiny flatfiles, values chosen by hand, for the tests of the reader."""

from pathlib import Path

import pandas as pd

from shared.flatfile import read_flatfile


def peer() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Record Sequence Number": [1, 2, 3],
            "EQID": [10, 10, 11],
            "Station Sequence Number": [7, 8, 7],
            "Earthquake Magnitude": [6.0, 6.0, 4.5],
            "Rake Angle (deg)": [190.0, 190.0, 90.0],
            "Mechanism Based on Rake Angle": [0, -999, 4],
            "Hypocenter Depth (km)": [8.0, 8.0, 12.0],
            "Joyner-Boore Dist. (km)": [5.0, 50.0, 0.0],
            "Vs30 (m/s) selected for analysis": [300.0, 760.0, 300.0],
            "Lowest Usable Freq - Ave. Component (Hz)": [0.5, -999, 2.0],
            "PGA (g)": [0.2, 0.02, 0.1],
            "T0.200S": [0.4, 0.04, 0.3],
            "T2.000S": [0.05, 0.005, 0.04],
        }
    )


def canonical(**changes) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "event_id": ["a", "a", "b"],
            "station_id": ["007", "8", "007"],
            "mag": [5.0, 5.0, 6.0],
            "rake": [0.0, 0.0, -90.0],
            "hypo_depth": [5.0, 5.0, 9.0],
            "rjb": [1.0, 20.0, 30.0],
            "vs30": [400.0, 500.0, 600.0],
            "PGA": [0.1, 0.2, 0.3],
            "SA(1.000)": [0.01, 0.02, 0.03],
        }
    )
    return table.assign(**changes)


def save(table: pd.DataFrame, path: Path, **options) -> Path:
    table.to_csv(path, index=False, **options)
    return path


def load(table: pd.DataFrame, folder: Path, name: str = "file.csv", **options):
    return read_flatfile(save(table, folder / name, **options), cache=None)
