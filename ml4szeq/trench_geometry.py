"""Geometry along a trench on a sphere: segments, trench-normal points, boxes on either plate, and where a point lies.

A trench is a line of great-circle arcs. Walking along it in the order of its vertices, the downgoing plate lies to the
right (``downgoing_side`` +1) or to the left (-1). Distances across the trench are positive towards the upper plate.
Longitudes come out in -180 <= lon < 180; whatever range they come in with, a trench may cross the date line.
"""

from dataclasses import dataclass

import numpy as np
import pyproj

RADIUS = 6371.0  # km
SPHERE = pyproj.Geod(a=RADIUS * 1000.0, b=RADIUS * 1000.0)
AT_ONCE = 20_000  # points whose distances to all arcs are in memory together


@dataclass(frozen=True, eq=False)
class Trench:
    """The line of a trench: vertices (V, 2) longitude and latitude in degrees, in the order of its segments.

    Raises
    ------
    ValueError
        The line is none: see `fault_of`.
    """

    region: str
    vertices: np.ndarray
    downgoing_side: int = 1

    def __post_init__(self) -> None:
        """Freeze the vertices, and refuse what is no line."""
        vertices = np.array(self.vertices, dtype=float)
        if vertices.ndim != 2 or vertices.shape[1] != 2:
            raise ValueError(f"trench {self.region}: vertices of shape {vertices.shape}, not (V, 2)")
        if self.downgoing_side not in (-1, 1):
            raise ValueError(f"trench {self.region}: downgoing_side {self.downgoing_side} is neither 1 nor -1")
        if fault := fault_of(vertices):
            raise ValueError(f"trench {self.region}: vertex {fault[0]}: {fault[1]}")
        vertices.flags.writeable = False
        object.__setattr__(self, "vertices", vertices)

    @property
    def along_km(self) -> np.ndarray:
        """Distance (V,) of the vertices from the first one along the line, km."""
        start, end = self.vertices[:-1], self.vertices[1:]
        metres = SPHERE.inv(start[:, 0], start[:, 1], end[:, 0], end[:, 1])[2]
        return np.concatenate([[0.0], np.cumsum(metres) / 1000.0])

    @property
    def length(self) -> float:
        """Length of the line, km."""
        return float(self.along_km[-1])

    def at(self, along_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude (N,) at distances along the line; its first and last arc are prolonged."""
        along_km = np.atleast_1d(np.asarray(along_km, dtype=float))
        knots = self.along_km
        arc = np.clip(np.searchsorted(knots, along_km, side="right") - 1, 0, len(knots) - 2)
        start, end = self.vertices[arc], self.vertices[arc + 1]
        azimuth = SPHERE.inv(start[:, 0], start[:, 1], end[:, 0], end[:, 1])[0]
        return moved(start[:, 0], start[:, 1], azimuth, along_km - knots[arc])

    def segments(self, spacing: float = 50.0, chord: float = 150.0) -> "Segments":
        """The trench in stretches of ``spacing`` km; a rest of half a stretch or more is one too.

        The azimuth of a segment is that of the chord between the points ``chord`` / 2 km before and after its middle
        (nearer at the ends), because trench-normal points hundreds of km away swing with every kink of the line.
        """
        length = self.length
        middles = (np.arange(max(int(length / spacing + 0.5), 1)) + 0.5) * spacing
        middles = np.minimum(middles, length / 2 if len(middles) == 1 else length)
        lon, lat = self.at(middles)
        before, after = self.at(np.maximum(middles - chord / 2, 0.0)), self.at(np.minimum(middles + chord / 2, length))
        azimuth = _azimuth_of_chord(unit_vectors(*before), unit_vectors(*after), lon, lat)
        return Segments(middles, lon, lat, azimuth, self.downgoing_side, spacing)

    def project(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance along the trench and across it (N,), km, of points (N,) by the nearest point of the line.

        Across is positive on the side of the upper plate. Beyond the ends the first and last arc are prolonged: along
        is then negative or more than the length.
        """
        points = unit_vectors(lon, lat).reshape(-1, 3)
        parts = [self._projected(points[i : i + AT_ONCE]) for i in range(0, len(points), AT_ONCE)] or [([], [])]
        along, across = (np.concatenate(each) for each in zip(*parts, strict=True))
        return along.reshape(np.shape(lon)), across.reshape(np.shape(lon))

    def _projected(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        knots = self.along_km
        corner = unit_vectors(*self.vertices.T)  # (V, 3)
        normal = np.cross(corner[:-1], corner[1:])  # to the left of the way, of the plane of each arc
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        ahead = np.cross(normal, corner[:-1])
        angle = np.arctan2(points @ ahead.T, points @ corner[:-1].T)  # (N, V - 1) of the foot along each arc
        height = np.arcsin(np.clip(points @ normal.T, -1.0, 1.0))
        span = np.diff(knots) / RADIUS
        inside = (angle >= 0.0) & (angle <= span)
        to_corner = 2.0 * np.arcsin(np.clip(np.linalg.norm(points[:, None] - corner, axis=2) / 2.0, 0.0, 1.0))
        to_arc = np.where(inside, np.abs(height), np.minimum(to_corner[:, :-1], to_corner[:, 1:]))
        arc = np.argmin(to_arc, axis=1)
        row = np.arange(len(points))
        angle, height, within = angle[row, arc], height[row, arc], inside[row, arc]
        nearest = arc + (to_corner[row, arc + 1] < to_corner[row, arc])  # vertex, where no arc has a foot
        # at a vertex the two arcs may disagree about the side: their mean plane decides
        mean = np.vstack([normal[:1], normal[:-1] + normal[1:], normal[-1:]])
        side = np.where(np.sum(points * mean[nearest], axis=1) < 0.0, -1.0, 1.0)
        prolonged = ((nearest == 0) & (angle < 0.0)) | ((nearest == len(corner) - 1) & (angle > span[arc]))
        by_foot = within | prolonged
        along = np.where(by_foot, knots[arc] + angle * RADIUS, knots[nearest])
        left = np.where(by_foot, height, side * to_corner[row, nearest]) * RADIUS
        return along, left * self.downgoing_side  # downgoing to the right: the upper plate is on the left


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of a trench (N,): km along it, middle on the trench in degrees, azimuth of the trench in degrees."""

    along_km: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    azimuth: np.ndarray
    downgoing_side: int
    spacing: float

    def __len__(self) -> int:
        """How many there are."""
        return len(self.along_km)

    def offset(self, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """Points (N,) at ``distance`` km from the middles, normal to the trench, positive towards the upper plate."""
        return offset(self.lon, self.lat, self.azimuth, distance, self.downgoing_side)

    def boxes(
        self,
        near: float,
        far: float,
        step: float = 5.0,
        *,
        margin: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes (N, P) of a regular lattice in the box of each segment.

        The box is ``spacing`` km wide along the trench, and ``margin`` km more at both sides, and reaches from ``near``
        to ``far`` km across it, positive towards the upper plate. It is divided in equal cells of about ``step`` km,
        whose middles, moved by ``shift`` km along and across, are the points; along the trench they come fastest.
        """
        half = self.spacing / 2.0 + margin
        along, across = np.meshgrid(cell_middles(-half, half, step), cell_middles(near, far, step))
        along, across = along.ravel() + shift[0], across.ravel() + shift[1]  # (P,)
        # on the way along the trench, the upper plate is on the left where the downgoing one is on the right
        turn = np.degrees(np.arctan2(-across * self.downgoing_side, along))
        lon, lat, azimuth = (each[:, None] for each in (self.lon, self.lat, self.azimuth))
        return moved(lon, lat, azimuth + turn, np.hypot(along, across))


def offset(
    lon: np.ndarray, lat: np.ndarray, azimuth: np.ndarray, distance: np.ndarray | float, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points at ``distance`` km normal to a trench of ``azimuth`` (degrees), positive towards the upper plate.

    ``side`` is the trench's ``downgoing_side``.
    """
    return moved(lon, lat, np.asarray(azimuth) - 90.0 * side, distance)


def moved(
    lon: np.ndarray, lat: np.ndarray, azimuth: np.ndarray, distance: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Where one arrives ``distance`` km along the great circle that leaves with ``azimuth`` (degrees from north)."""
    arrays = np.broadcast_arrays(lon, lat, azimuth, np.asarray(distance) * 1000.0)
    there_lon, there_lat, _ = SPHERE.fwd(*(np.array(each, dtype=float) for each in arrays))
    return within_180(np.asarray(there_lon)), np.asarray(there_lat)


def distance_km(lon: np.ndarray, lat: np.ndarray, other_lon: np.ndarray, other_lat: np.ndarray) -> np.ndarray:
    """Great-circle distance, km."""
    arrays = np.broadcast_arrays(lon, lat, other_lon, other_lat)
    return np.asarray(SPHERE.inv(*(np.array(each, dtype=float) for each in arrays))[2]) / 1000.0


def within_180(lon: np.ndarray) -> np.ndarray:
    """Longitudes as -180 <= lon < 180."""
    return (np.asarray(lon, dtype=float) + 180.0) % 360.0 % 360.0 - 180.0  # -1e-17 % 360.0 is 360.0


def unit_vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) from the centre of the sphere."""
    lon, lat = np.radians(np.asarray(lon, dtype=float)), np.radians(np.asarray(lat, dtype=float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def fault_of(vertices: np.ndarray) -> tuple[int, str] | None:
    """What makes ``vertices`` (V, 2) no line: the vertex, from 0, and what is wrong there; None for a good line."""
    for row, (lon, lat) in enumerate(vertices):
        if not (np.isfinite(lon) and -360.0 <= lon <= 360.0):
            return row, f"longitude {lon:g} is not within -360 to 360"
        if not (np.isfinite(lat) and -90.0 <= lat <= 90.0):
            swapped = "; are longitude and latitude swapped?" if abs(lon) <= 90.0 and np.isfinite(lat) else ""
            return row, f"latitude {lat:g} is not within -90 to 90{swapped}"
        if row and distance_km(lon, lat, *vertices[row - 1]) < 1e-3:
            return row, "repeats the vertex before; leave it out"
        if row and distance_km(lon, lat, *vertices[row - 1]) > 5000.0:
            return row, "is more than 5000 km from the vertex before; are the rows in order along the trench?"
    return (len(vertices), f"has {len(vertices)} vertices; a line needs two") if len(vertices) < 2 else None


def cell_middles(low: float, high: float, step: float) -> np.ndarray:
    """Middles of the equal cells, at most ``step`` wide, between ``low`` and ``high``."""
    cells = max(int(np.ceil((high - low) / step - 1e-9)), 1)
    return low + (np.arange(cells) + 0.5) * (high - low) / cells


def _azimuth_of_chord(before: np.ndarray, after: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Azimuth, degrees in 0 <= azimuth < 360, at points of the great circle parallel to that of a chord (N, 3)."""
    ahead = np.cross(np.cross(before, after), unit_vectors(lon, lat))
    east = unit_vectors(np.asarray(lon) + 90.0, np.zeros_like(lat))
    north = np.cross(unit_vectors(lon, lat), east)
    return np.degrees(np.arctan2(np.sum(ahead * east, axis=-1), np.sum(ahead * north, axis=-1))) % 360.0 % 360.0
