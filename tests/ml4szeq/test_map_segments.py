"""The script: what it writes, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_running import refuse, run_here, succeed

SCRIPT = "ml4szeq/map_segments.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Predictions and relevances of two regions, and a trench line of one's own."""
    segment = np.r_[np.arange(49), np.arange(35)]
    place = pd.DataFrame({"region": ["cam"] * 49 + ["ryu"] * 35, "segment": segment, "along_km": 50.0 * segment})
    highest = np.linspace(0.0, 1.0, len(place))
    classes = {"observed": (segment > 20).astype(int), "predicted": (highest > 0.5).astype(int)}
    place.assign(**classes, prob_below_8=1.0 - highest, prob_8_up=highest).to_csv(tmp_path / "p.csv", index=False)
    place.assign(AGE=highest - 0.5, V_TN=0.1, SED_AVE=-highest).to_csv(tmp_path / "r.csv", index=False)
    (tmp_path / "own.csv").write_text("region,lon,lat\nown,20,34\nown,25,34\n")
    place.iloc[:9].assign(region="own", predicted=0, prob_low=0.9, prob_high=0.1).to_csv(
        tmp_path / "own_p.csv", index=False
    )
    return tmp_path


def test_maps_of_everything(folder: Path):
    given = ("--predictions", "p.csv", "--relevances", "r.csv", "--features", "AGE", "physical state", "--dpi", "60")
    done = succeed(SCRIPT, *given, "--output", "maps", cwd=folder)
    names = {"regions", "global", "region_cam", "region_ryu", "relevance_top", "relevance_groups", "relevance_AGE"}
    names |= {"relevance_physical_state"}
    assert {path.name for path in (folder / "maps").iterdir()} == {f"{name}.png" for name in names}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "maps").iterdir())
    assert done.stdout.endswith("done: maps, 8 maps\n")
    assert "cam, ryu on our simplified trench lines" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("kind", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_formats_regions_and_widths(folder: Path, kind: str, begins: bytes):
    given = ("--predictions", "p.csv", "--regions", "ryu", "--width", "single", "--format", kind)
    succeed(SCRIPT, *given, "--output", "maps", cwd=folder, run=run_here)
    assert [path.name for path in (folder / "maps").iterdir()] == [f"region_ryu.{kind}"]
    assert (folder / "maps" / f"region_ryu.{kind}").read_bytes().startswith(begins)


def test_own_trench_lines(folder: Path):
    given = ("--predictions", "own_p.csv", "--trenches", "own.csv", "--dpi", "60", "--output", "maps")
    done = succeed(SCRIPT, *given, cwd=folder, run=run_here)
    assert "simplified" not in done.stdout
    assert (folder / "maps" / "region_own.png").is_file()


def test_maps_of_a_run_on_synthetic_data_say_so(folder: Path):
    (folder / "provenance.json").write_text(json.dumps({"data": {"synthetic": True}}))
    given = ("--predictions", "p.csv", "--regions", "ryu", "--format", "svg", "--output")
    succeed(SCRIPT, *given, "maps", cwd=folder, run=run_here)
    assert "SYNTHETIC DATA" in (folder / "maps/region_ryu.svg").read_text()
    table = pd.read_csv(folder / "r.csv").assign(synthetic=True)
    (folder / "provenance.json").write_text("no JSON")
    table.to_csv(folder / "r.csv", index=False)
    succeed(SCRIPT, "--relevances", "r.csv", "--format", "svg", "--output", "rel", cwd=folder, run=run_here)
    assert "SYNTHETIC DATA" in (folder / "rel/relevance_top.svg").read_text()
    succeed(SCRIPT, *given, "more", cwd=folder, run=run_here)
    assert "SYNTHETIC DATA" not in (folder / "more/region_ryu.svg").read_text()


REFUSED = [
    ((), "nothing to draw"),
    (("--predictions", "none.csv"), "none.csv: no such file"),
    (("--predictions", "r.csv"), "r.csv: no column predicted, prob_<class>"),
    (("--predictions", "p.csv", "--regions", "sam"), "p.csv: no region sam; it has cam, ryu"),
    (("--predictions", "own_p.csv"), "own_p.csv: region own: no coordinates"),
    (("--predictions", "p.csv", "--dpi", "5"), "--dpi"),
    (("--predictions", "p.csv", "--features", "AGE"), "give --relevances"),
    (("--relevances", "r.csv", "--features", "DEPTH"), "r.csv: no feature DEPTH; it has AGE, V_TN, SED_AVE"),
    (("--relevances", "r.csv", "--top", "0"), "--top"),
    (("--predictions", "p.csv", "--trenches", "p.csv"), "p.csv: no column lon, lat"),
    (("--predictions", "p.csv", "--format", "gif"), "--format"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_refusals(folder: Path, options: tuple[str, ...], said: str):
    refuse(SCRIPT, *options, "--output", "maps", cwd=folder, said=said, run=run_here)
    assert not (folder / "maps").exists()


def test_a_folder_with_files_is_left_alone(folder: Path):
    (folder / "maps").mkdir()
    (folder / "maps" / "mine.txt").write_text("mine")
    refuse(SCRIPT, "--predictions", "p.csv", "--output", "maps", cwd=folder, said="maps", run=run_here)
