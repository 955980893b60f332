import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from script_running import refuse, run_here

from shared import gallery, runs
from shared.command import InputError
from shared.plotting import new_figure


def components() -> pd.DataFrame:
    rows = [
        {"component": "H", "model": model, "period": period, "sigma": sigma + period / 10, "n_records": records}
        for model, sigma in (("BLiqNet", 0.7), ("BSSA14", 0.75), ("plain MLP", 0.8))
        for period, records in ((0.0, 90), (0.1, 90), (1.0, 90), (10.0, 20))
    ]
    return pd.DataFrame(rows)


def test_spread_draws_the_models_to_compare_where_there_are_records():
    figure = gallery.spread(components(), True)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["BLiqNet", "BSSA14, as published"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [gallery.AT_PGA, 0.1, 1.0], rtol=1e-12)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.7, 0.71, 0.8], rtol=1e-12)
    assert axes.get_xlabel() == "period (s)" and "(ln units)" in axes.get_ylabel()
    assert [text.get_text() for text in figure.texts if "SYNTHETIC" in text.get_text()] == ["SYNTHETIC DATA"]
    assert not any("SYNTHETIC" in text.get_text() for text in gallery.spread(components(), False).texts)


def test_pictures_are_shrunk_and_keep_their_proportions(tmp_path):
    wide, small = tmp_path / "wide.png", tmp_path / "out" / "small.png"
    figure, axes = new_figure(size=(8.0, 4.0))
    axes[0, 0].plot([0, 1], color="#D55E00")
    runs.write_figure(wide, figure, dpi=200)
    gallery.shrunk(wide, small, width=400)
    assert image.imread(small).shape[:2] == (200, 400)
    assert small.stat().st_size < wide.stat().st_size / 2
    gallery.shrunk(small, small, width=800)  # never larger
    assert image.imread(small).shape[:2] == (200, 400)


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file; name a run"):
        gallery.shrunk(tmp_path / "none.png", tmp_path / "out.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png: not a picture"):
        gallery.shrunk(tmp_path / "text.png", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_gallery_is_made_from_runs(tmp_path):
    refuse("shared/make_gallery.py", cwd=tmp_path, said="components.csv: no such file; name a run folder", run=run_here)
    for name in ("a/figures/examples.png", "b/figures/waveforms.png", "c/regions.png"):
        runs.write_figure(tmp_path / name, new_figure()[0], dpi=30)
    runs.write_table(tmp_path / "e" / "components.csv", components())
    runs.write_json(tmp_path / "e" / "provenance.json", {"data": {"synthetic": False}})
    options = ["--bliqnet", "e", "--cvae-sa", "a", "--cgm-gm", "b", "--ml4szeq", "c", "--output", "pictures"]
    done = run_here("shared/make_gallery.py", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["bliqnet.png", "cgm_gm.png", "cvae_sa.png", "ml4szeq.png"]
    assert done.stdout.split() == [f"pictures/{name}" for name in names]
    assert all(image.imread(tmp_path / "pictures" / name).shape[1] <= gallery.WIDTH for name in names)
