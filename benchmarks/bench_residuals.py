"""Residual decomposition against statsmodels and R's lme4: the same rows, in one run, side by side.

python benchmarks/bench_residuals.py --data data/nga_west2.csv
"""

import os

# Before NumPy is imported: one thread a computation on every side; ours works on --threads periods side by side.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import dataclasses
import io
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import judged, machine, tell_tables, tell_targets  # beside this script

from shared import flatfile, option_bounds, runs, synthetic
from shared.command import InputError, run_command
from shared.reference_gmm import reference_median
from shared.residuals import Decomposition, decompose

BOUNDS: option_bounds.Bounds = {
    "records": (0, None),
    "statsmodels_records": (50, None),
    **dict.fromkeys(("threads", "repeats"), (1, None)),
    "seed": (0, 2**31 - 1),
}
DEVIATIONS = ("tau", "phi_s2s", "phi_ss")


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """Options of ``bench_residuals.py``."""

    data: tuple[Path, ...] = ()
    """Flatfile, or several; none: the embedded synthetic default."""
    output: Path = Path("runs/bench/residuals.json")
    """JSON file to write."""
    records: int = 0
    """Records to work on, of sites drawn at random where the data have more; 0: all."""
    statsmodels_records: int = 2000
    """Records that statsmodels gets, and ours beside it: all would take it hours."""
    threads: int = 2
    """Periods that ours works on side by side."""
    repeats: int = 5
    """Measurements of ours; the median counts."""
    seed: int = 0
    """Seed of the synthetic records and of those drawn."""
    quick: bool = False
    """Tiny sizes: shows that it runs, measures nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        option_bounds.check(self, BOUNDS)


@dataclasses.dataclass(frozen=True)
class Residuals:
    """Residuals of BSSA14 (N, P) in ln units, and the labels of N records."""

    values: np.ndarray
    event: np.ndarray
    site: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Residuals":
        """Some of the records."""
        return Residuals(self.values[chosen], self.event[chosen], self.site[chosen])

    def drawn(self, count: int, seed: int) -> "Residuals":
        """``count`` records, of sites drawn at random, which keep their records; all if there are no more."""
        if not 0 < count < len(self.event):
            return self
        sites, code = np.unique(self.site, return_inverse=True)
        turn = np.random.default_rng(seed).permutation(len(sites))[code]
        return self.rows(np.sort(np.argsort(turn, kind="stable")[:count]))

    def size(self) -> dict[str, int]:
        """Records, events, sites, periods."""
        events, sites = len(np.unique(self.event)), len(np.unique(self.site))
        return {"records": len(self.event), "events": events, "sites": sites, "periods": self.values.shape[1]}


def residuals_of(source: flatfile.Flatfile) -> Residuals:
    """Residuals of the table's spectra at the periods that BSSA14 has."""
    table = source.table
    columns = [name for name in flatfile.period_columns(table) if name == "PGA" or 0.01 <= float(name[3:-1]) <= 10.0]
    values = flatfile.ln_sa(table, columns) - reference_median(table, columns).ln_median
    if not np.isfinite(values).any():
        raise InputError("--data: no record has both a spectrum and what BSSA14 needs (mag, rjb, vs30, mechanism)")
    return Residuals(values, table["event_id"].to_numpy(), table["station_id"].to_numpy())


# --- ours ------------------------------------------------------------------------------------------------------------
def measured(call: Callable[[], Any], repeats: int) -> tuple[dict[str, float], Any]:
    """Median ``seconds`` and ``cpu_seconds`` (of all threads) of a call, and what it gave."""
    seconds, cpu = [], []
    for _ in range(repeats):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        result = call()
        seconds.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - cpu_begin)
    return {"seconds": statistics.median(seconds), "cpu_seconds": statistics.median(cpu)}, result


def our_table(data: Residuals, config: BenchConfig) -> tuple[pd.DataFrame, Decomposition]:
    """Seconds of the whole decomposition: components, terms and standard errors at all periods."""
    cases = {
        "terms and errors": {},
        "terms and errors, one thread": {"threads": 1},
        "with profile intervals": {"intervals": "profile"},
        "event-only form": {"site": None},
        "maximum likelihood": {"method": "ML"},
    }
    rows, found = [], None
    for name, options in cases.items():
        arguments = {"site": data.site, "threads": config.threads} | options
        clock, result = measured(lambda a=arguments: decompose(data.values, data.event, **a), config.repeats)
        rows.append({"ours": name, "threads": arguments["threads"], **clock, "converged": int(result.converged.sum())})
        found = found or result
    return pd.DataFrame(rows), found


