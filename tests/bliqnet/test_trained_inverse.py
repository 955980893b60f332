"""The inverse as a file and as a table: there and back, what is refused, calibration, and what users are told."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from bliqnet.config import Recipe
from bliqnet.data import Records, records_of
from bliqnet.inverse import LEAST_PERIODS, targets_of
from bliqnet.inverse_evaluation import held_out_scores
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, KIND, LEVELS, TrainedInverse, posterior_table
from shared import synthetic
from shared.command import InputError
from shared.spectra_table import read_spectra
from shared.torch_tools import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
COLUMNS = ["PGA", "SA(0.050)", "SA(0.200)", "SA(1.000)", "SA(4.000)"]
RECIPE = Recipe(members=3, hidden=12, head=12, epochs=25)
QUANTILES = [f"p{level}" for level in ("05", "25", "50", "75", "95")]


def made(seed: int, n_events: int, n_rows: int) -> Records:
    made_up = synthetic.make_flatfile(seed, n_events=n_events, n_rows=n_rows, columns=COLUMNS)
    return records_of(synthetic.as_flatfile(made_up))


@pytest.fixture(scope="module")
def records() -> Records:
    return made(1, 80, 1500)


@pytest.fixture(scope="module")
def inverse(records) -> TrainedInverse:
    provenance = {"data": {"synthetic": True, "format": "a file"}, "git": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bliqnet.inverse.BATCH", 100)
        return TrainedInverse.train(records, RECIPE, 0, CPU, provenance)


@pytest.fixture
def path(inverse, tmp_path) -> Path:
    inverse.save(tmp_path / INVERSE_CHECKPOINT)
    return tmp_path / INVERSE_CHECKPOINT


@pytest.fixture
def spectra(tmp_path) -> Callable[..., pd.DataFrame]:
    """Five observed spectra as read from a file, after other columns."""

    def read(**others: Any) -> pd.DataFrame:
        values = pd.DataFrame(np.exp(made(3, 10, 60).ln_sa[:5].astype(float)), columns=COLUMNS).fillna(0.01)
        pd.concat([pd.DataFrame(others), values], axis=1).to_csv(tmp_path / "spectra.csv", index=False)
        return read_spectra(tmp_path / "spectra.csv")

    return read


def answer(inverse: TrainedInverse, table: pd.DataFrame) -> pd.DataFrame:
    return posterior_table(inverse, table, inverse.posterior(inverse.spectra_of(table, "spectra.csv")))


# --- answers ---------------------------------------------------------------------------------------------------------
def test_intervals_hold_on_unseen_events(inverse):
    unseen = made(2, 150, 2000)
    posterior, truth = inverse.posterior(unseen.ln_sa), targets_of(unseen.table)
    assert set(posterior.mixtures) == set(truth)
    for target, mixture in posterior.mixtures.items():
        pit = mixture.cdf(truth[target].to_numpy())
        assert ((pit > 0.05) & (pit < 0.95)).mean() == pytest.approx(0.9, abs=0.08), target
    for probabilities in (posterior.mechanism, posterior.component):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    event = unseen.table["event_id"].to_numpy()
    together = inverse.combination.combine(posterior.mixtures["mag"], event)
    mag = unseen.table.groupby("event_id")["mag"].first().loc[together.index]
    inside = (mag - together["mean"]).abs() < stats.norm.ppf(0.95) * together["sd"]
    assert inside.mean() == pytest.approx(0.9, abs=0.1)
    alone = posterior.mixtures["mag"].expectation() - truth["mag"].to_numpy()
    assert (mag - together["mean"]).std() < alone.std()


def test_missing_periods_widen_the_answer_but_do_not_stop_it(inverse):
    unseen = made(2, 60, 600)
    whole = inverse.posterior(unseen.ln_sa).mixtures["mag"]
    few = np.where(np.arange(5) < 3, unseen.ln_sa, np.nan)
    short = inverse.posterior(few).mixtures["mag"]
    truth = unseen.table["mag"].to_numpy()
    assert np.isfinite(short.quantiles(LEVELS)).all()
    assert short.crps(truth).mean() > whole.crps(truth).mean()
    assert short.crps(truth).mean() < 1.0  # magnitudes go over four units


def test_watched_sees_every_epoch_under_a_label(records):
    seen: dict[str, int] = {}

    def watched(epochs, label):
        for epoch in epochs:
            seen[label] = epoch
            yield epoch

    TrainedInverse.train(records, dataclasses.replace(RECIPE, epochs=2), 0, CPU, {}, watched)
    assert seen == {"inverse, source": 2, "inverse, path": 2}


def test_the_ranges_are_those_of_the_training_spectra_in_g(inverse, records):
    assert list(inverse.ranges) == COLUMNS
    for place, name in enumerate(COLUMNS):
        values = np.exp(records.ln_sa[:, place].astype(float))
        np.testing.assert_allclose(inverse.ranges[name], [np.nanmin(values), np.nanmax(values)], rtol=1e-6)


def test_scores_of_records_held_out(inverse):
    unseen = made(5, 20, 200)
    unseen.ln_sa[:3, LEAST_PERIODS - 1 :] = np.nan  # too few periods to be asked about
    found = held_out_scores(inverse, unseen).set_index("target")
    posterior = inverse.posterior(unseen.ln_sa[3:].astype(float))
    for target, row in found.iterrows():
        truth, mixture = targets_of(unseen.table)[target].to_numpy()[3:], posterior.mixtures[target]
        low, median, high = mixture.quantiles((0.05, 0.5, 0.95)).T
        wrong = mixture.expectation() - truth
        assert row["n"] == len(truth)
        np.testing.assert_allclose(row["mae"], np.abs(median - truth).mean(), rtol=1e-9)
        np.testing.assert_allclose(row["bias"], wrong.mean(), rtol=1e-9)
        np.testing.assert_allclose(row["r2"], 1 - (wrong**2).sum() / ((truth - truth.mean()) ** 2).sum(), rtol=1e-9)
        np.testing.assert_allclose(row["cover_90"], ((truth >= low) & (truth <= high)).mean(), rtol=1e-9)


# --- spectra of a table ----------------------------------------------------------------------------------------------
def test_spectra_are_logs_at_the_models_periods_with_holes(inverse, spectra):
    table = spectra()
    table = table.drop(columns="SA(0.200)").assign(**{"SA(2.000)": 0.1})
    ln_sa = inverse.spectra_of(table, "x.csv")
    np.testing.assert_allclose(ln_sa[:, [0, 1, 3, 4]], np.log(table[[COLUMNS[i] for i in (0, 1, 3, 4)]]), rtol=1e-12)
    assert np.isnan(ln_sa[:, 2]).all()
    assert inverse.left_out(table) == [
        "1 of 5 spectral columns are at periods unknown to the model",
        "1 of the model's 5 periods are not given",
    ]
    assert inverse.left_out(spectra()) == []


def test_too_few_values_name_the_row_of_the_file(inverse, tmp_path):
    lines = ["name," + ",".join(COLUMNS), "a,.1,.2,.3,.1,.1", "", "b,.1,.2,,,.1", "c,.1,.2,,,"]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^s.csv: row 5 \(H\) has 2 values at the model's periods, 3 are needed; "):
        inverse.spectra_of(read_spectra(tmp_path / "s.csv"), "s.csv")


# --- the table -------------------------------------------------------------------------------------------------------
def test_a_table_holds_what_was_given_and_what_is_found(inverse, spectra):
    table = spectra(record_id=list("abcde"), note=["n"] * 5, mag=[9.0] * 5, mag_p50=[1.0] * 5)
    found = answer(inverse, table)
    quantiles = [f"{name}_{q}" for name in ("mag", "rjb", "vs30", "hypo_depth") for q in QUANTILES]
    assert list(found) == ["record_id", "component", "note", "mag", *quantiles, "p_SS", "p_NM", "p_RV", "p_V"]
    assert found["record_id"].tolist() == list("abcde")
    assert found["mag"].tolist() == ["9.0"] * 5  # theirs, untouched
    for name in ("mag", "rjb", "vs30", "hypo_depth"):
        assert (np.diff(found[[f"{name}_{q}" for q in QUANTILES]], axis=1) >= 0).all(), name
    assert (found[["rjb_p05", "vs30_p05", "hypo_depth_p05"]] >= 0).all(axis=None)
    np.testing.assert_allclose(found[["p_SS", "p_NM", "p_RV"]].sum(axis=1), 1.0, rtol=1e-6)


def test_quantiles_are_the_mixtures_in_the_users_units(inverse, spectra):
    table = spectra()
    mixtures = inverse.posterior(inverse.spectra_of(table, "x")).mixtures
    found = answer(inverse, table)
    for target, name, to in (
        ("mag", "mag", lambda x: x),
        ("ln_rjb", "rjb", lambda x: 0.5 * np.log(x**2 + 1.0)),
        ("ln_vs30", "vs30", np.log),
        ("ln_depth", "hypo_depth", np.log),
    ):
        for q, level in zip(QUANTILES, LEVELS, strict=True):
            value = found[f"{name}_{q}"].to_numpy()
            inside = value > 0  # a negative rjb is written as 0
            np.testing.assert_allclose(mixtures[target].cdf(to(value))[inside], level, rtol=1e-5)


def test_one_component_in_training_gives_no_probability_of_it(inverse, spectra):
    assert "p_V" not in answer(dataclasses.replace(inverse, components=["H"]), spectra())


def test_records_of_an_event_say_its_magnitude_together(inverse, spectra):
    table = spectra(event_id=["x", "", "x", "y", ""])
    found = answer(inverse, table)
    names = [f"event_mag_{q}" for q in QUANTILES]
    assert list(found.columns[-6:]) == [*names, "event_records"]
    assert found["event_records"].tolist() == [2, 1, 2, 1, 1]
    np.testing.assert_array_equal(found.loc[0, names], found.loc[2, names])
    mag = inverse.posterior(inverse.spectra_of(table, "x")).mixtures["mag"]
    rule = inverse.combination
    together = rule.combine(mag, np.array(["x", "p", "x", "y", "q"])).loc[["x", "p", "x", "y", "q"]]
    wanted = stats.norm.ppf(np.array(LEVELS)[None], together[["mean"]], together[["sd"]])
    np.testing.assert_allclose(found[names], wanted, rtol=1e-8)


def test_without_events_there_is_no_magnitude_of_events(inverse, spectra):
    for table in (spectra(), spectra(event_id=[""] * 5)):
        assert not [name for name in answer(inverse, table) if name.startswith(("event_mag", "event_records"))]


# --- the file --------------------------------------------------------------------------------------------------------
def test_there_and_back_to_the_last_bit(inverse, path, records):
    again = TrainedInverse.load(path, CPU)
    assert (again.columns, again.components, again.provenance) == (COLUMNS, ["H", "V"], inverse.provenance)
    assert again.combination == inverse.combination
    assert again.synthetic
    assert again.parameters == inverse.parameters > 1000
    first, second = (each.posterior(records.ln_sa[:50]) for each in (inverse, again))
    for target, mixture in first.mixtures.items():
        for name in ("weight", "mean", "sd"):
            np.testing.assert_array_equal(getattr(mixture, name), getattr(second.mixtures[target], name))
    np.testing.assert_array_equal(first.mechanism, second.mechanism)
    np.testing.assert_array_equal(first.component, second.component)


def test_a_run_without_an_inverse_says_so(tmp_path):
    with pytest.raises(InputError, match=f"{INVERSE_CHECKPOINT}: this run has learnt no inverse.*--no-inverse"):
        TrainedInverse.load(tmp_path / INVERSE_CHECKPOINT, CPU)


def drop_reader(saved: dict) -> None:
    del saved["readers"]["path"]


def drop_weight(saved: dict) -> None:
    del saved["readers"]["path"]["weights"]["head_out.bias"]


def swap_readers(saved: dict) -> None:
    saved["readers"] = dict(zip(("path", "source"), saved["readers"].values(), strict=True))


def fewer_periods(saved: dict) -> None:
    saved["columns"] = saved["columns"][1:]


def other_periods(saved: dict) -> None:
    saved["columns"] = ["PGA", "SA(0.060)", *saved["columns"][2:]]


def columns_of_another_kind(saved: dict) -> None:
    saved["columns"] = 5


def short_scaler(saved: dict) -> None:
    saved["readers"]["source"]["scaling"][-1].pop()


def text_in_a_scaler(saved: dict) -> None:
    saved["readers"]["source"]["targets"][0][0] = "much"


def another_shape(saved: dict) -> None:
    saved["readers"]["source"]["shape"]["hidden"] += 1


def unknown_option(saved: dict) -> None:
    saved["readers"]["source"]["shape"]["wings"] = 2


def no_factor(saved: dict) -> None:
    del saved["readers"]["source"]["factors"]["mag"]


def combination_of_text(saved: dict) -> None:
    saved["combination"]["slope"] = "steep"


def no_provenance(saved: dict) -> None:
    del saved["provenance"]


SPOILT = [
    *(drop_reader, drop_weight, swap_readers, fewer_periods, other_periods, columns_of_another_kind, short_scaler),
    *(text_in_a_scaler, another_shape, unknown_option, no_factor, combination_of_text, no_provenance),
]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_damaged_content_is_refused_in_one_line(path, spoil):
    saved = load_checkpoint(path, KIND)
    spoil(saved)
    save_checkpoint(path, KIND, saved)
    with pytest.raises(InputError, match="damaged inverse or one of another version") as caught:
        TrainedInverse.load(path, CPU)
    assert "\n" not in str(caught.value)


class Hostile:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_a_hostile_file_runs_nothing(path, tmp_path):
    torch.save({**load_checkpoint(path, KIND), "kind": KIND, "columns": Hostile(tmp_path / "owned")}, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        TrainedInverse.load(path, CPU)
    assert not (tmp_path / "owned").exists()


def test_a_truncated_file_and_one_of_another_kind_are_refused(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        TrainedInverse.load(path, CPU)
    save_checkpoint(path, "bliqnet model", {})
    with pytest.raises(InputError, match="not a bliqnet inverse checkpoint"):
        TrainedInverse.load(path, CPU)
