"""One small generator for all tests of the sub-project: trained once, on simulated records of 20 s."""

from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def simulated():
    """200 records of 30 events at 20 stations, and their truth."""
    from cgm_gm import simulation

    waveforms, truth = simulation.simulate(0, n_events=30, n_stations=20, n_records=200, duration=20.0)
    return SimpleNamespace(waveforms=waveforms, truth=truth)


@pytest.fixture(scope="session")
def recipe():
    """A recipe that takes seconds."""
    from cgm_gm.config import Recipe

    return Recipe(epochs=40, hidden=16, latent=3, batch=32, validation_share=0.2)


@pytest.fixture(scope="session")
def training(simulated, recipe):
    """A finished training, with what it logged; do not change it."""
    from cgm_gm.training import Training

    done = Training(simulated.waveforms, recipe, seed=1)
    done.logged = []
    while not done.finished:
        done.logged.append(done.run_epoch())
    return done


@pytest.fixture(scope="session")
def generator(training, simulated):
    """The generator that came of it; do not change it."""
    from cgm_gm.data import Source, ranges

    source = Source(simulated.waveforms, None, None)
    table = training.table
    stations = table[["station_id", "station_lat", "station_lon"]].drop_duplicates("station_id").to_dict("list")
    card = {"provenance": {"data": source.describe()}, "ranges": ranges(table), "stations": stations}
    return training.generator(card)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
    """A folder with ``records.h5``, 120 records of 24 events, and ``run``, a training on them of two epochs."""
    from script_running import run_here, succeed

    from cgm_gm import simulation

    folder = tmp_path_factory.mktemp("trained_run")
    made = simulation.simulate(0, n_events=24, n_stations=14, n_records=120, duration=20.0)[0]
    simulation.write(folder / "records.h5", made)
    options = ("--data", "records.h5", "--epochs", "2", "--latent", "3", "--hidden", "16", "--threads", "1")
    succeed("cgm_gm/train_cgm.py", *options, "--output", "run", cwd=folder, run=run_here)
    return folder
