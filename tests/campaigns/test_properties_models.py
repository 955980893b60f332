"""Laws of the models that are shipped: batches, order of rows, probabilities, spreads; relevance; the scaler."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from laws import law
from torch import nn

from bliqnet.trained import CHECKPOINT, TrainedModel
from bliqnet.trained_inverse import INVERSE_CHECKPOINT, LEVELS, TrainedInverse, posterior_table
from cgm_gm import generators
from ml4szeq import lrp
from ml4szeq.relevance import completeness, integrated_gradients, normalised, output_chain
from ml4szeq.scaling import LARGEST, Scaler
from ml4szeq.trained import load_final
from shared import runs
from shared.flatfile_formats import CANONICAL, TEXT_COLUMNS

SEEDS = st.integers(0, 2**32 - 1)
CPU = torch.device("cpu")


def scenarios(seed: int, n: int) -> pd.DataFrame:
    """Rows of canonical columns, about where models are used."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: [""] * n if name in TEXT_COLUMNS else [np.nan] * n for name in CANONICAL})
    table = table.assign(mag=rng.uniform(3.5, 7.8, n), rjb=rng.uniform(0.0, 250.0, n), vs30=rng.uniform(150, 1500, n))
    table = table.assign(hypo_depth=rng.uniform(1, 25, n), mechanism=rng.choice(["SS", "NM", "RV", "U"], n))
    return table.assign(component="H", station_id=rng.choice(["1", "2", "x"], n), event_id="e")


# --- bliqnet ---------------------------------------------------------------------------------------------------------
@functools.cache
def bliqnet() -> TrainedModel:
    return TrainedModel.load(runs.pretrained_folder("bliqnet") / CHECKPOINT, CPU)


@functools.cache
def inverse() -> TrainedInverse:
    return TrainedInverse.load(runs.pretrained_folder("bliqnet") / INVERSE_CHECKPOINT, CPU)


@law(6, 40)
@given(SEEDS, st.integers(1, 40), st.integers(1, 50))
def test_spectra_do_not_hang_on_the_batch_or_on_other_rows(seed, n, batch):
    table, model = scenarios(seed, n), bliqnet()
    one = model.predict(table, threads=1)
    parted = model.predict(table, batch=batch, threads=2)
    moved = np.random.default_rng(seed).permutation(n)
    other = model.predict(table.iloc[moved].reset_index(drop=True), threads=1)
    for name in ("ln_median", "tau", "phi"):
        np.testing.assert_allclose(getattr(parted, name), getattr(one, name), rtol=0, atol=2e-5)
        np.testing.assert_allclose(getattr(other, name), getattr(one, name)[moved], rtol=0, atol=2e-5)


@law(6, 40)
@given(SEEDS)
def test_spreads_are_positive_and_add_in_squares(seed):
    found = bliqnet().predict(scenarios(seed, 12), threads=1)
    assert (found.tau > 0).all() and (found.phi > 0).all() and np.isfinite(found.ln_median).all()
    np.testing.assert_allclose(found.tau**2 + found.phi**2, found.sigma**2, rtol=1e-5)


@law(6, 40)
@given(SEEDS)
def test_spectra_at_the_shortest_period_tend_to_pga(seed):
    model = bliqnet()
    found = model.predict(scenarios(seed, 12), threads=1).ln_median
    short = min((name for name in model.columns if name != "PGA"), key=lambda name: float(name[3:-1]))
    gap = found[:, model.columns.index(short)] - found[:, model.columns.index("PGA")]
    assert np.abs(gap).max() < 0.35, short


