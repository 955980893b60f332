"""The command lines: one frozen dataclass per command, a sentence and a unit for every field."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared import option_bounds

WIDEST, MOST_CODES = 1024, 16  # units of a layer; dimensions of the code, whose covariance is written out
BOUNDS: option_bounds.Bounds = {
    "latent": (1, MOST_CODES),
    "hidden": (1, WIDEST),
    "annealing": (0, 1),
    **dict.fromkeys(("batch", "epochs", "rows", "background"), (1, None)),
    **dict.fromkeys(("weight_decay", "matching", "checkpoint_every", "samples", "check"), (0, None)),
    **dict.fromkeys(("folds", "outer_folds"), (2, None)),
    "seed": (0, 2**32 - 1),  # that Keras takes
    "test_share": (0, 0.9),
}
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
        option_bounds.check(self, BOUNDS, ("dropout",))


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


@dataclass(frozen=True)
class FitConfig(DataConfig):
    """What the commands that keep test events apart have in common."""

    test_share: float = 0.2
    """Share of the events that training never sees, to report on; 0 trains on all."""


@dataclass(frozen=True)
class TrainConfig(FitConfig):
    """Options of ``train_cvae.py``."""

    checkpoint_every: float = 3.0
    """Seconds between savings of the state that --resume goes on from."""


@dataclass(frozen=True)
class PredictConfig:
    """Options of ``predict_cvae.py``."""

    input: Path
    """Flatfile or table of scenarios: mag, rake or mechanism, hypo_depth (km), rjb (km), vs30 (m/s), component."""
    output: Path
    """CSV file to write: the rows' identifiers, medians SA(T) in g and their sigma_SA(T) in ln units; then samples."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/cvae_sa, or else the pretrained model."""
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
        option_bounds.check(self, BOUNDS)


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
        """Refuse numbers that make no sense; from fewer samples intervals cannot be told."""
        super().__post_init__()
        option_bounds.check(self, {"samples": (20, None)})


@dataclass(frozen=True)
class ExplainConfig:
    """Options of ``explain_cvae.py``."""

    run: str = "latest"
    """Run folder, or latest: the newest complete run below runs/cvae_sa."""
    input: Path | None = None
    """Flatfile or table of scenarios to explain; by default records of the run's own data, drawn at random."""
    data: tuple[Path, ...] = ()
    """Flatfiles of the run, where they have been moved; none: where the run has read them."""
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
    """Run folder, new or empty; by default below runs, named after the time and the seed."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)


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
        option_bounds.check(self, {"trials": (1, {"paper": 36, "wide": 1000}[self.space])})
