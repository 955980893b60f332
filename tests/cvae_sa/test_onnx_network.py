"""The exported CVAE against the CVAE: both roads, other activations, the verb, the shipped model."""

import cvae_sa  # noqa: F401  # isort: skip  # before Keras: it settles how TensorFlow computes
import functools

import numpy as np
import pytest
import script_running

from cvae_sa.model import SpectralCVAE
from cvae_sa.onnx_network import exported
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from shared import onnx_export, runs
from shared.command import InputError
from shared.onnx_model import OnnxModel

PRETRAINED = runs.pretrained_folder("cvae_sa")


def restless(trained, **changes) -> TrainedCVAE:
    """The same with every weight moved: so little training leaves many of them at 0 or 1."""
    generator = np.random.default_rng(0)
    model = SpectralCVAE.from_config({**trained.model.get_config(), **changes})
    for own, known in zip(model.weights, trained.model.weights, strict=True):
        value = known.numpy()
        moved = value + 0.1 * generator.standard_normal(value.shape)
        share = 0.1 + 0.8 * generator.random(value.shape)
        own.assign(share if own.name == "tau_share" else np.abs(moved) if own.name in ("scale", "unit") else moved)
    return TrainedCVAE(model)


@pytest.mark.parametrize(("road", "activation"), [("prior", "tanh"), ("ann", "relu")])
def test_the_export_computes_what_the_cvae_does(trained, tmp_path, road, activation):
    model = restless(trained, activation=activation)
    known, graph, outputs = exported(model, road)
    predict = functools.partial(model.predict, road=road)
    assert onnx_export.write(tmp_path / "m.onnx", known, graph, outputs, predict) < 1e-5
    found = OnnxModel.load(tmp_path / "m.onnx").predict(onnx_export.scenarios_to_check(known), warn=False)
    assert np.ptp(found.ln_median, axis=0).min() > 0.5 and np.ptp(found.phi, axis=0).min() > 0.01


def test_an_activation_without_counterpart_is_refused(trained):
    with pytest.raises(InputError, match="activation gelu: has no counterpart"):
        exported(restless(trained, activation="gelu"), "prior")


def test_the_verb_writes_one_file_or_none(trained, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    trained.save(folder / CHECKPOINT)
    for name in ("config.json", "results.json"):
        (folder / name).write_text("{}")
    options = ("--run", folder, "--road", "ann", "--output", "model.onnx")
    done = script_running.run_here("cvae_sa/export_cvae.py", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 periods, at most" in done.stdout and "ln units from TensorFlow: model.onnx" in done.stdout
    model = OnnxModel.load(tmp_path / "model.onnx")
    assert (model.name, model.columns, model.synthetic) == ("cvae_sa", trained.columns, True)
    assert "rrup" not in model.card["inputs"] and "(ann)" in model.card["about"]
    here = script_running.run_here
    script_running.refuse(
        "cvae_sa/export_cvae.py", "--output", "m.txt", cwd=tmp_path, said="must be named .onnx", run=here
    )


@pytest.mark.skipif(not (PRETRAINED / CHECKPOINT).is_file(), reason="no model is shipped")
def test_the_shipped_model_goes_out_whole(tmp_path):
    model = TrainedCVAE.load(PRETRAINED / CHECKPOINT)
    known, graph, outputs = exported(model, "prior")
    assert onnx_export.write(tmp_path / "m.onnx", known, graph, outputs, model.predict) < 1e-5
    again = OnnxModel.load(tmp_path / "m.onnx")
    assert again.columns == model.columns and again.provenance["data"]["sha256"]
