"""What the figures of the latent space show, of one dimension too."""

import numpy as np
import pytest

from cvae_sa import latent
from cvae_sa import latent_figures as drawings


@pytest.fixture(scope="module")
def space(trained, records) -> latent.LatentSpace:
    return latent.study(trained, records)


def test_every_dimension_is_named_with_its_divergence(space):
    figure = drawings.aggregated_posterior(space.codes, space.collapse, synthetic=True)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    kl = space.collapse["kl"]
    assert [title.split(": ")[0] for title in titles] == ["z1", "z2"]
    assert f"KL {kl[0]:.2f} nats" in titles[0]
    assert figure.texts[0].get_text() == "SYNTHETIC DATA"


def test_the_map_shows_the_table(space):
    axis = drawings.association_map(space.associations, synthetic=False).axes[0]
    row = space.associations.query("quantity == 'mag' and dimension == 'z1'").iloc[0]
    assert f"{max(row['share'], 0.0):.2f}  ({row['rank']:+.2f})" in [text.get_text() for text in axis.texts]


def test_the_plane_has_every_record_once_and_works_in_one_dimension(space):
    table = space.records.table
    for codes, collapse in (
        (space.codes, space.collapse),
        (latent.Codes(*(each[:, :1] for each in vars(space.codes).values())), space.collapse.iloc[:1]),
    ):
        figure = drawings.code_plane(codes, collapse, table, synthetic=False)
        assert len(figure.axes[0].collections[0].get_offsets()) == len(table)
    assert figure.axes[0].get_ylabel() == "code z1, standard deviation"


def test_traversal_and_ann_have_units(space):
    figure = drawings.traversals(space.spectra, space.records.columns, "M 6", synthetic=False)
    assert figure.axes[0].get_ylabel() == "decoded Sa (g)"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), np.exp(space.spectra[0, 0]), rtol=1e-6)
    figure = drawings.ann_against_encoder(space.codes, space.collapse, space.ann, synthetic=False)
    assert f"R² {space.ann['r2'][0]:.2f}" in figure.axes[0].get_title(loc="left")
