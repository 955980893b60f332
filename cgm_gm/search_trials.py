"""The trials of a search: each is a folder with a generator and a JSON file that is written last. Nothing is unpickled.

Trials know nothing of each other, so that any worker of a cluster can run one.
"""

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from cgm_gm import search_spaces
from cgm_gm.conditions import completed
from cgm_gm.config import PublishedRecipe, Recipe, SearchConfig
from cgm_gm.data import ranges, training_and_validation
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT
from cgm_gm.prepared import Prepared, key
from cgm_gm.published_training import PublishedTraining
from cgm_gm.search_objective import LISTS, NUMBERS, Judgement, judge
from cgm_gm.search_spaces import Point
from cgm_gm.training import Training
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError
from shared.sessions import number, read_json

TRIAL = "trial.json"
MOST_PREPARED = 3  # kept in memory


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of a point: infinite misfit where the training failed, for the reason in ``note``."""

    point: Point
    recipe: Recipe | PublishedRecipe
    judged: Judgement
    validation_loss: float  # ours: nats a record; published: as trained, so that it hangs on beta and alpha
    seconds: float
    note: str = ""

    @property
    def misfit(self) -> float:
        """What the search makes small."""
        return self.judged.misfit if math.isfinite(self.judged.misfit) else math.inf

    @classmethod
    def load(cls, file: Path, config: SearchConfig, point: Point | None = None) -> "Trial":
        """Read what `save` wrote; ``point`` is the one that belongs there, if that is known.

        Raises
        ------
        InputError
            The file is damaged, or of another point or search.
        """
        content = read_json(file)
        try:
            known = {name: number(value) for name, value in content["point"].items()}
            recipe = search_spaces.SPACES[config.network].recipe(known, config)
            if (point is not None and known != point) or content["recipe"] != runs.plain(recipe):
                raise ValueError("another point")
            said = dict(content["judged"])
            lists = {name: tuple(map(number, said[name])) for name in LISTS}
            judged = Judgement(**{name: number(said[name]) for name in NUMBERS}, **lists)
            if any(len(each) != len(FREQUENCIES) for each in lists.values()):
                raise ValueError("other frequencies")
            numbers = {name: number(content[name]) for name in ("validation_loss", "seconds")}
            return cls(known, recipe, judged, **numbers, note=str(content["note"]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise InputError(
                f"{file}: not the trial that belongs there; remove {file.parent}, and --resume runs it again"
            ) from None

    def save(self, file: Path) -> None:
        """Write the trial, whole or not at all."""
        runs.write_json(file, self)


class Shelf:
    """What trials on ``data`` (records of training events only) share, made when it is first asked for.

    Raises
    ------
    InputError
        There are too few events to learn from or to validate with.
    """

    def __init__(self, data: Waveforms, config: SearchConfig):
        self.data, self.seed, self.kept = data, config.seed, {}
        self.rows, self.held = training_and_validation(completed(data.table), config.validation_share, config.seed)
        if data.table["event_id"].iloc[self.held].nunique() < 2:
            raise InputError("fewer than 2 events to validate with; raise --validation-share or give more data")

    def prepared(self, recipe: Recipe) -> Prepared:
        """For ``recipe``; the last few asked for stay in memory."""
        name = key(recipe, self.seed)
        found = self.kept.pop(name, None) or Prepared(self.data, recipe, self.seed)
        self.kept[name] = found
        while len(self.kept) > MOST_PREPARED:
            del self.kept[next(iter(self.kept))]
        return found

    def begun(self, recipe: Recipe | PublishedRecipe, device: torch.device | str) -> Training | PublishedTraining:
        """A training of ``recipe`` before its first epoch."""
        if isinstance(recipe, PublishedRecipe):
            return PublishedTraining(self.data, recipe, self.seed, device)
        return Training(self.data, recipe, self.seed, device, self.prepared(recipe))


def run_trial(
    shelf: Shelf,
    point: Point,
    recipe: Recipe | PublishedRecipe,
    home: Path,
    provenance: dict[str, Any],
    device: torch.device | str = "cpu",
    quiet: bool = False,
) -> Trial:
    """Train ``recipe``, keep its generator in ``home``, judge it on validation events.

    A training that diverges is a trial that failed.
    """
    began = time.perf_counter()
    judged, loss, note = Judgement.failed(), math.nan, ""
    training = shelf.begun(recipe, device)
    try:
        with tqdm(total=recipe.epochs, desc="  epochs of the trial", unit="epoch", leave=False, disable=quiet) as bar:
            while not training.finished:
                loss = training.run_epoch()["validation_loss"]
                bar.update()
        stations = training.table[["station_id", "station_lat", "station_lon"]].drop_duplicates("station_id")
        card = {"provenance": provenance, "ranges": ranges(training.table), "recipe": recipe}
        generator = training.generator({**card, "stations": stations.to_dict("list")})
        judged = judge(generator, shelf.data.rows(training.held), shelf.seed)
        generator.save(home / CHECKPOINT)
    except (InputError, np.linalg.LinAlgError) as error:
        note = str(error)
    return Trial(point, recipe, judged, loss, time.perf_counter() - began, note)
