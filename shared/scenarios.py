"""What ground-motion models ask of a table of records, with published estimates of what it does not know."""

import numpy as np
import pandas as pd

from shared.command import InputError
from shared.nga_west2 import Scenarios, mean_ztor

PYGMM_MECHANISM = {"SS": "SS", "NM": "NS", "RV": "RS", "U": "U"}
POSSIBLE = dict.fromkeys(("rjb", "rrup", "width", "z1pt0", "z2pt5"), (0.0, np.inf))
POSSIBLE |= {"vs30": (1.0, np.inf), "dip": (0.0, 90.0), "ztor": (-10.0, 800.0), "hypo_depth": (-10.0, 800.0)}
# What Kaklamanos, Baise and Boore (2011, Earthquake Spectra 27(4)) advise for an unknown rupture, by style of faulting:
# the dip in degrees, and ln10 of the width in km as a + b M (Wells and Coppersmith 1994)
USUAL_DIP = {"SS": 90.0, "NS": 50.0, "RS": 40.0, "U": 90.0}
USUAL_WIDTH = {"SS": (-0.76, 0.27), "NS": (-1.14, 0.35), "RS": (-1.61, 0.41), "U": (-1.01, 0.32)}
HYPOCENTRE_DOWN_DIP = 0.6  # of the width
LEAST_DIP = 1.0  # degrees; a flat rupture has no width that the equations could use


def column(table: pd.DataFrame, name: str) -> pd.Series:
    """The named column; raises `InputError` where it is absent."""
    if name not in table:
        raise InputError(f"column {name}: absent from the table; a reference model needs it")
    return table[name]


def predictors(table: pd.DataFrame, *names: str) -> tuple[np.ndarray, ...]:
    """The named columns as floats, and where all of them are present."""
    values = [_possible(name, column(table, name).to_numpy(dtype=float)) for name in names]
    return *values, np.isfinite(values).all(axis=0)


def optional(table: pd.DataFrame, name: str) -> np.ndarray:
    """The named column as floats, NaN where it is absent."""
    return _possible(name, table[name].to_numpy(dtype=float) if name in table else np.full(len(table), np.nan))


def _possible(name: str, values: np.ndarray) -> np.ndarray:
    low, high = POSSIBLE.get(name, (-np.inf, np.inf))
    bad = (values < low) | (values > high) | np.isinf(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"column {name}, row {row}: {values[row]:g} is impossible; mark a missing value by NaN")
    return values


def mechanisms(table: pd.DataFrame) -> np.ndarray:
    """pygmm's names of the styles of faulting."""
    names = column(table, "mechanism").map(PYGMM_MECHANISM)
    if names.isna().any():
        row = int(np.flatnonzero(names.isna())[0])
        found = table["mechanism"].iloc[row]
        raise InputError(f"column mechanism, row {row}: {found!r} is none of {', '.join(PYGMM_MECHANISM)}; use U")
    return names.to_numpy(dtype=object)


def scenarios_of(table: pd.DataFrame) -> tuple[Scenarios, np.ndarray]:
    """The rows (N,) of ``table`` that have mag, rjb and vs30, and which rows (all,) they are.

    A dip that is unknown is the usual one; so is the width that gives an unknown ztor from the hypocentral depth; an
    unknown rrup is sqrt(rjb² + ztor²), exact on the foot wall and above a vertical fault.
    """
    mag, rjb, vs30, complete = predictors(table, "mag", "rjb", "vs30")
    style = mechanisms(table)
    names = ["rrup", "hypo_depth", "rx", "width", "z1pt0", "z2pt5"]
    rrup, hypo_depth, rx, width, z1pt0, z2pt5 = (optional(table, name) for name in names)
    dip, ztor = _dip_and_top(table, style)
    reverse, normal = style == "RS", style == "NS"
    top = np.where(np.isnan(ztor), mean_ztor(mag, reverse), ztor)
    rrup = np.where(np.isnan(rrup), np.hypot(rjb, top), rrup)
    columns = (mag, reverse, normal, rjb, rrup, vs30, dip, ztor, hypo_depth, rx, width, z1pt0 / 1000.0, z2pt5)
    return Scenarios(*(values[complete, None] for values in columns)), complete


def rupture_tops(table: pd.DataFrame) -> np.ndarray:
    """Depth in km to the top of the rupture (N,): the table's ztor, or where that is unknown an estimate.

    The hypocentre is taken to lie 60 % of the width down a rupture of the usual width and dip, as far as there is room
    (Kaklamanos, Baise and Boore 2011). NaN where magnitude or hypocentral depth are needed and unknown.
    """
    return _dip_and_top(table, mechanisms(table))[1]


def _dip_and_top(table: pd.DataFrame, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    names = ("mag", "hypo_depth", "ztor", "dip", "width")
    mag, hypo_depth, ztor, dip, width = (optional(table, name) for name in names)
    code, styles = pd.factorize(style)
    usual = np.array([(USUAL_DIP[name], *USUAL_WIDTH[name]) for name in styles]).reshape(-1, 3)[code]
    dip = np.where(np.isnan(dip), usual[:, 0], np.maximum(dip, LEAST_DIP))
    width = np.where(np.isnan(width), 10 ** (usual[:, 1] + usual[:, 2] * mag), width)
    above = HYPOCENTRE_DOWN_DIP * width * np.sin(np.radians(dip))
    return dip, np.where(np.isnan(ztor), np.maximum(hypo_depth - above, 0.0), ztor)
