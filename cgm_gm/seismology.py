"""What we use of ObsPy, in one place.

It is imported without the warning of how it looks for its plug-ins on Python 3.11. Its readers, which raise errors of
some twenty kinds and bare ``Exception`` at damaged files, raise `Unreadable` here.
"""

import contextlib
import glob
import warnings
from pathlib import Path

from shared.obspy_reading import Unreadable, check_xml, reading

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "SelectableGroups dict interface", DeprecationWarning)
    import obspy
    from obspy.core import event as quakeml
    from obspy.core import inventory
    from obspy.core.inventory import Channel, Inventory, Response
    from obspy.core.util.base import ENTRY_POINTS
    from obspy.signal.trigger import ar_pick, recursive_sta_lta

__all__ = ["Channel", "Inventory", "Response", "Unreadable", "ar_pick", "inventory", "obspy", "quakeml"]
__all__ += ["recursive_sta_lta"]

for _name in ("PICKLE", "CSS", "NNSA_KB_CORE"):  # tried on any file: the first runs code, the others open more files
    ENTRY_POINTS["waveform"].pop(_name, None)

FORMATS = {".mseed": "MSEED", ".miniseed": "MSEED", ".msd": "MSEED", ".sac": "SAC"}
FORMATS |= {f".{direction}{number}": "KNET" for direction in ("ew", "ns", "ud") for number in ("", "1", "2")}
ANCIENT = obspy.UTCDateTime(1900, 1, 1)


def read_waveforms(path: Path, headonly: bool = False, first: float | None = None, last: float | None = None):
    """The traces of a file, of those between ``first`` and ``last`` (s since 1970) if given.

    Raises
    ------
    Unreadable
        There are none, or the file is of no known kind.
    """
    suffix = path.suffix.lower()
    if suffix in FORMATS:  # trying every format that there is, and for archives, takes most of the time
        with contextlib.suppress(Unreadable):
            return _read(path, headonly, first, last, format=FORMATS[suffix], check_compression=False)
    return _read(path, headonly, first, last, check_compression=False)  # archives may hold a thousand times as much


def _read(path: Path, headonly: bool, first: float | None, last: float | None, **options):
    span = {"starttime": ANCIENT if first is None else obspy.UTCDateTime(first)}  # or none would be a bare Exception
    span |= {} if last is None else {"endtime": obspy.UTCDateTime(last)}
    with reading():
        stream = obspy.read(glob.escape(str(path)), headonly=headonly, **span, **options)
    if not stream and first is None:
        raise Unreadable("no waveform in it")
    return stream


def read_stations(path: Path) -> Inventory:
    """The StationXML of a file.

    Raises
    ------
    Unreadable
        It is none.
    """
    check_xml(path)
    with reading():
        return obspy.read_inventory(glob.escape(str(path)))


def read_catalogue(path: Path):
    """The events of a QuakeML file.

    Raises
    ------
    Unreadable
        It is none.
    """
    check_xml(path)
    with reading():
        return obspy.read_events(glob.escape(str(path)))
