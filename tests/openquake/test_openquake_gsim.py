"""An exported model inside OpenQuake: the same numbers as outside it, and a small classical hazard calculation."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openquake.hazardlib import const, site, valid
from openquake.hazardlib.calc.hazard_curve import calc_hazard_curves
from openquake.hazardlib.contexts import ContextMaker, simple_cmaker
from openquake.hazardlib.geo import NodalPlane, Point
from openquake.hazardlib.geo.polygon import Polygon
from openquake.hazardlib.gsim.boore_2014 import BooreEtAl2014
from openquake.hazardlib.gsim_lt import GsimLogicTree
from openquake.hazardlib.imt import from_string
from openquake.hazardlib.mfd import TruncatedGRMFD
from openquake.hazardlib.pmf import PMF
from openquake.hazardlib.scalerel import WC1994
from openquake.hazardlib.source import AreaSource
from openquake.hazardlib.tom import PoissonTOM

from shared import runs
from shared.command import InputError
from shared.flatfile_convert import mechanism_of
from shared.onnx_model import OnnxModel, OutOfRange
from shared.openquake_gsim import LearnedGMM
from shared.plotting import mark_synthetic, new_figure
from shared.reference_gmm import bssa14

IMTS = ("PGA", "SA(0.2)", "SA(0.33)", "SA(1.0)")
LEVELS = np.geomspace(0.01, 1.5, 25)  # g
FOLDER = Path(__file__).parents[2] / "runs" / "openquake"
FIGURE = FOLDER / "hazard_curve.png"
CRUST = const.TRT.ACTIVE_SHALLOW_CRUST


@pytest.fixture(scope="module")
def models() -> dict[str, Path]:
    """Exported files by name: `make test-openquake` has written them."""
    return {name: FOLDER / f"{name}.onnx" for name in ("bliqnet", "cvae_sa")}


@pytest.fixture(scope="module", params=["bliqnet", "cvae_sa"])
def model(request, models) -> Path:
    return models[request.param]


def contexts(gsims, count=300, seed=0):
    """``count`` pairs of rupture and site, of all magnitudes, rakes and distances."""
    generator = np.random.default_rng(seed)
    maker = simple_cmaker(gsims, IMTS)
    ctx = maker.new_ctx(count)
    rjb = np.where(generator.random(count) < 0.1, 0.0, np.exp(generator.uniform(0.0, 5.5, count)))
    values = {
        "mag": np.round(generator.uniform(3.5, 7.9, count), 1),
        "rake": generator.uniform(-180.0, 180.0, count),
        "hypo_depth": generator.uniform(0.0, 30.0, count),
        "rjb": rjb,
        "rrup": np.hypot(rjb, generator.uniform(0.0, 10.0, count)),
        "vs30": generator.uniform(180.0, 1200.0, count),
        "z1pt0": -999.0,  # unknown
        "sids": 0,
    }
    for name in set(values) & set(ctx.dtype.names):
        ctx[name] = values[name]
    return maker, ctx


def test_same_numbers_as_the_reader(model):
    gsim = LearnedGMM(onnx_file=str(model))
    maker, ctx = contexts([gsim])
    computed = np.zeros((4, len(IMTS), len(ctx)))
    with pytest.warns(OutOfRange, match="outside the training range"):
        gsim.compute(ctx, [from_string(imt) for imt in IMTS], *computed)
    reader = OnnxModel.load(model)
    table = {name: ctx[name] for name in ("mag", "rake", "hypo_depth", "rjb", "rrup", "vs30")}
    found = reader.predict(table, warn=False).at([0.0, 0.2, 0.33, 1.0])
    expected = [found.ln_median.T, found.sigma.T, found.tau.T, found.phi.T]
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-6)
    own = list(reader.columns).index("SA(0.200)")  # a period of the model itself is not interpolated
    np.testing.assert_allclose(computed[0, 1], reader.predict(table, warn=False).ln_median[:, own], rtol=0, atol=1e-6)
    # hazardlib computes a magnitude at a time, and single precision rounds by how many rows are computed together
    np.testing.assert_allclose(maker.get_mean_stds([ctx])[:, 0], expected, rtol=0, atol=1e-5)


def test_a_warning_is_given_once_and_processes_take_the_model_along(model):
    gsim = valid.gsim(f'[LearnedGMM]\nonnx_file = "{model.name}"', basedir=str(model.parent))  # as a logic tree has it
    maker, ctx = contexts([gsim])
    with pytest.warns(OutOfRange):
        expected = maker.get_mean_stds([ctx])
    again, _ = contexts([pickle.loads(pickle.dumps(gsim))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(again.get_mean_stds([ctx]), expected)


def test_what_it_cannot_do_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        LearnedGMM(onnx_file=str(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"PK" + bytes(100))
    with pytest.raises(InputError, match="not an exported model"):
        LearnedGMM(onnx_file=str(tmp_path / "bad.onnx"))
    gsim = LearnedGMM(onnx_file=str(model))
    _, ctx = contexts([gsim])
    for imt in ("SA(0.0001)", "SA(50.0)"):
        results = np.zeros((4, 1, len(ctx)))
        with warnings.catch_warnings(), pytest.raises(InputError, match=r"period [\d.]+ s: the model has"):
            warnings.simplefilter("ignore", OutOfRange)
            gsim.compute(ctx, [from_string(imt)], *results)


LOGIC_TREE = """<?xml version="1.0" encoding="utf-8"?>
<nrml xmlns="http://openquake.org/xmlns/nrml/0.4"><logicTree logicTreeID="lt"><logicTreeBranchSet
  uncertaintyType="gmpeModel" branchSetID="bs" applyToTectonicRegionType="Active Shallow Crust">
  <logicTreeBranch branchID="learned"><uncertaintyModel>[LearnedGMM]
