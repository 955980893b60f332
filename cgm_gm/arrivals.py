"""Onsets of P and S in waveforms of one component: by PhaseNet, by an autoregressive picker, and how far they are off.

PhaseNet (Zhu and Beroza 2019, GJI 216(1)) through SeisBench (Woollam et al. 2022, SRL 93(3)), an optional extra. It was
trained on three components: the missing ones are zero, and the recorded one is scaled by three to make up for them.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cgm_gm.seismology import ar_pick
from shared.command import InputError, reason_of
from shared.hdf5_reading import hdf5
from shared.torch_archive import check_archive
from shared.torch_tools import UNREADABLE, RoomFor
from shared.untrusted import read_json

WEIGHTS = "original"  # of those that SeisBench offers
RATE = 100.0  # Hz, of PhaseNet
WINDOW = 2998  # samples; with the 3,001 of the training, everything is picked some .02 s late
SCALE = 3.0  # of a lone component, after it is given the deviation 1
THRESHOLD = 0.3  # probability that makes an onset
VERTICAL = 2  # of the components E, N, Z
AFTER = 0.1  # s by which S is later than P at least
LEAST = 1e-3  # of a probability in a product
BATCH = 64
TOLERANCE = 0.5  # s, within which an onset counts as found
AR_OPTIONS = (1.0, 20.0, 1.0, 0.1, 4.0, 1.0, 2, 8, 0.1, 0.2)  # of ObsPy: band (Hz), windows (s) and orders


@dataclasses.dataclass(frozen=True)
class Onsets:
    """``p`` and ``s`` (N,) in s after the first sample, NaN where none was found."""

    p: np.ndarray
    s: np.ndarray


class PhaseNetPicker:
    """Weights of PhaseNet from ``path``, SeisBench's file without or with its ending ``.pt`` or ``.json``.

    Raises
    ------
    InputError
        SeisBench is not installed, or there are no such weights.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu"):
        stem = path.with_suffix("") if path.suffix in (".pt", ".json") else path
        for ending in (".pt", ".json"):
            if not Path(f"{stem}{ending}").is_file():
                raise InputError(f"{stem}{ending}: no such file; give the PhaseNet weights that SeisBench saved")
        kind = _phasenet()
        weights = Path(f"{stem}.pt")
        try:
            check_archive(weights)  # SeisBench believes what the two files say
            read_json(Path(f"{stem}.json"))
            with RoomFor({"all": torch.empty(weights.stat().st_size // 4, device="meta")}):
                self.model = kind.load(stem).to(device).eval()
        except UNREADABLE as error:
            raise InputError(f"{stem}.pt: no weights of PhaseNet ({reason_of(error)}); fetch them again") from None
        self.device = torch.device(device)

    @classmethod
    def downloaded(cls, device: torch.device | str = "cpu") -> "PhaseNetPicker":
        """The original weights, which SeisBench fetches once and keeps in its own folder.

        Raises
        ------
        InputError
            SeisBench is not installed, or cannot fetch them.
        """
        kind, found = _phasenet(), cls.__new__(cls)
        try:
            found.model = kind.from_pretrained(WEIGHTS).to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"SeisBench cannot fetch PhaseNet ({reason_of(error)}); give a file with --picker-weights"
            ) from None
        found.device = torch.device(device)
        return found

    def __call__(self, waveforms: np.ndarray, sampling_rate: float) -> Onsets:
        """Onsets in ``waveforms`` (N, T) of one component, or (N, 3, T) of E, N, Z; the likeliest pair of P and S.

        Raises
        ------
        InputError
            The sampling rate is another than PhaseNet's, or the waveforms are shorter than a window.
        """
        waveforms = np.asarray(waveforms)
        if sampling_rate != RATE:
            raise InputError(f"waveforms of {sampling_rate:g} Hz: PhaseNet picks at {RATE:g} Hz; resample them")
        if waveforms.shape[-1] < WINDOW:
            raise InputError(f"waveforms of {waveforms.shape[-1]} samples: PhaseNet needs {WINDOW} at least")
        found = np.empty((2, len(waveforms)))
        for start in range(0, len(waveforms), BATCH):
            rows = slice(start, start + BATCH)
            found[:, rows] = likeliest(*self.probabilities(waveforms[rows]))
        return Onsets(*found)

    @torch.no_grad()
    def probabilities(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of P and of S at each sample, (N, T) each: the mean of what windows that overlap by half say."""
        n_samples, letters = waveforms.shape[-1], self.model.labels
        starts = [*range(0, n_samples - WINDOW, WINDOW // 2), n_samples - WINDOW]
        found, windows = np.zeros((2, len(waveforms), n_samples), np.float32), np.zeros(n_samples, np.float32)
        for start in starts:
            within = slice(start, start + WINDOW)
            piece = torch.as_tensor(waveforms[..., within].astype(np.float32), device=self.device)
            told = self.model(three(piece)).cpu().numpy()[..., :WINDOW]
            found[:, :, within] += told[:, [letters.index("P"), letters.index("S")]].transpose(1, 0, 2)
            windows[within] += 1.0
        return found[0] / windows, found[1] / windows


def _phasenet():
    """SeisBench's class."""
    try:
        from seisbench.models import PhaseNet
    except ImportError:
        raise InputError(
            "PhaseNet needs SeisBench; install the extra cgm-picker, or leave out --picker-weights"
        ) from None
    return PhaseNet


def three(piece: torch.Tensor) -> torch.Tensor:
    """What PhaseNet is fed (N, 3, T): each component of mean 0 and deviation 1; a lone one (N, T) as the vertical."""
    piece = piece - piece.mean(dim=-1, keepdim=True)
    piece = piece / piece.std(dim=-1, keepdim=True).clamp_min(1e-20)
    if piece.ndim == 3:
        return piece
    alone = piece.new_zeros((len(piece), 3, piece.shape[1]))
    alone[:, VERTICAL] = SCALE * piece
    return alone


def likeliest(p: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P and S (N,) in s from probabilities (N, T) at `RATE`, NaN where below `THRESHOLD`.

    The pair of the largest product, S after P: on one component an S alone is often taken for a P.
    """
    lag, rows = round(AFTER * RATE), np.arange(len(p))
    ln_p, ln_s = np.log(p + LEAST), np.log(s + LEAST)
    at_s = (np.maximum.accumulate(ln_p, axis=1)[:, :-lag] + ln_s[:, lag:]).argmax(axis=1) + lag
    before = np.arange(p.shape[1]) <= at_s[:, None] - lag
    at_p = np.where(before, p, -1.0).argmax(axis=1)
    return tuple(np.where(told[rows, at] >= THRESHOLD, at / RATE, np.nan) for told, at in ((p, at_p), (s, at_s)))


def autoregressive(waveforms: np.ndarray, sampling_rate: float) -> Onsets:
    """Onsets in ``waveforms`` (N, T) by ObsPy's picker (Akazawa 2004), the component in the place of all three."""
    found = np.full((2, len(waveforms)), np.nan)
    for row, samples in enumerate(waveforms):
        samples = np.ascontiguousarray(samples - np.mean(samples), np.float32)
        p, s = ar_pick(samples, samples, samples, sampling_rate, *AR_OPTIONS)
        found[:, row] = p if p > 0 else np.nan, s if s > p else np.nan
    return Onsets(*found)


def errors(found: Onsets, expected: Onsets) -> pd.DataFrame:
    """How far onsets are off: a row each for P, S and S − P.

    ``expected`` (known), ``found`` (share of them found at all), ``recall`` (share within `TOLERANCE`), and in s
    ``median_absolute`` and ``median`` of all that were found, ``mean_absolute`` of those within the tolerance.
    """
    rows = []
    pairs = {
        "P": (found.p, expected.p),
        "S": (found.s, expected.s),
        "S-P": (found.s - found.p, expected.s - expected.p),
    }
    for name, (told, true) in pairs.items():
        known = np.isfinite(true)
        off = (told - true)[known]
        off = off[np.isfinite(off)]
        near = np.abs(off[np.abs(off) <= TOLERANCE])
        rows.append(
            {
                "phase": name,
                "expected": int(known.sum()),
                "found": len(off) / known.sum() if known.any() else np.nan,
                "recall": len(near) / known.sum() if known.any() else np.nan,
                "median_absolute": np.median(np.abs(off)) if len(off) else np.nan,
                "median": np.median(off) if len(off) else np.nan,
                "mean_absolute": near.mean() if len(near) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def judged(picker: PhaseNetPicker, path: Path) -> pd.DataFrame:
    """`errors` of a picker on analysts' picks: three components, the vertical alone, a horizontal alone.

    ``path`` is HDF5 with ``waveforms`` (N, 3, T) of E, N, Z at 100 Hz, ``p_sample`` and ``s_sample`` (N,). A component
    that was not recorded is zero; records without the component asked for are left out.

    Raises
    ------
    InputError
        It is no such file.
    """
    try:
        with hdf5(path) as file:
            waveforms = file["waveforms"][:]
            p, s = (file[f"{phase}_sample"][:] / RATE for phase in "ps")
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: needs waveforms, p_sample and s_sample ({str(error)[:80]})") from None
    tables = []
    for name, part in {"three": slice(None), "vertical": 2, "horizontal": 0}.items():
        chosen = waveforms[:, part]
        there = np.abs(chosen).reshape(len(chosen), -1).max(axis=1) > 0
        table = errors(picker(chosen[there], RATE), Onsets(p[there], s[there]))
        tables.append(table.assign(components=name))
    return pd.concat(tables, ignore_index=True)
