"""From a small trained run to tables, figures and report; and what is refused."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml4szeq import explained_run, explanation_report, splits
from ml4szeq.config import ExplainConfig, TrainConfig
from ml4szeq.data import load
from ml4szeq.sessions import trained_networks
from shared import runs
from shared.command import InputError

ROOT = Path(__file__).resolve().parents[2]

NAMES = ["AGE", "V_TN", "DXT_200"]


def made_table(regions: tuple[str, ...] = ("ryu", "sam"), labels: bool = True) -> pd.DataFrame:
    """Trenches of 30 segments; AGE decides which are great."""
    rng, count = np.random.default_rng(0), 30 * len(regions)
    table = pd.DataFrame({"region": np.repeat(regions, 30), "segment": np.tile(np.arange(30), len(regions))})
    for name in NAMES:
        table[name] = rng.normal(size=count)
    if labels:
        table["MR_GCMT"] = np.round(np.where(table["AGE"] > 0, 8.2, 6.5) + rng.random(count), 2)
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``segments.csv`` and the run ``run``."""
    folder = tmp_path_factory.mktemp("trained")
    made_table().to_csv(folder / "segments.csv", index=False)
    options = {"hidden": (6,), "epochs": 5, "members": 2, "batch": 8, "learning_rate": 0.03, "threads": 1}
    trained_run(folder / "run", TrainConfig(data=(folder / "segments.csv",), **options))
    return folder


def trained_run(path: Path, config: TrainConfig) -> None:
    """What `train_fcn.py` leaves for others to read."""
    run, source = runs.new_run("ml4szeq", 0, config, path), load(config.data)
    provenance = runs.provenance(device="cpu", data=source.describe())
    runs.write_json(run.path / "provenance.json", provenance)
    segments = source.learnable()
    trained_networks(segments, splits.every(segments.table, ["scenario"], [50.0], 0), config, run, provenance)
    run.finish({})


def asked(trained: Path, output: Path, **options) -> ExplainConfig:
    quick = {"repeats": 2, "control": 2, "draws": 20, "threads": 1, "top": 2}
    return ExplainConfig(**{"run": str(trained / "run"), "output": output} | quick | options)


def explain(config: ExplainConfig) -> explained_run.Subject:
    """What `explain_fcn.py` does."""
    explained_run.check(config)
    runs.check_new_run("ml4szeq-explanation", config.output)
    subject = explained_run.subject_of(config)
    provenance = runs.provenance(device="cpu", data=subject.describe())
    findings = explained_run.findings_of(subject, config)
    run = runs.new_run("ml4szeq-explanation", config.seed, config, config.output)
    explanation_report.write(run, findings, runs.plain(config), provenance)
    run.finish(explanation_report.results(findings))
    return subject


@pytest.fixture(scope="module")
def explained(trained: Path) -> Path:
    """What `explain_fcn.py` writes of it."""
    explain(asked(trained, trained / "explained"))
    return trained / "explained"


def test_relevances(explained: Path):
    table = pd.read_csv(explained / "relevances.csv")
    assert len(table) == 3 * 60 * 3
    assert list(table) == [
        "region",
        "segment",
        "along_km",
        "observed",
        "predicted",
        "explained",
        "method",
        "feature",
        "input",
        "relevance",
    ]
    assert set(table["explained"]) == {"8_up"} and set(table["region"]) == {"ryu", "sam"}
    sizes = table[table["method"] == "lrp"].groupby("feature")["relevance"].agg(lambda r: r.abs().mean())
    assert sizes.idxmax() == "AGE"


def test_features(explained: Path):
    table = pd.read_csv(explained / "features.csv")
    assert table["feature"].iloc[0] == "AGE" and table["lrp_rank"].to_list() == [1, 2, 3]
    assert table["direction"].iloc[0] > 0.5 and table["title"].iloc[0] == "age of the downgoing plate"
    for method in ("lrp", "integrated_gradients", "permutation"):
        assert (table[f"{method}_low"] <= table[f"{method}_high"]).all()
    assert (table["above_noise"] == (table["final_share"] > table["noise_share"])).all()
    assert table["final_share"].sum() == pytest.approx(1.0, rel=1e-5)
    assert "planted" not in table


def test_results_and_report(explained: Path):
    results = json.loads((explained / "results.json").read_text(encoding="utf-8"))
    assert results["segments"] == 60 and results["explained"] == "8_up"
    assert all(names[0] == "AGE" and len(names) == 2 for names in results["top"].values())
    assert {row["rule"] for row in results["conservation"]} >= {"epsilon", "gamma"}
    assert len(pd.read_csv(explained / "agreement.csv")) == 8
    page = (explained / "report.html").read_text(encoding="utf-8")
    assert "Against noise" in page and "Conservation" in page and "SYNTHETIC" not in page
    assert {path.stem for path in (explained / "figures").iterdir()} == {
        "top_features",
        "by_class",
        "noise",
        "agreement_spearman",
        "agreement_rbo",
        "agreement_splits",
        "along_ryu",
        "along_sam",
    }


