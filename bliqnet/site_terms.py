"""Site terms: what the network leaves unexplained again and again at one station.

The seven inputs know a site by its Vs30 alone. For a station with records in the training set, what its records left
over in the mean, shrunk by mixed-effects theory, is the better guess; the rest of the spread is phi_ss.
"""

import dataclasses

import numpy as np
import pandas as pd
import torch

from bliqnet.data import Records
from shared.held_out import site_of
from shared.residuals import decompose


@dataclasses.dataclass(frozen=True)
class SiteTerms:
    """Site terms (ln units) of S sites at P periods; a site is a station's component, ``"H <station_id>"``.

    They hold the bias of the decomposition too: the average site is not the site of the average record.
    """

    sites: list[str]
    terms: torch.Tensor  # (S, P)
    errors: torch.Tensor  # (S, P) standard errors of the terms
    phi_s2s: torch.Tensor  # (S, P) site-to-site standard deviation of the site's component

    @classmethod
    def of(cls, records: Records, residual: np.ndarray) -> "SiteTerms":
        """Site terms of ``residual`` (N, P) of held-out predictions, NaN where there is none."""
        sites, terms, errors, phi_s2s = [], [], [], []
        table = records.table
        site, event = site_of(table), table["event_id"].to_numpy()
        usable = np.isfinite(residual).any(axis=1) & (site != "")
        for component in sorted(table["component"].unique()):
            rows = usable & (table["component"] == component).to_numpy()
            if rows.any():
                effects = decompose(residual[rows], event[rows], site[rows])
                sites += effects.sites
                # what too few records cannot tell is NaN there: no term, and no spread between sites
                terms.append(np.nan_to_num(effects.bias + effects.site_terms))
                errors.append(np.nan_to_num(effects.site_errors))
                phi_s2s.append(np.broadcast_to(np.nan_to_num(effects.phi_s2s), effects.site_terms.shape))
        none = np.zeros((0, residual.shape[1]))
        stacked = (
            torch.from_numpy(np.concatenate([none, *part]).astype(np.float32)) for part in (terms, errors, phi_s2s)
        )
        return cls(sites, *stacked)

    def apply(
        self, table: pd.DataFrame, ln_median: np.ndarray, phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(ln_median, phi, known)`` with the site terms of known sites added; ``known`` (N,) says for which rows.

        There phi² loses phi_s2s² and gains the term's own squared error; it keeps at least a quarter.
        """
        position = self._position(table)
        known = position >= 0
        chosen = position[known]
        ln_median, phi = ln_median.copy(), phi.copy()
        ln_median[known] += self.terms.numpy()[chosen]
        within = np.maximum(phi[known] ** 2 - self.phi_s2s.numpy()[chosen] ** 2, 0.25 * phi[known] ** 2)
        phi[known] = np.sqrt(within + self.errors.numpy()[chosen] ** 2)
        return ln_median, phi, known

    def known(self, table: pd.DataFrame) -> np.ndarray:
        """Whether each row's site has a term, (N,)."""
        return self._position(table) >= 0

    def _position(self, table: pd.DataFrame) -> np.ndarray:
        return pd.Index(self.sites).get_indexer(site_of(table))
