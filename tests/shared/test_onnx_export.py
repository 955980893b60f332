"""The check of an export: what differs is not written, what fits is; the scenarios that it is asked for."""

import functools
import sys

import numpy as np
import onnx
import onnx_samples
import pytest

from shared import onnx_export
from shared.command import InputError
from shared.onnx_model import OnnxModel


def write(path, shift=0.0):
    made, outputs = onnx_samples.graph()
    predict = functools.partial(onnx_samples.predicted, shift=shift)
    return onnx_export.write(path, onnx_samples.KNOWN, made, outputs, predict)


def test_what_fits_is_written_and_whole(tmp_path):
    file = tmp_path / "new" / "model.onnx"
    assert write(file) < 1e-10
    assert [each.name for each in file.parent.iterdir()] == ["model.onnx"]
    assert OnnxModel.load(file).card["checked"]["tolerance"] == 1e-5
    onnx.checker.check_model(onnx.load(file), full_check=True)


def test_what_differs_is_not_written_and_nothing_is_lost(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"not written, as what was exported differs .* by 2.0e-05 ln units"):
        write(file, shift=2e-5)
    assert file.read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1


def test_a_model_that_gives_nan_is_not_written(tmp_path):
    with pytest.raises(InputError, match="not written"):
        write(tmp_path / "model.onnx", shift=np.nan)
    assert not list(tmp_path.iterdir())


def test_scenarios_reach_all_that_can_be_asked():
    table = onnx_export.scenarios_to_check(onnx_samples.KNOWN)
    assert set(table["mechanism"]) == {"SS", "NM", "RV", "U"} and set(table["component"]) == {"H", "V"}
    for name, (low, high) in onnx_samples.KNOWN.ranges.items():
        assert {low, high, *onnx_export.EDGES[name]} <= set(table[name])
    unknown = table["mechanism"] == "U"
    for name in ("rake", "rrup"):
        assert 0.3 < table.loc[unknown, name].isna().mean() < 0.7
    corners = table.drop_duplicates(["mag", "rjb", "hypo_depth", "vs30"])[["mag", "rjb", "hypo_depth", "vs30"]].iloc[
        :16
    ]
    assert len(corners) == 16 and (corners.nunique() == 2).all()
    assert table.equals(onnx_export.scenarios_to_check(onnx_samples.KNOWN))


def test_outputs_are_refused_early(tmp_path):
    with pytest.raises(InputError, match=r"must be named .onnx"):
        onnx_export.check_output(tmp_path / "model.pb")
    with pytest.raises(InputError, match="is a folder"):
        (tmp_path / "a.onnx").mkdir()
        onnx_export.check_output(tmp_path / "a.onnx")


@pytest.mark.parametrize("absent", ["onnx", "onnxruntime"])
def test_without_the_extra_it_is_named(absent, monkeypatch):
    onnx_export.check_installed()
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(InputError, match="install the extra export"):
        onnx_export.check_installed()
