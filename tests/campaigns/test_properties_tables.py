"""Laws of tables and files: units, order of rows, splits, and that what is written is read again."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from flatfile_samples import save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from laws import law

from bliqnet.config import TrainConfig
from cgm_gm import points, waveform_file
from ml4szeq.classes import class_names, classified
from ml4szeq.rotation import read_poles
from ml4szeq.segments import read_segments
from ml4szeq.trench_lines import read_trenches
from shared import runs, sessions
from shared.command import InputError
from shared.flatfile import ln_sa, read_flatfile, read_scenarios
from shared.flatfile_formats import column_of, periods_of
from shared.predictions import prediction_table
from shared.reference_gmm import Prediction
from shared.residual_tables import read_residuals
from shared.spectra_table import read_spectra
from shared.splits import GROUPINGS, k_fold, three_way
from shared.torch_tools import load_checkpoint, save_checkpoint

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


def flatfile(seed: int, n: int) -> pd.DataFrame:
    """``n`` records of canonical columns, no two alike."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"event_id": rng.integers(0, 5, n).astype(str), "station_id": [f"00{k}" for k in range(n)]})
    table = table.assign(mag=rng.uniform(3, 8, n), rake=rng.uniform(-180, 180, n), hypo_depth=rng.uniform(0, 30, n))
    table["mag"] = table.groupby("event_id")["mag"].transform("first")
    table = table.assign(rjb=rng.uniform(0, 300, n), vs30=rng.uniform(100, 1500, n))
    return table.assign(**{name: np.exp(rng.normal(-3, 1, n)) for name in ("PGA", "SA(0.200)", "SA(1.000)")})


# --- units -----------------------------------------------------------------------------------------------------------
@law()
@given(st.floats(1e-6, 10.0), st.floats(1e-3, 10.0))
def test_spectra_in_gal_are_those_in_g(tmp_path_factory, g, period):
    folder = tmp_path_factory.mktemp("u")
    name = f"rotD50_T{period:.3f}".replace(".", "_")
    esm = pd.DataFrame({"event_id": ["a"], "network_code": ["IT"], "station_code": ["B"], "Mw": [5.0]})
    esm = esm.assign(fm_type_code="NF", ev_depth_km=8.0, JB_dist=2.0, vs30_m_sec=700.0)
    table = read_flatfile(save(esm.assign(**{name: g * 980.665}), folder / "e.csv", sep=";"), cache=None).table
    column = column_of(float(f"{period:.3f}"))
    assert table[column][0] == pytest.approx(g, rel=1e-12)
    assert periods_of([column])[0] == pytest.approx(period, abs=5e-4)
    np.testing.assert_allclose(np.exp(ln_sa(table, [column])), g, rtol=1e-12)


@law()
@given(st.lists(st.floats(120.0, 1500.0), min_size=2, max_size=6), st.booleans())
def test_logarithms_of_either_base_are_the_same_vs30(tmp_path_factory, vs30, decimal):
    log, n = np.log10 if decimal else np.log, len(vs30)
    table = pd.DataFrame(
        {"eqm": 6.0, "ftype": 1, "hyp": 9.0, "dist": 10.0 + np.arange(n), "log_vs30": log(vs30), "dir": 0}
    )
    table = table.assign(log_dist=log(table["dist"]), pga=0.1, **{"T0.010S": 0.1})
    found = read_flatfile(save(table, tmp_path_factory.mktemp("v") / "a.csv"), cache=None)
    np.testing.assert_allclose(found.table["vs30"], vs30, rtol=1e-9)
    assert any(("base 10" if decimal else "base e") in note for note in found.notes)


@law(30)
@given(st.floats(0.001, 99.0).map(lambda period: float(f"{period:.3f}")).filter(bool))
def test_periods_there_and_back(period):
    assert periods_of([column_of(period)])[0] == period


# --- order and rows --------------------------------------------------------------------------------------------------
@law(10, 80)
@given(SEEDS, st.integers(1, 12))
def test_predictions_keep_the_order_and_the_names_of_scenarios(tmp_path_factory, seed, n):
    table = flatfile(seed, n).drop(columns=["PGA", "SA(0.200)", "SA(1.000)"]).assign(case=[f"c{k}" for k in range(n)])
    moved = table.sample(frac=1.0, random_state=seed % 2**31).reset_index(drop=True)
    found = read_scenarios(save(moved, tmp_path_factory.mktemp("s") / "s.csv"))
    assert list(found["case"]) == list(moved["case"])
    np.testing.assert_allclose(found["mag"], moved["mag"], rtol=1e-12)
    ln_median = np.log(found[["mag"]].to_numpy())
    out = prediction_table(found, ["PGA"], Prediction(ln_median, 0 * ln_median + 0.3, 0 * ln_median + 0.4))
    assert list(out["case"]) == list(moved["case"]) and list(out["station_id"]) == list(moved["station_id"])
    np.testing.assert_allclose(out["PGA"], moved["mag"], rtol=1e-12)
    np.testing.assert_allclose(out["sigma_PGA"], 0.5, rtol=1e-12)


