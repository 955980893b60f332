"""The trained CVAE: moments against samples, samples whatever the chunk, its file there and back, hostile files."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvae_sa import trained as module
from cvae_sa.data import INPUTS, derive_inputs
from cvae_sa.trained import CHECKPOINT, TrainedCVAE, component_of
from shared.command import InputError

ROADS = pytest.mark.parametrize("road", ["prior", "ann"])


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory) -> Path:
    """The file; do not change it."""
    path = tmp_path_factory.mktemp("saved") / CHECKPOINT
    trained.save(path)
    return path


# --- predictions -----------------------------------------------------------------------------------------------------
@ROADS
def test_tau_and_phi_share_the_calibrated_sigma(trained, made, road):
    found = trained.predict(made.table, road)
    inputs = derive_inputs(made.table)
    median, sigma = map(np.asarray, trained.model.moments(inputs, road))
    place = ["prior", "ann"].index(road), component_of(inputs)
    scale, share = trained.model.scale.numpy()[place], trained.model.tau_share.numpy()[place]
    np.testing.assert_allclose(found.ln_median, median, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.sigma, sigma * scale, rtol=1e-4)
    np.testing.assert_allclose(found.tau**2, share * found.sigma**2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sigma**2, found.tau**2 + found.phi**2, rtol=1e-5)
    np.testing.assert_array_equal(component_of(inputs), (made.table["component"] == "V").astype(int))


def test_predictions_depend_on_neither_chunk_nor_order(trained, made, monkeypatch):
    whole = trained.predict(made.table)
    order = np.random.default_rng(0).permutation(len(made.table))
    monkeypatch.setattr(module, "CHUNK", 37)
    pieces = trained.predict(made.table.iloc[order])
    for name in ("ln_median", "tau", "phi"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name)[order], rtol=1e-4, atol=1e-5)


def test_nothing_predicted_of_nothing(trained, made):
    none = made.table.iloc[:0]
    assert trained.predict(none).ln_median.shape == (0, 5)
    assert trained.sample(none, 3, 0).shape == (3, 0, 5)
    assert trained.sample(made.table.iloc[:2], 0, 0).shape == (0, 2, 5)


def test_an_unknown_style_lies_among_the_known(trained, made):
    row = made.table.iloc[[0]]
    styles = {style: trained.predict(row.assign(mechanism=style)).ln_median for style in ("SS", "NM", "RV", "U")}
    known = np.concatenate([styles[style] for style in ("SS", "NM", "RV")])
    assert (styles["U"] >= known.min(axis=0) - 0.05).all()
    assert (styles["U"] <= known.max(axis=0) + 0.05).all()
    assert np.ptp(known, axis=0).max() > 0


def test_parameters_are_counted(trained):
    latent, first, second, n_periods, features = 2, 8, 6, 5, 8
    encoder = (2 * n_periods + features + 1) * first + (first + 1) * second + (second + 1) * 2 * latent
    decoder = (latent + features + 1) * second + (second + 1) * first + (first + 1) * n_periods
    linear = (3 * latent + 2 * features + 1) * n_periods  # loadings, factors, experts; spread, roughness; noise
    ann = (features + 1) * 16 + 17 * 16 + 17 * 2 * latent
    assert trained.parameters == encoder + decoder + linear + ann + 2 * 14 * n_periods


# --- samples ---------------------------------------------------------------------------------------------------------
@ROADS
def test_sigma_is_the_deviation_of_many_samples(trained, made, road):
    rows = made.table.iloc[[0, 1, 300, 301]]
    found = trained.predict(rows, road)
    drawn = trained.sample(rows, 6000, 3, road)
    assert drawn.shape == (6000, 4, 5)
    np.testing.assert_allclose(drawn.mean(axis=0), found.ln_median, atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), found.sigma, rtol=0.05)


def test_periods_of_a_sample_correlate_as_the_model_says(trained, made):
    row = made.table.iloc[[10]]
    drawn = trained.sample(row, 20_000, 5)[:, 0]
    loadings = trained.model.loadings.kernel.numpy().astype(float)
    features = np.asarray(trained.model.conditions(derive_inputs(row)))
    wide = np.asarray(trained.model.width(features))[0]
    noise = trained.decode(np.zeros((1, 2)), derive_inputs(row))[1][0]
    covariance = np.outer(wide, wide) * (loadings.T @ loadings) + np.diag(noise**2)
    deviation = np.sqrt(np.diag(covariance))
    coupling = trained.model.coupling.numpy()[0, component_of(derive_inputs(row))[0]].astype(float)
    covariance = coupling @ (covariance / np.outer(deviation, deviation)) @ coupling.T
    deviation = np.sqrt(np.diag(covariance))
    found = np.corrcoef(drawn.T)
    # the hidden layers have hardly learnt yet
    np.testing.assert_allclose(found, covariance / np.outer(deviation, deviation), atol=0.1)
    assert (np.diag(found, 1) > 0.3).all()
    assert found[0, 1] > found[0, 4]


@ROADS
def test_periods_of_all_samples_correlate_as_residuals_of_held_out_events(trained, training, records, road):
    drawn = trained.sample(records.table, 20, 5, road) - trained.predict(records.table, road).ln_median
    residual = records.ln_sa - training.ln_median[["prior", "ann"].index(road)]
    for component in ("H", "V"):
        of = (records.table["component"] == component).to_numpy()
        seen = of & np.isfinite(residual).all(axis=1)
        found = np.corrcoef(drawn[:, seen].reshape(-1, 5).T)
        observed = np.corrcoef(residual[seen].T)
        np.testing.assert_allclose(found, observed, atol=0.06)
        law = trained.law(records.inputs[of], road)
        own = np.einsum("knp,knq->pq", law.root, law.root) / of.sum() + np.diag((law.noise**2).mean(axis=0))
        assert np.abs(own - observed).mean() > 2 * np.abs(found - observed).mean()  # the map is what does it


def test_samples_are_the_same_whatever_the_chunk(trained, made, monkeypatch):
    rows = made.table.iloc[:30]
    whole = trained.sample(rows, 7, 11)
    np.testing.assert_array_equal(trained.sample(rows, 7, 11), whole)
    assert not np.allclose(trained.sample(rows, 7, 12), whole)
    for chunk in (64, 3):  # several rows at a time; less than one
        monkeypatch.setattr(module, "CHUNK", chunk)
        np.testing.assert_allclose(trained.sample(rows, 7, 11), whole, atol=1e-4)
    places = [place for place, _ in trained.sample_chunks(rows, 7, 11)]
    assert len(places) == 30


def test_two_rows_alike_are_two_draws(trained, made):
    drawn = trained.sample(made.table.iloc[[4, 4]], 2000, 1)
    assert abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]) < 0.1


# --- codes -----------------------------------------------------------------------------------------------------------
def test_codes_decode_to_nearer_spectra_than_the_median(trained, records):
    mean, log_variance = trained.encode(records)
    assert mean.shape == log_variance.shape == (len(records), 2)
    decoded, noise = trained.decode(mean, records.inputs)
    median = trained.predict(records.table).ln_median
    assert np.nanstd(records.ln_sa - decoded) < 0.7 * np.nanstd(records.ln_sa - median)
    assert (noise > 0).all()


def test_inputs_are_in_the_order_of_their_names(trained, made):
    assert derive_inputs(made.table).shape[1] == len(INPUTS)
    low, high = made.table.iloc[[0]].assign(mag=5.0), made.table.iloc[[0]].assign(mag=6.5)
    assert (trained.predict(high).ln_median > trained.predict(low).ln_median).all()


# --- the file --------------------------------------------------------------------------------------------------------
def test_there_and_back_to_the_last_bit(trained, made, saved):
    again = TrainedCVAE.load(saved)
    for road in ("prior", "ann"):
        for name in ("ln_median", "tau", "phi"):
            first, second = (getattr(each.predict(made.table, road), name) for each in (trained, again))
            np.testing.assert_array_equal(first, second)
    rows = made.table.iloc[:5]
    np.testing.assert_array_equal(again.sample(rows, 3, 1), trained.sample(rows, 3, 1))
    assert again.columns == trained.columns
    assert again.components == ["H", "V"]
    assert {name: tuple(each) for name, each in again.ranges.items()} == {
        k: tuple(v) for k, v in trained.ranges.items()
    }
    assert again.provenance["note"] == "test"
    assert again.synthetic
    assert again.parameters == trained.parameters


def test_nothing_is_pickled(saved):
    with zipfile.ZipFile(saved) as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert json.loads(archive.read("config.json"))["class_name"] == "SpectralCVAE"


def rewritten(
    saved: Path, path: Path, change: Callable[[dict[str, Any]], Any], extra: dict[str, bytes] | None = None
) -> Path:
    """The file with another config.json, or with members changed or added."""
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    changed = change(config)
    members["config.json"] = changed if isinstance(changed, bytes) else json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **(extra or {})}.items():
            archive.writestr(name, content)
    return path


def set_in(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(config):
        for name in path[:-1]:
            config = config[name]
        config[path[-1]] = to

    return change


EVIL = "touch executed"


def lambda_layer(config: dict[str, Any]) -> None:
    model = keras.Sequential([keras.layers.Lambda(lambda x: os.system(EVIL) or x)])
    config.update(json.loads(model.to_json()))


def lambda_activation(config: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="lambda"):
        code = keras.saving.serialize_keras_object(lambda x: os.system(EVIL) or x)
    config["config"]["activation"] = json.loads(json.dumps(code))


def function_activation(config: dict[str, Any]) -> None:
    evil = {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}
    config["config"]["activation"] = evil


def sequential_of_our_name(config: dict[str, Any]) -> None:
    lambda_layer(config)
    config["registered_name"] = "cvae_sa>SpectralCVAE"


HOSTILE = {
    "a Lambda layer": lambda_layer,
    "a Lambda layer under our name": sequential_of_our_name,
    "a lambda for activation": lambda_activation,
    "os.system for activation": function_activation,
    "a lambda in place of the class": set_in("class_name", to="__lambda__"),
    "another class": set_in("registered_name", to="keras>Sequential"),
    "another class of ours": lambda config: config.update(class_name="CodeMap", registered_name="cvae_sa>CodeMap"),
    "no class": lambda config: config.clear(),
    "absurd sizes": set_in("config", "hidden", to=[10**9, 10**9]),
    "infinite sizes": set_in("config", "latent", to=1e999),
    "no size": set_in("config", "n_periods", to=0),
    "sizes that do not fit the weights": set_in("config", "latent", to=3),
    "one hidden layer": set_in("config", "hidden", to=[8]),
    "an activation that is none": set_in("config", "activation", to="os.system"),
    "an option more": set_in("config", "inputs", to=[1]),
    "a list for the config": set_in("config", to=[]),
    "no card": set_in("config", "card", to=None),
    "a card of other periods": set_in("config", "card", "columns", to=["PGA"]),
    "a card of no periods": set_in("config", "card", "columns", to=["a", "b", "c", "d", "e"]),
    "a card without provenance": set_in("config", "card", "provenance", to={}),
    "a card with odd ranges": set_in("config", "card", "ranges", "mag", to=["x", "y"]),
    "a card of odd components": set_in("config", "card", "components", to=[["H"]]),
    "no JSON": lambda config: b"\x80\x04 pickle, not JSON",
    "JSON without end": lambda config: b"[" * 100_000,
    "a JSON list": lambda config: b"[]",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_executed(how, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = rewritten(saved, tmp_path / CHECKPOINT, HOSTILE[how])
    with pytest.raises(InputError, match="a damaged model or one of another version") as refused:
        TrainedCVAE.load(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "extra", [{"assets/evil.py": b"x"}, {"../evil": b"x"}, {"model.weights.h5": b"\x89HDF\r\n\x1a\n"}]
)
def test_other_members_are_refused(extra, saved, tmp_path):
    path = rewritten(saved, tmp_path / CHECKPOINT, lambda config: None, extra)
    with pytest.raises(InputError, match="a damaged model"):
        TrainedCVAE.load(path)
    assert [each.name for each in tmp_path.iterdir()] == [CHECKPOINT]


def test_an_archive_that_unpacks_to_too_much_is_refused(saved, tmp_path):
    path = tmp_path / CHECKPOINT
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "metadata.json"):
            archive.writestr(name, "{}")
        archive.writestr("model.weights.h5", bytes(module.LARGEST))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match="bytes claim to be 100,000,004, which nothing sound does"):
        TrainedCVAE.load(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, saved, tmp_path):
    whole = saved.read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="a damaged model"):
        TrainedCVAE.load(tmp_path / CHECKPOINT)


@pytest.mark.parametrize("content", [b"hello", b"\x80\x04\x95", b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(content, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(InputError, match="a damaged model"):
        TrainedCVAE.load(tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="no such file"):
        TrainedCVAE.load(tmp_path / "absent.keras")


def test_flipped_bits_are_refused_or_change_no_class(saved, tmp_path):
    """Whatever a bad disk does ends in one line or in a model."""
    whole, generator = bytearray(saved.read_bytes()), np.random.default_rng(0)
    for place in generator.integers(len(whole), size=12):
        spoiled = whole.copy()
        spoiled[place] ^= 0xFF
        (tmp_path / CHECKPOINT).write_bytes(spoiled)
        try:
            TrainedCVAE.load(tmp_path / CHECKPOINT)
        except InputError as error:
            assert "\n" not in str(error)


def test_a_failed_save_leaves_the_old_file(trained, saved, tmp_path, monkeypatch):
    path = tmp_path / CHECKPOINT
    path.write_bytes(saved.read_bytes())
    monkeypatch.setattr(trained.model, "get_config", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained.save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert len(list(tmp_path.iterdir())) == 1
