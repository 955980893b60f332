"""From raw records (miniSEED, SAC, K-NET ... or the paper's CSV) to one HDF5 file of ground motion.

python cgm_gm/prepare_waveforms.py FOLDER [FOLDER ...] --output waveforms.h5
"""

from cgm_gm.config import PrepareConfig
from cgm_gm.preparation import prepare, report
from shared.command import run_command


def main(config: PrepareConfig) -> None:
    """From raw records (miniSEED, SAC, K-NET ... or the paper's CSV) to one HDF5 file of ground motion."""
    prepared = prepare(config)
    print(report(prepared, config.output))
    print(f"done: {config.output}")


if __name__ == "__main__":
    run_command(main, PrepareConfig)
