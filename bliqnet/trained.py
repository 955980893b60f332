"""The trained model as one file: weights, shape, scalers, periods, ranges and provenance; table in, spectra out."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bliqnet.data import INPUTS, Records, derive_inputs
from bliqnet.losses import Aleatory, match_coverage
from bliqnet.model import LiquidNetwork, NetworkShape
from bliqnet.site_terms import SiteTerms
from bliqnet.training import Training
from shared import runs
from shared.command import InputError, reason_of
from shared.predictions import ranges_of
from shared.reference_gmm import Prediction
from shared.torch_tools import RoomFor, load_checkpoint, save_checkpoint

CHECKPOINT = "best_liquid_model.pth"
KIND = "bliqnet model"
MOST_STEPS = 1000  # of the solver, that a file may ask for


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A network that knows its periods, the ranges it has seen and where it came from."""

    network: LiquidNetwork
    aleatory: Aleatory
    site_terms: SiteTerms
    columns: list[str]
    style_mix: tuple[float, float]
    ranges: dict[str, tuple[float, float]]
    components: list[str]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, training: Training, records: Records, provenance: dict[str, Any]) -> "TrainedModel":
        """The best that ``training`` on ``records`` has come to."""
        network = training.final_network()
        residual = training.held_out_residual(network)
        aleatory = training.calibrated_aleatory(residual)
        match_coverage(aleatory, residual, training.inputs[:, 0])
        table = records.table
        return cls(
            network=network,
            aleatory=aleatory,
            site_terms=SiteTerms.of(records, residual.cpu().numpy()),
            columns=records.columns,
            style_mix=records.style_mix,
            ranges=ranges_of(table),
            components=sorted(table["component"].unique()),
            provenance=provenance,
        )

    @property
    def parameters(self) -> int:
        """Trained weights, all members together."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def synthetic(self) -> bool:
        """Whether the training data were synthetic."""
        return bool(self.provenance["data"]["synthetic"])

    def predict(
        self, table: pd.DataFrame, *, known_sites: bool = False, batch: int = 1024, threads: int = 2
    ) -> Prediction:
        """Median spectra and their spread for rows of canonical columns.

        With ``known_sites``, a row whose ``station_id`` was among the training records gets its site term. Batches of
        ``batch`` rows, which fit a processor's cache, are worked on by ``threads`` threads side by side: the arrays are
        too small for torch to share one among threads.
        """
        inputs = torch.from_numpy(derive_inputs(table, self.style_mix)).to(self.network.output_scaling.centre.device)
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(self._predict_batch, inputs.split(batch)))
        ln_median, tau, phi = torch.cat(parts, dim=1).cpu().numpy()
        if known_sites:
            ln_median, phi, _ = self.site_terms.apply(table, ln_median, phi)
        return Prediction(ln_median, tau, phi)

    @torch.no_grad()
    def _predict_batch(self, inputs: torch.Tensor) -> torch.Tensor:
        tau, phi = self.aleatory(inputs[:, 0])
        return torch.stack([self.network(inputs).mean(dim=0), tau[0], phi[0]])  # (3, B, P)

    def save(self, path: Path) -> None:
        """Write the model, whole or not at all."""
        save_checkpoint(
            path,
            KIND,
            {
                "shape": dataclasses.asdict(self.network.shape),
                "inputs": list(INPUTS),
                "network": self.network.state_dict(),
                "aleatory": self.aleatory.state_dict(),
                "site_terms": vars(self.site_terms),
                "columns": self.columns,
                "style_mix": self.style_mix,
                "ranges": self.ranges,
                "components": self.components,
                "provenance": runs.plain(self.provenance),
            },
        )

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "TrainedModel":
        """Read what ``save`` wrote.

        Raises
        ------
        InputError
            The file is missing, damaged, or not a BLiqNet model.
        """
        saved = load_checkpoint(path, KIND)
        try:
            shape = NetworkShape(**saved["shape"])
            with RoomFor(saved["network"]):
                network = LiquidNetwork(shape, torch.Generator())
            network.load_state_dict(saved["network"])
            with RoomFor(saved["aleatory"]):
                aleatory = Aleatory(1, shape.n_periods)
            aleatory.load_state_dict(saved["aleatory"])
            site_terms = SiteTerms(**saved["site_terms"])
            rest = {name: saved[name] for name in ("columns", "style_mix", "ranges", "components", "provenance")}
            if not 1 <= shape.steps <= MOST_STEPS:
                raise ValueError("too many steps")
            if (
                saved["inputs"] != list(INPUTS)
                or not isinstance(rest["columns"], list)
                or len(rest["columns"]) != shape.n_periods
            ):
                raise ValueError("inputs or periods do not fit the network")
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: a damaged model or one of another version ({reason_of(error)}); train again"
            ) from None
        return cls(network=network.to(device).eval(), aleatory=aleatory.to(device), site_terms=site_terms, **rest)
