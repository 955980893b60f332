"""Within which bounds the numbers of a command line lie; what is outside is refused before any work, in one line."""

import dataclasses
from typing import Any

from cgm_gm.spectrogram import Stft
from shared import option_bounds

# least and most, both allowed; None: no bound. Sizes are those that a generator's file may have.
BOUNDS: dict[str, tuple[float, float | None]] = {
    "max_evals": (1, None),
    "workers": (1, None),
    "samples": (2, None),
    "max_records": (0, None),
    "epochs": (1, None),
    "batch": (1, None),
    "threads": (1, 1024),
    "seed": (0, 2**32 - 1),
    "latent": (1, 8192),
    "hidden": (1, 8192),
    "recurrent": (1, 8192),
    "embedded": (1, 8192),
    "n_fft": (16, 1000),  # with fewer samples frequencies are too few to calibrate by
    "hop": (8, 500),  # with fewer a record has more cells than a generator's file may
    "beta": (0, None),
    "alpha": (0, None),
    "weight_decay": (0, None),
    "checkpoint_every": (0, None),
}
SHARES = ("test_share", "validation_share")


def check(config: Any) -> None:
    """Refuse numbers that nothing can be trained, searched or generated with; None is a default and passes.

    ``config`` is a dataclass of `config`; those of its fields are looked at that are named here.

    Raises
    ------
    InputError
        It names the option and its bounds.
    """
    option_bounds.check(config, BOUNDS, SHARES)
    given = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if "hop" in given and given["hop"] > given["n_fft"] // 2:
        option_bounds.refuse(
            "hop", given["hop"], f"give half of --n-fft {given['n_fft']} at most: frames have to overlap"
        )


def check_frames(stft: Stft) -> None:
    """Refuse frames that are too long for the records; else as `check`."""
    if 2 * stft.n_fft > stft.n_samples:
        option_bounds.refuse("n_fft", stft.n_fft, f"give {stft.n_samples // 2} at most, half of a record's samples")