onnx_file = "FILE"</uncertaintyModel><uncertaintyWeight>0.6</uncertaintyWeight></logicTreeBranch>
  <logicTreeBranch branchID="boore"><uncertaintyModel>BooreEtAl2014</uncertaintyModel>
    <uncertaintyWeight>0.4</uncertaintyWeight></logicTreeBranch>
</logicTreeBranchSet></logicTree></nrml>
"""


def test_a_logic_tree_may_name_it(model, tmp_path):
    (tmp_path / "lt.xml").write_text(LOGIC_TREE.replace("FILE", model.name), encoding="utf-8")
    (tmp_path / model.name).write_bytes(model.read_bytes())
    tree = GsimLogicTree(str(tmp_path / "lt.xml"), [CRUST.value])
    found = {type(branch.gsim).__name__: branch.weight["weight"] for branch in tree.branches}
    assert found == {"LearnedGMM": 0.6, "BooreEtAl2014": 0.4}


# --- a hazard calculation --------------------------------------------------------------------------------------------
def area() -> AreaSource:
    """A square of 60 km with a Gutenberg-Richter rate of one M 5 in 13 years, up to M 7."""
    return AreaSource(
        source_id="square",
        name="square",
        tectonic_region_type=CRUST,
        mfd=TruncatedGRMFD(min_mag=5.0, max_mag=7.0, bin_width=0.2, a_val=3.9, b_val=1.0),
        rupture_mesh_spacing=5.0,
        magnitude_scaling_relationship=WC1994(),
        rupture_aspect_ratio=1.5,
        temporal_occurrence_model=PoissonTOM(50.0),
        upper_seismogenic_depth=0.0,
        lower_seismogenic_depth=20.0,
        nodal_plane_distribution=PMF([(0.5, NodalPlane(0.0, 90.0, 0.0)), (0.5, NodalPlane(45.0, 45.0, 90.0))]),
        hypocenter_distribution=PMF([(1.0, 10.0)]),
        polygon=Polygon([Point(-0.3, -0.3), Point(-0.3, 0.3), Point(0.3, 0.3), Point(0.3, -0.3)]),
        area_discretization=15.0,
    )


def sites() -> site.SiteCollection:
    return site.SiteCollection(
        [
            site.Site(Point(lon, 0.0), vs30=vs30, z1pt0=-999.0, z2pt5=-999.0, vs30measured=True)
            for lon, vs30 in ((0.0, 760.0), (0.5, 300.0))
        ]
    )


@pytest.fixture(scope="module")
def curves(models) -> dict[str, np.ndarray]:
    """Probabilities of exceedance in 50 years (sites,) by intensity measure, of every model."""
    gsims = {"BSSA14": BooreEtAl2014()}
    gsims |= {name: LearnedGMM(onnx_file=str(file)) for name, file in models.items()}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfRange)
        for name, gsim in gsims.items():
            imtls = dict.fromkeys(("PGA", "SA(0.2)", "SA(1.0)"), LEVELS)
            found[name] = calc_hazard_curves([area()], sites(), imtls, {CRUST: gsim}, truncation_level=3.0)
    return found


@pytest.mark.parametrize("imt", ["PGA", "SA(0.2)", "SA(1.0)"])
def test_hazard_curves_are_curves_of_hazard(curves, imt):
    reference = curves["BSSA14"][imt]  # (sites, levels)
    for name, found in curves.items():
        assert ((found[imt] >= 0) & (found[imt] <= 1)).all(), name
        assert (found[imt][:, 0] > 0.01).all(), name
        assert (np.diff(found[imt], axis=1) <= 1e-12).all(), name
        known = (reference > 1e-4) & (found[imt] > 0)
        assert known.any(axis=1).all(), name
        for place in range(len(reference)):  # the level of 10 % in 50 years, within a factor of three
            ours, theirs = (np.interp(-0.1, -each[imt][place], np.log(LEVELS)) for each in (found, curves["BSSA14"]))
            assert abs(ours - theirs) < np.log(3.0), name


def test_hazard_curves_are_drawn(curves, models):
    titles = ("inside the source, Vs30 760 m/s", "22 km outside, Vs30 300 m/s")
    looks = {"BSSA14": ("black", "-"), "bliqnet": ("#0072B2", "--"), "cvae_sa": ("#D55E00", ":")}
    readers = {name: OnnxModel.load(file) for name, file in models.items()}
    labels = {name: f"{name} ({each.provenance['data']['format']})" for name, each in readers.items()}
    figure, axes = new_figure(1, 2, sharey=True)
    for place, (ax, title) in enumerate(zip(axes[0], titles, strict=True)):
        for name, found in curves.items():
            color, style = looks[name]
            ax.loglog(LEVELS, found["PGA"][place], style, color=color, linewidth=1.8, label=labels.get(name, name))
        for probability, years in ((0.1, 475), (0.02, 2475)):
            ax.axhline(probability, color="0.6", linewidth=0.8)
            ax.text(LEVELS[0] * 1.05, probability * 1.07, f"{years} years", color="0.4", fontsize=8)
        ax.set(title=title, xlabel="PGA (g)", ylim=(1e-4, 1.1), xlim=(LEVELS[0], LEVELS[-1]))
    axes[0, 0].set_ylabel("probability of exceedance in 50 years")
    axes[0, 0].legend(frameon=False, loc="lower left", fontsize=8)
    mark_synthetic(figure, any(each.synthetic for each in readers.values()))
    runs.write_figure(FIGURE, figure)
    assert FIGURE.stat().st_size > 10_000


def test_our_bssa14_is_hazardlibs():
    maker, ctx = contexts([BooreEtAl2014()])
    mean, _, tau, phi = maker.get_mean_stds([ctx])[:, 0]
    table = pd.DataFrame({name: ctx[name] for name in ("mag", "rjb", "vs30")})
    ours = bssa14(table.assign(mechanism=mechanism_of(ctx["rake"])), ["PGA", "SA(0.200)", "SA(0.330)", "SA(1.000)"])
    np.testing.assert_allclose(mean, ours.ln_median.T, rtol=0, atol=1e-3)
    np.testing.assert_allclose([tau, phi], [ours.tau.T, ours.phi.T], rtol=0, atol=1e-3)


def test_contexts_know_what_the_model_asks(models):
    (gsim, *_) = (LearnedGMM(onnx_file=str(file)) for file in models.values())
    maker = ContextMaker(CRUST, [gsim], {"imtls": {"PGA": LEVELS}, "maximum_distance": 200.0})
    assert {"mag", "rake", "hypo_depth"} <= set(maker.REQUIRES_RUPTURE_PARAMETERS)
    assert {"rjb", "rrup"} <= set(maker.REQUIRES_DISTANCES)
