"""Every checkpoint format that was ever written here still loads, and says what it said.

``tests/checkpoints/<version>/`` holds a small file of each; `make_checkpoints.py` has made them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
VERSIONS = sorted(path for path in HERE.iterdir() if (path / "expected.json").is_file())
sys.path.append(str(HERE))
# one compiler or another changes the last digits; waveforms add up many
RTOL = {"cgm_generator.pt": 1e-3, "cgm_published.pt": 1e-2}
KERAS = ("cvae.keras", "cvae_training.npz")


def check(version: Path, kind: str) -> None:
    import asking

    expected = json.loads((version / "expected.json").read_text(encoding="utf-8"))
    names = {name for name in expected if (name in KERAS) == (kind == "keras")}
    found = asking.answers(kind, version)
    assert set(found) == names and names
    for name, values in found.items():
        values = np.ravel(values)
        assert len(values) == len(expected[name]) > 0, name
        atol = 1e-5 * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=RTOL.get(name, 1e-4), atol=atol, err_msg=name)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_torch_files_of_old_still_say_the_same(version):
    check(version, "torch")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_keras_files_of_old_still_say_the_same(version):
    pytest.importorskip("cvae_sa")
    check(version, "keras")


def test_files_are_small_and_all_there():
    assert [path.name for path in VERSIONS] == ["1"]
    for version in VERSIONS:
        kept = {path.name.removesuffix(".gz"): path.stat().st_size for path in version.glob("*.gz")}
        assert set(kept) == set(json.loads((version / "expected.json").read_text(encoding="utf-8")))
        assert max(kept.values()) < 50_000
