"""Tables of trench segments: one row a segment, features, and where it is known the largest magnitude.

Two layouts are read. The published one is a CSV file a region, named by its code (``sam.csv``), whose first column has
no name and counts segments of 50 km along the trench. Ours is one CSV file with the columns ``region``, ``segment`` and
``along_km``, as `sample_grids.py` writes it.
"""

import dataclasses
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml4szeq.classes import NO_EVENT
from ml4szeq.features import PUBLISHED
from ml4szeq.trenches import REGION_NAMES
from shared.command import InputError, reason_of
from shared.flatfile_convert import are_bool, floats
from shared.runs import shown_path
from shared.untrusted import check_text

LABEL = "MR_GCMT"
SPACING = 50.0  # km from segment to segment of the published table
PLACE = ("region", "segment", "along_km", "lon", "lat", "azimuth")
TOLD = ("rupture_id", "moment", "energy")  # by a catalogue, beside the label
MAGNITUDES = (3.0, 10.0)  # what a label can be, beside NO_EVENT
MOST = 1e6  # segments along a trench
LAYOUT = "give the columns region, segment (and along_km), or one file a region named by its code"


@dataclasses.dataclass(frozen=True)
class Segments:
    """N segments: `PLACE`, features, and `LABEL` (Mw; 1.0 is no event, NaN is unknown), in the order of the file."""

    table: pd.DataFrame
    features: tuple[str, ...]
    paths: tuple[Path, ...]
    sha256: str
    synthetic: bool

    def __len__(self) -> int:
        return len(self.table)

    @property
    def magnitude(self) -> np.ndarray:
        """The label (N,)."""
        return self.table[LABEL].to_numpy(dtype=float)

    @property
    def complete(self) -> np.ndarray:
        """Which of the segments (N,) have every feature."""
        return self.table[list(self.features)].notna().all(axis=1).to_numpy()

    def rows(self, which: np.ndarray) -> "Segments":
        """The segments at these positions, or of this mask."""
        return dataclasses.replace(self, table=self.table[which] if which.dtype == bool else self.table.iloc[which])

    def learnable(self) -> "Segments":
        """Those with every feature and a label, numbered anew.

        Raises
        ------
        InputError
            There is none, or a feature has one value only.
        """
        kept = self.complete & ~np.isnan(self.magnitude)
        if not kept.any():
            lacking = int((~self.complete).sum()), int(np.isnan(self.magnitude).sum())
            raise InputError(
                f"{self.name}: no segment has every feature and a label ({lacking[0]} lack a feature, {lacking[1]} the "
                f"label {LABEL}); drop the features that are missing with --drop"
            )
        found = self.rows(kept)
        check_varied(found.table[list(self.features)], self.name)
        return dataclasses.replace(found, table=found.table.reset_index(drop=True))

    @property
    def name(self) -> str:
        """The file or files, for messages."""
        if not self.paths:
            return "embedded synthetic default"
        return str(self.paths[0] if len(self.paths) == 1 else self.paths[0].parent)

    def ranges(self) -> dict[str, list[float]]:
        """The least and the greatest value of every feature, in its own unit."""
        return {name: [float(self.table[name].min()), float(self.table[name].max())] for name in self.features}

    def describe(self) -> dict[str, Any]:
        """For provenance: paths, digest, counts, whether synthetic."""
        return {
            "paths": [shown_path(path) for path in self.paths],
            "format": "tables of segments" if self.paths else self.name,
            "sha256": [self.sha256],
            "rows": len(self),
            "complete_rows": int(self.complete.sum()),
            "labelled_rows": int((~np.isnan(self.magnitude)).sum()),
            "regions": sorted(self.table["region"].unique()),
            "features": len(self.features),
            "synthetic": self.synthetic,
        }

    def summary(self) -> str:
        """One line about what has been read."""
        said = self.describe()
        great = int((self.magnitude >= 8.0).sum())
        lacking = self.table[list(self.features)].isna().sum().sort_values(ascending=False, kind="stable")
        often = ", ".join(f"{name} {count}" for name, count in lacking[lacking > 0].head(3).items())
        name = self.name if self.paths else "embedded default"
        return (
            f"{name}{', SYNTHETIC' if self.synthetic else ''}: {said['rows']} segments of "
            f"{len(said['regions'])} regions, {said['features']} features, {said['complete_rows']} complete"
            + (f" (most often empty: {often})" if often else "")
            + f", {said['labelled_rows']} labelled, {great} with Mw >= 8"
        )


