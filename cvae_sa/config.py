"""The command lines: one frozen dataclass per command, a sentence and a unit for every field."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.command import InputError

WIDEST, MOST_CODES = 1024, 16  # units of a layer; dimensions of the code, whose covariance is written out
LARGEST_SEED = 2**32 - 1  # that Keras takes
Road = Literal["prior", "ann"]


@dataclass(frozen=True)
class Recipe:
    """How a CVAE is built and trained; shared by training, evaluation, search and benchmarks."""

    latent: int = 3
    """Dimensions of the code."""
    hidden: tuple[int, int] = (32, 24)
    """Units of the encoder's two dense layers; the decoder has them in reverse."""
    dropout: float = 0.0
    """Share of the first hidden layer's units left out in a training step, in [0, 1)."""
    learning_rate: float = 3e-3
    """First learning rate of AdamW; it falls to zero along a cosine."""
    weight_decay: float = 0.1
    """Decoupled weight decay of all weights."""
    batch: int = 256
    """Records in a step."""
    epochs: int = 40
    """Passes over the training records."""
    annealing: float = 0.0
    """Share of the epochs over which the weight of the Kullback-Leibler term rises to 1; 0: it is 1 from the start."""
    matching: float = 3.0
    """Weight (nats) in the loss of codes that together differ from the prior or correlate with the conditions."""
    backbone: Literal["classical", "none"] = "classical"
    """classical: the network corrects a refitted classical ground-motion model; none: it corrects a constant."""
    folds: int = 5
    """Folds of the training events that calibrate the spread: each is predicted by a CVAE that has not seen it."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        refuse_below_one(self, "batch", "epochs")
        for name, sizes, most in (("latent", (self.latent,), MOST_CODES), ("hidden", self.hidden, WIDEST)):
            if not all(1 <= size <= most for size in sizes):
                raise InputError(f"--{name}: must lie in 1 to {most}, not {' '.join(map(str, sizes))}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"--dropout: must lie in [0, 1), not {self.dropout}")
        if not 0 <= self.annealing <= 1:
            raise InputError(f"--annealing: must lie in [0, 1], not {self.annealing}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"--learning-rate: must be positive and finite, not {self.learning_rate}")
        for name in ("weight_decay", "matching"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"--{name.replace('_', '-')}: must be 0 or more and finite, not {getattr(self, name)}")
        if self.folds < 2:
            raise InputError(f"--folds: must be at least 2, not {self.folds}")


@dataclass(frozen=True)
class DataConfig(Recipe):
    """What the commands that train have in common."""

    data: tuple[Path, ...] = ()
    """Flatfile, or several (horizontal and vertical); none: the embedded synthetic default."""
    periods: tuple[float, ...] = ()
    """Periods to model (s; 0 is PGA); none: all that the file has."""
    tectonic: Literal["crustal", "all"] = "crustal"
    """crustal: where the file names slab and interface events, they are left out; all: they stay."""
    seed: int = 0
    """Seed of the splits, the weights, the order of batches and the synthetic data."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted run to go on with; its options are kept, others given here are refused."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        super().__post_init__()
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"--seed: must lie in 0 to {LARGEST_SEED}, not {self.seed}")


@dataclass(frozen=True)
class FitConfig(DataConfig):
    """What the commands that keep test events apart have in common."""

    test_share: float = 0.2
    """Share of the events that training never sees, to report on; 0 trains on all."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        super().__post_init__()
        if not 0 <= self.test_share < 0.9:
            raise InputError(f"--test-share: must lie in [0, 0.9), not {self.test_share}")


@dataclass(frozen=True)
class TrainConfig(FitConfig):
    """Options of ``train_cvae.py``."""

    checkpoint_every: float = 3.0
    """Seconds between savings of the state that --resume goes on from."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        super().__post_init__()
        if not 0 <= self.checkpoint_every < math.inf:
            raise InputError(f"--checkpoint-every: must be 0 or more and finite, not {self.checkpoint_every}")


