"""Exported models read again: the equation written once more, refusals, warnings, interpolation, the example."""

import doctest
import json
import warnings

import numpy as np
import onnx
import onnx_samples
import pandas as pd
import pytest

from shared import onnx_export, onnx_file, onnx_model
from shared.command import InputError
from shared.onnx_model import OnnxModel, OutOfRange, Spectrum
from shared.scenario_inputs import Scenario

INSIDE = {"mag": [6.0, 7.0], "rjb": [20.0, 5.0], "hypo_depth": [10.0, 8.0], "vs30": [760.0, 400.0]}


@pytest.fixture(scope="module")
def data() -> bytes:
    return onnx_samples.data()


@pytest.fixture(scope="module")
def path(data, tmp_path_factory):
    """The file; do not change it."""
    file = tmp_path_factory.mktemp("models") / "model.onnx"
    file.write_bytes(data)
    return file


@pytest.fixture(scope="module")
def model(path) -> OnnxModel:
    return OnnxModel.load(path)


# --- what it says ----------------------------------------------------------------------------------------------------
def test_it_knows_what_it_is(model):
    assert (model.name, model.columns, model.components) == ("made", list(onnx_samples.COLUMNS), ["H", "V"])
    np.testing.assert_array_equal(model.periods, [0.0, 0.1, 1.0])
    assert model.ranges["rjb"] == (0.5, 200.0) and model.synthetic is True
    inputs = model.card["inputs"]
    assert {name: each["unit"] for name, each in inputs.items() if each["unit"]} == {
        **{"style": "code", "rake": "degrees", "hypo_depth": "km", "rjb": "km", "rrup": "km", "vs30": "m/s"},
        "component": "code",
    }
    assert set(model.card["outputs"]) == {"ln_median", "tau", "phi", "sigma"}
    assert model.provenance["trained_at_commit"] == "abc" and model.provenance["project_version"]


def test_spectra_are_those_of_the_equation(model):
    table = pd.DataFrame(INSIDE).assign(mechanism=["RV", "NM"], component=["V", "H"], rrup=[25.0, np.nan])
    expected = onnx_samples.predicted(table)
    found = model.predict(table)
    for name in ("ln_median", "tau", "phi", "sigma"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    np.testing.assert_allclose(found.median, np.exp(expected.ln_median), rtol=1e-12)
    one = model.spectrum(Scenario(mag=6.0, rjb=20.0, hypo_depth=10.0, vs30=760.0, rake=90.0, rrup=25.0, component="V"))
    np.testing.assert_allclose(one.ln_median, expected.ln_median[0], rtol=1e-12)
    assert one.sigma.shape == (3,)


def test_rows_do_not_know_each_other(model, monkeypatch):
    table = onnx_export.scenarios_to_check(onnx_samples.KNOWN).iloc[:300]
    whole, order = model.predict(table, warn=False), np.random.default_rng(0).permutation(300)
    monkeypatch.setattr(onnx_file, "ROWS", 7)
    np.testing.assert_allclose(model.predict(table.iloc[order], warn=False).median, whole.median[order], rtol=1e-12)
    assert model.predict(table.iloc[:0]).ln_median.shape == (0, 3)


def test_what_is_beyond_the_records_is_told(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(INSIDE)
    with pytest.warns(OutOfRange, match=r"1 of 2 rows have mag outside the training range 4 to 7.5"):
        model.predict(INSIDE | {"mag": [6.0, 8.0]})
    inputs = onnx_model.inputs_of(INSIDE | {"component": ["H", "V"]}, "x")
    changed = OnnxModel(model.path, None, model.card | {"components": ["H"]}, [])
    assert changed.outside(inputs) == ["1 of 2 rows have a component that training had none of"]


def test_the_example_of_the_module_runs(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert doctest.testmod(onnx_model).failed == 0
    assert doctest.testmod(onnx_model).attempted == 6


# --- between periods -------------------------------------------------------------------------------------------------
def test_between_periods_the_logs_are_linear(model):
    spectrum = model.predict(INSIDE)
    found = spectrum.at([1.0, np.sqrt(0.1), 0.0, 0.1])
    for name in ("ln_median", "tau", "phi"):
        own = getattr(spectrum, name)
        expected = np.column_stack([own[:, 2], own[:, 1:].mean(axis=1), own[:, 0], own[:, 1]])
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-12)
    np.testing.assert_allclose(found.sigma**2, found.tau**2 + found.phi**2, rtol=1e-12)


@pytest.mark.parametrize("period", [0.099, 1.01, -0.1, np.nan, np.inf])
def test_a_period_outside_is_refused(model, period):
    with pytest.raises(InputError, match=r"the model has 0.1 to 1 s, and PGA"):
        model.predict(INSIDE).at([0.5, period])


def test_of_one_period_only_that_is_known():
    one = np.ones((2, 1))
    assert Spectrum(np.array([0.5]), one, one, one).at([0.5]).tau.tolist() == [[1.0], [1.0]]
    assert Spectrum(np.array([0.0]), one, one, one).at([0.0]).tau.tolist() == [[1.0], [1.0]]
    with pytest.raises(InputError, match="PGA alone"):
        Spectrum(np.array([0.0]), one, one, one).at([0.2])
    with pytest.raises(InputError, match=r"period 0 s: the model has 0.5 to 0.5 s$"):
        Spectrum(np.array([0.5]), one, one, one).at([0.0])


# --- files that are refused ------------------------------------------------------------------------------------------
def card_with(**changes):
    """A change to the card; None takes a key out."""

    def change(model):
        for entry in model.metadata_props:
            if entry.key == "card":
                known = json.loads(entry.value) | changes
                entry.value = json.dumps({name: value for name, value in known.items() if value is not None})

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": ["PGA", "SA(0.100)"]},
        {"columns": ["PGA", "SA(0.100)"], "periods": [0.0, 0.1]},  # the graph has three
        {"columns": ["PGA", "PGA", "SA(1.000)"], "periods": [0.0, 0.0, 1.0]},
        {"columns": 3},
        {"components": ["X"]},
        {"ranges": {"mag": [7.0, 4.0]}},
        {"ranges": {"colour": [0.0, 1.0]}},
        {"inputs": {"mag": {}}},
        {"synthetic": "no"},
        {"provenance": None},
    ],
)
def test_a_card_that_does_not_fit_is_refused(changes, path):
    with pytest.raises(InputError, match="not an exported model of spectra"):
        OnnxModel.of(onnx_samples.changed(card_with(**changes)), path)


