"""The segments that a command works on: from files, or the embedded synthetic default."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ml4szeq import simulation
from ml4szeq.segments import Segments, chosen, of_table, read_segments
from ml4szeq.splits import Split
from shared.command import InputError

WORLD = 0  # seed of the embedded default: the same made world for every run


def load(paths: Sequence[Path], drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Segments:
    """The table of ``paths``, or the embedded default where there are none.

    Raises
    ------
    InputError
        It names the file and the column or row.
    """
    if paths:
        return read_segments(paths, drop=drop, keep=keep or None)
    return chosen(of_table(simulation.segments(WORLD)), drop, keep or None)


def with_unseen(segments: Segments, paths: Sequence[Path]) -> tuple[Segments, Split]:
    """``segments`` and those of other files in one table, and the split that tests on the latter.

    Raises
    ------
    InputError
        A file lacks a feature, or holds segments that are in ``segments``.
    """
    unseen = read_segments(paths)
    lacking = [name for name in segments.features if name not in unseen.features]
    if lacking:
        raise InputError(
            f"{unseen.name}: no column {lacking[0]}, a feature of {segments.name}; add it, or --drop {lacking[0]}"
        )
    columns = [*segments.table.columns.intersection(unseen.table.columns)]
    table = pd.concat([segments.table[columns], unseen.table[columns]], ignore_index=True)
    twice = table.duplicated(["region", "segment"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(
            f"{unseen.name}: segment {row['segment']} of region {row['region']} is in {segments.name} too; "
            "unseen files have to hold other segments"
        )
    both = Segments(
        table,
        segments.features,
        (*segments.paths, *unseen.paths),
        segments.sha256 + unseen.sha256,
        segments.synthetic or unseen.synthetic,
    )
    kept = both.complete & ~np.isnan(both.magnitude)
    old = np.arange(len(table)) < len(segments)
    both = both.learnable()
    positions = np.arange(len(both))
    old = old[kept]
    if old.all():
        raise InputError(f"{unseen.name}: no segment has every feature and a label; nothing can be tested with it")
    return both, Split("unseen", "files", float("nan"), positions[old], positions[~old])
