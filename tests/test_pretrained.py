"""The models that are shipped: whole, small, of a commit, without a machine's paths; cards say what the runs say.

Each answers from an empty folder, and says once for every input how many rows lie outside of its training ranges.
"""

import json
import re
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from script_running import refuse, run_here, succeed

from shared import model_card, pretrained, runs
from shared.flatfile_formats import is_spectral

CHECKPOINTS = {
    "bliqnet": {"best_liquid_model.pth", "inverse.pth"},
    "cvae_sa": {"cvae.keras"},
    "cgm_gm": {"generator.pt"},
    "ml4szeq": {"final.pth", *(f"scenario-{k}-50km.pth" for k in range(1, 6))},
}
WORDS = ("Data", "Split", "Ranges of validity", "How it was made", "Licence and citation", "Known limits")
SCENARIOS = "mag,rake,hypo_depth,rjb,vs30,component\n6.5,0,10,30,400,H\n9.5,90,8,900,760,H\n"
answered, refused = partial(succeed, run=run_here), partial(refuse, run=run_here)


def folder_of(project: str) -> Path:
    return runs.find_run(project, "pretrained").path


def content(project: str, name: str) -> dict:
    return json.loads((folder_of(project) / f"{name}.json").read_text(encoding="utf-8"))


# --- what is shipped -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("project", CHECKPOINTS)
def test_a_shipped_model_is_whole_small_and_of_no_machine(project: str):
    folder = folder_of(project)
    parts = {"README.md", "config.json", "provenance.json", "results.json"}
    assert {path.name for path in folder.iterdir()} == parts | CHECKPOINTS[project]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    pretrained.check(folder)


@pytest.mark.parametrize("project", CHECKPOINTS)
def test_it_was_made_by_code_of_a_commit_from_data_with_a_digest(project: str):
    provenance = content(project, "provenance")
    assert re.fullmatch("[0-9a-f]{40}", provenance["git_commit"]) and provenance["git_dirty"] is False
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in provenance["data"]["sha256"] or [])
    assert provenance["data"]["synthetic"] is (project == "cgm_gm")


def tables(card: str) -> dict[str, list[list[str]]]:
    """The rows of the table below each title of a card, its head first."""
    found = {}
    for part in card.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
        found[part.splitlines()[0]] = [line.strip("| ").split(" | ") for line in lines]
    return found


@pytest.mark.parametrize("project", CHECKPOINTS)
def test_the_figures_of_a_card_are_those_of_the_run(project: str):
    card, results = (folder_of(project) / "README.md").read_text(encoding="utf-8"), content(project, "results")
    assert all(f"\n## {title}\n" in card for title in WORDS)
    assert ("Trained on SYNTHETIC data" in card) is (project == "cgm_gm")
    held = results.get("held_out", {})
    wanted = {"test": results.get("test"), "inverse_test": results.get("inverse_test"), "splits": held.get("splits")}
    compared = 0
    for name, rows in wanted.items():
        if not rows:
            continue
        head, *lines = tables(card)[model_card.SCORES[name]]
        columns = [title.split(" (")[0] for title in head]
        assert len(lines) == len(rows) + 2 * (name == "splits")
        for line, row in zip(lines, rows, strict=False):
            for column, cell in zip(columns, line, strict=True):
                if isinstance(row[column], str):
                    assert cell == row[column]
                elif row[column] is not None:
                    np.testing.assert_allclose(float(cell.replace(",", "")), row[column], rtol=5e-3, atol=6e-4)
                    compared += 1
    assert compared >= 20
    ranges = results["validity"]["ranges"]
    found = {line[0]: line[1:] for line in tables(card)["Ranges of validity"][1:]}
    assert set(found) == set(ranges)
    for name, (low, high, *unit) in found.items():
        ends = [float(each.replace(",", "")) for each in (low, high)]
        np.testing.assert_allclose(ends, [ranges[name]["low"], ranges[name]["high"]], rtol=5e-3, atol=6e-4)
        assert "".join(unit) == ranges[name]["unit"]


