"""Maps of predictions and relevances along the trenches.

python ml4szeq/map_segments.py --predictions predictions.csv --output maps
"""

from ml4szeq.config import MapConfig
from ml4szeq.map_files import checked, maps_of
from shared import runs
from shared.command import run_command


def main(config: MapConfig) -> None:
    """Draw maps of predictions, of relevances, or of both: every region by itself, and all together."""
    tables = checked(config)
    config.output.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, figure in maps_of(tables, config):
        path = config.output / f"{name}.{config.format}"
        runs.write_figure(path, figure, config.dpi)
        count += 1
        print(path)
    for note in tables.notes:
        print(f"note: {note}")
    print(f"done: {config.output}, {count} maps")


if __name__ == "__main__":
    run_command(main, MapConfig)
