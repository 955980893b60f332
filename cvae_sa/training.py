"""Training: a CVAE for each fold of the training events, to calibrate spread and correlation, and one of all of them.

One compiled Keras model serves every stage: its weights are set back in between. Everything random is drawn from (seed,
stage, epoch), so that a training resumed after any epoch goes on as if never stopped.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from cvae_sa import calibration, coupling, factor_start
from cvae_sa.config import Recipe
from cvae_sa.data import Records, event_weights
from cvae_sa.layers import CodeMap
from cvae_sa.model import ROADS, SpectralCVAE
from shared import classical_form, splits
from shared.command import InputError
from shared.records import check_periods

CODE_MAP_EPOCHS, CODE_MAP_BATCH, CODE_MAP_RATE, CODE_MAP_DECAY = 30, 512, 3e-3, 0.1
AfterEpoch = Callable[[dict[str, Any]], None]


class Training:
    """A training between two epochs. ``records`` are training rows only.

    Stage k below ``recipe.folds`` trains on the events outside fold k and predicts those in it; the last stage trains
    on all. ``whole=False`` stops before the last, ``calibrate=False`` goes straight to it.

    Raises
    ------
    InputError
        There are too few events or records.
    """

    def __init__(self, records: Records, recipe: Recipe, seed: int, calibrate: bool = True, whole: bool = True):
        self.records, self.recipe, self.seed = records, recipe, seed
        check_periods(records.ln_sa, records.columns)
        n_events = len(np.unique(records.event))
        if n_events < recipe.folds:
            raise InputError(f"{n_events} events are left to train on, {recipe.folds} are needed; give more data")
        groups = splits.event_groups(records.table)
        everything = (np.arange(len(records)), np.arange(0))
        self.stages = list(splits.k_fold(groups, folds=recipe.folds, seed=seed)) if calibrate else []
        self.stages += [everything] if whole else []
        for train, _ in self.stages:
            self._check_enough(records.rows(train))
        self.batch = min(recipe.batch, len(records))
        self.steps = -(-len(records) // self.batch)  # in an epoch, the same in every stage: one compilation
        self.stage = self.epoch = 0
        self.begun = False
        shape = (len(ROADS), *records.ln_sa.shape)
        self.ln_median, self.sigma = (np.full(shape, np.nan, np.float32) for _ in range(2))  # out of fold
        self.held_out_loss: list[float] = []
        self.notes: list[str] = []
        self._compile()

    # --- set-up ---
    def _check_enough(self, part: Records) -> None:
        """Refuse now what the training would only find out after hours."""
        check_periods(part.ln_sa, part.columns, "training rows less a fold of the events")
        if self.recipe.backbone == "classical":
            refused = []
            for component, rows in part.table.groupby("component").indices.items():
                try:
                    classical_form.check_enough(component, part.ln_sa[rows], part.event[rows], part.columns)
                except InputError as error:
                    refused.append(str(error))
            if len(refused) == part.table["component"].nunique():
                raise InputError(f"training rows less a fold of the events: {refused[0]}; or give --backbone none")

    def _compile(self) -> None:
        recipe = self.recipe
        options = {"hidden": recipe.hidden, "dropout": recipe.dropout, "matching": recipe.matching, "seed": self.seed}
        self.model = SpectralCVAE(len(self.records.columns), recipe.latent, **options)
        rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * self.steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, clipnorm=10.0)
        optimizer.exclude_from_weight_decay(var_list=self.model.undecayed())
        self.model.compile(optimizer=optimizer, jit_compile=False, steps_per_execution=self.steps)
        optimizer.build(self.model.trainable_variables)
        self.first = [variable.numpy() for variable in self._variables()]

        self.code_map = CodeMap(recipe.latent, seed=self.seed + 50)
        self.code_map.build()
        steps = -(-len(self.records) // CODE_MAP_BATCH)
        rate = keras.optimizers.schedules.CosineDecay(CODE_MAP_RATE, CODE_MAP_EPOCHS * steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=CODE_MAP_DECAY)
        self.code_map.compile(optimizer=optimizer, jit_compile=False, steps_per_execution=steps)
        optimizer.build(self.code_map.trainable_variables)
        self.code_map_first = [variable.numpy() for variable in self._code_map_variables()]

    def _variables(self) -> list[keras.Variable]:
        known = [variable for variable in self.model.variables if variable.dtype == "float32"]
        return known + self.model.optimizer.variables

    def _code_map_variables(self) -> list[keras.Variable]:
        return self.code_map.weights + self.code_map.optimizer.variables

    # --- stages ---
    @property
    def n_epochs(self) -> int:
        """Epochs of all stages together."""
        return len(self.stages) * self.recipe.epochs

    @property
    def epochs_done(self) -> int:
        """Epochs behind us."""
        return self.stage * self.recipe.epochs + self.epoch

    @property
    def finished(self) -> bool:
        """Whether every stage is done."""
        return self.stage == len(self.stages)

    def run(self, after_epoch: AfterEpoch | None = None) -> None:
        """Go through all epochs that are left; ``after_epoch`` gets what there is to log, and may save the state."""
        while not self.finished:
            train, held_out = self.stages[self.stage]
            part = self.records.rows(train)
            if not self.begun:
                self._begin(part)
            batches = Batches(part, self.batch, self.steps, (self.seed, self.stage))
            self.model.fit(
                batches,
                epochs=self.recipe.epochs,
                initial_epoch=self.epoch,
                validation_data=self._padded(held_out) if len(held_out) else None,
                validation_batch_size=self._largest_fold(),
                callbacks=[_Epoch(self, batches, after_epoch)],
                shuffle=False,  # of the batches, by an unseeded generator
                verbose=0,
            )
            self._end(part, held_out)

    def _begin(self, part: Records) -> None:
        """Weights, optimiser, scalers and backbone as before the first epoch, from the rows of this stage only."""
        for variable, value in zip(self._variables(), self.first, strict=True):
            variable.assign(value)
        model, weight = self.model, event_weights(part.table)
        model.conditions.adapt(part.inputs)
        if self.recipe.backbone == "classical":
            self.notes += model.backbone.fit(part.table, part.ln_sa, part.columns)
        else:
            model.backbone.set_constant(np.nanmean(part.ln_sa, axis=0))
        left = part.ln_sa - ops.convert_to_numpy(model.base(part.inputs))
        unit = np.sqrt(pd.DataFrame(left**2).mul(weight, axis=0).sum().to_numpy() / (np.isfinite(left).T @ weight))
        model.unit.assign(unit)
        features = ops.convert_to_numpy(model.conditions(part.inputs))
        slopes = factor_start.spread_slopes(left / unit, features, weight)
        model.spread.kernel.assign(slopes)
        model.roughness.kernel.assign(slopes)
        scaled = left / ops.convert_to_numpy(model.width(features))
        loadings, noise = factor_start.factor_analysis(scaled, self.recipe.latent, weight)
        model.loadings.kernel.assign(loadings)
        model.factors.kernel.assign((loadings / noise).T)
        model.experts.kernel.assign((loadings / np.sqrt(noise)).T)
        model.log_noise.assign(0.5 * np.log(noise))
        self.begun = True

    def _end(self, part: Records, held_out: np.ndarray) -> None:
        self._fit_code_map(part)
        if len(held_out):
            for index, road in enumerate(ROADS):
                moments = self.model.moments(self.records.inputs[held_out], road)
                self.ln_median[index][held_out], self.sigma[index][held_out] = map(ops.convert_to_numpy, moments)
        elif np.isfinite(self.sigma).any():
            found = [self._calibrated(index, road) for index, road in enumerate(ROADS)]
            calibrated = (self.model.scale, self.model.tau_share, self.model.coupling)
            for variable, values in zip(calibrated, zip(*found, strict=True), strict=True):
                variable.assign(np.stack(values))
        self.stage, self.epoch, self.begun = self.stage + 1, 0, False

    def _calibrated(self, index: int, road: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spread factors and tau's shares (2, P), and the maps between periods (2, P, P), for codes by ``road``."""
        residual = (self.records.ln_sa - self.ln_median[index]).astype(float)
        component = self.records.table["component"].to_numpy()
        scale = calibration.spread_factor(residual, self.sigma[index], component)
        own = self._own_correlation(road, component)
        wanted = coupling.target(residual, self.sigma[index], component, self.records.event, own)
        maps = [coupling.transport(*each) for each in zip(own, wanted, strict=True)]
        return scale, calibration.tau_share(residual, self.records.table), np.stack(maps)

    def _own_correlation(self, road: str, component: np.ndarray) -> np.ndarray:
        """Correlation between periods (2, P, P) of what the model itself samples, mean over the rows of H and V."""
        _, root, noise = map(ops.convert_to_numpy, self.model.deviations(self.records.inputs, road))
        sigma = np.sqrt((root**2).sum(axis=0) + noise**2)
        root, noise = root / sigma, noise / sigma
        found = np.stack([np.eye(root.shape[-1])] * len(calibration.COMPONENTS))
        for row, name in enumerate(calibration.COMPONENTS):
            of = component == name
            if of.any():
                part = root[:, of].reshape(-1, root.shape[-1]).astype(float)
                found[row] = (part.T @ part + np.diag((noise[of].astype(float) ** 2).sum(axis=0))) / of.sum()
        return found

    def _fit_code_map(self, part: Records) -> None:
        """The ANN, fitted to the codes of ``part``, becomes the model's own."""
        for variable, value in zip(self._code_map_variables(), self.code_map_first, strict=True):
            variable.assign(value)
        self.code_map.conditions.adapt(part.inputs)
        codes = np.concatenate([ops.convert_to_numpy(each) for each in self.model.encode(part.inputs, part.ln_sa)], 1)
        steps = -(-len(self.records) // CODE_MAP_BATCH)
        batches = Batches(part, CODE_MAP_BATCH, steps, (self.seed, self.stage, 1), codes)
        self.code_map.fit(batches, epochs=CODE_MAP_EPOCHS, callbacks=[_Shuffle(batches)], shuffle=False, verbose=0)
        for own, fitted in zip(self.model.code_map.weights, self.code_map.weights, strict=True):
            own.assign(fitted.numpy())

    # --- validation rows, as many in every fold: one compilation ---
    def _largest_fold(self) -> int:
        return max(1, *(len(held_out) for _, held_out in self.stages))

    def _padded(self, rows: np.ndarray) -> tuple:
        """The rows and repetitions of them, which weigh nothing."""
        size = self._largest_fold()
        weight = np.zeros(size, np.float32)
        weight[: len(rows)] = event_weights(self.records.table.iloc[rows])
        rows = np.resize(rows, size)
        spectra = self.records.ln_sa[rows]
        return {"inputs": self.records.inputs[rows], "ln_sa": spectra}, spectra, weight

    # --- the state between two epochs ---
    def state(self) -> dict[str, np.ndarray]:
        """All that changes, as arrays: for an ``.npz``."""
        progress = {
            "place": np.array([self.stage, self.epoch, self.begun]),
            "ln_median": self.ln_median.copy(),
            "sigma": self.sigma.copy(),
            "held_out_loss": np.array(self.held_out_loss),
            "notes": np.array(self.notes, dtype=str),
        }
        return progress | {f"variable {i}": variable.numpy() for i, variable in enumerate(self._variables())}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` gave.

        Raises
        ------
        KeyError, ValueError
            It is not the state of such a training.
        """
        variables = self._variables()
        values = [state[f"variable {i}"] for i in range(len(variables))]
        known = [variable.numpy() for variable in variables] + [self.ln_median, self.sigma]
        found = [*values, state["ln_median"], state["sigma"]]
        if any(own.shape != each.shape or own.dtype != each.dtype for own, each in zip(known, found, strict=True)):
            raise ValueError("arrays of other shapes")
        stage, epoch, begun = (int(each) for each in state["place"])
        if not (0 <= stage <= len(self.stages) and 0 <= epoch <= self.recipe.epochs):
            raise ValueError("no such epoch")
        self.stage, self.epoch, self.begun = stage, epoch, bool(begun)
        self.ln_median, self.sigma = state["ln_median"].copy(), state["sigma"].copy()
        self.held_out_loss, self.notes = state["held_out_loss"].tolist(), state["notes"].tolist()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


class Batches(keras.utils.PyDataset):
    """``steps`` batches an epoch, of all rows in an order drawn from (``seed``, epoch), wrapped around at the end.

    Targets are the spectra, or ``targets`` of the conditions alone.
    """

    def __init__(self, part: Records, batch: int, steps: int, seed: tuple[int, ...], targets: np.ndarray | None = None):
        super().__init__()
        self.part, self.batch, self.steps, self.seed, self.targets = part, batch, steps, seed, targets
        self.weight = event_weights(part.table)
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw the order of ``epoch``."""
        order = np.random.default_rng([*self.seed, epoch]).permutation(len(self.part))
        self.order = np.resize(order, self.steps * self.batch)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple:
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        inputs, spectra, weight = self.part.inputs[rows], self.part.ln_sa[rows], self.weight[rows]
        if self.targets is not None:
            return inputs, self.targets[rows], weight
        return {"inputs": inputs, "ln_sa": spectra}, spectra, weight


class _Shuffle(keras.callbacks.Callback):
    def __init__(self, batches: Batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.begin(epoch)


class _Epoch(_Shuffle):
    """Order, noise and annealing of an epoch before it; counting and logging after it."""

    def __init__(self, training: Training, batches: Batches, after_epoch: AfterEpoch | None):
        super().__init__(batches)
        self.training, self.after_epoch = training, after_epoch

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch)
        training = self.training
        rising = training.recipe.annealing * training.recipe.epochs
        self.model.kl_weight.assign(min(1.0, (epoch + 1) / rising) if rising else 1.0)
        for number, generator in enumerate(self.model.generators()):
            drawn = np.random.SeedSequence([training.seed, training.stage, epoch, number]).generate_state(2)
            generator.state.assign(drawn.astype(generator.state.dtype))

    def on_epoch_end(self, epoch, logs=None):
        training = self.training
        if not np.isfinite(logs["loss"]):
            raise InputError(
                f"training diverged in epoch {training.epochs_done + 1}; start again with a lower --learning-rate"
            )
        training.epoch = epoch + 1
        if epoch + 1 == training.recipe.epochs and "val_loss" in logs:
            training.held_out_loss.append(float(logs["val_loss"]))
        if self.after_epoch:
            values = {name.replace("val_", "validation_"): value for name, value in logs.items()}
            values = {name if name.startswith("validation_") else f"train_{name}": v for name, v in values.items()}
            self.after_epoch({"epoch": training.epochs_done, "stage": training.stage + 1, **values})
