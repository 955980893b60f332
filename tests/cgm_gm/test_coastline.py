import numpy as np
from numpy.testing import assert_allclose

from cgm_gm.coastline import EXTENT, known_outline
from cgm_gm.network import inside


def test_land_and_water_are_where_they_are():
    north, south = known_outline((37.0, 38.0, -123.0, -121.5))
    ring = np.concatenate([south, [[36.4, -121.0], [38.02, -121.0]]])  # the land south and east of the bay
    places = np.array([[37.77, -122.44], [37.80, -122.20], [37.34, -121.89], [37.70, -122.30], [37.60, -122.90]])
    assert inside(places, ring).tolist() == [True, True, True, False, False]  # three cities, the bay, the ocean
    ring = np.concatenate([north, [[38.7, -121.7], [38.7, -123.1]]])
    places = np.array([[37.97, -122.56], [38.29, -122.45], [38.08, -122.40], [37.82, -122.50]])
    assert inside(places, ring).tolist() == [True, True, False, False]  # San Rafael, Sonoma, San Pablo Bay, the Gate


def test_the_outline_is_of_the_bay_area_alone():
    lines = known_outline((37.0, 38.0, -123.0, -121.5))
    lat, lon = np.concatenate(lines).T
    assert_allclose([lat.min(), lat.max(), lon.min(), lon.max()], EXTENT, rtol=0, atol=0.6)
    assert known_outline((23.0, 25.0, 120.0, 122.0)) == []
