"""Simplified trench axes of the eight regions of the published table, which holds no coordinates.

The axes were drawn by hand from the general course of each trench and from the ruptures that the table's labels show
(2011 Tohoku in segments 0 to 8 of ``kur``, 2004 Sumatra in 20 to 49 of ``sum``, 1960 Chile in 104 to 123 of ``sam``).
They serve maps. Expect errors of tens of kilometres across a trench, and of about 100 km along it. Where that
matters, give trench lines of your own.
"""

import numpy as np
import pandas as pd

from ml4szeq.trench_geometry import Trench
from shared.command import InputError

REGION_NAMES = {
    "alu": "Alaska-Aleutians",
    "cam": "Central America",
    "izu": "Izu-Bonin-Mariana",
    "ker": "Tonga-Kermadec",
    "kur": "Japan-Kuril-Kamchatka",
    "ryu": "Ryukyu-Nankai",
    "sam": "South America",
    "sum": "Southeast Asia",
}
SEGMENTS = {"alu": 85, "cam": 49, "izu": 61, "ker": 65, "kur": 56, "ryu": 35, "sam": 124, "sum": 116}  # published

# vertices (longitude, latitude) in degrees, in the order of the published segments
TRENCHES: dict[str, tuple[tuple[float, float], ...]] = {
    "alu": (  # Komandorsky islands to Yakutat
        (163.4, 55.6),
        (165.0, 54.9),
        (167.0, 54.0),
        (170.0, 52.6),
        (173.0, 51.3),
        (176.0, 50.7),
        (180.0, 50.3),
        (-176.0, 50.4),
        (-173.0, 50.7),
        (-170.0, 51.4),
        (-167.0, 52.2),
        (-164.0, 53.1),
        (-161.0, 53.7),
        (-158.0, 54.4),
        (-155.0, 55.2),
        (-152.0, 56.1),
        (-149.5, 57.1),
        (-147.0, 58.3),
        (-145.0, 59.3),
        (-142.5, 59.9),
        (-140.3, 59.7),
        (-138.8, 58.9),
    ),
    "cam": (  # Jalisco to the Osa peninsula
        (-104.8, 18.6),
        (-104.0, 18.1),
        (-103.0, 17.6),
        (-101.5, 16.9),
        (-100.0, 16.3),
        (-98.0, 15.7),
        (-96.0, 15.1),
        (-94.5, 14.4),
        (-93.0, 13.6),
        (-91.0, 12.9),
        (-89.0, 12.3),
        (-87.6, 11.5),
        (-86.5, 10.4),
        (-85.6, 9.4),
        (-84.7, 8.9),
    ),
    "izu": (  # south-west of Guam to the triple junction off Boso
        (142.0, 11.3),
        (143.5, 11.6),
        (145.0, 12.2),
        (146.3, 13.2),
        (147.2, 14.5),
        (147.7, 16.0),
        (147.9, 17.5),
        (147.8, 19.0),
        (147.3, 20.6),
        (146.4, 22.2),
        (145.2, 23.5),
        (144.1, 24.6),
        (143.3, 25.9),
        (142.9, 27.4),
        (142.6, 29.0),
        (142.4, 30.5),
        (142.2, 32.0),
        (142.0, 34.1),
    ),
    "ker": (  # Hikurangi to the north of Tonga
        (173.0, -43.2),
        (174.8, -42.4),
        (176.5, -41.7),
        (178.0, -40.6),
        (178.9, -39.2),
        (179.5, -37.7),
        (-179.6, -36.3),
        (-178.6, -34.5),
        (-177.8, -32.5),
        (-177.0, -30.3),
        (-176.3, -28.0),
        (-175.4, -25.8),
        (-174.8, -24.0),
        (-174.0, -22.0),
        (-173.1, -20.0),
        (-172.5, -18.3),
        (-172.3, -17.5),
    ),
    "kur": (  # off Boso to Kamchatka
        (142.5, 35.6),
        (142.9, 36.3),
        (143.4, 37.0),
        (143.9, 38.0),
        (144.2, 39.0),
        (144.4, 40.0),
        (144.8, 40.9),
        (145.8, 41.5),
        (147.2, 42.2),
        (148.8, 43.1),
        (150.5, 44.2),
        (152.2, 45.3),
        (153.8, 46.4),
        (155.4, 47.6),
        (157.2, 49.0),
        (159.0, 50.4),
        (160.6, 51.7),
        (162.0, 53.0),
        (163.2, 54.2),
        (163.8, 55.3),
    ),
    "ryu": (  # Ryukyu islands to the Nankai trough off Suruga bay
        (125.5, 23.35),
        (126.3, 23.6),
        (127.4, 24.2),
        (128.6, 25.2),
        (129.7, 26.3),
        (130.6, 27.6),
        (131.3, 28.9),
        (132.0, 30.2),
        (132.8, 31.2),
        (134.0, 32.0),
        (135.2, 32.5),
        (136.5, 33.0),
        (137.4, 33.4),
        (138.1, 33.9),
    ),
    "sam": (  # Colombia to the triple junction off Taitao
        (-78.1, 5.2),
        (-78.6, 4.2),
        (-79.2, 3.0),
        (-80.2, 2.0),
        (-81.0, 0.6),
        (-81.3, -1.5),
        (-81.6, -3.8),
        (-81.7, -6.0),
        (-80.9, -8.2),
        (-79.8, -10.3),
        (-78.4, -12.5),
        (-77.0, -14.5),
        (-75.2, -16.2),
        (-73.0, -17.9),
        (-71.6, -19.3),
        (-71.3, -21.5),
        (-71.4, -25.0),
        (-71.8, -29.0),
        (-72.8, -33.0),
        (-74.4, -37.0),
        (-75.4, -41.0),
        (-75.9, -44.0),
        (-75.9, -45.7),
    ),
    "sum": (  # Bengal and Arakan to Sumba
        (91.2, 23.5),
        (91.5, 21.3),
        (92.3, 19.0),
        (92.7, 17.0),
        (92.3, 15.0),
        (91.7, 13.0),
        (91.4, 11.0),
        (91.6, 8.5),
        (92.3, 6.3),
        (93.5, 4.0),
        (95.2, 2.2),
        (97.0, 0.3),
        (98.0, -1.5),
        (99.4, -3.1),
        (101.0, -4.9),
        (102.8, -6.5),
        (105.0, -8.2),
        (107.5, -9.5),
        (110.5, -10.4),
        (114.0, -11.1),
        (117.0, -11.4),
        (119.9, -11.2),
    ),
}

