"""The command: a report with every part, killed and resumed; what it refuses; and that pytest takes it for no test."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from script_running import ROOT, files, refuse, run_here, succeed

from cgm_gm import comparison, evaluation
from cgm_gm.nonergodic import NonErgodic
from shared import runs

SCRIPT = "cgm_gm/test_best_model.py"
TINY = ("--samples", "4", "--threads", "1")
FIGURES = ("deviations", "residuals", "variability", "intensity", "arrivals", "durations", "spectrograms", "spectra")
TABLES = ("fas", "intensity", "spread", "intensity_spread", "phase", "arrivals", "discriminative", "map_likeness",
          "targets", "seconds")  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Smaller maps, fewer passes and coarser figures than it takes to mean anything."""
    drawn = runs.write_figure
    monkeypatch.setattr(runs, "write_figure", lambda path, figure, dpi=0: drawn(path, figure, dpi=25))
    monkeypatch.setattr(evaluation.likeness, "SHAPE", (4, 4))
    monkeypatch.setattr(evaluation.likeness, "SAMPLES", 2)
    monkeypatch.setattr(evaluation.discrimination.discriminative_score, "__defaults__", ((0,), 1))

    def fit(table, ln_fas, frequencies, form):
        found = whole(table, ln_fas[:, :1], frequencies[:1], form)  # one frequency is enough for its way through
        return FourTimes(found)

    whole = NonErgodic.fit
    monkeypatch.setattr(comparison.NonErgodic, "fit", fit)


class FourTimes:
    """What a model says of one frequency, for all four."""

    def __init__(self, model):
        self.model = model

    def predict(self, table):
        found = self.model.predict(table)
        return type(found)(*(np.repeat(each, 4, axis=1) for each in vars(found).values()))


def test_a_report_with_every_part_resumed_after_a_kill(trained_run, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    latest = tmp_path / "runs" / "cgm_gm" / "latest"
    latest.parent.mkdir(parents=True)
    latest.symlink_to(trained_run / "run")
    options = ("--run", "latest", *TINY, "--output", "out")
    with monkeypatch.context() as patched:
        patched.setattr(evaluation.likeness, "maps_of", killed)
        assert run_here(SCRIPT, *options, cwd=tmp_path).returncode == 130
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.npz")}
    assert sorted(kept) == ["samples.npz", "samples_distance_only.npz"]
    assert not (tmp_path / "out" / "results.json").exists()
    latest.unlink()  # what is the latest run by then is not asked
    done = succeed(SCRIPT, "--resume", "out", cwd=tmp_path, run=run_here)
    assert kept == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.npz")}
    assert "targets met" in done.stdout and "IN TRAINING" not in done.stdout

    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["samples"] == 4 and results["events"] == 5 and not results["seen_in_training"]
    assert results["picker"] == "ObsPy's autoregressive picker"
    for name in TABLES:
        assert len(pd.read_csv(tmp_path / "out" / f"{name}.csv")) == len(results[name]) > 0
    models = set(pd.read_csv(tmp_path / "out" / "fas.csv")["model"])
    assert {comparison.OURS, comparison.BASELINE, comparison.NON_ERGODIC, comparison.TRUTH} < models
    for name in (*FIGURES, "maps", "plane"):
        assert (tmp_path / "out" / "figures" / f"{name}.png").stat().st_size > 1_000
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert report.count("<figure>") == len(FIGURES) + 2 and "SYNTHETIC DATA" in report
    refuse(SCRIPT, "--resume", "out", cwd=tmp_path, said="is complete", run=run_here)


def test_two_earthquakes_seen_in_training(trained_run, tmp_path):
    """As of the Taiwanese records: what two events do not allow is said, the rest is there."""
    from cgm_gm import simulation

    made = simulation.simulate(0, n_events=2, n_stations=10, n_records=14, duration=20.0)[0]
    simulation.write(tmp_path / "two.h5", made)
    train = ("--data", "two.h5", "--epochs", "1", "--latent", "3", "--hidden", "16", "--test-share", "0")
    succeed("cgm_gm/train_cgm.py", *train, "--threads", "1", "--output", "run", cwd=tmp_path, run=run_here)
    done = succeed(SCRIPT, "--run", "run", *TINY, "--skip-baseline", "--output", "out", cwd=tmp_path, run=run_here)
    assert "ON RECORDS SEEN IN TRAINING" in done.stdout
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "SEEN IN TRAINING" in report
    assert "4 are needed" in report  # events for the discriminative score
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["seen_in_training"] and "discriminative" not in results
    assert all((tmp_path / "out" / "figures" / f"{name}.png").stat().st_size > 1_000 for name in FIGURES)


def test_what_is_refused(trained_run, tmp_path):
    run = ("--run", trained_run / "run")
    bad = {
        "no such run folder": ("--run", "none"),
        "--samples 1: give 2 or more": (*run, "--samples", "1"),
        "no such file": (*run, "--picker-weights", "none.pt"),
        "are PhaseNet's": (*run, "--picker-records", "none.h5"),
        "--seed -1: give 0 to": (*run, "--seed", "-1"),
        "knows places": (*run, "--baseline", trained_run / "run"),
        "none.h5: no such file": (*run, "--data", "none.h5"),
    }
    for said, options in bad.items():
        refuse(SCRIPT, *options, cwd=tmp_path, said=said, run=run_here)
    (tmp_path / "cut").mkdir()
    shutil.copytree(trained_run / "run", tmp_path / "cut" / "run")
    whole = (tmp_path / "cut" / "run" / "generator.pt").read_bytes()
    (tmp_path / "cut" / "run" / "generator.pt").write_bytes(whole[: len(whole) // 2])
    refuse(SCRIPT, "--run", "cut/run", cwd=tmp_path, said="generator.pt", run=run_here)
    assert not [path for path in files(tmp_path) if "cgm_gm-evaluation" in path.parts]


def test_pytest_takes_the_command_for_no_test(request):
    module = pytest.Module.from_parent(request.session, path=ROOT / SCRIPT)
    assert module.collect() == []
