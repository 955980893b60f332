"""The models of a comparison: fitted to what was learnt, asked for what is judged, left out with a word where not."""

import contextlib
import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from cgm_gm import comparison, sampled
from cgm_gm.comparison import BASELINE, NON_ERGODIC, OURS, PUBLISHED, REFITTED, RICHER, TRUTH
from cgm_gm.conditions import completed
from cgm_gm.config import EvaluateConfig, PublishedRecipe
from cgm_gm.ergodic import Ergodic, published
from cgm_gm.fas import FREQUENCIES
from cgm_gm.published_training import PublishedTraining
from cgm_gm.subject import load_subject
from shared import runs
from shared.command import InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def subject(trained_run):
    return load_subject(EvaluateConfig(run=str(trained_run / "run")), CPU)


@pytest.fixture(scope="module")
def ours(subject):
    return sampled.sample(subject.generator, subject.judged, 2, 0, OURS)


class Constant:
    """In the place of the Gaussian-process model, whose fit takes long and is tested by itself."""

    @classmethod
    def fit(cls, table, ln_fas, frequencies, form):
        assert form == "quadratic" and list(frequencies) == list(FREQUENCIES)
        return SimpleNamespace(
            predict=lambda new: SimpleNamespace(ln_median=np.tile(ln_fas.mean(axis=0), (len(new), 1)))
        )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(comparison, "NonErgodic", Constant)


def test_all_models_on_the_same_records(subject, ours, quick, tmp_path):
    config = EvaluateConfig(samples=3)
    run = runs.Run(tmp_path)
    found = comparison.compare(subject, ours, config, run, CPU)
    assert list(found.medians) == [OURS, PUBLISHED, REFITTED, RICHER, NON_ERGODIC, BASELINE, TRUTH]
    assert {each.shape for each in found.medians.values()} == {(len(subject.judged), 4)}
    table, learnt = completed(subject.judged.table), completed(subject.learnt.table)
    assert_allclose(found.medians[PUBLISHED], published().predict(table).ln_median, rtol=1e-12)
    fitted = Ergodic.fit(learnt, sampled.ln_fas(subject.learnt), FREQUENCIES)
    assert_allclose(found.medians[REFITTED], fitted.predict(table).ln_median, rtol=1e-9)
    columns = [table[name] for name in ("mag", "source_lat", "source_lon", "depth", "station_lat", "station_lon")]
    assert_allclose(found.medians[TRUTH], subject.truth.ln_fas(*columns), rtol=1e-12)
    assert found.samples[BASELINE].ln_fas.shape[1] == 3
    written = (tmp_path / "baseline.pt").stat().st_mtime_ns
    again = comparison.compare(subject, ours, config, run, CPU)  # as a resumed evaluation does
    assert (tmp_path / "baseline.pt").stat().st_mtime_ns == written
    assert_allclose(again.medians[BASELINE], found.medians[BASELINE], rtol=0)


def test_the_baseline_knows_no_place(subject, quick, tmp_path):
    trained = comparison._baseline(subject, EvaluateConfig(), runs.Run(tmp_path), CPU)
    assert trained.card["recipe"]["tcondvar"] == 4 and not len(trained.backbone.weights)
    table = completed(subject.judged.table)
    turned = table.assign(station_lat=table["source_lat"], station_lon=2 * table["source_lon"] - table["station_lon"])
    moved = [trained.backbone.predict(each.assign(rhyp=table["rhyp"])) for each in (table, turned)]
    assert_allclose(*moved, rtol=1e-12)


