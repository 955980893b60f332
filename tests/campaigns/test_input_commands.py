"""Corrupted files on the command line: exit code 2, one line that names the file, and nothing written."""

import functools
import shutil
from pathlib import Path

import pytest
from input_files import FORMATS as FILES
from input_flatfiles import FORMATS as FLATFILES
from input_oracle import TableFormat
from input_records import FORMATS as RECORDS
from input_tables import FORMATS as TABLES
from script_running import refuse, run_here

KNOWN = FLATFILES | TABLES | FILES | RECORDS
OUT = ("--output", "out/of/this.csv")
RUN = (*OUT, "--run", "pretrained")
SAMPLE, PREPARE = ("ml4szeq/sample_grids.py", *OUT), ("cgm_gm/prepare_waveforms.py", "records", *OUT)
SOURCE = ("--mag", "3.9", "--source-lat", "37.8", "--source-lon", "-122.2", "--depth", "8")
# Command, and the format of the file that is added to it
COMMANDS = {
    "inspect": (("shared/inspect_flatfile.py",), "flatfile: canonical"),
    "inspect PEER": (("shared/inspect_flatfile.py",), "flatfile: PEER NGA-West2"),
    "inspect xlsx": (("shared/inspect_flatfile.py",), "flatfile: xlsx"),
    "inspect Parquet": (("shared/inspect_flatfile.py",), "flatfile: Parquet"),
    "train bliqnet": (("bliqnet/train_bliqnet.py", *OUT, "--data"), "flatfile: ESM"),
    "predict bliqnet": (("bliqnet/predict_bliqnet.py", *RUN, "--input"), "scenarios"),
    "invert bliqnet": (("bliqnet/predict_bliqnet.py", "--inverse", *RUN, "--input"), "spectra"),
    "decompose": (("shared/decompose_residuals.py", *OUT, "--input"), "residuals"),
    "train ml4szeq": (("ml4szeq/train_fcn.py", *OUT, "--data"), "segments: ours"),
    "predict ml4szeq": (("ml4szeq/predict_segments.py", *RUN, "--input"), "segments: published"),
    "map predictions": (("ml4szeq/map_segments.py", *OUT, "--predictions"), "predictions for maps"),
    "map relevances": (("ml4szeq/map_segments.py", *OUT, "--relevances"), "relevances for maps"),
    "sample along trenches": ((*SAMPLE, "--catalogue", "made.csv", "--trenches"), "trenches: CSV"),
    "sample poles": ((*SAMPLE, "--poles"), "rotation poles"),
    "sample a catalogue": ((*SAMPLE, "--catalogue"), "catalogue: CSV"),
    "sample an ndk": ((*SAMPLE, "--catalogue"), "catalogue: ndk"),
    "prepare with layers": ((*PREPARE, "--layers"), "layers"),
    "prepare with events": ((*PREPARE, "--events"), "events"),
    "train cgm": (("cgm_gm/train_cgm.py", *OUT, "--data"), "waveforms: prepared HDF5"),
    "generate points": (("cgm_gm/generate_points.py", *RUN, *SOURCE, "--points"), "points"),
}
DAMAGE = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "cut": lambda content: content[: len(content) // 7],
    "web page": lambda content: b"<!DOCTYPE html>\n<html>404, not found</html>\n",
}


@functools.cache
def sound(name: str, folder: Path) -> bytes:
    known = KNOWN[name]
    return known.content() if isinstance(known, TableFormat) else known.content(folder)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands run: a record and a catalogue that are sound."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "records").mkdir()
    shutil.copy(RECORDS["miniSEED"].make(tmp_path_factory.mktemp("made")), folder / "records")
    (folder / "made.csv").write_bytes(sound("catalogue: CSV", folder))
    return folder


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_corrupted_file_ends_a_command_in_one_line(command: str, damage: str, here: Path, tmp_path: Path):
    (script, *options), name = COMMANDS[command]
    path = here / KNOWN[name].file
    path.write_bytes(DAMAGE[damage](sound(name, tmp_path)))
    refuse(script, *options, str(path), cwd=here, said=path.name, run=run_here)
