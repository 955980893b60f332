"""SEED codes of waveforms that nobody recorded: network, station, location and channel, as StationXML takes them too.

The rules are those of the SEED manual 2.4 (appendix A) and of FDSN Source Identifiers 1.0, chapter "Channel codes":

- network ``XX``, which the FDSN assigns to nobody and which stands for data of tests and simulations; a registered code
  would claim that an operator measured this;
- station: 1 to 5 upper-case letters and digits; location: 2 of them, here the realization in base 36;
- band code by the sampling rate and the longest period that the response passes. Samples are ground motion itself, so
  the response is flat down to 0 Hz and the code is one of the broad bands: H from 80 to 250 Hz;
- instrument code ``H`` of velocity (m/s), ``N`` of acceleration (m/s²). FDSN's ``X``, "derived or generated", would not
  say which of them it is, and no program takes it for a seismogram; network and comments say that it is generated;
- orientation E, N, Z, R or T; ``1`` where the generator does not know which component it has learnt.
"""

import re

import numpy as np
import pandas as pd

from cgm_gm.geometry import azimuth

NETWORK = "XX"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIRST = "PQRSTUVWXYZABCDEFGHIJKLMNO"  # of a numbered station: a letter, so that no table reads it as a number
STATION = re.compile(r"[A-Z0-9]{1,5}")
BANDS = ((1000.0, "F"), (250.0, "C"), (80.0, "H"), (10.0, "B"), (1.0, "M"))  # from so many Hz on, flat beyond 10 s
INSTRUMENTS = {"velocity": "H", "acceleration": "N"}
UNKNOWN = "1"


def base36(number: int, length: int) -> str:
    """The last ``length`` digits of a number, 0-9 and A-Z.

    >>> base36(37, 3)
    '011'
    """
    found = ""
    for _ in range(length):
        number, digit = divmod(number, 36)
        found = DIGITS[digit] + found
    return found


def stations(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The station code (N,) of each row of ``station_id``, ``station_lat``, ``station_lon``, and which station it is.

    Rows of one id and place are one station. Where every id is a SEED code already, and of one place only, it is kept;
    else all stations are numbered in the order of their rows, ``P0000``, ``P0001`` ... in base 36 (43 million), so that
    no given code meets a number. Numbers (N,) of the stations go from 0.
    """
    number, _ = pd.factorize(pd.MultiIndex.from_frame(table[["station_id", "station_lat", "station_lon"]]))
    first = table["station_id"].to_numpy()[np.unique(number, return_index=True)[1]]  # (stations,)
    if all(STATION.fullmatch(each) for each in first) and len(set(first)) == len(first):
        return first[number].astype(str), number
    codes = np.array([FIRST[k // 36**4] + base36(k, 4) for k in range(len(first))])
    return codes[number], number


def location(realization: int) -> str:
    """The code of a realization: ``00`` to ``ZZ`` are 1,296."""
    return base36(realization, 2)


def channel(sampling_rate: float, quantity: str, component: str) -> str:
    """The code of a rate in Hz, velocity or acceleration, and a component E, N, Z, R, T, or "" where it is unknown.

    >>> channel(100.0, "acceleration", "E")
    'HNE'
    """
    band = next((letter for least, letter in BANDS if sampling_rate >= least), "L")
    return band + INSTRUMENTS[quantity] + (component or UNKNOWN)


def azimuths(table: pd.DataFrame, component: str) -> np.ndarray:
    """Degrees clockwise from north (N,) into which positive motion points; of Z it is 0, of an unknown one NaN.

    Radial points away from the source, transverse 90 degrees clockwise of it (as in ``prepare_waveforms.py``).
    ``table`` has ``source_lat``, ``source_lon``, ``station_lat``, ``station_lon``.
    """
    if component in ("R", "T"):
        columns = ("station_lat", "station_lon", "source_lat", "source_lon")
        to_source = azimuth(*(table[name].to_numpy(float) for name in columns))
        return (to_source + (180.0 if component == "R" else 270.0)) % 360.0
    return np.full(len(table), {"E": 90.0, "N": 0.0, "Z": 0.0}.get(component, np.nan))


def dip(component: str) -> float:
    """Degrees downwards from the horizontal: -90 of Z, positive motion being upwards."""
    return -90.0 if component == "Z" else 0.0