# --- what it answers, from a folder without runs ---------------------------------------------------------------------
@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    (tmp_path / "scenarios.csv").write_text(SCENARIOS, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("project", "more", "rows"), [("bliqnet", (), 1), ("cvae_sa", ("--samples", "3"), 4)])
def test_spectra_are_predicted_right_after_installation(project: str, more: tuple, rows: int, scenarios: Path):
    script = f"{project}/predict_{project.removesuffix('_sa')}.py"
    files = ("--input", "scenarios.csv", "--output", "out.csv", *more)
    done = answered(script, *files, cwd=scenarios)
    table = pd.read_csv(scenarios / "out.csv")
    assert len(table) == 2 * rows  # the median, then the samples
    spectra = table[[name for name in table if is_spectral(name)]].to_numpy()
    sigmas = table[[name for name in table if name.startswith("sigma_")]].to_numpy()[0]
    assert np.isfinite(spectra).all() and (spectra > 0).all() and (sigmas > 0.2).all() and (sigmas < 2.0).all()
    assert 0.05 < table["PGA"][0] < 0.5  # g, of a magnitude 6.5 at 30 km
    ranges = content(project, "results")["validity"]["ranges"]
    low, high = ranges["rjb"]["low"], ranges["rjb"]["high"]
    told = done.stderr.splitlines()
    assert told[0] == f"note: no run of your own in runs/{project}: the pretrained model answers"
    assert f"warning: 1 of 2 rows have rjb outside the training range {low:g} to {high:g} km" in told
    assert sum("outside" in line for line in told) == 2  # mag and rjb, once each


def test_the_shipped_model_can_be_named(scenarios: Path):
    script, files = "bliqnet/predict_bliqnet.py", ("--input", "scenarios.csv", "--output", "out.csv")
    said = [answered(script, *options, *files, cwd=scenarios) for options in ((), ("--run", "pretrained"))]
    assert [each.stderr.count("note:") for each in said] == [1, 0]


def test_spectra_are_read_backwards(tmp_path: Path):
    (tmp_path / "spectra.csv").write_text(
        "PGA,SA(0.1),SA(0.5),SA(1.0)\n.1,.2,.15,.05\n.1,.2,15,.05\n", encoding="utf-8"
    )
    options = ("--inverse", "--input", "spectra.csv", "--output", "o.csv")
    done = answered("bliqnet/predict_bliqnet.py", *options, cwd=tmp_path)
    table = pd.read_csv(tmp_path / "o.csv")
    assert np.isfinite(table[["mag_p05", "mag_p50", "mag_p95"]].to_numpy()).all()
    assert "warning: 1 of 2 rows have SA(0.500) outside the training range" in done.stderr


def test_segments_are_classified(tmp_path: Path):
    names = list(content("ml4szeq", "results")["validity"]["ranges"])
    ranges = content("ml4szeq", "results")["validity"]["ranges"]
    middle = {name: [(ranges[name]["low"] + ranges[name]["high"]) / 2] * 3 for name in names}
    table = pd.DataFrame({"region": ["sam"] * 3, "segment": range(3)} | middle)
    table.loc[1, "AGE"] = 400.0
    table.to_csv(tmp_path / "segments.csv", index=False)
    script, files = "ml4szeq/predict_segments.py", ("--input", "segments.csv", "--output", "out.csv")
    done = answered(script, *files, cwd=tmp_path)
    found = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(found[["prob_below_8", "prob_8_up"]].sum(axis=1), 1.0, rtol=1e-5)
    assert done.stderr.splitlines() == [
        "note: no run of your own in runs/ml4szeq: the pretrained model answers",
        "warning: 1 of 3 segments have AGE outside the training range 5 to 156.3 Ma",
    ]
    assert answered(script, "--run", "pretrained", *files, cwd=tmp_path).stderr.count("\n") == 1


def test_waveforms_are_generated(tmp_path: Path):
    (tmp_path / "points.csv").write_text("station_lat,station_lon\n37.8,-122.2\n39.5,-122.2\n", encoding="utf-8")
    source = ("--mag", "3.5", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8", "--no-maps")
    options = (*source, "--points", "points.csv", "--output", "out.h5")
    done = answered("cgm_gm/generate_points.py", *options, cwd=tmp_path)
    with h5py.File(tmp_path / "out.h5") as file:
        waveforms, synthetic = file["waveforms"][:], file.attrs["synthetic"]
    assert waveforms.shape == (2, 6000) and np.isfinite(waveforms).all() and synthetic
    assert (np.abs(waveforms).max(axis=1) > 1e-6).all()  # m/s
    told = done.stderr
    assert "note: no run of your own in runs/cgm_gm: the pretrained model answers\n" in told
    assert (
        told.count("outside the training range") == told.count("1 of 2 points have station_lat outside") + 1
    )  # and rhyp
    assert "warning: this model was trained on synthetic data\n" in told


# --- what needs the data too -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cvae_sa/explain_cvae.py", "the run's data are no longer there; say with --data where they are"),
        ("ml4szeq/explain_fcn.py", "are not there; put them there, or give --data"),
    ],
)
def test_explaining_it_asks_for_the_data(script: str, said: str, tmp_path: Path):
    refused(script, "--run", "pretrained", cwd=tmp_path, said=said)
