"""Where the synthetic earthquakes and stations lie, and which station records which earthquake.

Sources crowd along lines like those of the faults of the San Francisco Bay Area, stations lie on land. A station
records an earthquake where the published ergodic median is well above the noise at all four frequencies, so that what
is recorded depends on magnitude and distance alone and no median is biased by it.
"""

import numpy as np
import pandas as pd

from cgm_gm import ergodic
from cgm_gm.geometry import Frame
from cgm_gm.point_source import Physics
from cgm_gm.truth import ray

CENTRE = (37.7, -122.1)  # degrees
FAULTS = {  # vertices of latitude and longitude, share of the events
    "Hayward": (((38.05, -122.38), (37.45, -121.88)), 0.28),
    "Calaveras": (((37.80, -121.98), (37.35, -121.72), (36.90, -121.45)), 0.26),
    "San Andreas": (((38.00, -122.80), (37.60, -122.45), (37.20, -122.05), (36.80, -121.53)), 0.18),
    "Rodgers Creek": (((38.10, -122.43), (38.55, -122.75)), 0.10),
    "Concord": (((37.90, -122.02), (38.40, -122.20)), 0.09),
    "Greenville": (((37.90, -121.88), (37.55, -121.60)), 0.09),
}
SOURCES = (36.80, 38.56, -122.95, -121.40)  # degrees: south, north, west, east
STATIONS = (37.26, 38.25, -122.75, -121.50)
COAST = ((37.25, -122.40), (37.50, -122.50), (37.75, -122.51), (37.90, -122.68), (38.05, -122.82), (38.25, -122.97))
BAY = ((38.05, -122.48), (37.90, -122.33), (37.75, -122.23), (37.55, -122.10), (37.45, -121.98), (37.48, -122.13),
       (37.60, -122.36), (37.72, -122.38), (37.80, -122.45), (37.92, -122.50))  # fmt: skip
DEEPEST, FARTHEST = 21.5, 105.0  # km
MAGNITUDES = (1.1, 4.0)
SEEN = 3.0  # median over noise, at least
FEWEST = 10  # stations that see an earthquake


def draw(
    generator: np.random.Generator, n_events: int, n_stations: int, n_records: int
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[np.ndarray, np.ndarray]]:
    """Earthquakes, stations and ``n_records`` pairs of them, as positions, in order of the earthquakes.

    Raises
    ------
    ValueError
        Fewer pairs than ``n_records`` can be seen.
    """
    stations, events = _stations(generator, n_stations), _events(generator, n_events)
    seen = _seen(events, stations)
    for _ in range(30):  # a network's catalogue holds what enough stations have seen
        poor = (seen.sum(axis=1) < min(FEWEST, n_stations)) & (events["mag"] < MAGNITUDES[1] - 0.1).to_numpy()
        if not poor.any():
            break
        events.loc[poor, "mag"] = (events.loc[poor, "mag"] + 0.1).round(2)
        seen = _seen(events, stations)
    if seen.sum() < n_records:
        raise ValueError(f"{n_records} records: {n_events} events and {n_stations} stations give {seen.sum()} pairs")
    return events, stations, _pairs(generator, seen, n_records)


