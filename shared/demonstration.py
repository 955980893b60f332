"""A first figure of every sub-project by the model that it ships: its own scripts as processes, two at a time.

The scenarios are written here, in code: nothing is fetched, nothing is trained.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from shared import demo_figures, runs
from shared.command import InputError

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 2
SCENARIOS = "scenarios.csv"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SITE = {"rake": 0.0, "hypo_depth": 10.0, "rjb": 20.0, "vs30": 400.0}  # degrees, km, km, m/s
MAGNITUDES = (4.5, 5.5, 6.5, 7.5)
SOURCE = ("--mag", "3.8", "--source-lat", "37.77", "--source-lon", "-122.15", "--depth", "8")
GRID = (20, 20)  # points from south to north and from west to east
SHIPPED = ("--run", "pretrained")


@dataclass(frozen=True)
class Demo:
    """Of one sub-project: scripts with their options, in their order, and what becomes the figure.

    Scripts run in a folder of their own, from which their options name files.
    """

    project: str
    caption: str
    commands: tuple[tuple[str, ...], ...]
    scenarios: pd.DataFrame | None = None  # written to `SCENARIOS` before
    drawn: Callable[[Path], Figure] | None = None  # from the files in the folder
    found: str = ""  # or else a figure that the scripts have drawn


def _spectra(script: str, *more: str) -> tuple[tuple[str, ...], ...]:
    return ((script, *SHIPPED, "--input", SCENARIOS, "--output", "spectra.csv", *more),)


DEMOS = (  # the slowest first
    Demo(
        "cvae_sa",
        "random spectra of a magnitude 6 at 20 km, horizontal and vertical, about their median",
        _spectra("cvae_sa/predict_cvae.py", "--samples", "50"),
        pd.DataFrame([{"mag": 6.0, **SITE, "component": component} for component in "HV"]),
        lambda folder: demo_figures.samples(pd.read_csv(folder / "spectra.csv")),
    ),
    Demo(
        "cgm_gm",
        "a made earthquake of magnitude 3.8: map of Fourier amplitudes, and three of the 400 seismograms",
        (
            (
                "cgm_gm/generate_points.py",
                *(*SHIPPED, *SOURCE, "--grid", *map(str, GRID), "--no-maps", "--output", "shaking.h5"),
            ),
        ),
        drawn=lambda folder: demo_figures.shaking(folder / "shaking.h5", GRID),
    ),
    Demo(
        "ml4szeq",
        "a made South America, and which of its segments the network of the published table takes for great ones",
        (
            ("ml4szeq/sample_grids.py", "--output", "segments.csv"),
            ("ml4szeq/predict_segments.py", *SHIPPED, "--input", "segments.csv", "--output", "predictions.csv"),
            (
                "ml4szeq/map_segments.py",
                *("--predictions", "predictions.csv", "--regions", "sam", "--dpi", "150", "--output", "maps"),
            ),
        ),
        found="maps/region_sam.png",
    ),
    Demo(
        "bliqnet",
        "median spectra of four magnitudes at 20 km, and one sigma about them",
        _spectra("bliqnet/predict_bliqnet.py"),
        pd.DataFrame([{"mag": magnitude, **SITE, "component": "H"} for magnitude in MAGNITUDES]),
        lambda folder: demo_figures.medians(pd.read_csv(folder / "spectra.csv")),
    ),
)


def figures(folder: Path) -> Iterator[tuple[Demo, Path, float]]:
    """Every demo as it is finished, its figure in ``folder`` and the seconds it took.

    Raises
    ------
    InputError
        A script was refused, or could not run; or ``folder`` holds what is not a demo's.
    """
    ours = {name for demo in DEMOS for name in (demo.project, f"{demo.project}.png")}
    if folder.is_dir() and not {path.name for path in folder.iterdir()} <= ours:
        raise InputError(f"{folder}: holds other things than a demo; give --output a new or an empty folder")
    for demo in DEMOS:
        runs.check_output_file(folder / f"{demo.project}.png")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(_figure, demo, folder): demo for demo in DEMOS}
        try:
            for done in as_completed(waiting):
                yield waiting[done], *done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _figure(demo: Demo, folder: Path) -> tuple[Path, float]:
    began = time.monotonic()
    part, target = folder / demo.project, folder / f"{demo.project}.png"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if demo.scenarios is not None:
        runs.write_table(part / SCENARIOS, demo.scenarios)
    for script, *options in demo.commands:
        said = subprocess.run(
            [sys.executable, str(ROOT / script), *options],
            cwd=part,
            env={**os.environ, **THREADS},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        runs.write_text(part / f"{Path(script).stem}.txt", said.stdout + said.stderr)
        if said.returncode:
            last = next(iter(said.stderr.strip().splitlines()[::-1]), f"exit code {said.returncode}")
            raise InputError(f"{script}: {last.removeprefix('error: ')}")
    if demo.drawn is not None:
        runs.write_figure(target, demo.drawn(part))
    else:
        with runs.atomic(target) as temporary:
            shutil.copyfile(part / demo.found, temporary)
    return target, time.monotonic() - began
