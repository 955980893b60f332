"""Sample grids in boxes along trenches, and label the segments by a catalogue.

python ml4szeq/sample_grids.py --trenches trenches.csv --grid DEPTH=slab.grd SED=sediment.nc --catalogue gcmt.ndk
"""

import sys

from ml4szeq.config import SampleConfig
from ml4szeq.sampling_sources import gathered, report
from ml4szeq.segment_figures import along_trench
from shared import runs
from shared.command import run_command


def main(config: SampleConfig) -> None:
    """Sample grids in boxes along trenches, and label the segments by a catalogue."""
    sources = gathered(config)
    print(sources.summary())
    table = sources.table(config)
    print(report(table))
    table = table.dropna(axis=1, how="all")
    runs.write_table(config.output, table, digits=9)
    if config.figures:
        for region, part in table.groupby("region", sort=False):
            figure = along_trench(part, sources.synthetic)
            runs.write_figure(config.output.with_name(f"{config.output.stem}_{region}.png"), figure)
    if sources.synthetic:
        print("warning: these segments are synthetic; give your grids with --grid", file=sys.stderr)
    elif sources.simplified:
        print("warning: simplified trench lines, tens of km off; give yours with --trenches", file=sys.stderr)
    print(f"done: {config.output}")


if __name__ == "__main__":
    run_command(main, SampleConfig)