def read_segments(
    paths: Iterable[Path], *, drop: Iterable[str] = (), keep: Iterable[str] | None = None, labelled: bool = True
) -> Segments:
    """Read one table from files, or from folders of them.

    Parameters
    ----------
    paths
        Files, or folders of which every CSV file is read.
    drop, keep
        Features to leave out; features to keep, which is all of them by default.
    labelled
        Whether a table without the column `LABEL` is refused.

    Raises
    ------
    InputError
        It names the file and the column or row.
    """
    files = table_files(paths)
    parts = [_read(file) for file in files]
    names = [_features(part, file) for part, file in zip(parts, files, strict=True)]
    for other, file in zip(names[1:], files[1:], strict=True):
        if set(other) != set(names[0]):
            odd = sorted(set(other) ^ set(names[0]))
            raise InputError(f"{file}: column {odd[0]} is not in both this file and {files[0]}; give all files alike")
    table = pd.concat(parts, ignore_index=True)
    if LABEL not in table:
        if labelled:
            raise InputError(f"{files[0]}: no column {LABEL} (largest Mw, 1.0 where there is no event); add it")
        table[LABEL] = np.nan
    _check_places(table, files)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return chosen(_segments(table, tuple(files), digest.hexdigest()), drop, keep)


def of_table(table: pd.DataFrame) -> Segments:
    """A table in memory, in our layout; for the embedded default."""
    digest = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()
    return _segments(table.reset_index(drop=True), (), digest)


def chosen(segments: Segments, drop: Iterable[str] = (), keep: Iterable[str] | None = None) -> Segments:
    """The same with features left out.

    Raises
    ------
    InputError
        There is no such feature, or none is left.
    """
    drop, keep = tuple(drop), None if keep is None else tuple(keep)
    for wanted in (*drop, *(keep or ())):
        if wanted not in segments.features:
            raise InputError(f"{segments.name}: no feature {wanted} to {'drop' if wanted in drop else 'keep'}")
    left = tuple(each for each in segments.features if each not in drop and (keep is None or each in keep))
    if not left:
        raise InputError(f"{segments.name}: no feature is left; drop fewer")
    return dataclasses.replace(segments, features=left)


def check_varied(features: pd.DataFrame, where: str) -> None:
    """Refuse a column with one value: it teaches nothing, and cannot be scaled."""
    for name in features:
        if features[name].nunique() < 2:
            value = features[name].dropna()
            said = f"is {value.iloc[0]:g} in every row" if len(value) else "is empty"
            raise InputError(f"{where}: column {name} {said}; leave it out with --drop {name}")


# --- reading ---------------------------------------------------------------------------------------------------------
def table_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and the CSV files of folders.

    Raises
    ------
    InputError
        One is not there, a folder holds none, or nothing is named.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(path.glob("*.csv"))
            if not found:
                raise InputError(f"{path}: no CSV file in this folder; it has to hold tables of segments")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder; see data/README.md for where to get one")
    if not files:
        raise InputError("no table of segments; name a file or a folder")
    return files


