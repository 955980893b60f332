"""The generator: the same record for the same seed, its file there and back, and hostile files."""

import numpy as np
import pandas as pd
import pytest
import torch

from cgm_gm.generator import CHECKPOINT, Generator, event_keys
from shared.command import InputError


def drawn(generator: Generator, table, n=2, seed=5, **options) -> np.ndarray:
    return np.concatenate([each for _, each in generator.generate(table, n, seed, **options)])


def test_waveforms_are_of_the_shape_asked_for_and_the_seed_decides(generator, simulated):
    table = simulated.waveforms.table.iloc[:6]
    found = drawn(generator, table)
    assert found.shape == (6, 2, 2000) and found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(drawn(generator, table), found)
    assert not np.allclose(drawn(generator, table, seed=6), found)
    assert not np.allclose(found[:, 0], found[:, 1])


def test_a_record_is_the_same_whatever_is_made_beside_it(generator, simulated):
    table = simulated.waveforms.table.iloc[:6]
    whole = drawn(generator, table)
    scale = np.abs(whole).max()
    for batch in (1, 4):
        np.testing.assert_allclose(drawn(generator, table, batch=batch), whole, atol=1e-4 * scale)
    np.testing.assert_allclose(drawn(generator, table.iloc[3:], first=3), whole[3:], atol=1e-4 * scale)


def test_records_of_one_earthquake_belong_together(generator, simulated):
    """The k-th records of an earthquake share what records of an earthquake have in common."""
    row = simulated.waveforms.table.iloc[[0]]
    near = pd.concat([row.assign(station_lat=row["station_lat"] + 1e-4 * step) for step in range(30)])
    other = near.assign(source_lat=near["source_lat"] + 1e-4)
    levels = [np.log(np.square(drawn(generator, each, n=40)).mean(axis=2)) for each in (near, near, other)]
    about = [each - each.mean() for each in levels]
    within = [(each.mean(axis=0) ** 2).mean() for each in about]  # of 30 records' mean
    assert min(within) > 3.0 * (about[0] - about[0].mean(axis=0)).var() / 30.0
    shared = [each.mean(axis=0) for each in about]
    assert np.corrcoef(shared[0], shared[1])[0, 1] > 0.99
    assert abs(np.corrcoef(shared[0], shared[2])[0, 1]) < 0.6
    assert event_keys(near) == [event_keys(row)[0]] * 30 and event_keys(other)[0] != event_keys(row)[0]


def test_nothing_but_noise_comes_before_p(generator, simulated):
    table = simulated.waveforms.table.iloc[:40]
    found = drawn(generator, table, n=1)[:, 0]
    before = int(100 * simulated.waveforms.before)
    quiet, loud = found[:, : before - 10].std(axis=1), found[:, before : before + 300].std(axis=1)
    assert (quiet < 0.5 * loud).mean() > 0.7


def test_there_and_back(generator, simulated, tmp_path):
    generator.save(tmp_path / CHECKPOINT)
    again = Generator.load(tmp_path / CHECKPOINT)
    table = simulated.waveforms.table.iloc[:3]
    np.testing.assert_array_equal(drawn(again, table), drawn(generator, table))
    assert again.card["ranges"] == {name: list(each) for name, each in generator.card["ranges"].items()}
    assert again.synthetic
    assert again.parameters == generator.parameters


@pytest.mark.parametrize("damage", ["cut", "other", "sizes", "absent"])
def test_a_damaged_file_is_one_line(generator, tmp_path, damage):
    path = tmp_path / CHECKPOINT
    generator.save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        torch.save({"kind": "another"}, path)
    elif damage == "sizes":
        content = torch.load(path, weights_only=True)
        content["network"]["options"]["hidden"] = 10**7
        torch.save(content, path)
    else:
        path.unlink()
    with pytest.raises(InputError) as caught:
        Generator.load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
