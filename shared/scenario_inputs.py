"""What a model of response spectra is asked: its inputs with their units, and one scenario of an earthquake and a site.

Only NumPy and pandas are needed. Axis: N rows.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from shared.command import InputError
from shared.flatfile_convert import LIMITS

STYLES = {"SS": 0, "NM": 1, "RV": 2, "U": 3}  # strike-slip, normal, reverse, unknown: then the rake says it
COMPONENTS = {"H": 0, "V": 1}  # horizontal (RotD50), vertical
PYGMM = {"dist_jb": "rjb", "dist_rup": "rrup", "depth_hyp": "hypo_depth", "v_s30": "vs30"}
PYGMM_STYLES = {"NS": "NM", "RS": "RV"}


class Input(NamedTuple):
    """An input of the graph, (N,)."""

    dtype: str
    unit: str
    meaning: str


INPUTS = {
    "mag": Input("float64", "", "moment magnitude"),
    "style": Input("int64", "code", "style of faulting: 0 strike-slip, 1 normal, 2 reverse, 3 unknown: rake decides"),
    "rake": Input("float64", "degrees", "rake, -180 to 180; NaN: unknown"),
    "hypo_depth": Input("float64", "km", "hypocentral depth"),
    "rjb": Input("float64", "km", "Joyner-Boore distance"),
    "rrup": Input("float64", "km", "rupture distance; NaN: estimated from the others"),
    "vs30": Input("float64", "m/s", "time-averaged shear-wave velocity of the top 30 m"),
    "component": Input("int64", "code", "0 horizontal (RotD50), 1 vertical"),
}
NEEDED, MAY_LACK = ("mag", "rjb", "hypo_depth", "vs30"), ("rake", "rrup")  # numbers; NaN in the latter is unknown


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One earthquake, seen from one site; names and units of CONVENTIONS.md. `of_pygmm` takes pygmm's names.

    Raises
    ------
    InputError
        A value is missing or impossible.
    """

    mag: float
    rjb: float  # km
    hypo_depth: float  # km
    vs30: float  # m/s
    rake: float = math.nan  # degrees; it counts where ``mechanism`` is U
    mechanism: Literal["SS", "NM", "RV", "U"] = "U"
    rrup: float = math.nan  # km; NaN: estimated
    component: Literal["H", "V"] = "H"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in (*NEEDED, *MAY_LACK):
            try:
                float(getattr(self, name))
            except (TypeError, ValueError):
                raise InputError(f"{name}: {getattr(self, name)!r} is not a number") from None
        inputs_of({name: [value] for name, value in vars(self).items()}, "scenario")

    @classmethod
    def of_pygmm(cls, **known: Any) -> "Scenario":
        """From pygmm's names: mag, dist_jb, dist_rup, depth_hyp, v_s30, mechanism (SS, NS, RS, U); ours go too.

        Raises
        ------
        InputError
            A name is unknown or needed, or a value impossible.
        """
        own = {PYGMM.get(name, name): value for name, value in known.items()}
        names = {field.name for field in dataclasses.fields(cls)}
        unknown, missing = [name for name in own if name not in names], [name for name in NEEDED if name not in own]
        if unknown:
            raise InputError(f"{unknown[0]}: unknown; a scenario has {', '.join([*PYGMM, *sorted(names)])}")
        if missing or len(own) < len(known):
            raise InputError(f"{(missing or list(known))[0]}: is {'missing' if missing else 'given twice'}")
        if "mechanism" in own:
            own["mechanism"] = PYGMM_STYLES.get(own["mechanism"], own["mechanism"])
        return cls(**own)


def inputs_of(table: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """`INPUTS` (N,) of a data frame or of arrays by name, checked; ``where`` names them in messages.

    Raises
    ------
    InputError
        As `OnnxModel.predict`.
    """
    absent = [name for name in NEEDED if name not in table]
    if absent:
        raise InputError(f"{where}: no column {absent[0]}; needed are {', '.join(NEEDED)}")
    count, found = len(table["mag"]), {}
    for name in (*NEEDED, *MAY_LACK):
        try:
            values = np.asarray(table[name] if name in table else np.full(count, np.nan), dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"{where}: column {name} holds something else than numbers") from None
        low, high, unit = LIMITS[name]
        good = (values > low if name == "vs30" else values >= low) & (values <= high)
        good |= np.isnan(values) & (name in MAY_LACK)
        _refuse(
            where, name, values, good, f"{'above' if name == 'vs30' else 'at least'} {low:g} and at most {high:g}{unit}"
        )
        found[name] = values
    for name, column, codes, usual in (
        ("style", "mechanism", STYLES, "U"),
        ("component", "component", COMPONENTS, "H"),
    ):
        values = np.asarray(table[column] if column in table else np.full(count, usual), dtype=object)
        good = np.isin(values.astype(str), list(codes))
        _refuse(where, column, values, good, f"one of {', '.join(codes)}")
        found[name] = np.select([values == each for each in codes], list(codes.values()), 0).astype(np.int64)
    if {len(each) for each in found.values()} != {count}:
        raise InputError(f"{where}: columns of different lengths")
    return found


def _refuse(where: str, name: str, values: np.ndarray, good: np.ndarray, wanted: str) -> None:
    if values.ndim != 1:
        raise InputError(f"{where}: column {name} must be one value a row")
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f"{where}: row {row}, {name} is {values[row]}; it must be {wanted}")
