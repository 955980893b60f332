"""The classical form refitted to the very records that a model learns from: what any learnt model has to beat."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.classical_form import ClassicalForm
from shared.command import InputError
from shared.reference_gmm import Prediction

FORM = "classical form, refitted"  # its name in tables and figures


@dataclasses.dataclass(frozen=True)
class FormPredictor:
    """The refitted form of the components with enough records; NaN for rows of the others."""

    form: ClassicalForm

    def predict(self, table: pd.DataFrame) -> Prediction:
        """Median, tau and phi (N, P)."""
        known = table["component"].isin(list(self.form.components)).to_numpy()
        found = Prediction.empty((len(table), len(self.form.columns)))
        if known.any():
            found.store(known, self.form.predict(table[known].reset_index(drop=True)))
        return found

    @property
    def parameters(self) -> int:
        """Coefficients, and the hinge and depth of each component."""
        return sum(one.coefficients.size + 2 for one in self.form.components.values())


def refitted(table: pd.DataFrame, ln_sa: np.ndarray, columns: Sequence[str]) -> tuple[FormPredictor, list[str]]:
    """The form fitted to each component that has enough records, and why others were left out.

    ``ln_sa`` (N, P) are the observed spectra of the N rows of ``table`` at ``columns``, NaN where missing.
    """
    component, forms, notes = table["component"].to_numpy(), {}, []
    for name in np.unique(component):
        part = np.flatnonzero(component == name)
        rows = table.iloc[part].reset_index(drop=True)
        try:
            forms |= ClassicalForm.fit(rows, ln_sa[part], columns).components
        except InputError as error:
            notes.append(f"{FORM}: {error}")
    return FormPredictor(ClassicalForm(list(columns), forms)), notes
