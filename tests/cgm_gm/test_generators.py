"""A generator of either kind comes back from its file as it went, and what is none is one line."""

import numpy as np
import pytest
import torch

from cgm_gm import generators, published
from cgm_gm.config import PublishedRecipe
from cgm_gm.generator import Generator
from cgm_gm.published import PublishedGenerator
from cgm_gm.published_training import PublishedTraining
from shared import runs
from shared.command import InputError
from shared.torch_tools import save_checkpoint


@pytest.fixture(scope="module")
def theirs(simulated):
    training = PublishedTraining(simulated.waveforms, PublishedRecipe(latent=4, recurrent=8, epochs=1), seed=0)
    training.run_epoch()
    return training.generator({"provenance": {"data": {"synthetic": True}}, "name": "theirs"})


@pytest.mark.parametrize("kind", [Generator, PublishedGenerator])
def test_there_and_back(kind, generator, theirs, simulated, tmp_path):
    made = {Generator: generator, PublishedGenerator: theirs}[kind]
    made.save(tmp_path / "generator.pt")
    again = generators.load(tmp_path / "generator.pt")
    assert type(again) is kind and again.synthetic
    assert again.card == runs.plain(made.card) and again.parameters == made.parameters
    table = simulated.waveforms.table.iloc[:3].reset_index(drop=True)
    (one,), (other,) = ([waveforms for _, waveforms in each.generate(table, 2, seed=1)] for each in (made, again))
    assert one.shape == (3, 2, 2000)
    np.testing.assert_array_equal(one, other)


def test_what_is_no_generator_is_refused(tmp_path):
    path = tmp_path / "generator.pt"
    with pytest.raises(InputError, match="no such checkpoint"):
        generators.load(path)
    save_checkpoint(path, "thesis", {})
    with pytest.raises(InputError, match="not a cgm_gm generator checkpoint"):
        generators.load(path)


@pytest.mark.parametrize("damage", ["sizes", "state", "scaling"])
def test_a_damaged_one_is_one_line(damage, theirs, tmp_path):
    path = tmp_path / "generator.pt"
    theirs.save(path)
    content = torch.load(path, weights_only=True)
    if damage == "sizes":
        content["network"]["options"]["latent"] = 10**9
    elif damage == "state":
        content["network"]["state"].popitem()
    else:
        content["scaling"]["stft"]["n_ftt"] = 3
    save_checkpoint(path, published.KIND, content)
    with pytest.raises(InputError, match=r"generator\.pt: a damaged generator"):
        generators.load(path)