# --- peers -----------------------------------------------------------------------------------------------------------
def statsmodels_table(data: Residuals, repeats: int) -> pd.DataFrame:
    """statsmodels' MixedLM and ours on the same records, at the period that has most of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
        from statsmodels.regression.mixed_linear_model import MixedLM
    period = int(np.isfinite(data.values).sum(axis=0).argmax())
    few = data.rows(np.isfinite(data.values[:, period]))
    table = pd.DataFrame({"y": few.values[:, period], "event": few.event, "site": few.site, "all": 1})
    parts = {"event": "0 + C(event)", "site": "0 + C(site)"}  # crossed effects: variance components of one group

    def peer() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of what its search meets on the way
            model = MixedLM.from_formula("y ~ 1", groups="all", vc_formula=parts, re_formula="0", data=table)
            return model, model.fit(reml=True, method="lbfgs", gtol=1e-8)

    ours_before, found = measured(lambda: decompose(table[["y"]].to_numpy(), few.event, few.site), repeats)
    clock, (model, fitted) = measured(peer, 1)
    ours_after, _ = measured(lambda: decompose(table[["y"]].to_numpy(), few.event, few.site), repeats)
    own = dict(zip(model.exog_vc.names, np.sqrt(fitted.vcomp), strict=True))
    theirs = {"tau": own["event"], "phi_s2s": own["site"], "phi_ss": float(np.sqrt(fitted.scale))}
    ours = {name: float(getattr(found, name)[0]) for name in DEVIATIONS}
    slower = {name: max(ours_before[name], ours_after[name]) for name in ours_before}
    return pd.DataFrame(
        [
            {"program": "statsmodels", "records": len(table), **clock, **theirs},
            {"program": "ours", "records": len(table), **slower, **ours},
        ]
    )


def lme4_table(data: Residuals) -> pd.DataFrame | None:
    """What lme4 needs and finds at every period; None where there is no Rscript with lme4."""
    rscript = shutil.which("Rscript")
    if rscript is None or subprocess.run([rscript, "-e", "library(lme4)"], capture_output=True).returncode:
        return None
    script = Path(__file__).with_name("lme4_residuals.R")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "residuals.csv"
        table = pd.DataFrame(data.values, columns=[f"y{p}" for p in range(data.values.shape[1])])
        runs.write_table(path, table.assign(event=data.event, site=data.site), digits=12)
        done = subprocess.run([rscript, str(script), str(path)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"lme4 failed: {done.stderr.strip()}")
    return pd.read_csv(io.StringIO(done.stdout))


def lme4_summary(peer: pd.DataFrame, ours: pd.DataFrame, found: Decomposition) -> pd.DataFrame:
    """lme4 (components of all periods) beside ours on one thread (which gives terms and errors as well)."""
    difference = [np.abs(getattr(found, name) - peer[name].to_numpy()).max() for name in DEVIATIONS]
    one = ours.set_index("ours").loc["terms and errors, one thread"]
    clock = ["seconds", "cpu_seconds"]
    return pd.DataFrame(
        [
            {"program": "lme4", **peer[clock].sum(), "largest_difference": max(difference)},
            {"program": "ours, one thread", **one[clock], "largest_difference": 0.0},
        ]
    )


# --- result ----------------------------------------------------------------------------------------------------------
def targets(ours: pd.DataFrame, statsmodels: pd.DataFrame, lme4: pd.DataFrame | None) -> list[dict[str, Any]]:
    """What was promised, what this run measured, and whether it was met."""
    own, peer = ours.set_index("ours")["seconds"], statsmodels.set_index("program")
    apart = max(abs(peer.loc["ours", name] - peer.loc["statsmodels", name]) for name in DEVIATIONS)
    rows = [
        ("all periods, terms and errors, seconds", "<", 3.0, own["terms and errors"]),
        ("all periods, with profile intervals, seconds", "<", 10.0, own["with profile intervals"]),
        (
            "one period, statsmodels / ours",
            ">=",
            20.0,
            peer.loc["statsmodels", "seconds"] / peer.loc["ours", "seconds"],
        ),
        ("standard deviations, ours - statsmodels", "<", 1e-4, apart),
    ]
    if lme4 is not None:
        seconds = lme4["seconds"]
        rows.append(("all periods, lme4 / ours on one thread", ">=", 1.0, seconds[0] / seconds[1]))
        rows.append(("standard deviations, ours - lme4", "<", 1e-4, lme4["largest_difference"].max()))
    return judged(rows)


def main(config: BenchConfig) -> None:
    """Measure the decomposition of residuals against statsmodels and lme4."""
    if config.quick:
        config = dataclasses.replace(config, records=600, statsmodels_records=120, repeats=1)
    runs.check_output_file(config.output)
    made = None if config.data else synthetic.as_flatfile(synthetic.make_flatfile(config.seed))
    source = made or flatfile.read_flatfile(*config.data)
    data = residuals_of(source).drawn(config.records, config.seed)
    size = data.size()
    print(", ".join(f"{count} {name}" for name, count in size.items()) + f" of {source.format}")

    ours, found = our_table(data, config)
    statsmodels = statsmodels_table(data.drawn(config.statsmodels_records, config.seed), config.repeats)
    by_period = lme4_table(data)
    lme4 = None if by_period is None else lme4_summary(by_period, ours, found)
    summary = targets(ours, statsmodels, lme4)

    tables = {"ours": ours, "statsmodels": statsmodels} | ({} if lme4 is None else {"lme4": lme4})
    tell_tables(tables)
    if lme4 is None:
        print("\nlme4\nnot measured: Rscript with lme4 is not installed")
    tell_targets(summary, config.quick)
    runs.write_json(
        config.output,
        {
            "config": config,
            "machine": machine(config.threads),
            "provenance": runs.provenance(device="cpu", data=source.describe()),
            "size": size,
            **{name: table.to_dict("records") for name, table in tables.items()},
            "lme4_by_period": None if by_period is None else by_period.to_dict("records"),
            "targets": summary,
        },
    )
    print(f"\n{config.output}")


if __name__ == "__main__":
    run_command(main, BenchConfig)
