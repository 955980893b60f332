"""Waveforms of two workers of a Ray cluster are those of this process, bit for bit, also after a kill."""

import signal
import subprocess
from pathlib import Path

import pytest
from script_running import ROOT, command, unmeasured, wait_for

from cgm_gm.generator import CHECKPOINT

pytest.importorskip("ray", reason="Ray is an extra")
SCRIPT = "cgm_gm/generate_points.py"
OPTIONS = ("--mag", "3.4", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8", "--no-maps")
OPTIONS += ("--grid", "30", "40", "--realizations", "2", "--seed", "3", "--batch", "1")


def test_two_workers_write_the_same_file(generator, tmp_path: Path):
    (tmp_path / "run").mkdir()
    generator.save(tmp_path / "run" / CHECKPOINT)
    for name in ("config.json", "results.json"):
        (tmp_path / "run" / name).write_text("{}")
    environment = unmeasured(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")

    def begun(name: str, *options: str) -> subprocess.Popen:
        words = command(SCRIPT, "--run", "run", *OPTIONS, "--output", name, *options)
        return subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    on_ray = ("--engine", "ray", "--workers", "2")
    with begun("killed.h5", *on_ray) as process:
        wait_for((tmp_path / "killed.h5.parts" / "progress.json").exists, process)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed.h5").exists()
    for name, options in (("local.h5", ()), ("killed.h5", on_ray)):
        with begun(name, *options) as process:
            told = process.communicate(timeout=300)[1]
        assert process.returncode == 0, told
    assert (tmp_path / "killed.h5").read_bytes() == (tmp_path / "local.h5").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["killed.h5", "local.h5", "run"]