def test_other_files_are_refused(tmp_path, data):
    with pytest.raises(InputError, match="no such file; write one with"):
        OnnxModel.load(tmp_path / "none.onnx")
    file = tmp_path / "model.onnx"
    for content in (b"", b"PK\x03\x04" + bytes(50), b"\x80\x04\x95", data[: len(data) // 2], b"{}", data[::-1]):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"model.onnx: not an exported model of spectra \(.*\); export it again"):
            OnnxModel.load(file)
    with file.open("wb") as handle:
        handle.truncate(onnx_model.MOST_BYTES + 1)  # of no size on the disk
    with pytest.raises(InputError, match="too many for an exported model"):
        OnnxModel.load(file)


def test_every_byte_may_be_wrong(data, path, model):
    """Whichever byte is damaged, the model is refused, or it was a byte that no number hangs on."""
    generator, expected, refused = np.random.default_rng(0), model.predict(INSIDE), 0
    for place in generator.integers(len(data), size=300):
        spoilt = bytearray(data)
        spoilt[place] ^= int(generator.integers(1, 256))
        try:
            found = OnnxModel.of(bytes(spoilt), path)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(found.predict(INSIDE).median, expected.median)
    assert refused > 280


def test_another_weight_is_noticed(data, path):
    spoilt = onnx.load_from_string(data)
    weights = next(each for each in spoilt.graph.initializer if each.raw_data == onnx_samples.SLOPE.tobytes())
    weights.raw_data = (onnx_samples.SLOPE * 1.01).tobytes()
    with pytest.raises(InputError, match="its check sum is not that of its contents"):
        OnnxModel.of(spoilt.SerializeToString(), path)


@pytest.mark.parametrize(("kind", "value"), [("kind", "faces"), ("version", "2"), ("card", "{"), ("card", "[]")])
def test_of_another_kind_or_version(kind, value, path):
    def change(model):
        for entry in model.metadata_props:
            if entry.key == kind:
                entry.value = value

    with pytest.raises(InputError, match="export it again"):
        OnnxModel.of(onnx_samples.changed(change), path)


def test_without_onnxruntime_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match="install the extra export"):
        OnnxModel.load(path)
