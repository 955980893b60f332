"""What a training starts from and does not change: split, backbone, spectrograms. Trainings of one search share it.

Axes as in `model`.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from cgm_gm import backbone, fas, model
from cgm_gm.conditions import Conditions, completed
from cgm_gm.config import Recipe
from cgm_gm.data import training_and_validation
from cgm_gm.generator import tensors
from cgm_gm.shaping import Scaling
from cgm_gm.spectrogram import Stft
from cgm_gm.waveform_file import Waveforms
from shared.command import InputError

QUIET = 1e-15  # scaled power added to all: digital silence has no logarithm
AT_ONCE = 256
SCATTER = 1.5  # s, of picked P about their travel times, above which no window is at a common time
DEPENDS = ("tcondvar", "backbone", "n_fft", "hop", "validation_share")  # what of a recipe it depends on


class Prepared:
    """``data`` are records of training events only; some of them validate.

    Raises
    ------
    InputError
        There are too few events.
    """

    def __init__(self, data: Waveforms, recipe: Recipe, seed: int):
        self.key = key(recipe, seed)
        self.table, self.waveforms, self.rate = completed(data.table), data.waveforms, data.sampling_rate
        self.rows, self.held = training_and_validation(self.table, recipe.validation_share, seed)
        stft = Stft(recipe.n_fft, recipe.hop, data.waveforms.shape[1])
        delay = None if data.before > 0 else window_delay(self.table.iloc[self.rows])
        self.scaling = Scaling(stft, data.sampling_rate, data.before, delay)
        self.events = torch.as_tensor(pd.factorize(self.table["event_id"])[0])
        self._fit_backbone(recipe, seed)
        self._tensors()

    def _fit_backbone(self, recipe: Recipe, seed: int) -> None:
        frequencies = self.scaling.frequencies()
        within = tuple(np.minimum(frequencies, 0.499 * self.rate).tolist())
        self.ln_fas = np.log(fas.smoothed_fas(self.waveforms, 1.0 / self.rate, within))
        part = self.table.iloc[self.rows].reset_index(drop=True)
        frame = Conditions.fit(recipe.tcondvar, part).frame
        options = {"spatial": recipe.backbone == "spatial", "seed": seed}
        self.backbone, held_out = backbone.fit(
            part, self.ln_fas[self.rows], frequencies, recipe.tcondvar, frame, **options
        )
        self.conditions = Conditions.fit(network_conditions(recipe.tcondvar), part)
        self.medians = self.backbone.predict(self.table)  # of validation rows as for any new event
        self.medians[self.rows] = held_out

    def _tensors(self) -> None:
        conditions, onsets, _ = tensors(self.table, self.conditions, self.backbone, self.scaling)
        self.of = (conditions, onsets, torch.as_tensor(self.medians.astype(np.float32)))
        parts, waveforms = [], torch.as_tensor(self.waveforms)
        for first in range(0, len(waveforms), AT_ONCE):
            place = slice(first, first + AT_ONCE)
            parts.append(self.scaling.power(waveforms[place], self.of[2][place]) + QUIET)
        self.power = torch.cat(parts)
        self.bands = model.averaged(self.power)
        centre, deviation = self.bands[self.rows].mean(), self.bands[self.rows].std()
        self.bands = (self.bands - centre) / deviation


def key(recipe: Recipe, seed: int) -> tuple[Any, ...]:
    """Trainings of the same key, on the same records, may share what is prepared."""
    return (seed, *(getattr(recipe, name) for name in DEPENDS))


def network_conditions(kind: int) -> int:
    """The set of conditions of the network: places are the backbone's, or a few earthquakes' codes would be learnt."""
    return 5 if kind == 2 else kind


def window_delay(table: pd.DataFrame) -> float:
    """Seconds from the travel time of P to P in windows that are not cut by P (the paper's CSV): the median of picks.

    Raises
    ------
    InputError
        No onset is known, or windows begin at no common time after the origin.
    """
    late = (table["p_arrival"] - table["tp"]).dropna()
    if not len(late):
        raise InputError("windows do not begin at P, and no record has a p_arrival; prepare the records again")
    middle = float(late.median())
    if (late - middle).abs().median() > SCATTER:
        raise InputError(
            f"windows begin neither at P nor at a common time after the origin: half of the picked P are {SCATTER:g} s "
            "and more off; cut them by P with prepare_waveforms.py"
        )
    return middle