def a_run(folder, generator):
    """A complete run folder, as far as it is asked for."""
    folder.mkdir()
    for name in ("config.json", "results.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    generator.save(folder / "generator.pt")
    return str(folder)


def the_published(subject):
    """A tiny one; of --tcondvar 4, to be refused as baseline for its network alone."""
    training = PublishedTraining(subject.learnt, PublishedRecipe(latent=4, recurrent=8, epochs=1, tcondvar=4), seed=0)
    training.run_epoch()
    return training.generator(with_recipe(subject, tcondvar=4))


def with_recipe(subject, **changed):
    card = subject.generator.card
    return card | {"recipe": card["recipe"] | changed}


@pytest.mark.parametrize(("tcondvar", "refused"), [(4, False), (0, True), (2, True)])
def test_the_baseline_is_of_magnitude_and_distance(tcondvar, refused, subject, tmp_path):
    made = dataclasses.replace(subject.generator, card=with_recipe(subject, tcondvar=tcondvar))
    config = EvaluateConfig(baseline=a_run(tmp_path / "run", made))
    with pytest.raises(InputError, match="of --tcondvar 4") if refused else contextlib.nullcontext():
        comparison.check_beside(subject, config, CPU)


def test_runs_on_another_versions_simulation_are_not_compared(trained_run, subject):
    card = subject.generator.card
    data = card["provenance"]["data"] | {"version": 1}
    other = dataclasses.replace(subject.generator, card=card | {"provenance": {"data": data}})
    with pytest.raises(InputError, match="train it alike"):
        comparison._other(str(trained_run / "run"), dataclasses.replace(subject, generator=other), CPU)


def test_the_latest_run_stays_the_one_that_was_found(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    (tmp_path / "cgm_gm").mkdir()
    (tmp_path / "cgm_gm" / "latest").symlink_to(trained_run / "run")
    found = comparison.pinned(EvaluateConfig(baseline="latest"))
    assert found.run == found.baseline == str((trained_run / "run").resolve()) and found.published_run is None
    begun = EvaluateConfig(run="gone", resume=tmp_path)
    assert comparison.pinned(begun) == begun


def test_a_run_as_the_baseline_or_beside(trained_run, subject, ours, quick, tmp_path, monkeypatch):
    same = str(trained_run / "run")
    with pytest.raises(InputError, match="knows places"):
        comparison.compare(subject, ours, EvaluateConfig(baseline=same), runs.Run(tmp_path), CPU)
    with pytest.raises(InputError, match="is of our own network; give one"):
        comparison.check_beside(subject, EvaluateConfig(published_run=same), CPU)
    theirs = a_run(tmp_path / "theirs", the_published(subject))
    with pytest.raises(InputError, match="is of the published network"):
        comparison.check_beside(subject, EvaluateConfig(baseline=theirs), CPU)
    other = EvaluateConfig(skip_baseline=True, published_run=theirs, samples=2)
    found = comparison.compare(subject, ours, other, runs.Run(tmp_path), CPU)
    assert BASELINE not in found.medians and found.samples[comparison.NETWORK].ln_fas.shape[1] == 2
    split = dataclasses.replace(
        subject.generator, card=subject.generator.card | {"recipe": {"seed": 5, "test_share": 0.2}}
    )
    with pytest.raises(InputError, match="train it alike"):
        comparison._other(same, dataclasses.replace(subject, generator=split), CPU)
    with pytest.raises(InputError, match="no such run folder"):
        comparison.check(EvaluateConfig(baseline=str(tmp_path / "none")))


def test_too_few_records_to_fit_are_said_to_be(subject, ours, tmp_path):
    few = dataclasses.replace(subject, learnt=subject.learnt.rows(np.arange(2)))
    found = comparison.compare(few, ours, EvaluateConfig(skip_baseline=True), runs.Run(tmp_path), CPU)
    assert list(found.medians) == [OURS, PUBLISHED, TRUTH] and not found.fitted
    assert [each.split(":")[0] for each in found.notes] == [REFITTED, RICHER, NON_ERGODIC]


def test_the_published_coefficients_are_of_velocity(subject, ours, quick, tmp_path):
    shutil.rmtree(tmp_path)
    judged = dataclasses.replace(subject.judged, quantity="acceleration")
    other = dataclasses.replace(subject, judged=judged)
    found = comparison.compare(other, ours, EvaluateConfig(skip_baseline=True), runs.Run(tmp_path), CPU)
    assert PUBLISHED not in found.medians and "of velocity" in found.notes[0]


def test_magnitudes_beyond_the_published_model_are_noted(subject, ours, quick, tmp_path):
    config = EvaluateConfig(skip_baseline=True)
    assert not comparison.compare(subject, ours, config, runs.Run(tmp_path), CPU).notes
    table = subject.judged.table.assign(mag=6.0)
    large = dataclasses.replace(subject, judged=dataclasses.replace(subject.judged, table=table))
    assert "goes beyond" in comparison.compare(large, ours, config, runs.Run(tmp_path), CPU).notes[0]
