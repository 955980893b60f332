"""The simplified axes: as long as the published segments, in their order, beside the earthquakes of the labels."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyproj import Geod

from ml4szeq.trenches import DOWNGOING_SIDE, REGION_NAMES, SEGMENTS, TRENCHES, places, trench
from shared.command import InputError

# region, epicentre, first and last published segment whose label is this rupture; a segment of tolerance either way
RUPTURES = {
    "1964 Alaska": ("alu", -147.7, 61.0, 62, 79),
    "1957 Andreanof": ("alu", -175.4, 51.6, 25, 47),
    "1965 Rat islands": ("alu", 178.5, 51.2, 9, 24),
    "1946 Unimak": ("alu", -163.2, 53.3, 49, 51),
    "1938 Shumagin": ("alu", -157.0, 55.2, 55, 61),
    "2012 Nicoya": ("cam", -85.3, 10.1, 44, 47),
    "1992 Nicaragua": ("cam", -87.4, 11.7, 36, 42),
    "1985 Michoacan": ("cam", -102.5, 18.2, 2, 6),
    "1993 Guam": ("izu", 144.8, 13.0, 5, 7),
    "1976 Kermadec": ("ker", -177.0, -29.3, 36, 40),
    "2006 Tonga": ("ker", -173.5, -20.4, 58, 60),
    "2011 Tohoku": ("kur", 142.4, 38.3, 0, 8),
    "1963 Urup": ("kur", 149.5, 44.8, 22, 28),
    "2006 Simushir": ("kur", 153.3, 46.6, 29, 35),
    "1952 Kamchatka": ("kur", 160.0, 52.6, 36, 50),
    "1946 Nankai": ("ryu", 135.6, 33.0, 25, 31),
    "1944 Tonankai": ("ryu", 136.6, 33.8, 32, 34),
    "1906 Esmeraldas": ("sam", -79.4, 1.0, 1, 14),
    "1996 Chimbote": ("sam", -79.6, -9.6, 35, 38),
    "2007 Pisco": ("sam", -76.6, -13.4, 47, 49),
    "2001 Arequipa": ("sam", -73.6, -16.3, 56, 61),
    "2014 Iquique": ("sam", -70.8, -19.6, 64, 67),
    "2015 Illapel": ("sam", -71.7, -31.6, 88, 95),
    "2010 Maule": ("sam", -72.9, -36.1, 96, 103),
    "1960 Valdivia": ("sam", -73.4, -38.2, 104, 123),
    "2004 Sumatra": ("sum", 95.9, 3.3, 20, 49),
    "2005 Nias": ("sum", 97.1, 2.1, 50, 56),
    "2007 Bengkulu": ("sum", 101.4, -4.4, 64, 70),
    "2006 Java": ("sum", 107.4, -9.3, 87, 92),
    "1994 Java": ("sum", 112.8, -10.5, 100, 102),
}
# how far the last vertex lies to the east and to the north of the first, in degrees, by an atlas
WALK = {"alu": (58.0, 3.0), "cam": (20.0, -10.0), "izu": (0.0, 23.0), "ker": (14.0, 26.0), "kur": (21.0, 20.0)}
WALK |= {"ryu": (13.0, 11.0), "sam": (2.0, -52.0), "sum": (29.0, -35.0)}


@pytest.mark.parametrize("code", TRENCHES)
def test_length_is_that_of_the_published_segments(code: str):
    sphere = Geod(a=6371.0e3, b=6371.0e3)
    lon, lat = np.array(TRENCHES[code]).T
    assert sphere.line_length(lon, lat) / 1e3 == pytest.approx(50.0 * SEGMENTS[code], rel=0.03)
    assert 8 <= len(lon) <= 25
    assert len(trench(code).segments(50.0)) == SEGMENTS[code]


def test_every_region_has_a_name_a_count_and_a_side():
    assert list(TRENCHES) == list(REGION_NAMES) == list(SEGMENTS) == list(DOWNGOING_SIDE)
    assert sum(SEGMENTS.values()) == 591


@pytest.mark.parametrize("name", RUPTURES)
def test_great_earthquakes_lie_beside_their_segments(name: str):
    code, lon, lat, first, last = RUPTURES[name]
    line = trench(code)
    along, across = line.project(np.array([lon]), np.array([lat]))
    segment = along[0] / line.length * SEGMENTS[code]
    assert first - 1.0 <= segment <= last + 2.0
    assert -30.0 < across[0] < 250.0  # on the upper plate's side, or as good as on the trench


@pytest.mark.parametrize("code", TRENCHES)
def test_walking_direction(code: str):
    lon, lat = np.array(TRENCHES[code]).T
    east, north = (lon[-1] - lon[0] + 180.0) % 360.0 - 180.0, lat[-1] - lat[0]
    assert (east, north) == pytest.approx(WALK[code], abs=6.0)


def test_places_of_published_segments():
    table = pd.DataFrame({"region": ["sam", "alu", "sam"], "segment": [123, 0, 0]})
    lon, lat, azimuth = places(table)
    line = trench("sam")
    for row, number in ((0, 123), (2, 0)):
        x, y = line.at(np.array([(number + 0.5) * line.length / 124]))
        assert lon[row] == pytest.approx(x[0], rel=1e-9)
        assert lat[row] == pytest.approx(y[0], rel=1e-9)
    assert lat[0] < -45.0
    assert lat[2] > 4.5
    assert azimuth[0] == pytest.approx(180.0, rel=1e-9)  # southwards
    assert 162.0 < lon[1] < 165.0


def test_neighbours_are_a_segment_apart_across_the_date_line():
    lon, lat, azimuth = places(pd.DataFrame({"region": "alu", "segment": range(85)}))
    sphere = Geod(a=6371.0e3, b=6371.0e3)
    ahead, _, step = sphere.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    np.testing.assert_allclose(step / 1e3, trench("alu").length / 85, rtol=0.05)  # chords cut corners
    turn = (np.asarray(ahead) - azimuth[:-1] + 180.0) % 360.0 - 180.0
    assert np.abs(turn).max() < 25.0
    assert (lon > 160).any()
    assert (lon < -130).any()


def test_unknown_regions_and_numbers_are_refused():
    with pytest.raises(InputError, match=r"region med: no coordinates; .* alu, cam"):
        places(pd.DataFrame({"region": ["med"], "segment": [0]}))
    with pytest.raises(InputError, match="region ryu: segment 35 is not one of the 35"):
        places(pd.DataFrame({"region": ["ryu", "ryu"], "segment": [34, 35]}))
    with pytest.raises(InputError, match="segment -1"):
        places(pd.DataFrame({"region": ["ryu"], "segment": [-1]}))


@pytest.mark.skipif("GROUND_MOTION_DATA" not in os.environ, reason="set GROUND_MOTION_DATA to the folder of real data")
@pytest.mark.parametrize("name", RUPTURES)
def test_the_published_labels_show_these_ruptures(name: str):
    """Within first to last the largest magnitude hardly varies: smaller ruptures in between, none larger."""
    code, _, _, first, last = RUPTURES[name]
    folder = Path(os.environ["GROUND_MOTION_DATA"]) / "subduction_segments"
    label = pd.read_csv(folder / f"{code}.csv", index_col=0)["MR_GCMT"]
    assert len(label) == SEGMENTS[code]
    inside = label.loc[first:last]
    assert (inside == inside.max()).mean() >= 0.7
