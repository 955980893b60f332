"""A folder of generated waveforms for seismologists' programs: miniSEED beside StationXML and QuakeML. Needs ObsPy.

    P0000012.mseed   one file a point, one trace a realization (the location code), float32 in m/s or m/s²
    stations.xml     StationXML: where, which way positive motion points, sampling rate, a flat response
    event.xml        QuakeML: magnitude, hypocentre and origin time of every earthquake
    points.csv       a row a point: its file, SEED codes, ids, place, origin, start, expected P and S (UTC)

The codes are those of `seed_codes`, the times those of `streams`. ``obspy.read``, ``read_inventory`` and
``read_events`` join by them. What is generated says so in each XML and by the network code.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cgm_gm import streams
from cgm_gm.streams import Description
from shared import leftovers, runs
from shared.command import InputError

STATIONS, EVENTS, POINTS = "stations.xml", "event.xml", "points.csv"
INSTANTS = {"origin": "origin_time", "start": "start_time", "p": "p_time", "s": "s_time"}


def check_folder(folder: Path) -> None:
    """Refuse early what `write` would refuse.

    Raises
    ------
    InputError
        ``folder`` exists and holds something, or ObsPy is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: --mseed must be a new or an empty folder")
    runs.check_output_file(folder.resolve() / "P0.mseed")
    try:
        from cgm_gm import seismology  # noqa: F401
    except ImportError:
        raise InputError("--mseed needs ObsPy: pip install obspy") from None


def write(path: Path, folder: Path, origin: str | None = None) -> int:
    """Write the waveforms of the file at ``path`` (`generation`) to ``folder``, all or none; the count of points.

    ``origin`` is the origin time of the first earthquake, as of `streams.origin_time`.

    Raises
    ------
    InputError
        As of `streams.describe`.
    """
    from cgm_gm import station_xml  # ObsPy is optional: not at the top

    about = streams.describe(path, origin)
    leftovers.sweep(folder.resolve().parent)
    temporary = leftovers.temporary_of(folder.resolve())
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had our number
    temporary.mkdir(parents=True)
    try:
        for point, stream in tqdm(streams.streams(about), total=len(about), desc="miniSEED", unit="file"):
            stream.write(str(temporary / _file(point)), format="MSEED", encoding="FLOAT32")
        station_xml.write_stations(about, temporary / STATIONS)
        station_xml.write_events(about, temporary / EVENTS)
        runs.write_table(temporary / POINTS, points_table(about), digits=10)
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(about)


def points_table(about: Description) -> pd.DataFrame:
    """A row a point: file, SEED codes, ids, place (degrees), and instants (ISO 8601, UTC)."""
    table = about.table
    found = pd.DataFrame({"file": [_file(point) for point in range(len(table))]})
    named = ("network", "station", "channel", "station_id", "event_id", "station_lat", "station_lon", "azimuth")
    found = found.assign(**{name: table[name].to_numpy() for name in named})
    instants = {new: table[old].to_numpy().astype("datetime64[ns]") for old, new in INSTANTS.items()}
    return found.assign(**{name: np.datetime_as_string(each, unit="us") for name, each in instants.items()})


def _file(point: int) -> str:
    return f"P{point:07d}.mseed"
