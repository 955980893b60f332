"""The command: the published network trained, killed, resumed, and asked for waveforms."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from script_running import ROOT, command, run_here, succeed, wait_for

from cgm_gm import generators, simulation, waveform_file
from cgm_gm.generator import CHECKPOINT
from cgm_gm.published import PublishedGenerator
from shared.torch_tools import load_checkpoint

TRAIN, GENERATE = "cgm_gm/train_cgm.py", "cgm_gm/generate_points.py"
TINY = ("--latent", "4", "--recurrent", "8", "--embedded", "8", "--batch", "16", "--threads", "1")
PUBLISHED = ("--network", "published", "--free-running", *TINY)


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("records") / "records.h5"
    simulation.write(path, simulation.simulate(0, n_events=14, n_stations=12, n_records=60, duration=20.0)[0])
    return path


def states(folder: Path) -> dict:
    return {
        name: value.tolist()
        for name, value in load_checkpoint(folder / "training.pt", "cgm_gm training")["network"].items()
    }


def test_the_published_network_killed_resumed_and_asked(records, tmp_path):
    options = ("--data", str(records), *PUBLISHED, "--epochs", "12")
    succeed(TRAIN, *options, "--output", "whole", cwd=tmp_path, run=run_here)
    begun = command(TRAIN, *options, "--output", "killed", "--checkpoint-every", "0")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        begun, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for((tmp_path / "killed" / "training.pt").exists, process)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed" / "results.json").exists()
    succeed(TRAIN, "--resume", "killed", cwd=tmp_path, run=run_here)
    assert states(tmp_path / "killed") == states(tmp_path / "whole")
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(each)["epoch"] for each in lines] == list(range(1, 13))

    made = generators.load(tmp_path / "killed" / CHECKPOINT)
    assert isinstance(made, PublishedGenerator)
    assert made.card["recipe"]["network"] == "published" and made.card["recipe"]["learning_rate"] == 8e-4
    results = json.loads((tmp_path / "killed" / "results.json").read_text())
    assert results["parameters"] == made.parameters and "backbone_sigma" not in results["test"][0]
    source = ("--mag", "3.4", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8")
    done = succeed(
        GENERATE, "--run", "killed", *source, "--grid", "3", "4", "--output", "a.h5", cwd=tmp_path, run=run_here
    )
    assert "run: killed; network published, tcondvar 2\n" in done.stdout
    assert waveform_file.read(tmp_path / "a.h5").waveforms.shape == (12, 2000)
    assert (tmp_path / "a.png").stat().st_size > 10_000
