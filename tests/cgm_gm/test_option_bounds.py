"""Numbers of a command line: what is out of bounds is one line that names the option, what is on them passes."""

import dataclasses
import math
import runpy
from pathlib import Path

import pytest

from cgm_gm import option_bounds, search
from cgm_gm.config import EvaluateConfig, GenerateConfig, SearchConfig, TrainConfig
from cgm_gm.search_spaces import FRAMES
from cgm_gm.sessions import begun
from cgm_gm.spectrogram import Stft
from shared.command import InputError

main = runpy.run_path(str(Path(option_bounds.__file__).with_name("train_cgm.py")))["main"]  # nobody imports a script
REFUSED = [
    ("threads", 0, "1 to 1024"),
    ("seed", -1, "0 to 4294967295"),
    ("seed", 2**32, "0 to 4294967295"),
    ("epochs", 0, "1 or more"),
    ("batch", 0, "1 or more"),
    ("batch", -5, "1 or more"),
    ("hop", 0, "8 to 500"),
    ("hop", 81, "half of --n-fft 160"),
    ("latent", 0, "1 to 8192"),
    ("hidden", 0, "1 to 8192"),
    ("recurrent", 0, "1 to 8192"),
    ("embedded", 0, "1 to 8192"),
    ("n_fft", 0, "16 to 1000"),
    ("learning_rate", -1.0, "above 0, 1 at most"),
    ("learning_rate", 0.0, "above 0, 1 at most"),
    ("learning_rate", math.nan, "above 0, 1 at most"),
    ("weight_decay", -0.1, "0 or more"),
    ("beta", math.inf, "0 or more"),
    ("alpha", -1.0, "0 or more"),
    ("checkpoint_every", -1.0, "0 or more"),
    ("test_share", 1.5, "a share from 0 to below 1"),
    ("test_share", -0.1, "a share from 0 to below 1"),
    ("validation_share", 1.5, "a share from 0 to below 1"),
    ("validation_share", math.nan, "a share from 0 to below 1"),
]


@pytest.mark.parametrize(("name", "value", "bound"), REFUSED)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(name, value, bound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = "published" if name in ("recurrent", "embedded", "alpha", "beta") else "ours"
    with pytest.raises(InputError) as refused:
        main(TrainConfig(network=network, **{name: value}))
    said = str(refused.value)
    assert said.startswith(f"--{name.replace('_', '-')} {value:.12g}: give ") and bound in said and "\n" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["seed", "threads", "epochs", "workers", "test_share"])
def test_a_search_has_the_same_bounds(name):
    with pytest.raises(InputError, match=f"^--{name.replace('_', '-')} -1: give "):
        search.check(SearchConfig(**{name: -1}))


def test_defaults_and_bounds_pass():
    for config in (TrainConfig(), TrainConfig(network="published"), SearchConfig()):
        option_bounds.check(config)
    for n_fft, hop in [*FRAMES, (16, 8), (1000, 500)]:
        option_bounds.check(TrainConfig(n_fft=n_fft, hop=hop))
    option_bounds.check(TrainConfig(latent=8192, hidden=1, epochs=1, batch=1, test_share=0.0, validation_share=0.0))
    option_bounds.check_frames(Stft(1000, 46, 2000))


def test_every_bound_is_of_an_option():
    kinds = (TrainConfig, SearchConfig, GenerateConfig, EvaluateConfig)
    names = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert names >= {*option_bounds.BOUNDS, *option_bounds.SHARES}


@pytest.mark.parametrize("network", ["ours", "published"])
def test_frames_longer_than_half_a_record_are_refused(network, simulated):
    samples = simulated.waveforms.waveforms.shape[1]
    recipe = dataclasses.replace(TrainConfig(network=network).recipe(), n_fft=samples // 2 + 1)
    with pytest.raises(InputError, match=f"^--n-fft {samples // 2 + 1}: give {samples // 2} at most"):
        begun(simulated.waveforms, recipe, seed=0)