@law(6, 40)
@given(SEEDS, st.integers(1, 12))
def test_posteriors_ascend_add_up_and_know_no_other_row(seed, n):
    model, reader = bliqnet(), inverse()
    ln_sa = model.predict(scenarios(seed, n), threads=1).ln_median
    columns = {name: np.exp(values) for name, values in zip(model.columns, ln_sa.T, strict=True)}
    table = pd.DataFrame({name: columns.get(name, np.nan) for name in reader.columns})
    found = posterior_table(reader, table, reader.posterior(reader.spectra_of(table, "made")))
    for name in ("mag", "rjb", "vs30", "hypo_depth"):
        quantiles = found[[f"{name}_p{round(100 * level):02d}" for level in LEVELS]].to_numpy()
        assert (np.diff(quantiles, axis=1) >= 0).all(), name
        assert (quantiles >= 0).all(), name
    np.testing.assert_allclose(found[["p_SS", "p_NM", "p_RV"]].sum(axis=1), 1.0, rtol=1e-5)
    last = table.tail(1).reset_index(drop=True)
    alone = posterior_table(reader, last, reader.posterior(reader.spectra_of(last, "made")))
    np.testing.assert_allclose(alone.to_numpy(float)[0], found.to_numpy(float)[-1], rtol=1e-3, atol=1e-4)


# --- cgm_gm ----------------------------------------------------------------------------------------------------------
@functools.cache
def generator():
    return generators.load(next(runs.pretrained_folder("cgm_gm").glob("generator.*")))


def points(seed: int, n: int) -> pd.DataFrame:
    rng, known = np.random.default_rng(seed), generator().card["ranges"]
    names = ("mag", "depth", "source_lat", "source_lon", "station_lat", "station_lon")
    table = pd.DataFrame({name: rng.uniform(*known[name], n) for name in names})
    return table.assign(event_id="e", station_id=[f"s{k}" for k in range(n)])


def generated(table: pd.DataFrame, seed: int, **options) -> np.ndarray:
    return np.concatenate([made for _, made in generator().generate(table, 2, seed, **options)])


@law(4, 20)
@given(SEEDS, st.integers(2, 5), st.integers(1, 7), st.integers(0, 99))
def test_waveforms_do_not_hang_on_the_batch_and_the_seed_makes_them_again(seed, n, batch, draw):
    table = points(seed, n)
    one, other = generated(table, draw), generated(table, draw, batch=batch)
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5 * np.abs(one).max())
    np.testing.assert_array_equal(generated(table, draw), one)
    assert np.isfinite(one).all() and one.shape[:2] == (n, 2)
    assert (generated(table, draw + 1) != one).any()


@law(4, 20)
@given(SEEDS, st.integers(3, 6), st.integers(1, 2))
def test_a_part_of_the_points_has_the_waveforms_of_the_whole(seed, n, first):
    table = points(seed, n)
    whole, part = generated(table, 5), generated(table.iloc[first:].reset_index(drop=True), 5, first=first)
    np.testing.assert_allclose(part, whole[first:], rtol=1e-3, atol=1e-5 * np.abs(whole).max())


# --- ml4szeq ---------------------------------------------------------------------------------------------------------
@functools.cache
def classifier():
    return load_final(runs.Run(runs.pretrained_folder("ml4szeq")))


def segments(seed: int, n: int) -> pd.DataFrame:
    one, rng = classifier(), np.random.default_rng(seed)
    values = one.scaler.median[: len(one.features)] * (1 + 0.3 * rng.normal(size=(n, len(one.features))))
    table = pd.DataFrame(values, columns=list(one.features))
    return table.assign(
        region="sam", segment=np.arange(n), along_km=50.0 * np.arange(n), lon=-72.0, lat=-20.0 - np.arange(n) / 5
    )


@law(6, 40)
@given(SEEDS, st.integers(2, 30))
def test_probabilities_add_up_and_the_order_of_segments_does_not_matter(seed, n):
    table = segments(seed, n)
    found = classifier().probabilities(table)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    assert ((found >= 0) & (found <= 1)).all() and found.shape == (n, len(classifier().names))
    moved = np.random.default_rng(seed).permutation(n)
    other = classifier().probabilities(table.iloc[moved].reset_index(drop=True))
    np.testing.assert_allclose(other, found[moved], rtol=0, atol=1e-5)