# walking in the order of the segments: +1, the downgoing plate lies to the right; -1, to the left
DOWNGOING_SIDE = dict.fromkeys(TRENCHES, 1)


def trench(region: str) -> Trench:
    """The simplified axis of one of the eight regions.

    Raises
    ------
    InputError
        There is none of that code.
    """
    if region not in TRENCHES:
        raise InputError(
            f"region {region}: no coordinates; give columns lon and lat, or its trench line, or one of"
            f" {', '.join(TRENCHES)} as region"
        )
    return Trench(region, np.array(TRENCHES[region]), DOWNGOING_SIDE[region])


def places(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the segments of a table without coordinates lie, about: on the simplified axes, by the segment's number.

    Segment k of a region with n published segments lies at (k + 0.5) / n of the axis.

    Parameters
    ----------
    table
        Columns ``region`` (code) and ``segment`` (number of the published table).

    Returns
    -------
    lon, lat, azimuth
        Degrees east from -180 to 180, degrees north, and the direction of the trench in degrees clockwise from north;
        (N,) each.

    Raises
    ------
    InputError
        A region is not one of the eight, or a number is beyond the region's published segments.
    """
    lon, lat, azimuth = (np.full(len(table), np.nan) for _ in range(3))
    region, segment = table["region"].to_numpy(), table["segment"].to_numpy()
    for code in dict.fromkeys(region):
        line = trench(code)
        rows = np.flatnonzero(region == code)
        number, count = segment[rows], SEGMENTS[code]
        if (outside := (number < 0) | (number >= count)).any():
            raise InputError(
                f"region {code}: segment {number[outside][0]} is not one of the {count} published (from 0); give"
                " columns lon and lat"
            )
        every = line.segments(line.length / count)
        lon[rows], lat[rows], azimuth[rows] = every.lon[number], every.lat[number], every.azimuth[number]
    return lon, lat, azimuth