def _read(file: Path) -> pd.DataFrame:
    try:
        check_text(file)
        text = file.read_text(encoding="utf-8-sig")
        table = pd.read_csv(
            io.StringIO(text), skipinitialspace=True, dtype={"rupture_id": "string", "region": "string"}
        )
        header = pd.read_csv(io.StringIO(text), skipinitialspace=True, header=None, nrows=1, dtype=str)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{file}: not a CSV table ({reason_of(error)}); {LAYOUT}") from None
    if "\0" in text:
        raise InputError(f"{file}: a binary file, not a CSV table; {LAYOUT}")
    names = header.iloc[0].dropna().str.strip()
    if names.duplicated().any():  # pandas would call the second one AGE.1
        raise InputError(f"{file}: column {names[names.duplicated()].iloc[0]} is there twice; remove one")
    if not isinstance(table.index, pd.RangeIndex):  # pandas would take the first column for row names
        raise InputError(
            f"{file}: more cells in a row than in the header; name every column, or remove the last commas"
        )
    table.columns = [str(name).strip() for name in table.columns]
    if not len(table):
        raise InputError(f"{file}: no rows below the header; give a row for every segment")
    if "region" not in table:
        table = _published(table, file)
    if "segment" not in table:
        raise InputError(f"{file}: no column segment; {LAYOUT}")
    missing = table["region"].isna() | (table["region"].astype("string").str.strip() == "")
    if missing.any():
        raise InputError(f"{file}: row {int(np.argmax(missing)) + 2}, column region: empty; give every row its region")
    table["region"] = table["region"].astype("string").str.strip().astype(object)
    for name in table:
        if name not in ("region", "rupture_id", "synthetic"):
            table[name] = _numbers(table[name], name, file)
    segment = table["segment"].to_numpy(dtype=float)
    whole = (np.abs(segment) < MOST) & (segment == np.round(segment))
    if not whole.all():
        row = int(np.argmin(whole))
        raise InputError(f"{file}: row {row + 2}, column segment: not a whole number; count segments along the trench")
    table["segment"] = segment.astype(int)
    if "along_km" not in table:
        table.insert(2, "along_km", segment * SPACING)
    if LABEL in table:
        _check_label(table[LABEL].to_numpy(dtype=float), file)
    return table


def _published(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The published layout in ours."""
    if not str(table.columns[0]).startswith("Unnamed") and table.columns[0] not in ("segment", "index"):
        raise InputError(f"{file}: neither a column region nor a first column that counts segments; {LAYOUT}")
    if file.stem not in REGION_NAMES:
        raise InputError(
            f"{file}: unknown region {file.stem}; name the file by one of {', '.join(REGION_NAMES)}, "
            "or add a column region"
        )
    table = table.rename(columns={table.columns[0]: "segment"})
    table.insert(0, "region", file.stem)
    return table


def _numbers(values: pd.Series, name: str, file: Path) -> pd.Series:
    found = pd.Series(floats(values), index=values.index)
    bad = (found.isna() & values.notna()) | np.isinf(found) | are_bool(values)
    if bad.any():
        row = int(np.argmax(bad))
        mend = "correct it or empty it" if found.notna().any() else "take the column out, or give it numbers"
        raise InputError(f"{file}: row {row + 2}, column {name}: {values.iloc[row]!r} is no number; {mend}")
    return found


def _check_label(label: np.ndarray, file: Path) -> None:
    low, high = MAGNITUDES
    bad = ~(np.isnan(label) | (label == NO_EVENT) | ((label >= low) & (label <= high)))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{file}: row {row + 2}, column {LABEL}: {label[row]:g} is out of range; give Mw from {low:g} to {high:g}, "
            f"{NO_EVENT:g} for no event, nothing where it is not known"
        )


def _check_places(table: pd.DataFrame, files: list[Path]) -> None:
    twice = table.duplicated(["region", "segment"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"{files[0]}: segment {row['segment']} of region {row['region']} is there twice; remove one")
    if table["along_km"].isna().any():
        row = table[table["along_km"].isna()].iloc[0]
        raise InputError(
            f"{files[0]}: segment {row['segment']} of region {row['region']}, column along_km: empty; "
            "fill it, or drop the column"
        )


def _features(table: pd.DataFrame, file: Path) -> list[str]:
    known = {*PLACE, *TOLD, LABEL, "synthetic"}
    names = [name for name in table if name not in known and not str(name).startswith(("n_", "Unnamed"))]
    if not names:
        raise InputError(f"{file}: no features; they are the columns of numbers beside {', '.join(PLACE)} and {LABEL}")
    return names


def _segments(table: pd.DataFrame, paths: tuple[Path, ...], sha256: str) -> Segments:
    names = _features(table, paths[0] if paths else Path("table"))
    features = tuple(each for each in PUBLISHED if each in names) + tuple(
        each for each in names if each not in PUBLISHED
    )
    synthetic = "synthetic" in table and bool(table["synthetic"].dropna().astype(bool).any())
    return Segments(table.drop(columns="synthetic", errors="ignore"), features, paths, sha256, synthetic)
