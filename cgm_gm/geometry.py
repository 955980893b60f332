"""Where sources and stations lie to each other: distances, azimuths and local coordinates on a sphere.

A sphere of 6,371 km differs from the ellipsoid by at most .5 % of a distance, less than what locations are known to.
"""

import dataclasses

import numpy as np

EARTH_RADIUS = 6371.0  # km
KM_PER_DEGREE = np.pi * EARTH_RADIUS / 180.0


def epicentral_distance(source_lat, source_lon, station_lat, station_lon) -> np.ndarray:
    """Great-circle distance in km of points in degrees; arrays broadcast (haversine formula)."""
    first, second = np.radians(source_lat), np.radians(station_lat)
    half_lat, half_lon = (second - first) / 2.0, (np.radians(station_lon) - np.radians(source_lon)) / 2.0
    chord = np.sin(half_lat) ** 2 + np.cos(first) * np.cos(second) * np.sin(half_lon) ** 2
    return 2.0 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))


def hypocentral_distance(source_lat, source_lon, depth, station_lat, station_lon) -> np.ndarray:
    """Straight distance in km from a hypocentre at ``depth`` km to a station at the surface."""
    return np.hypot(epicentral_distance(source_lat, source_lon, station_lat, station_lon), depth)


def azimuth(source_lat, source_lon, station_lat, station_lon) -> np.ndarray:
    """Direction in degrees, clockwise from north in [0, 360), in which the station is seen from the source."""
    first, second = np.radians(source_lat), np.radians(station_lat)
    turn = np.radians(station_lon) - np.radians(source_lon)
    east = np.sin(turn) * np.cos(second)
    north = np.cos(first) * np.sin(second) - np.sin(first) * np.cos(second) * np.cos(turn)
    return np.degrees(np.arctan2(east, north)) % 360.0 % 360.0  # a hair west of north is 360 after the first


@dataclasses.dataclass(frozen=True)
class Frame:
    """Local coordinates about a centre (degrees): x km to the east, y km to the north (equirectangular projection).

    Distances of 100 km are right to about .3 % at middle latitudes.
    """

    lat: float
    lon: float

    @classmethod
    def about(cls, lat: np.ndarray, lon: np.ndarray) -> "Frame":
        """A frame about the middle of the points."""
        return cls(float((np.min(lat) + np.max(lat)) / 2.0), float((np.min(lon) + np.max(lon)) / 2.0))

    def local(self, lat, lon) -> tuple[np.ndarray, np.ndarray]:
        """x and y in km of points in degrees."""
        x = (np.asarray(lon) - self.lon) * KM_PER_DEGREE * np.cos(np.radians(self.lat))
        return x, (np.asarray(lat) - self.lat) * KM_PER_DEGREE

    def degrees(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of points x, y in km."""
        lon = self.lon + np.asarray(x) / (KM_PER_DEGREE * np.cos(np.radians(self.lat)))
        return self.lat + np.asarray(y) / KM_PER_DEGREE, lon