def test_the_script_and_the_same_seed(trained: Path, explained: Path, tmp_path: Path):
    """In a process of its own it writes the same."""
    words = ["--run", trained / "run", "--output", tmp_path / "again", "--repeats", "2", "--control", "2"]
    words += ["--draws", "20", "--threads", "1", "--top", "2"]
    script = [sys.executable, ROOT / "ml4szeq" / "explain_fcn.py", *words]
    done = subprocess.run(list(map(str, script)), capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 segments explained by 10 networks" in done.stdout and "lrp: AGE, " in done.stdout
    for name in ("relevances.csv", "features.csv", "agreement.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (explained / name).read_bytes()


def test_the_final_network_without_a_control(trained: Path, tmp_path: Path):
    subject = explain(asked(trained, tmp_path / "final", networks="final", control=0, target="predicted"))
    assert subject.notes == ["explained by the final network, which has seen these segments"]
    results = json.loads((tmp_path / "final" / "results.json").read_text(encoding="utf-8"))
    assert "above_noise" not in results and results["explained"] == "a class for each segment"
    assert not (tmp_path / "final" / "figures" / "noise.png").exists()


def test_other_segments(trained: Path, tmp_path: Path):
    other = made_table(("cam",), labels=False)
    other.loc[3, "AGE"] = np.nan
    other.to_csv(tmp_path / "other.csv", index=False)
    subject = explain(asked(trained, tmp_path / "other", data=(tmp_path / "other.csv",)))
    assert "1 segments lack a feature and are left out" in subject.notes
    table = pd.read_csv(tmp_path / "other" / "relevances.csv")
    assert set(table["region"]) == {"cam"} and set(table["method"]) == {"lrp", "integrated_gradients"}
    assert table["segment"].nunique() == 29 and table["observed"].isna().all()


def test_other_segments_that_lack_a_column(trained: Path, tmp_path: Path):
    made_table(("cam",)).drop(columns="V_TN").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match=r"other\.csv: no column V_TN"):
        explain(asked(trained, tmp_path / "out", data=(tmp_path / "other.csv",)))
    assert not (tmp_path / "out").exists()


def test_other_segments_without_features(trained: Path, tmp_path: Path):
    made_table(("cam",)).assign(AGE=np.nan).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match="no segment has every feature; nothing can be explained"):
        explain(asked(trained, tmp_path / "out", data=(tmp_path / "other.csv",)))


def test_data_that_have_changed(trained: Path, tmp_path: Path):
    shutil.copytree(trained / "run", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    config["data"] = [str(tmp_path / "segments.csv")]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    made_table().assign(AGE=1.0 + np.arange(60)).to_csv(tmp_path / "segments.csv", index=False)
    with pytest.raises(InputError, match=r"has changed since .* was trained"):
        explain(asked(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "greatest"}, "--target greatest: is not one of"),
        ({"repeats": 0}, "--repeats 0: give 1 or more"),
        ({"control": -1}, "--control -1: give 0 or more"),
        ({"epsilon": 0.0}, "--epsilon 0: give a number above 0"),
        ({"epsilon": float("nan")}, "--epsilon nan: give a number above 0"),
        ({"run": "nowhere"}, "nowhere: no such run folder"),
    ],
)
def test_options_that_are_refused(options: dict, said: str, trained: Path, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        explain(asked(trained, tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken(trained: Path, explained: Path):
    before = (explained / "results.json").read_bytes()
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        explain(asked(trained, explained))
    assert (explained / "results.json").read_bytes() == before


def test_neighbours_are_named_with_their_weight(tmp_path: Path):
    made_table().to_csv(tmp_path / "segments.csv", index=False)
    config = TrainConfig(data=(tmp_path / "segments.csv",), network="neighbours", epochs=1, members=1, hidden=(4,))
    trained_run(tmp_path / "run", config)
    (note,) = explained_run.subject_of(asked(tmp_path, tmp_path / "out")).notes
    assert re.match(r"explained is what features add .*: \S+ in logits .* beside \S+ of these", note)


@pytest.mark.parametrize(("split", "exclusion"), [("scenario", 50.0), ("rupture", 0.0)])
def test_controls_keep_the_distance_of_the_final_network(
    split: str, exclusion: float, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    subject = explained_run.subject_of(asked(trained, tmp_path))
    subject = dataclasses.replace(subject, options=dataclasses.replace(subject.options, split=split))
    kept, fitted = [], explained_run.training.fitted
    monkeypatch.setattr(
        explained_run.training,
        "fitted",
        lambda *g, **options: kept.append(options["exclusion"]) or fitted(*g, **options),
    )
    explained_run.controls(subject, explained_run.asked_of(asked(trained, tmp_path)), 1, 0)
    assert kept == [exclusion]


def test_planted_drivers_are_known_of_made_segments_alone(trained: Path, tmp_path: Path):
    assert explained_run.subject_of(asked(trained, tmp_path)).planted == ()
    made_table(("cam",)).assign(synthetic=True).to_csv(tmp_path / "made.csv", index=False)
    subject = explained_run.subject_of(asked(trained, tmp_path, data=(tmp_path / "made.csv",)))
    assert "V_TN" in subject.planted and subject.segments.synthetic
    assert explained_run.controls(subject, explained_run.asked_of(asked(trained, tmp_path)), 3, 0).shape == (0, 3)
