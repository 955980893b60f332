"""Published ground-motion models through pygmm: what a learnt model is compared with, and what synthetic data obey.

pygmm evaluates one scenario at a time. The equations of BSSA14 and of the V/H ratio broadcast, though, as long as the
quantities they branch on (magnitude, style of faulting, Vs30) are scalars: they are called with arrays, once for each
magnitude and once for each Vs30 of the table. Those of the other models are in `shared/nga_west2.py`, with pygmm's
coefficients. 24,000 records and 24 periods take about a second a model, so that nothing is cached, and the numbers are
those of the scalar calls. pygmm's checks are passed by; records outside a model's limits are extrapolations of the
published equations.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from shared import nga_west2
from shared.command import InputError
from shared.flatfile_formats import column_of, periods_of
from shared.scenarios import column, mechanisms, optional, predictors, scenarios_of

with warnings.catch_warnings():  # on import pygmm leaves two coefficient files open
    warnings.simplefilter("ignore", ResourceWarning)
    from pygmm import BooreStewartSeyhanAtkinson2014, GulerceAbrahamson2011
    from pygmm.baker_jayaram_2008 import calc_correls
    from pygmm.model import Model, Scenario

Region = Literal["global", "california", "china", "italy", "japan", "new_zealand", "taiwan", "turkey"]

# The smallest magnitude in the data of Gülerce and Abrahamson (2011). Holding the ratio below it agrees better with
# 591 recordings of M < 4.5 in New Zealand (NZSMD) than extrapolating, at each of 0.05, 0.1, 0.2, 0.5, 1 and 3 s.
GA11_LOWEST_MAG = 5.0
BASIN_FROM = 0.65  # s; at longer periods BSSA14 knows basins


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A median and its variability for N records and P periods, in natural log of g."""

    ln_median: np.ndarray  # (N, P)
    tau: np.ndarray  # (N, P) between-event standard deviation
    phi: np.ndarray  # (N, P) within-event standard deviation

    @property
    def sigma(self) -> np.ndarray:
        """Total standard deviation (N, P)."""
        return np.hypot(self.tau, self.phi)

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> "Prediction":
        """NaN everywhere, to be filled by `store`."""
        return cls(*(np.full(shape, np.nan) for _ in dataclasses.fields(cls)))

    def rows(self, positions: np.ndarray) -> "Prediction":
        """That of the records at ``positions``."""
        return Prediction(*(each[positions] for each in vars(self).values()))

    def store(self, positions: np.ndarray, part: "Prediction") -> None:
        """Write ``part`` over the records at ``positions``, in place."""
        for name, values in vars(part).items():
            getattr(self, name)[positions] = values


