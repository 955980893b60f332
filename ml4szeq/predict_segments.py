"""Classes of the segments of a table by a trained network: one row a segment, in the order of the table.

python ml4szeq/predict_segments.py --run latest --input segments.csv --output predictions.csv
"""

import sys

from ml4szeq.config import PredictConfig
from ml4szeq.predictions import predictions, scores_text
from ml4szeq.segments import read_segments, table_files
from ml4szeq.sessions import PROJECT
from ml4szeq.trained import load_final
from shared import runs
from shared.command import run_command


def main(config: PredictConfig) -> None:
    """Predict the class of every segment; a table with labels is scored as well."""
    runs.check_output_file(config.output, *table_files([config.input]))
    network = load_final(runs.find_run(PROJECT, config.run, or_pretrained=True))
    segments = read_segments([config.input], labelled=False)
    network.check(segments.table, str(config.input))

    table, notes = predictions(network, segments)

    runs.write_table(config.output, table)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    print(scores_text(network, table))
    print(f"done: {config.output}, {len(table)} segments")


if __name__ == "__main__":
    run_command(main, PredictConfig)
