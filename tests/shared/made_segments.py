"""Small made tables of trench segments, for the tests of ml4szeq."""

from pathlib import Path

import numpy as np
import pandas as pd

from ml4szeq.segments import Segments, of_table

FEATURES = ("DXT_200", "V_TN", "AGE")  # in the order of the published table
REGIONS = ("ryu", "sam", "alu")


def made_table(
    regions: tuple[str, ...] = REGIONS, count: int = 30, seed: int = 0, *, planted: bool = True
) -> pd.DataFrame:
    """``count`` segments of 50 km a region, shuffled; ``AGE`` (never within 0.3 of 0) decides, or nothing does."""
    rng, total = np.random.default_rng(seed), count * len(regions)
    table = pd.DataFrame({"region": np.repeat(regions, count), "segment": np.tile(np.arange(count), len(regions))})
    table["region"] = table["region"].astype(object)
    table.insert(2, "along_km", table["segment"] * 50.0)
    for name in FEATURES:
        table[name] = rng.normal(size=total)
    table["AGE"] += 0.3 * np.sign(table["AGE"])
    great = table["AGE"] > 0 if planted else rng.random(total) < 0.5
    table["MR_GCMT"] = np.round(np.where(great, 8.2, 6.5) + rng.random(total), 2)
    return table.iloc[rng.permutation(total)].reset_index(drop=True)


def made_segments(*given, **options) -> Segments:
    """`made_table` in memory."""
    return of_table(made_table(*given, **options))


def written(folder: Path, table: pd.DataFrame, name: str = "segments.csv") -> Path:
    """``table`` as a CSV file, every digit kept."""
    table.to_csv(folder / name, index=False)
    return folder / name
