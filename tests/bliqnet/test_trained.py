"""The trained model as a file: there and back to the last bit, hostile or damaged files."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bliqnet.config import Recipe
from bliqnet.data import INPUTS, Records, derive_inputs, records_of
from bliqnet.model import LiquidNetwork
from bliqnet.trained import CHECKPOINT, KIND, TrainedModel
from bliqnet.training import Training
from shared import synthetic
from shared.command import InputError
from shared.reference_gmm import Prediction
from shared.torch_tools import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
RECIPE = Recipe(members=2, hidden=6, head=6, steps=1, epochs=2)


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=25, n_rows=800, columns=COLUMNS)))


def trained_on(records: Records, **changes) -> TrainedModel:
    training = Training(records, dataclasses.replace(RECIPE, **changes), 0, CPU)
    training.run_epoch()
    return TrainedModel.of(training, records, {"data": {"synthetic": True}, "git": None})


@pytest.fixture(scope="module")
def model(records) -> TrainedModel:
    return trained_on(records)


@pytest.fixture
def path(model, tmp_path) -> Path:
    model.save(tmp_path / CHECKPOINT)
    return tmp_path / CHECKPOINT


def assert_same_spectra(first: Prediction, second: Prediction) -> None:
    for name in ("ln_median", "tau", "phi"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


# --- predictions -----------------------------------------------------------------------------------------------------
def test_prediction_is_the_mean_of_the_members_with_its_deviations(model, records):
    spectra = model.predict(records.table)
    members = model.network(torch.from_numpy(records.inputs)).detach().numpy()
    np.testing.assert_allclose(spectra.ln_median, members.mean(axis=0), rtol=1e-5, atol=1e-5)
    tau, phi = model.aleatory(torch.from_numpy(records.inputs[:, 0]))
    np.testing.assert_allclose(spectra.tau, tau[0].detach(), rtol=1e-6)
    np.testing.assert_allclose(spectra.phi, phi[0].detach(), rtol=1e-6)
    np.testing.assert_allclose(spectra.sigma**2, spectra.tau**2 + spectra.phi**2, rtol=1e-5)
    assert spectra.ln_median.shape == spectra.sigma.shape == (len(records), len(COLUMNS))


def test_predictions_depend_on_neither_batch_nor_order(model, records):
    whole = model.predict(records.table)
    pieces = model.predict(records.table, batch=37)
    order = np.random.default_rng(0).permutation(len(records))
    shuffled = model.predict(records.table.iloc[order])
    for name in ("ln_median", "tau", "phi"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(getattr(shuffled, name), getattr(whole, name)[order], rtol=1e-5, atol=1e-5)


def test_the_network_never_sees_more_rows_than_a_batch(model, records, monkeypatch):
    seen, whole = [], LiquidNetwork.forward

    def forward(self, inputs):
        seen.append(len(inputs))
        return whole(self, inputs)

    monkeypatch.setattr(LiquidNetwork, "forward", forward)
    model.predict(records.table, batch=37)
    assert max(seen) == 37 and sum(seen) == len(records.table)


def test_an_unknown_style_is_the_training_mix(model, records):
    assert any(share > 0 for share in model.style_mix)
    row = records.table.iloc[[0]].assign(mechanism="U")
    inputs = derive_inputs(row, model.style_mix)
    np.testing.assert_allclose(inputs[0, [INPUTS.index("normal"), INPUTS.index("reverse")]], model.style_mix, rtol=1e-6)
    wanted = model.network(torch.from_numpy(inputs)).mean(dim=0).detach()
    np.testing.assert_allclose(model.predict(row).ln_median, wanted, rtol=1e-6)


def test_a_model_knows_what_it_was_trained_on(model, records):
    assert model.columns == COLUMNS
    assert model.components == ["H", "V"]
    for name, ends in model.ranges.items():
        assert ends == (records.table[name].min(), records.table[name].max())
    assert model.synthetic
    assert model.parameters == sum(weight.numel() for weight in model.network.parameters())


# --- there and back --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"dynamics": "linear", "skip": "none"}, {"dynamics": "cfc", "members": 1}])
@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_a_saved_model_predicts_the_same_to_the_last_bit(records, options, scaling, tmp_path):
    model = trained_on(records, scaling=scaling, **options)
    model.save(tmp_path / CHECKPOINT)
    loaded = TrainedModel.load(tmp_path / CHECKPOINT, CPU)
    for known_sites in (False, True):
        kept = (m.predict(records.table, known_sites=known_sites) for m in (model, loaded))
        assert_same_spectra(*kept)
    for name in ("columns", "style_mix", "ranges", "components", "provenance"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.network.shape == model.network.shape
    assert not loaded.network.training


def test_a_checkpoint_holds_all_but_code(path):
    content = load_checkpoint(path, KIND)
    assert content["inputs"] == list(INPUTS)
    assert content["columns"] == COLUMNS
    scalers = [name for name in content["network"] if name.endswith(("_scaling.centre", "_scaling.scale"))]
    assert len(scalers) == 4


# --- what is refused -------------------------------------------------------------------------------------------------
def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        TrainedModel.load(path, CPU)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


class Trap:
    """Pickled, it asks its reader to make a folder."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_a_model_with_a_trap_inside_runs_nothing(path):
    target = path.parent / "made by the checkpoint"
    content = load_checkpoint(path, KIND)
    torch.save({**content, "provenance": Trap(target)}, path)
    assert "not a readable checkpoint" in refusal(path)
    assert not target.exists()