def _pairs(generator: np.random.Generator, seen: np.ndarray, n_records: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of events and stations: some 10-30 stations an event, the count off by a share of a third."""
    wanted = np.maximum(n_records / len(seen) * generator.uniform(0.6, 1.6, len(seen)), 1.0)
    order = np.where(seen, generator.random(seen.shape), np.inf)
    rank = np.argsort(np.argsort(order, axis=1), axis=1)  # of each station among those that see the event
    urgency = np.where(seen, (rank + generator.random(seen.shape)) / wanted[:, None], np.inf)
    chosen = np.sort(np.argsort(urgency, axis=None, kind="stable")[:n_records])
    return np.divmod(chosen, seen.shape[1])


def _seen(events: pd.DataFrame, stations: pd.DataFrame) -> np.ndarray:
    source = [events[name].to_numpy()[:, None] for name in ("source_lat", "source_lon", "depth")]
    rhyp, _ = ray(*source, stations["station_lat"].to_numpy(), stations["station_lon"].to_numpy())
    mag, depth = (np.broadcast_to(events[name].to_numpy()[:, None], rhyp.shape) for name in ("mag", "depth"))
    table = pd.DataFrame({"mag": mag.ravel(), "rhyp": rhyp.ravel(), "depth": depth.ravel()})
    above = ergodic.published().predict(table).ln_median - Physics().ln_noise(np.array(ergodic.PUBLISHED_FREQUENCIES))
    return (above > np.log(SEEN)).all(axis=1).reshape(rhyp.shape) & (rhyp < FARTHEST)


def _events(generator: np.random.Generator, count: int) -> pd.DataFrame:
    fault = generator.choice(len(FAULTS), count, p=[share for _, share in FAULTS.values()])
    frame, place = Frame(*CENTRE), np.empty((count, 2))
    for position, (vertices, _) in enumerate(FAULTS.values()):
        rows = np.flatnonzero(fault == position)
        x, y = frame.local(*np.array(vertices).T)
        along = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
        # half of the events in clusters of a few km, half anywhere on the line
        centres = generator.uniform(0.0, along[-1], 4)
        at = generator.uniform(0.0, along[-1], len(rows))
        near = generator.choice(centres, len(rows)) + generator.normal(0.0, 3.0, len(rows))
        at = np.clip(np.where(generator.random(len(rows)) < 0.5, at, near), 0.0, along[-1])
        place[rows] = np.stack([np.interp(at, along, x), np.interp(at, along, y)], axis=1)
    place += generator.normal(0.0, 1.8, place.shape)
    anywhere = generator.random(count) < 0.1
    lat, lon = frame.degrees(*place.T)
    lat = np.where(anywhere, generator.uniform(SOURCES[0], SOURCES[1], count), lat)
    lon = np.where(anywhere, generator.uniform(-122.6, SOURCES[3], count), lon)
    # a Gutenberg-Richter-like half, and a half that gives the larger magnitudes records enough
    low, high = MAGNITUDES
    b = 0.8 * np.log(10.0)
    smaller = low - np.log1p(-generator.random(count) * (1.0 - np.exp(-b * (high - low)))) / b
    mag = np.where(generator.random(count) < 0.5, smaller, generator.uniform(2.2, high, count))
    depth = np.clip(np.exp(generator.normal(np.log(7.5), 0.45, count)), 1.0, DEEPEST)
    days = np.sort(generator.uniform(0.0, 3650.0, count))
    return pd.DataFrame(
        {
            "mag": mag.round(2),
            "source_lat": np.clip(lat, SOURCES[0], SOURCES[1]).round(4),
            "source_lon": np.clip(lon, SOURCES[2], SOURCES[3]).round(4),
            "depth": depth.round(2),
            "origin": pd.Timestamp("2010-01-01") + pd.to_timedelta(days, unit="D"),
        }
    )


def _stations(generator: np.random.Generator, count: int) -> pd.DataFrame:
    south, north, west, east = STATIONS
    place = np.empty((0, 2))
    while len(place) < count:
        tried = np.column_stack([generator.uniform(south, north, 256), generator.uniform(west, east, 256)])
        coast = np.interp(tried[:, 0], *np.array(COAST).T)
        place = np.concatenate([place, tried[(tried[:, 1] > coast) & ~inside(tried, np.array(BAY))]])
    place = place[:count].round(4)
    return pd.DataFrame({"station_lat": place[:, 0], "station_lon": place[:, 1]})


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Whether points (N, 2) lie in a polygon of vertices (V, 2): a ray to one side crosses an odd number of edges."""
    (y, x), found = points.T, np.zeros(len(points), bool)
    for (first_y, first_x), (second_y, second_x) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        between = (first_y > y) != (second_y > y)
        if first_y != second_y:
            found ^= between & (x < first_x + (y - first_y) / (second_y - first_y) * (second_x - first_x))
    return found
