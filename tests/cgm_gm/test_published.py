"""The published model: its size, its bound, its two priors, and training and generation that a seed decides."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from cgm_gm import published_network, simulation
from cgm_gm.conditions import SETS
from cgm_gm.config import PublishedRecipe
from cgm_gm.published import AmplitudeScaling
from cgm_gm.published_network import RecurrentVAE
from cgm_gm.published_training import PublishedTraining
from cgm_gm.spectrogram import Stft
from shared.command import InputError

RECIPE = PublishedRecipe(latent=8, recurrent=16, batch=16, epochs=4)


@pytest.fixture(scope="module")
def data():
    return simulation.simulate(0, n_events=12, n_stations=12, n_records=48, duration=30.0)[0]


@pytest.fixture(scope="module")
def trained(data):
    training = PublishedTraining(data, RECIPE, seed=1)
    logged = [training.run_epoch() for _ in range(3)]
    return training, logged


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return RecurrentVAE(6, 81, 8, 16, 16).requires_grad_(False)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- network ---
def test_the_published_sizes_have_some_173_000_weights():
    recipe = PublishedRecipe()
    network = RecurrentVAE(len(SETS[2]), Stft().n_frequencies, recipe.latent, recipe.recurrent, recipe.embedded)
    counted = {name: sum(each.numel() for each in part.parameters()) for name, part in network.named_children()}
    assert sum(counted.values()) == 173_009
    assert counted["encoder"] == 3 * 144 * (81 + 16 + 144 + 2)
    assert counted["prior"] == 3 * 32 * (32 + 16 + 32 + 2)


def test_shapes(network):
    embedded = network.embedding(normal(3, 6))
    assert embedded.shape == (3, 16)
    mean, log_variance = network.encode(normal(3, 20, 81), embedded)
    assert mean.shape == log_variance.shape == (3, 20, 8)
    assert all(each.shape == (3, 20, 8) for each in network.prior_of(mean, embedded))
    assert all(each.shape == (3, 20, 8) for each in network.roll_prior(normal(3, 20, 8), embedded))
    assert network.decode(mean, embedded).shape == (3, 20, 81)


def test_the_fed_prior_is_the_loop_fed_with_the_same_codes(network):
    code, embedded = normal(3, 20, 8), network.embedding(normal(3, 6, seed=1))
    cell = torch.nn.GRUCell(8 + 16, 16)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.prior.state_dict().items()})
    state, before = torch.zeros(3, 16), torch.zeros(3, 8)
    mean, log_variance = network.prior_of(code, embedded)
    for frame in range(20):
        state = cell(torch.cat([before, embedded], dim=1), state)
        torch.testing.assert_close(mean[:, frame], network.prior_mean(state), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(log_variance[:, frame], network.prior_log_variance(state), rtol=1e-4, atol=1e-6)
        before = code[:, frame]


def test_the_rolled_prior_is_the_fed_one_on_its_own_codes(network):
    embedded, drawn = network.embedding(normal(3, 6)), normal(3, 20, 8, seed=2)
    code, mean, log_variance = network.roll_prior(drawn, embedded)
    torch.testing.assert_close(code, mean + torch.exp(0.5 * log_variance) * drawn, rtol=1e-5, atol=1e-6)
    fed = network.prior_of(code, embedded)
    torch.testing.assert_close(fed[0], mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(fed[1], log_variance, rtol=1e-4, atol=1e-6)
    other = network.prior_of(normal(3, 20, 8, seed=3), embedded)
    assert float((other[0] - mean).abs().max()) > 0.01


def test_the_first_code_knows_the_condition_alone_and_none_knows_its_future(network):
    code, embedded = normal(2, 10, 8), network.embedding(normal(2, 6))
    changed = code.clone()
    changed[:, 5] += 1.0
    one, other = network.prior_of(code, embedded)[0], network.prior_of(changed, embedded)[0]
    assert torch.equal(one[:, :6], other[:, :6])
    assert float((one[:, 6] - other[:, 6]).abs().min()) > 0.0


def test_divergence_against_monte_carlo():
    mean, log_variance, prior_mean, prior_log_variance = 0.5 * normal(4, 3, 5).double().expand(4, 4, 3, 5).clone()
    prior_mean, prior_log_variance = prior_mean + 0.3, 0.5 * prior_log_variance.flip(0)
    found = published_network.divergence(mean, log_variance, prior_mean, prior_log_variance)
    own = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    prior = torch.distributions.Normal(prior_mean, torch.exp(0.5 * prior_log_variance))
    torch.manual_seed(0)
    drawn = own.sample((40_000,))
    sampled = (own.log_prob(drawn) - prior.log_prob(drawn)).sum(dim=-1)
    error = sampled.std(dim=0) / np.sqrt(len(drawn))
    assert found.shape == (4, 3)
    assert bool(((sampled.mean(dim=0) - found).abs() < 5.0 * error).all())
    assert float(published_network.divergence(mean, log_variance, mean, log_variance).abs().max()) < 1e-12


def test_scaling_there_and_back(data):
    scaling = AmplitudeScaling(Stft(n_samples=3000), 100.0, 5.0).fitted(data.waveforms, np.arange(40))
    amplitude = scaling.stft.forward(torch.as_tensor(data.waveforms[:40])).abs()
    spectra = scaling.spectra(amplitude)
    assert spectra.shape == (40, scaling.stft.n_frames, 81)
    assert float(spectra.min()) == pytest.approx(0.0, abs=1e-6) and float(spectra.max()) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(scaling.amplitude(spectra), amplitude, rtol=1e-4, atol=1e-12)


# --- training ---
def test_a_step_of_the_loss_written_slowly(data):
    training = PublishedTraining(data, RECIPE, seed=1)
    training.network.eval().requires_grad_(False)
    rows = training.rows[:4]
    misfit, apart, wave = training.losses(rows, torch.Generator().manual_seed(5)).tolist()
    stft, scaling, network = training.scaling.stft, training.scaling, training.network
    waveforms = torch.as_tensor(data.waveforms[rows])
    spectrogram = stft.forward(waveforms)
    spectra = (torch.log10(spectrogram.abs() + 1e-10) - scaling.low).transpose(1, 2) / (scaling.high - scaling.low)
    embedded = network.embedding(training.of[rows])
    mean, log_variance = network.encode(spectra, embedded)
    drawn = torch.randn(mean.shape, generator=torch.Generator().manual_seed(5))
    code = mean + torch.exp(log_variance / 2) * drawn
    prior_mean, prior_log_variance = network.prior_of(code, embedded)
    own = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    prior = torch.distributions.Normal(prior_mean, torch.exp(prior_log_variance / 2))
    by_torch = torch.distributions.kl_divergence(own, prior).sum(dim=2).mean()
    found = network.decode(code, embedded)
    rebuilt = stft.inverse(torch.polar(scaling.amplitude(found), spectrogram.angle()))
    frames = spectra.shape[1]
    unit = np.abs(data.waveforms[training.rows]).max()
    assert misfit == pytest.approx(float(((found - spectra) ** 2).sum() / 4 / frames), rel=1e-4)
    assert apart == pytest.approx(float(by_torch), rel=1e-4)
    assert wave == pytest.approx(float((((rebuilt - waveforms) / unit) ** 2).sum() / 4 / frames), rel=1e-3)


def test_losses_fall(trained):
    _, logged = trained
    assert logged[2]["train_misfit"] < 0.85 * logged[0]["train_misfit"]
    assert all(np.isfinite(list(each.values())).all() for each in logged)


@pytest.mark.parametrize("free_running", [False, True])
def test_every_weight_gets_a_finite_gradient(data, free_running):
    training = PublishedTraining(data, dataclasses.replace(RECIPE, free_running=free_running), seed=1)
    parts = training.losses(training.rows[:8], torch.Generator().manual_seed(0))
    (parts[0] + parts[1] + parts[2]).backward()
    for name, weight in training.network.named_parameters():
        assert torch.isfinite(weight.grad).all() and float(weight.grad.abs().max()) > 0.0, name


def test_free_running_is_another_divergence_and_nothing_else(data):
    found = []
    for free_running in (False, True):
        training = PublishedTraining(data, dataclasses.replace(RECIPE, free_running=free_running), seed=1)
        found.append(training.losses(training.rows[:8], torch.Generator().manual_seed(0)).tolist())
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    assert abs(found[0][1] - found[1][1]) > 1e-4


def test_a_resumed_training_ends_with_the_same_bits(data, trained):
    whole, logged = trained
    begun = PublishedTraining(data, RECIPE, seed=1)
    begun.run_epoch()
    state = copy.deepcopy(begun.state_dict())
    torch.manual_seed(99)
    resumed = PublishedTraining(data, RECIPE, seed=1)
    resumed.load_state_dict(state)
    assert [resumed.run_epoch() for _ in range(2)] == logged[1:]
    assert not resumed.finished
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_a_single_event_is_refused(data):
    few = data.rows(np.flatnonzero(data.table["event_id"].isin(data.table["event_id"].unique()[:1])))
    with pytest.raises(InputError, match="1 event to train on, 2 are needed"):
        PublishedTraining(few, RECIPE, seed=0)


def test_a_training_that_diverges_is_one_line(data):
    training = PublishedTraining(data, RECIPE, seed=1)
    with torch.no_grad():
        training.network.decoder[0].weight.fill_(float("nan"))
    with pytest.raises(InputError, match="diverged in epoch 1; start again with a lower --learning-rate"):
        training.run_epoch()


# --- generation ---
@pytest.mark.parametrize("kind", sorted(SETS))
def test_every_set_of_conditions_generates(data, kind):
    training = PublishedTraining(data, dataclasses.replace(RECIPE, tcondvar=kind), seed=1)
    training.run_epoch()
    ((place, waveforms),) = training.generator({}).generate(data.table.iloc[:2].reset_index(drop=True), 1, seed=0)
    assert place == slice(0, 2) and waveforms.shape == (2, 1, 3000) and waveforms.dtype == np.float32
    assert np.isfinite(waveforms).all() and np.abs(waveforms).max() > 0.0


def test_a_record_is_the_same_whatever_the_chunk_and_differs_by_seed(data, trained):
    made = trained[0].generator({"name": "made"})
    table = data.table.iloc[:5].reset_index(drop=True)
    whole = gathered(made.generate(table, 2, seed=3))
    assert whole.shape == (5, 2, 3000)
    peak = np.abs(whole).max()
    chunked = gathered(made.generate(table, 2, seed=3, batch=2))
    np.testing.assert_allclose(chunked, whole, rtol=0, atol=1e-3 * peak)
    later = gathered(made.generate(table.iloc[3:].reset_index(drop=True), 2, seed=3, first=3))
    np.testing.assert_allclose(later, whole[3:], rtol=0, atol=1e-3 * peak)
    np.testing.assert_array_equal(gathered(made.generate(table, 2, seed=3)), whole)
    other = gathered(made.generate(table, 2, seed=4))
    assert np.linalg.norm(other - whole) > 0.5 * np.linalg.norm(whole)
    assert np.linalg.norm(whole[:, 0] - whole[:, 1]) > 0.5 * np.linalg.norm(whole[:, 0])


def gathered(parts):
    return np.concatenate([waveforms for _, waveforms in parts])
