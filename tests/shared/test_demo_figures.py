"""Figures of the demo show the numbers of the files that they are drawn from."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from shared import demo_figures

COLUMNS = ["PGA", "SA(0.100)", "SA(1.000)"]


def spectra(rows: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    table = pd.DataFrame(np.exp(draw.normal(size=(rows, 3))), columns=COLUMNS)
    return table.assign(**{f"sigma_{name}": 0.6 for name in COLUMNS}, mag=6.0, rjb=20.0, vs30=400.0, component="H")


def test_medians_and_one_sigma():
    table = spectra(2).assign(mag=[5.0, 6.0])
    (axis,) = demo_figures.medians(table).axes
    for line, (_, row) in zip(axis.lines, table.iterrows(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), row[COLUMNS].to_numpy(float), rtol=1e-12)
        np.testing.assert_allclose(line.get_xdata(), [0.01, 0.1, 1.0], rtol=1e-12)
    low, high = axis.collections[1].get_datalim(axis.transData).intervaly
    np.testing.assert_allclose(low, table.loc[1, COLUMNS].min() * np.exp(-0.6), rtol=1e-6)
    np.testing.assert_allclose(high, table.loc[1, COLUMNS].max() * np.exp(0.6), rtol=1e-6)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["M 5", "M 6"]
    assert "(g)" in axis.get_ylabel() and "(s)" in axis.get_xlabel()


def test_samples_about_their_median():
    parts = [spectra(6).assign(component=component, sample=range(6)) for component in "HV"]
    axes = demo_figures.samples(pd.concat(parts, ignore_index=True)).axes
    assert len(axes) == 2
    for axis, part in zip(axes, parts, strict=True):
        np.testing.assert_allclose(axis.lines[-1].get_ydata(), part[COLUMNS].to_numpy()[0], rtol=1e-12)
        np.testing.assert_allclose(axis.lines[1].get_ydata(), part[COLUMNS].to_numpy()[2], rtol=1e-12)
        assert len(axis.lines) == 5 + 1 + 2 + 1  # samples, their name, two quantiles, the median
    assert "vertical" in axes[1].get_title()


@pytest.mark.parametrize("synthetic", [False, True])
def test_shaking_on_a_map_and_three_seismograms(tmp_path: Path, synthetic: bool):
    path, grid = tmp_path / "shaking.h5", (3, 4)
    lat, lon = (each.ravel() for each in np.meshgrid(np.linspace(37, 38, 3), np.linspace(-123, -122, 4), indexing="ij"))
    waveforms = np.random.default_rng(0).normal(size=(12, 50)).astype(np.float32) * 1e-3
    known = {"station_lat": lat, "station_lon": lon, "rhyp": np.arange(12.0) + 5, "p_arrival": np.full(12, 0.1)}
    known |= {"s_arrival": np.full(12, 0.2), "source_lat": np.full(12, 37.5), "source_lon": np.full(12, -122.5)}
    known |= {"mag": np.full(12, 3.5), "depth": np.full(12, 8.0)}
    fas = np.exp(np.random.default_rng(1).normal(size=(12, 1, 4)))
    with h5py.File(path, "w") as file:
        file.attrs.update(sampling_rate=100.0, synthetic=int(synthetic), unit="m/s", quantity="velocity")
        file["waveforms"], file["fas"] = waveforms, fas
        file["fas"].attrs.update(frequencies=[2.0, 5.0, 10.0, 15.0], unit="m")
        for name, values in known.items():
            file[f"records/{name}"] = values
    figure = demo_figures.shaking(path, grid)
    seismograms = [axis for axis in figure.axes if "mm/s" in axis.get_ylabel()]
    shown = [axis.lines[0].get_ydata() for axis in seismograms]
    np.testing.assert_allclose(shown, waveforms[[0, 4, 11]] * 1e3, rtol=1e-6)
    assert [axis.get_title(loc="right") for axis in seismograms] == ["5 km", "9 km", "16 km"]
    (ground,) = (axis for axis in figure.axes if axis.get_title().startswith("CGM-GM"))
    np.testing.assert_allclose(ground.collections[0].get_array().ravel(), np.log10(fas[:, 0, 1]), rtol=1e-6)
    assert any("5 Hz (m)" in axis.get_ylabel() for axis in figure.axes)
    assert any("SYNTHETIC" in text.get_text() for text in figure.texts) is synthetic