@dataclass(frozen=True)
class PredictConfig:
    """Options of ``predict_cvae.py``."""

    input: Path
    """Flatfile or table of scenarios: mag, rake or mechanism, hypo_depth (km), rjb (km), vs30 (m/s), component."""
    output: Path
    """CSV to write: the rows' identifiers, medians SA(T) in g and their sigma_SA(T) in ln units; then samples."""
    run: str = "latest"
    """Run folder, or latest: the newest complete run below runs/cvae_sa."""
    samples: int = 0
    """Spectra (g) to draw for every row, correlated between periods; each is a row more, numbered by ``sample``."""
    road: Road = "prior"
    """prior: codes of the prior; ann: codes that the ANN predicts from the inputs."""
    seed: int = 0
    """Seed of the samples."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("samples", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name}: must not be negative, but is {getattr(self, name)}")


@dataclass(frozen=True)
class ExportConfig:
    """Options of ``export_cvae.py``."""

    output: Path
    """ONNX file to write: medians (ln g), tau, phi and sigma (ln units) of all periods, from physical quantities."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/cvae_sa, or else the pretrained model."""
    road: Road = "prior"
    """prior: codes of the prior; ann: codes that the ANN predicts from the inputs."""


@dataclass(frozen=True)
class EvaluateConfig(DataConfig):
    """Options of ``evaluate_cvae.py``."""

    outer_folds: int = 5
    """Folds of the events; each is predicted by models that have learnt from the others, so every event once."""
    samples: int = 200
    """Spectra to draw for every held-out record."""
    ablation: bool = False
    """Compare with a CVAE without the classical backbone too."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        super().__post_init__()
        if self.outer_folds < 2:
            raise InputError(f"--outer-folds: must be at least 2, not {self.outer_folds}")
        if self.samples < 20:
            raise InputError(f"--samples: must be at least 20, to tell intervals by, not {self.samples}")


def refuse_below_one(config: Any, *names: str) -> None:
    """Counts that cannot be zero."""
    for name in names:
        if getattr(config, name) < 1:
            raise InputError(f"--{name}: must be at least 1, not {getattr(config, name)}")


@dataclass(frozen=True)
class ExplainConfig:
    """Options of ``explain_cvae.py``."""

    run: str = "latest"
    """Run folder of the trained model, or latest: the newest complete run below runs/cvae_sa."""
    input: Path | None = None
    """Flatfile or table of scenarios to explain; by default records of the run's own data, drawn at random."""
    data: tuple[Path, ...] = ()
    """Where the run's data lie now, should they have moved; by default where the run has read them."""
    rows: int = 1000
    """Rows to explain, drawn at random where there are more."""
    background: int = 100
    """Training records, drawn at random, that an input is left to when it is not told; the time goes with them."""
    check: int = 20
    """Rows that shap's Exact explainer explains again, to check against."""
    road: Road = "prior"
    """prior: codes of the prior; ann: codes that the ANN predicts from the inputs."""
    seed: int = 0
    """Seed of the drawing of rows and of the background."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    output: Path | None = None
    """Folder for the report, new or empty; by default below runs/cvae_sa-explanation."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        refuse_below_one(self, "rows", "background")
        for name in ("check", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name}: must not be negative, but is {getattr(self, name)}")


@dataclass(frozen=True)
class SearchConfig(FitConfig):
    """Options of ``search_cvae.py``: what the space does not vary is as given."""

    space: Literal["paper", "wide"] = "wide"
    """paper: the published grid of 36; wide: the recipe as given, then random draws, then changes of the best."""
    trials: int = 36
    """Recipes to try, each on all folds."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        super().__post_init__()
        most = {"paper": 36, "wide": 1000}[self.space]
        if not 1 <= self.trials <= most:
            raise InputError(f"--trials: must lie in 1 to {most} in the {self.space} space, not {self.trials}")
