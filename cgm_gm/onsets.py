"""When P and S arrive: by travel times, picked near them, and the origin time that picks tell where none is known."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import signal

from cgm_gm.config import Picker
from cgm_gm.seismology import ar_pick, recursive_sta_lta
from cgm_gm.travel_times import GIL7, Layers
from shared.command import InputError
from shared.text_table import numbers_of, read_text_table

BAND = (1.0, 20.0)  # Hz, in which onsets are looked for
STA, LTA = 0.3, 4.0  # s
TRIGGER, NEAR = 5.0, 2.5  # STA/LTA that begins an event in a whole record; that a pick near the expected time needs
REFINED = (2.0, 0.5)  # s before and after the trigger for Akaike's criterion
LOWEST, FASTEST, SLOWEST = 700.0, 15.0, 0.1  # km; km/s: of the last top, and of P in the fastest layer
S_SHARE = 0.3  # of S − P, by which an S pick may differ


def read_layers(path: Path | None) -> Layers:
    """The crust of a CSV file with columns top (km), vp, vs (km/s), GIL7 without one.

    Raises
    ------
    InputError
        It is no such table.
    """
    if path is None:
        return GIL7
    table = read_text_table(path)
    if lacking := [name for name in ("top", "vp", "vs") if name not in table]:
        raise InputError(f"{path}: no column {', '.join(lacking)}; needs columns top (km), vp and vs (km/s)")
    where = f"{path}, row {{}}".format
    values = np.column_stack([numbers_of(table[name], where, name, blank=False) for name in ("top", "vp", "vs")])
    top, vp, vs = values.T
    if not len(table) or top[0] != 0 or (np.diff(top) <= 0).any() or not (values[:, 1:] > 0).all():
        raise InputError(f"{path}: tops must begin at 0 and increase, speeds be positive")
    if top[-1] > LOWEST or vp.max() > FASTEST or vp.max() < SLOWEST or (vs >= vp).any():
        raise InputError(f"{path}: give tops in km, vp and vs in km/s (vs below vp); these are of no crust")
    return Layers(*(tuple(column.tolist()) for column in values.T))


def pick(
    channels: Mapping[str, np.ndarray], rate: float, p_expected: float, s_expected: float, search: float, picker: Picker
) -> tuple[float, float] | None:
    """P and S in s after the first sample, from samples by letter (E, N, Z, as far as there are); None if not found.

    P lies within ``search`` s of what is expected; S is the expected one, moved with P, unless picked near that.
    """
    if picker == "ar" and {"E", "N", "Z"} <= set(channels):
        length = min(map(len, channels.values()))
        three = [np.ascontiguousarray(channels[each][:length] - np.mean(channels[each]), np.float32) for each in "ZNE"]
        p, s = ar_pick(*three, rate, *BAND, 1.0, 0.1, 4.0, 1.0, 2, 8, 0.1, 0.2)
        if p > 0 and abs(p - p_expected) <= search:
            between = s_expected - p_expected
            near = s > p and abs(s - p - between) <= max(S_SHARE * between, 0.5)
            return float(p), float(s) if near else float(p) + between
    vertical = channels.get("Z", next(iter(channels.values()), None))
    if vertical is None:
        return None
    span = (p_expected - search, p_expected + search)
    p = sta_lta_pick(vertical, rate, *span, TRIGGER, first=True)
    p = sta_lta_pick(vertical, rate, *span, NEAR, first=False) if p is None else p
    return None if p is None else (p, p + s_expected - p_expected)


def sta_lta_pick(
    samples: np.ndarray, rate: float, earliest: float, latest: float, threshold: float, first: bool
) -> float | None:
    """The onset, in s after the first sample: the first or the largest rise of STA/LTA over ``threshold``, refined."""
    quiet = int(LTA * rate)
    if len(samples) <= 2 * quiet:
        return None
    high = min(BAND[1], 0.4 * rate)
    filtered = signal.sosfilt(
        signal.butter(2, (BAND[0], high), "bandpass", fs=rate, output="sos"), samples - np.mean(samples[:quiet])
    )
    ratio = recursive_sta_lta(np.ascontiguousarray(filtered, np.float64), int(STA * rate), quiet)
    ratio[:quiet] = 0.0
    low, top = max(int(earliest * rate), 0), min(int(latest * rate) + 1, len(samples))
    inside = ratio[low:top]
    if not len(inside) or inside.max() < threshold:
        return None
    position = low + int((inside > threshold).argmax() if first else inside.argmax())
    start = max(position - int(REFINED[0] * rate), 0)
    piece = filtered[start : position + int(REFINED[1] * rate)]
    found = (start + akaike(piece)) / rate
    return min(max(found, earliest), latest)


def akaike(samples: np.ndarray) -> int:
    """Where a series changes its variance, by Akaike's criterion (Maeda 1985)."""
    count = np.arange(1, len(samples))
    total = np.cumsum(samples)
    squares = np.cumsum(samples**2)
    before = squares[:-1] / count - (total[:-1] / count) ** 2
    after = (squares[-1] - squares[:-1]) / count[::-1] - ((total[-1] - total[:-1]) / count[::-1]) ** 2
    floor = 1e-20 * max(squares[-1], 1e-300)
    criterion = count * np.log(np.maximum(before, floor)) + count[::-1] * np.log(np.maximum(after, floor))
    margin = max(len(criterion) // 50, 2)
    return int(criterion[margin:-margin].argmin()) + margin + 1