def bssa14(table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """Boore, Stewart, Seyhan and Atkinson (2014), Earthquake Spectra 30(3), for the horizontal component (RotD50).

    Parameters
    ----------
    table
        N rows with ``mag``, ``mechanism``, ``rjb`` (km), ``vs30`` (m/s) and, if known, ``z1pt0``, the depth to a
        shear-wave velocity of 1 km/s, in m as OpenQuake has it. Where it is unknown, it is Chiou and Youngs' (2014)
        mean depth for the Vs30, the model's own default.
    columns
        P spectra, ``"PGA"`` or ``"SA(0.200)"``. Between the model's periods the log median, tau and phi are linear in
        log period.
    region
        The model's regional attenuation, the same for all rows.

    Returns
    -------
    Prediction
        Arrays of shape (N, P). A row in which a predictor is missing (NaN) gets NaN.

    Raises
    ------
    InputError
        A column of ``table`` is absent or impossible, or a period lies outside 0.01–10 s.
    """
    neighbours = _neighbours(BooreStewartSeyhanAtkinson2014, columns)
    mag, rjb, vs30, complete = predictors(table, "mag", "rjb", "vs30")
    mechanism = mechanisms(table)[complete]
    mag, rjb, vs30 = mag[complete], rjb[complete, None], vs30[complete]

    model = BooreStewartSeyhanAtkinson2014(Scenario(mag=6.0, dist_jb=30.0, v_s30=760.0, region=region))
    ln_response = np.empty((len(mag), len(model.PERIODS)))  # (N, Q)
    for (model_mechanism, model_mag), rows in _groups(mechanism, mag):
        scenario = {"mechanism": model_mechanism, "mag": model_mag, "dist_jb": rjb[rows]}
        ln_response[rows] = _with(model, scenario)._calc_ln_resp(np.nan)  # rock: event and path terms
    pga_rock = np.exp(ln_response[:, [model.INDEX_PGA]])
    for (site_vs30,), rows in _groups(vs30):
        ln_response[rows] += model.calc_site_term(pga_rock[rows], site_vs30, depth_1_0=None)
    ln_response += _bssa14_basin(optional(table, "z1pt0")[complete] / 1000.0, vs30, region)
    _, tau, phi = _with(model, {"mag": mag[:, None], "dist_jb": rjb, "v_s30": vs30[:, None]})._calc_ln_std()

    return Prediction(*(neighbours.interpolate(values, complete) for values in (ln_response, tau, phi)))


def nonlinear_site(table: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """BSSA14's nonlinear part of the site response, ln units (N, P), not positive (eq. 8).

    It is driven by BSSA14's rock PGA. Beyond the model's periods it is that of the nearest one; ``table`` as there.
    """
    c, periods = BooreStewartSeyhanAtkinson2014.COEFF, periods_of(columns)
    within = [column_of(period) for period in np.where(periods == 0, 0, np.clip(periods, 0.01, 10.0))]
    neighbours = _neighbours(BooreStewartSeyhanAtkinson2014, within)
    _, _, vs30, complete = predictors(table, "mag", "rjb", "vs30")
    rock = bssa14(table.assign(vs30=BooreStewartSeyhanAtkinson2014.V_REF), ["PGA"]).ln_median  # (N, 1)
    pga_rock, vs30 = np.exp(rock[complete]), np.minimum(vs30[complete, None], BooreStewartSeyhanAtkinson2014.V_REF)
    softness = c.f_4 * (np.exp(c.f_5 * (vs30 - 360.0)) - np.exp(c.f_5 * 400.0))
    return neighbours.interpolate(softness * np.log((pga_rock + c.f_3) / c.f_3), complete)


def _bssa14_basin(depth: np.ndarray, vs30: np.ndarray, region: Region) -> np.ndarray:
    """The basin term (N, Q) for ``depth`` in km, 0 where it is NaN (eqs. 9 to 11)."""
    c = BooreStewartSeyhanAtkinson2014.COEFF
    excess = np.nan_to_num(depth - nga_west2.CY14.calc_depth_1_0(vs30, region))
    return np.where(c.period >= BASIN_FROM, np.minimum(c.f_6 * excess[:, None], c.f_7), 0.0)


def ask14(table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """Abrahamson, Silva and Kamai (2014), Earthquake Spectra 30(3), for the horizontal component (RotD50).

    Parameters
    ----------
    table
        N rows with ``mag``, ``mechanism``, ``rjb`` (km) and ``vs30`` (m/s), needed as in `bssa14`, and what is known
        of ``rrup``, ``hypo_depth``, ``ztor``, ``width`` (km), ``dip`` (degrees), ``rx`` (km, positive on the side the
        fault dips to), ``z1pt0`` (m) and ``z2pt5`` (km); NaN, or no such column, means unknown. Unknown are then taken:
        an unknown style of faulting as strike-slip, the models' base case; dip 90, 50 or 40 degrees for strike-slip,
        normal or reverse, and ztor max(hypo_depth - 0.6 width sin dip, 0) with the width of Wells and Coppersmith
        (1994) (Kaklamanos et al. 2011); rrup sqrt(rjb² + ztor²), exact on the foot wall; rx as the foot wall; ztor of
        an event without hypocentral depth, width and basin depths as the model itself estimates them.
    columns, region
        As in `bssa14`, from 0.01 to 10 s; a region that the model does not know counts as ``"global"``.

    Raises
    ------
    InputError
        As in `bssa14`.
    """
    return _on_table(nga_west2.ASK14, nga_west2.ask14, table, columns, region)


def cb14(table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """Campbell and Bozorgnia (2014), Earthquake Spectra 30(3), for the horizontal component (RotD50); see `ask14`."""
    return _on_table(nga_west2.CB14, nga_west2.cb14, table, columns, region)


def cy14(table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """Chiou and Youngs (2014), Earthquake Spectra 30(3), for the horizontal component (RotD50); see `ask14`."""
    return _on_table(nga_west2.CY14, nga_west2.cy14, table, columns, region)


def _on_table(
    model: type[Model], equations: Callable, table: pd.DataFrame, columns: Sequence[str], region: Region
) -> Prediction:
    neighbours = _neighbours(model, columns)
    scenarios, complete = scenarios_of(table)
    return Prediction(*(neighbours.interpolate(values, complete) for values in equations(scenarios, region)))


PUBLISHED = {"BSSA14": bssa14, "ASK14": ask14, "CB14": cb14, "CY14": cy14}


def published(name: str, table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """The model ``name`` of `PUBLISHED` for horizontal rows, times the V/H ratio of `vh_ratio` for vertical rows.

    These are models of the horizontal component; their tau and phi stand for both here. Besides the columns of the
    model, ``table`` has ``component``, and ``rrup`` where there are vertical rows.

    Raises
    ------
    InputError
        As in `bssa14`, no such model, or ``component`` holds something else than H and V.
    """
    if name not in PUBLISHED:
        raise InputError(f"model {name}: unknown; the published models are {', '.join(PUBLISHED)}")
    component = column(table, "component").to_numpy()
    if not np.isin(component, ["H", "V"]).all():
        raise InputError("column component: H or V is needed in every row; correct or drop the others")
    horizontal = PUBLISHED[name](table, columns, region)
    ln_median, vertical = horizontal.ln_median.copy(), component == "V"
    if vertical.any():
        ln_median[vertical] += vh_ratio(table[vertical], columns)
    return dataclasses.replace(horizontal, ln_median=ln_median)


def reference_median(table: pd.DataFrame, columns: Sequence[str], region: Region = "global") -> Prediction:
    """`published` BSSA14: what everything here is compared with first."""
    return published("BSSA14", table, columns, region)


def vh_ratio(table: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Gülerce and Abrahamson (2011), Earthquake Spectra 27(4): ln of vertical over horizontal, shape (N, P).

    The rock PGA (Vs30 1,100 m/s) that drives its site term is BSSA14's, so that one horizontal model is used
    throughout. Magnitudes below 5, outside the model's data, are taken as 5. An unknown mechanism counts as
    strike-slip, the model's base case.

    Parameters
    ----------
    table
        N rows with ``mag``, ``mechanism``, ``rjb``, ``rrup`` (km) and ``vs30`` (m/s).
    columns
        P spectra; between the model's periods the log ratio is linear in log period.

    Raises
    ------
    InputError
        As in `bssa14`.
    """
    neighbours = _neighbours(GulerceAbrahamson2011, columns)
    rrup, mag, vs30, _, complete = predictors(table, "rrup", "mag", "vs30", "rjb")
    rock = table.loc[complete, ["mag", "mechanism", "rjb"]].assign(vs30=GulerceAbrahamson2011.V_REF)
    pga_rock = np.exp(bssa14(rock, ["PGA"]).ln_median)  # (N, 1)
    mechanism = mechanisms(table)[complete]
    mag, rrup, vs30 = (values[complete, None] for values in (np.maximum(mag, GA11_LOWEST_MAG), rrup, vs30))

    model = GulerceAbrahamson2011(Scenario(mag=6.0, dist_rup=30.0, v_s30=760.0, pga_ref=0.1, mechanism="SS"))
    ln_ratio = np.empty((len(mag), len(model.PERIODS)))  # (N, Q)
    for (model_mechanism,), rows in _groups(mechanism):
        scenario = {"mag": mag[rows], "dist_rup": rrup[rows], "v_s30": vs30[rows], "pga_ref": pga_rock[rows]}
        ln_ratio[rows] = _with(model, scenario | {"mechanism": model_mechanism})._calc_ln_ratio()
    return neighbours.interpolate(ln_ratio, complete)


def baker_jayaram_2008(periods: np.ndarray) -> np.ndarray:
    """Correlation (P, P) of total residuals between periods in s (Baker and Jayaram 2008, Earthquake Spectra 24(1)).

    Published for 0.01 to 10 s; PGA (0.0) is taken as 0.01 s.
    """
    periods = np.maximum(np.asarray(periods, dtype=float), 0.01)
    return calc_correls(periods[None, :], periods[:, None])


def _with(model: Model, scenario: dict) -> Model:
    """``model`` moved to ``scenario``, without pygmm's checks, which know only scalars."""
    model.scenario.update(scenario)
    return model


def _groups(*keys: np.ndarray) -> Iterator[tuple[tuple, np.ndarray]]:
    """Each distinct combination of ``keys`` with the positions of its rows."""
    for key, rows in pd.DataFrame(dict(enumerate(keys))).groupby(list(range(len(keys)))).indices.items():
        yield key if isinstance(key, tuple) else (key,), rows


class _Neighbours(NamedTuple):
    """For each of P columns, the two coefficient rows of a model around it and the share of the upper one."""

    lower: np.ndarray  # (P,)
    upper: np.ndarray  # (P,)
    share: np.ndarray  # (P,)

    def interpolate(self, values: np.ndarray, complete: np.ndarray) -> np.ndarray:
        """``values`` (complete rows, coefficient rows) at the columns, among NaN for the incomplete rows: (N, P)."""
        spread = np.full((len(complete), len(self.share)), np.nan)
        spread[complete] = values[:, self.lower] * (1 - self.share) + values[:, self.upper] * self.share
        return spread


def _neighbours(model: type[Model], columns: Sequence[str]) -> _Neighbours:
    """Where ``columns`` lie among a model's periods, linear in log period; PGA is a coefficient row of its own."""
    try:
        periods = periods_of(columns)
    except ValueError as error:
        raise InputError(f"column {error}; leave it out") from None
    ln_periods = np.log(model.PERIODS[model.INDICES_PSA])
    is_pga = periods == 0
    wanted = np.log(np.where(is_pga, 0.01, periods))
    outside = (wanted < ln_periods[0]) | (wanted > ln_periods[-1])
    before = np.clip(np.searchsorted(ln_periods, wanted, side="right") - 1, 0, len(ln_periods) - 2)
    share = (wanted - ln_periods[before]) / (ln_periods[before + 1] - ln_periods[before])
    share[outside] = np.nan  # so that the model says nothing there
    rows = np.asarray(model.INDICES_PSA)
    return _Neighbours(
        lower=np.where(is_pga, model.INDEX_PGA, rows[before]),
        upper=np.where(is_pga, model.INDEX_PGA, rows[before + 1]),
        share=share,
    )