@law(6, 40)
@given(SEEDS)
def test_a_network_by_itself_knows_no_other_segment(seed):
    one = dataclasses.replace(classifier(), average=0.0, neighbours=None)
    if one.views.relative or one.views.smooth or one.views.region_mean:
        pytest.skip("the network that is shipped is given features along strike")
    table = segments(seed, 6)
    whole = one.heads(table)[0]
    alone = one.heads(table.iloc[[4]].reset_index(drop=True))[0]
    np.testing.assert_allclose(alone[:, 0], whole[:, 4], rtol=0, atol=1e-5)


# --- relevance -------------------------------------------------------------------------------------------------------
@st.composite
def chains(draw) -> tuple[nn.Sequential, torch.Tensor]:
    rng = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    sizes = [draw(st.integers(2, 6)) for _ in range(draw(st.integers(2, 4)))]
    layers: list[nn.Module] = []
    for inside, outside in zip(sizes, [*sizes[1:], 3], strict=True):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    chain = nn.Sequential(*layers[:-1])
    for value in chain.parameters():
        value.data = torch.randn(value.shape, generator=rng)
    return chain.eval(), torch.randn((5, sizes[0]), generator=rng)


@law(12, 100)
@given(chains(), st.sampled_from(["epsilon", "gamma", "epsilon_plus"]), st.integers(0, 2))
def test_relevance_is_conserved_without_biases(drawn, rule, target):
    chain, inputs = drawn
    plain = lrp.without_biases(chain)
    found = lrp.relevance(plain, inputs, target, rule, epsilon=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), lrp.outputs(plain, inputs, target), rtol=1e-4, atol=1e-4)


@law(12, 100)
@given(chains(), st.integers(0, 2), st.integers(0, 4))
def test_relevance_of_a_row_knows_no_other_row(drawn, target, row):
    chain, inputs = drawn
    whole = lrp.relevance(chain, inputs, target, "epsilon")
    np.testing.assert_allclose(
        lrp.relevance(chain, inputs[[row]], target, "epsilon")[0], whole[row], rtol=1e-6, atol=1e-9
    )


@law(8, 60)
@given(chains(), st.integers(0, 2))
def test_integrated_gradients_add_up_to_the_change_of_the_output(drawn, target):
    chain, inputs = drawn
    found = integrated_gradients(chain, inputs, target, steps=200)
    size = np.abs(lrp.outputs(chain, inputs, target)).max() + 1.0
    assert np.abs(completeness(chain, inputs, target, found)).max() < 0.02 * size
    margin = output_chain(chain, "margin")
    assert margin is not chain


@law()
@given(arrays(float, (4, 3), elements=st.floats(-5.0, 5.0).map(lambda each: round(each, 6))))
def test_normalised_relevance_keeps_signs_and_shares(values):
    some = np.abs(values).max(axis=1) > 0
    for how, size in (("sum", np.sum), ("largest", np.max)):
        found = normalised(values, how)
        assert (np.sign(found) == np.sign(values)).all()
        np.testing.assert_allclose(size(np.abs(found), axis=1), some.astype(float), rtol=1e-9)


# --- the scaler ------------------------------------------------------------------------------------------------------
@law(12, 80)
@given(SEEDS, st.floats(0.01, 100.0), st.floats(-50.0, 50.0))
def test_scaled_features_are_central_bounded_and_in_order(seed, spread, middle):
    rng = np.random.default_rng(seed)
    values = middle + spread * rng.normal(size=(60, 2))
    values[:, 1] = np.exp(0.5 * rng.normal(size=60))
    scaler = Scaler.fit(values)
    found = scaler.apply(values)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, rtol=0, atol=0.1)
    assert (np.abs(found) <= LARGEST).all()
    order = np.argsort(values, axis=0)
    assert (np.diff(np.take_along_axis(found, order, axis=0), axis=0) >= -1e-9).all()  # what is more stays more
    again = Scaler.of(scaler.content())
    np.testing.assert_array_equal(again.apply(values), found)
    np.testing.assert_allclose(scaler.apply(np.full((1, 2), np.nan)), scaler.apply(scaler.median[None]), rtol=1e-12)
