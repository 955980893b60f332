"""What a waveform is generated for: the published sets of conditions, scaled by training events.

Set 0 is magnitude, distance and azimuth; 1 the same with depth; 2 magnitude, coordinates of source and station, depth
(the model proper); 3 magnitude and depth; 4 magnitude, distance and depth (the distance-only baseline). Set 5 is ours,
of the network whose backbone knows the places: a plane of vibration is the same seen from either end.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from cgm_gm.geometry import Frame, azimuth, epicentral_distance, hypocentral_distance
from cgm_gm.travel_times import GIL7
from shared.command import InputError

SETS: dict[int, tuple[str, ...]] = {
    0: ("mag", "ln_rhyp", "sin_azimuth", "cos_azimuth"),
    1: ("mag", "ln_rhyp", "sin_azimuth", "cos_azimuth", "depth"),
    2: ("mag", "source_x", "source_y", "station_x", "station_y", "depth"),
    3: ("mag", "depth"),
    4: ("mag", "ln_rhyp", "depth"),
    5: ("mag", "ln_rhyp", "sin_2azimuth", "cos_2azimuth", "depth"),
}
WITH_DISTANCE = (0, 1, 2, 4, 5)
NEEDED = ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon")
NEAREST = 1.0  # km; hypocentral distances below count as this


def completed(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with ``rhyp`` (km), ``azimuth`` (degrees), and P and S travel times ``tp``, ``ts`` (s), by its places.

    Raises
    ------
    InputError
        A column is absent, or a value is missing or impossible.
    """
    for name in NEEDED:
        if name not in table:
            raise InputError(f"column {name} is absent; give {', '.join(NEEDED)}")
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        limit = {"lat": 90.0, "lon": 180.0}.get(name[-3:], 800.0 if name == "depth" else 12.0)
        wrong = ~np.isfinite(values) | (np.abs(values) > limit)
        if wrong.any():
            row = int(wrong.argmax())
            value = table[name].iloc[row]
            raise InputError(f"column {name}, row {row}: {value}, not a number within ±{limit:g}; mend it")
    places = [table[name].to_numpy(float) for name in ("source_lat", "source_lon", "station_lat", "station_lon")]
    depth = table["depth"].to_numpy(float)
    distance = epicentral_distance(*places)
    tp, ts = GIL7.arrivals(distance, depth)
    return table.assign(
        rhyp=hypocentral_distance(places[0], places[1], depth, places[2], places[3]),
        azimuth=azimuth(*places),
        tp=tp,
        ts=ts,
    )


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The scaled conditions (N, C) of a set; centre and scale of each by training rows, in a frame about them."""

    kind: int
    frame: Frame
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, kind: int, table: pd.DataFrame) -> "Conditions":
        """Learn frame, centres and scales from N training rows (`completed`)."""
        both = [np.concatenate([table[f"source_{axis}"], table[f"station_{axis}"]]) for axis in ("lat", "lon")]
        frame = Frame.about(*both)
        raw = cls(kind, frame, (0.0,) * len(SETS[kind]), (1.0,) * len(SETS[kind])).raw(table)
        spread = raw.std(axis=0)
        centre, scale = raw.mean(axis=0), np.where(spread > 1e-6, spread, 1.0)
        return cls(kind, frame, tuple(centre.tolist()), tuple(scale.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the C columns."""
        return SETS[self.kind]

    def raw(self, table: pd.DataFrame) -> np.ndarray:
        """The conditions (N, C) before scaling, in magnitudes, km, ln km."""
        known = {name: table[name].to_numpy(float) for name in ("mag", "depth")}
        known["ln_rhyp"] = np.log(np.maximum(table["rhyp"].to_numpy(float), NEAREST))
        turn = np.radians(table["azimuth"].to_numpy(float))
        known |= {"sin_azimuth": np.sin(turn), "cos_azimuth": np.cos(turn)}
        known |= {"sin_2azimuth": np.sin(2.0 * turn), "cos_2azimuth": np.cos(2.0 * turn)}
        for place in ("source", "station"):
            known[f"{place}_x"], known[f"{place}_y"] = self.frame.local(table[f"{place}_lat"], table[f"{place}_lon"])
        return np.column_stack([known[name] for name in self.names])

    def __call__(self, table: pd.DataFrame) -> np.ndarray:
        """(N, C) float32, of mean 0 and deviation 1 over the training rows."""
        return ((self.raw(table) - self.centre) / self.scale).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Conditions":
        """Undo `to_dict`."""
        frame = Frame(**content["frame"])
        return cls(int(content["kind"]), frame, tuple(content["centre"]), tuple(content["scale"]))


def expected_onsets(table: pd.DataFrame, before: float, delay: float | None = None) -> np.ndarray:
    """P and S (N, 2) in s after the first sample, of windows that begin ``before`` s before P (`completed` tables).

    With ``delay``, windows begin at a time after the origin instead: P is ``delay`` + its travel time.
    """
    tp, ts = (table[name].to_numpy(float) for name in ("tp", "ts"))
    p = np.full(len(table), before) if delay is None else delay + tp
    return np.column_stack([p, p + ts - tp])
