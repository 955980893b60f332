"""The exported network against the network: all dynamics and solvers, the verb, refusals, the shipped model."""

import dataclasses

import numpy as np
import pytest
import script_running
import torch

from bliqnet.losses import Aleatory
from bliqnet.model import LiquidNetwork, NetworkShape
from bliqnet.onnx_network import exported, graph_of
from bliqnet.site_terms import SiteTerms
from bliqnet.trained import CHECKPOINT, TrainedModel
from shared import onnx_export, runs
from shared.command import InputError
from shared.onnx_model import OnnxModel

CPU = torch.device("cpu")
COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
SHAPE = NetworkShape(n_inputs=9, n_periods=3, members=2, hidden=5, head=6, steps=2)
SITES = SiteTerms([], *(torch.zeros(0, 3) for _ in range(3)))
PRETRAINED = runs.pretrained_folder("bliqnet")


def made(**changes) -> TrainedModel:
    """A network of random weights, with scalers and a skip that do something."""
    generator = torch.Generator().manual_seed(0)
    shape = dataclasses.replace(SHAPE, **changes)
    network, aleatory = LiquidNetwork(shape, generator), Aleatory(1, 3)
    with torch.no_grad():
        weights = [network.head_out.weight, network.head_out.bias, aleatory.ln_tau, aleatory.ln_phi]
        for weight in [*weights, *([network.skip] if shape.skip == "classical" else [])]:
            weight.normal_(std=0.3, generator=generator)
        network.input_scaling.centre.copy_(torch.tensor([5.5, 60.0, 3.5, 10.0, 6.0, 0.1, 0.4, 0.2, 62.0]))
        network.input_scaling.scale.copy_(torch.tensor([1.0, 50.0, 1.2, 5.0, 0.5, 0.3, 0.5, 0.4, 50.0]))
        network.output_scaling.centre.copy_(torch.tensor([-3.0, -2.5, -4.0]))
        network.output_scaling.scale.copy_(torch.tensor([1.5, 1.4, 1.8]))
    return TrainedModel(
        network=network.eval(),
        aleatory=aleatory,
        site_terms=SITES,
        columns=COLUMNS,
        style_mix=(0.2, 0.5),
        ranges={"mag": (4.0, 7.5), "rjb": (0.0, 250.0), "hypo_depth": (1.0, 25.0), "vs30": (150.0, 1500.0)},
        components=["H", "V"],
        provenance={"data": {"synthetic": True, "format": "made", "rows": 3}, "git_commit": None},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dynamics": "linear", "solver": "midpoint"},
        {"dynamics": "cfc"},
        {"solver": "euler", "steps": 3},
        {"skip": "none", "solver": "midpoint"},
        {"dynamics": "cfc", "solver": "dopri5"},  # no solver in it
    ],
)
def test_the_export_computes_what_the_network_does(tmp_path, changes):
    model = made(**changes)
    known, graph, outputs = exported(model)
    assert onnx_export.write(tmp_path / "m.onnx", known, graph, outputs, model.predict) < 1e-5
    found = OnnxModel.load(tmp_path / "m.onnx").predict(onnx_export.scenarios_to_check(known), warn=False)
    assert np.ptp(found.ln_median, axis=0).min() > 0.02 and np.ptp(found.tau, axis=0).min() > 1e-3


def test_a_solver_that_chooses_its_steps_is_refused():
    with pytest.raises(InputError, match="dopri5: chooses its steps"):
        graph_of(made(solver="dopri5"))


def test_the_verb_writes_one_file_or_none(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    made().save(folder / CHECKPOINT)
    for name in ("config.json", "results.json"):
        (folder / name).write_text("{}")
    options = ("--run", folder, "--output", "out/model.onnx")
    done = script_running.run_here("bliqnet/export_bliqnet.py", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "warning: this model was trained on synthetic data\n"
    assert "3 periods, at most" in done.stdout and "ln units from torch: out/model.onnx" in done.stdout
    model = OnnxModel.load(tmp_path / "out" / "model.onnx")
    assert (model.name, model.columns, model.synthetic) == ("bliqnet", COLUMNS, True)
    assert model.provenance["data"] == {"format": "made", "rows": 3}
    here = script_running.run_here
    refuse = script_running.refuse
    refuse("bliqnet/export_bliqnet.py", "--run", "none", "--output", "m.onnx", cwd=tmp_path, said="no such", run=here)
    refuse("bliqnet/export_bliqnet.py", "--output", "m.txt", cwd=tmp_path, said="must be named .onnx", run=here)
    made(solver="dopri5").save(folder / CHECKPOINT)
    refuse("bliqnet/export_bliqnet.py", *options, cwd=tmp_path, said="export a run of --solver rk4", run=here)


@pytest.mark.skipif(not (PRETRAINED / CHECKPOINT).is_file(), reason="no model is shipped")
def test_the_shipped_model_goes_out_whole(tmp_path):
    model = TrainedModel.load(PRETRAINED / CHECKPOINT, CPU)
    known, graph, outputs = exported(model)
    assert onnx_export.write(tmp_path / "m.onnx", known, graph, outputs, model.predict) < 1e-5
    again = OnnxModel.load(tmp_path / "m.onnx")
    assert again.columns == model.columns and again.provenance["data"]["sha256"]
