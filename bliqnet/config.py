"""The command lines: one frozen dataclass per command, a sentence and a unit for every field."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bliqnet.model import Dynamics, Skip, Solver
from shared import option_bounds
from shared.command import InputError

BOUNDS: option_bounds.Bounds = {
    **dict.fromkeys(("members", "hidden", "head", "steps", "epochs", "patience", "batch"), (1, None)),
    **dict.fromkeys(("backward_weight", "physics_weight", "weight_decay", "inverse_steps"), (0, None)),
    "checkpoint_every": (0, None),
    "threads": (1, 1024),
    "folds": (2, None),
    "seed": (0, 2**63 - 1),  # that torch takes
    "test_share": (0, 0.9),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained; shared by training, evaluation and benchmarks."""

    members: int = 5
    """Networks in the ensemble; each stops early on its own fold of the training events."""
    hidden: int = 32
    """Units of the liquid layer."""
    head: int = 64
    """Units of the hidden layer of the forward head."""
    dynamics: Dynamics = "ltc"
    """ltc: liquid time constants; linear: the published affine dynamics; cfc: closed-form continuous, no solver."""
    solver: Solver = "rk4"
    """ODE solver of torchdiffeq; euler, midpoint and rk4 take fixed steps."""
    steps: int = 2
    """Steps of a fixed-step solver over t in [0, 1]."""
    rtol: float = 1e-4
    """Relative tolerance of dopri5."""
    atol: float = 1e-6
    """Absolute tolerance of dopri5."""
    adjoint: bool = False
    """Backward pass by the adjoint ODE (constant memory) instead of through the solver's steps."""
    gates: Literal["placed", "random"] = "placed"
    """placed: units of ltc start as soft thresholds on one to three inputs; random, and other dynamics: as usual."""
    skip: Skip = "classical"
    """classical: the head corrects a linear skip of classical ground-motion terms; none: the head alone."""
    loss: Literal["mixed", "mse"] = "mixed"
    """mixed: Gaussian likelihood with a random event term; mse: squared error."""
    backward_weight: float = 0.01
    """Weight of the backward branch's squared error (scaled inputs) in the loss."""
    physics_weight: float = 3.0
    """Weight in the loss of medians that rise with distance or fall with magnitude; 0: the data alone decide."""
    inverse_steps: int = 2
    """Steps of the inverse's liquid layer from t = 1 back to 0; 0: no liquid layer there."""
    scaling: Literal["standard", "minmax"] = "standard"
    """Inputs and outputs to zero mean and unit deviation, or to [-1, 1] as in the paper; training rows only."""
    epochs: int = 60
    """Largest number of passes over the training records."""
    patience: int = 15
    """Stop when no member's validation loss has improved for so many epochs."""
    batch: int = 1024
    """Records in a step, about: an event's records stay together."""
    learning_rate: float = 3e-3
    """Peak learning rate of AdamW; warm-up, then cosine decay."""
    weight_decay: float = 0.1
    """Decoupled weight decay of all weights but the skip's."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)


@dataclass(frozen=True)
class FitConfig(Recipe):
    """What the commands that train have in common."""

    data: tuple[Path, ...] = ()
    """Flatfile, or several (horizontal and vertical); none: the embedded synthetic default."""
    periods: tuple[float, ...] = ()
    """Periods to model (s; 0 is PGA); none: all that the file has."""
    seed: int = 0
    """Seed of the splits, the weights, the order of batches and the synthetic data."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    inverse: bool = True
    """Learn the inverse too, from spectra to magnitude, distance, Vs30, depth and mechanism."""
    threads: int = 1
    """Threads of the CPU; the default was the fastest on two cores."""


@dataclass(frozen=True)
class TrainConfig(FitConfig):
    """Options of ``train_bliqnet.py``."""

    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted training to go on with; its options are kept, others given here are refused."""
    checkpoint_every: float = 3.0
    """Seconds between savings of the state that --resume goes on from."""
    test_share: float = 0.2
    """Share of the events that training never sees, to report on; 0 trains on all."""


@dataclass(frozen=True)
class PredictConfig:
    """Options of ``predict_bliqnet.py``."""

    input: Path
    """Flatfile or table of scenarios: mag, rake or mechanism, hypo_depth (km), rjb (km), vs30 (m/s), component."""
    output: Path
    """CSV file to write: the rows' identifiers, medians SA(T) in g and their aleatory sigma_SA(T) in ln units."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/bliqnet, or else the pretrained model."""
    known_sites: bool = False
    """Add the site term of every station_id that has training records: only for the training data's own network."""
    inverse: bool = False
    """From spectra to parameters: --input holds SA(T) and PGA in g, --output gets quantiles of mag, rjb, vs30 ..."""
    batch: int = 1024
    """Rows per step; more, and the arrays no longer fit the processor's cache."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 2
    """Threads of the CPU, each with a batch of its own."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)
        if self.inverse and self.known_sites:
            raise InputError("--known-sites: is of spectra predicted, not of --inverse; leave one of them out")


@dataclass(frozen=True)
class ExportConfig:
    """Options of ``export_bliqnet.py``."""

    output: Path
    """ONNX file to write: medians (ln g), tau, phi and sigma (ln units) of all periods, from physical quantities."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/bliqnet, or else the pretrained model."""


@dataclass(frozen=True)
class EvaluateConfig(FitConfig):
    """Options of ``evaluate_bliqnet.py``."""

    folds: int = 5
    """Folds of the cross-validation."""
    external: tuple[Path, ...] = ()
    """Flatfiles of other records, which nothing is trained on: each is evaluated by itself."""
    baselines: bool = True
    """Compare with tuned scikit-learn models (ANN, KRR, RF, SVR, ensemble): most of the time goes into them."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted evaluation to go on with; its options are kept, others given here are refused."""