@law(10, 80)
@given(SEEDS, st.integers(1, 12))
def test_flatfiles_written_are_read_again_in_any_order_of_columns(tmp_path_factory, seed, n):
    folder, table = tmp_path_factory.mktemp("f"), flatfile(seed, n)
    runs.write_table(folder / "a.csv", table, digits=17)
    columns = np.random.default_rng(seed).permutation(table.columns)
    table[columns].to_parquet(folder / "b.parquet", index=False)
    one, other = (read_flatfile(folder / name, cache=folder / "cache").table for name in ("a.csv", "b.parquet"))
    pd.testing.assert_frame_equal(one, other)
    again = read_flatfile(folder / "a.csv", cache=folder / "cache").table  # from the cache
    pd.testing.assert_frame_equal(one, again)
    np.testing.assert_array_equal(one["PGA"], table["PGA"])
    assert list(one["station_id"]) == list(table["station_id"])


@law(8, 60)
@given(SEEDS, st.integers(6, 40), st.sampled_from(sorted(GROUPINGS)))
def test_splits_of_any_table_are_disjoint_and_of_their_seed(seed, n, grouping):
    table = flatfile(seed, n).assign(record_id=[f"r{k}" for k in range(n)])
    table["station_id"] = np.random.default_rng(seed).integers(0, 5, n).astype(str)
    groups = np.asarray(GROUPINGS[grouping](table))
    if len(set(groups)) < 3:
        return
    split, again = (three_way(groups, validation=0.2, test=0.2, seed=3) for _ in range(2))
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert not set(groups[split.train]) & set(groups[split.test]) and not set(groups[split.validation]) & set(
        groups[split.test]
    )
    np.testing.assert_array_equal(split.test, again.test)
    tested = np.concatenate([test for _, test in k_fold(groups, folds=3, seed=seed)])
    assert sorted(tested) == list(range(n))


