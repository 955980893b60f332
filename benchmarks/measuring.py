"""What every benchmark does: call in turns by the clock, say on which machine, and judge targets."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

CALLS_LAST = 0.1  # seconds; short calls are repeated for so long before the clock is read


def medians(calls: Mapping[str, Callable[[], Any]], repeats: int) -> pd.DataFrame:
    """Median seconds of every call, by ``model``, measured in turns: a busy moment of the machine meets them all."""
    counts = {}
    for name, call in calls.items():
        call()  # the first call pays for what later ones find ready
        begin = time.perf_counter()
        call()
        counts[name] = 1 + int(CALLS_LAST / (time.perf_counter() - begin))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(counts[name]):
                call()
            seconds[name].append((time.perf_counter() - begin) / counts[name])
    return pd.DataFrame({"model": list(seconds), "seconds": [statistics.median(each) for each in seconds.values()]})


def judged(targets: Iterable[tuple[str, str, float, float]]) -> list[dict[str, Any]]:
    """What was promised, what was measured, and whether it was met, of rows of (what, sign, target, measured).

    The sign is ">=" or "<"; a measured NaN meets nothing.
    """
    return [
        {"what": what, "sign": sign, "target": target, "measured": float(measured)}
        | {"met": bool(measured >= target if sign == ">=" else measured < target)}
        for what, sign, target, measured in targets
    ]


def machine(threads: int) -> dict[str, Any]:
    """Processor, cores, threads and how busy the machine was."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_average": os.getloadavg()[0],  # of the last minute, the benchmark's own threads included
    }


def tell_tables(tables: Mapping[str, pd.DataFrame]) -> None:
    """Print every table below its name."""
    for name, table in tables.items():
        print(f"\n{name}\n{table.to_string(index=False, float_format=lambda x: f'{x:.4g}')}")


def tell_targets(targets: Iterable[Mapping[str, Any]], quick: bool) -> None:
    """Print what `judged` found; ``quick`` says that nothing was measured."""
    print("\ntargets" + (" (quick: these numbers mean nothing)" if quick else ""))
    for row in targets:
        verdict = "met   " if row["met"] else "MISSED"
        print(f"{verdict} {row['what']}: {row['measured']:.4g} (target {row['sign']} {row['target']:g})")
