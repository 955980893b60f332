"""Options of both networks in one: which recipe comes of them."""

import dataclasses

import pytest

from cgm_gm.config import PublishedRecipe, Recipe, TrainConfig
from shared.command import InputError


def test_the_defaults_are_those_of_the_chosen_network():
    assert TrainConfig().recipe() == Recipe()
    assert TrainConfig(network="published").recipe() == PublishedRecipe()


def test_given_options_count():
    found = TrainConfig(network="published", latent=8, free_running=True, tcondvar=4, batch=16).recipe()
    assert found == PublishedRecipe(latent=8, free_running=True, tcondvar=4, batch=16)
    assert TrainConfig(hidden=32, weight_decay=0.5).recipe() == Recipe(hidden=32, weight_decay=0.5)


def test_no_default_of_the_options_hides_one_of_a_recipe():
    options = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    for kind in (Recipe, PublishedRecipe):
        for field in dataclasses.fields(kind):
            assert options[field.name] in (None, field.default)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"beta": 0.1}, "--beta"), ({"free_running": True}, "--free-running"), ({"hidden": 8}, "--hidden")],
)
def test_an_option_of_the_other_network_is_refused(options, said):
    network = "published" if "hidden" in options else "ours"
    with pytest.raises(InputError, match=f"{said}: an option of --network"):
        TrainConfig(network=network, **options).recipe()