# --- what is written is read again -----------------------------------------------------------------------------------
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@law(20)
@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_json_of_runs_there_and_back(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("j") / "a.json"
    runs.write_json(path, content)
    assert sessions.read_json(path) == content


@law(20)
@given(st.floats() | st.lists(st.floats(), max_size=3))
def test_json_of_runs_has_no_nan(value):
    text = json.dumps(runs.plain({"a": value, "b": np.asarray(value)}), allow_nan=False)
    for each in np.ravel(json.loads(text)["b"]).tolist():
        assert each is None or math.isfinite(each)
    assert math.isnan(sessions.number(runs.plain(math.nan)))


@law(10, 60)
@given(st.lists(st.tuples(st.integers(0, 99), st.floats(-9, 9)), min_size=1, max_size=8))
def test_metrics_logged_are_read_again(tmp_path_factory, rows):
    run = runs.Run(tmp_path_factory.mktemp("m"))
    for epoch, loss in rows:
        run.log(epoch=epoch, loss=loss)
    assert run.metrics().to_dict("list") == {"epoch": [e for e, _ in rows], "loss": [v for _, v in rows]}
    run.keep_metrics_until(50)
    assert run.metrics().get("epoch", pd.Series(dtype=int)).tolist() == [e for e, _ in rows if e <= 50]


@law(10, 60)
@given(st.dictionaries(NAMES, arrays(np.float32, 4, elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=3))
def test_checkpoints_and_arrays_there_and_back(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("c")
    save_checkpoint(
        folder / "a.pt", "made", {"tensors": {name: torch.from_numpy(each) for name, each in content.items()}}
    )
    again = load_checkpoint(folder / "a.pt", "made")["tensors"]
    runs.write_arrays(folder / "a.npz", content)
    with np.load(folder / "a.npz") as kept:
        for name, each in content.items():
            np.testing.assert_array_equal(again[name].numpy(), each)
            np.testing.assert_array_equal(kept[name], each)


@law(6, 40)
@given(SEEDS, st.integers(1, 70))
def test_waveforms_written_in_parts_are_read_again(tmp_path_factory, seed, n):
    rng, path = np.random.default_rng(seed), tmp_path_factory.mktemp("w") / "w.h5"
    values = {"mag": (0, 8), "source_lat": (-80, 80), "source_lon": (-180, 180), "depth": (0, 50), "rhyp": (1, 400)}
    values |= {"station_lat": (-80, 80), "station_lon": (-180, 180), "azimuth": (0, 360), "p_arrival": (0, 2)}
    table = pd.DataFrame({name: rng.uniform(*limits, n) for name, limits in values.items()})
    table = table.assign(
        record_id=[f"r{k}é" for k in range(n)], event_id="e", station_id="s", component="E", start_time=""
    )
    waveforms = rng.normal(size=(n, 210)).astype(np.float32)
    with waveform_file.writing(path, 210, {"a": [1]}) as writer:
        for part in np.array_split(np.arange(n), 3):
            writer.append(waveforms[part], table.iloc[part])
        writer.reject([("x", "noise")])
    found = waveform_file.read(path)
    np.testing.assert_array_equal(found.waveforms, waveforms)
    for name in table:
        np.testing.assert_array_equal(found.table[name], table[name], err_msg=name)
    assert found.provenance == {"a": [1]} and found.rejected.to_numpy().tolist() == [["x", "noise"]]


@law(8, 60)
@given(SEEDS, st.integers(10, 20))
def test_tables_of_residuals_and_spectra_written_are_read_again(tmp_path_factory, seed, n):
    folder, rng = tmp_path_factory.mktemp("r"), np.random.default_rng(seed)
    table = flatfile(seed, n)
    runs.write_table(folder / "s.csv", table[["event_id", "station_id", "PGA", "SA(0.200)"]], digits=17)
    spectra = read_spectra(folder / "s.csv")
    np.testing.assert_array_equal(spectra[["PGA", "SA(0.200)"]], table[["PGA", "SA(0.200)"]])
    residual = table[["event_id", "station_id"]].assign(PGA=np.append(-1.0, rng.normal(size=n - 1)))
    runs.write_table(folder / "r.csv", residual, digits=17)
    found = read_residuals(folder / "r.csv")
    np.testing.assert_array_equal(found.residual[:, 0], residual["PGA"])
    assert list(found.table["station_id"]) == list(residual["station_id"])


@law(8, 60)
@given(SEEDS, st.integers(2, 8))
def test_points_poles_trenches_and_segments_written_are_read_again(tmp_path_factory, seed, n):
    folder, rng = tmp_path_factory.mktemp("p"), np.random.default_rng(seed)
    places = pd.DataFrame({"station_id": [f"0{k}" for k in range(n)], "station_lat": rng.uniform(-80, 80, n)})
    places = places.assign(station_lon=rng.uniform(-180, 180, n))
    source = {"mag": 4.0, "source_lat": 1.0, "source_lon": 2.0, "depth": 8.0}
    found = points.scenarios(points.read(save(places, folder / "p.csv")), source, {}, "p")
    np.testing.assert_array_equal(found[["station_lat", "station_lon"]], places[["station_lat", "station_lon"]])
    assert list(found["station_id"]) == list(places["station_id"]) and (found["mag"] == 4.0).all()
    poles = pd.DataFrame({"region": [f"r{k}" for k in range(n)], "plate": "upper", "pole_lat": rng.uniform(-90, 90, n)})
    poles = poles.assign(pole_lon=rng.uniform(-180, 180, n), rate=rng.uniform(-2, 2, n))
    read = read_poles(save(poles, folder / "q.csv"))
    assert [tuple(pair.upper) for pair in read.values()] == list(
        poles[["pole_lat", "pole_lon", "rate"]].itertuples(index=False, name=None)
    )
    line = pd.DataFrame({"region": "own", "lon": 10.0 + np.arange(n) / 3, "lat": rng.uniform(-5, 5, n)})
    np.testing.assert_array_equal(read_trenches(save(line, folder / "t.csv"))["own"].vertices, line[["lon", "lat"]])
    table = pd.DataFrame({"region": "sam", "segment": rng.permutation(n), "AGE": rng.normal(size=n), "MR_GCMT": 7.5})
    kept = read_segments([save(table, folder / "s.csv")])
    np.testing.assert_array_equal(kept.table[["segment", "AGE"]], table[["segment", "AGE"]])


# --- classes and resumption ------------------------------------------------------------------------------------------
@law(20)
@given(st.lists(st.floats(3.0, 10.0), min_size=1, max_size=9), st.sampled_from([(8.0,), (7.0, 8.3), (6.4, 7.4, 8.3)]))
def test_classes_ascend_with_magnitude(magnitudes, edges):
    values = np.sort(magnitudes)
    found = classified(values, edges)
    assert (np.diff(found) >= 0).all() and found.min() >= 0 and found.max() < len(class_names(edges))
    for value, each in zip(values, found, strict=True):
        assert each == sum(value >= edge for edge in edges)


@law(12, 80)
@given(st.sampled_from(["seed", "epochs", "members", "hidden", "output"]), st.integers(1001, 1009))
def test_options_beside_resume_are_refused(tmp_path_factory, name, value):
    folder = tmp_path_factory.mktemp("z")
    changed = {name: folder / "x" if name == "output" else value}
    config = TrainConfig(resume=folder, **changed)
    with pytest.raises(InputError, match="--resume: the run goes on with its own options"):
        sessions.resolved(config, "bliqnet", "training")
    runs.write_json(folder / "config.json", TrainConfig(seed=value))
    kept = sessions.resolved(TrainConfig(resume=folder), "bliqnet", "training")
    assert (kept.seed, kept.resume) == (value, folder)