def test_a_truncated_model_is_refused(path):
    whole = path.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "not a readable checkpoint" in refusal(path)


def test_a_training_state_is_no_model(tmp_path):
    save_checkpoint(tmp_path / "training.pt", "bliqnet training", {"state": {}})
    assert "not a bliqnet model checkpoint" in refusal(tmp_path / "training.pt")


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no shape": lambda content: content.pop("shape"),
    "shape is text": lambda content: content.update(shape="wide"),
    "unknown option": lambda content: content["shape"].update(colour="red"),
    "other width": lambda content: content["shape"].update(hidden=9),
    "negative width": lambda content: content["shape"].update(hidden=-1),
    "width is text": lambda content: content["shape"].update(hidden="six"),
    "no weights": lambda content: content.pop("network"),
    "weights are numbers": lambda content: content.update(network=3),
    "a weight lacks": lambda content: content["network"].pop("head_in.weight"),
    "a weight is text": lambda content: content["network"].update({"head_in.weight": "heavy"}),
    "a weight too many": lambda content: content["network"].update({"tail": torch.ones(1)}),
    "other deviations": lambda content: content["aleatory"].update(ln_tau=torch.zeros(1, 2, 9)),
    "no columns": lambda content: content.pop("columns"),
    "no ranges": lambda content: content.pop("ranges"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_one_line(path, damage):
    content = load_checkpoint(path, KIND)
    DAMAGE[damage](content)
    torch.save(content, path)
    message = refusal(path)
    assert "damaged" in message
    assert message.endswith("train again")


@pytest.mark.parametrize("damage", [{"columns": ["PGA"]}, {"columns": "PGA"}, {"inputs": list(INPUTS[::-1])}])
def test_lists_that_do_not_fit_the_network_are_refused(path, damage):
    torch.save({**load_checkpoint(path, KIND), **damage}, path)
    assert "damaged" in refusal(path)


# --- tables that lack something --------------------------------------------------------------------------------------
def test_prediction_of_a_table_without_rows(model, records):
    spectra = model.predict(records.table.iloc[:0])
    assert spectra.ln_median.shape == spectra.sigma.shape == (0, len(COLUMNS))


def test_a_model_of_records_at_unknown_stations(records):
    """The authors' table of 31 columns names no station."""
    nowhere = dataclasses.replace(records, table=records.table.assign(station_id="unknown"))
    model = trained_on(nowhere)
    assert_same_spectra(model.predict(nowhere.table), model.predict(nowhere.table, known_sites=True))


@pytest.mark.parametrize("left", [0, 1])
def test_a_model_of_verticals_that_lack_a_period(records, left):
    """Horizontal and vertical files need not have the same periods; the other rows' values are enough to train on."""
    ln_sa, vertical = records.ln_sa.copy(), np.flatnonzero(records.table["component"] == "V")
    ln_sa[vertical[left:], -1] = np.nan
    model = trained_on(dataclasses.replace(records, ln_sa=ln_sa))
    for known_sites in (False, True):
        spectra = model.predict(records.table, known_sites=known_sites)
        assert np.isfinite(spectra.ln_median).all()
        assert np.isfinite(spectra.sigma).all()
