"""Waveforms of an earthquake on a grid or at points, by a trained generator, and maps of their Fourier amplitudes.

python cgm_gm/generate_points.py --mag 3.9 --source-lat 37.77 --source-lon -122.15 --depth 8 --output waveforms.h5
"""

from cgm_gm import generation, generators, miniseed, scenario_run
from cgm_gm.config import GenerateConfig
from cgm_gm.generator import CHECKPOINT
from shared import runs
from shared.command import run_command
from shared.predictions import tell
from shared.torch_tools import choose_device


def main(config: GenerateConfig) -> None:
    """Waveforms of an earthquake on a grid or at points, by a trained generator, and maps of their spectra."""
    scenario_run.check(config)
    run = runs.find_run("cgm_gm", config.run, or_pretrained=True)
    checkpoint = run.path / CHECKPOINT
    device = choose_device(config.device, config.threads)
    generator = generators.load(checkpoint, device)
    print(generators.described(run, generator))
    other = scenario_run.baseline(config, generator, device)
    table = scenario_run.table_of(config, generator.card)
    tell("warning", scenario_run.warnings_of(table, generator.card))
    beside = scenario_run.drawn_beside(config, table, other)

    model = generation.file_hash(checkpoint)
    amounts = (config.realizations, config.seed, config.batch)
    with scenario_run.engine(config) as computed:
        generation.generate_file(config.output, generator, table, *amounts, model, config.restart, computed)
    print(f"{len(table)} points, {config.realizations} realization(s) each: {config.output}")

    if config.mseed is not None:
        print(f"{miniseed.write(config.output, config.mseed, config.origin_time)} points: {config.mseed}")
    figure = scenario_run.figure(config, generator, table, beside)
    if figure is not None:
        path = scenario_run.figure_path(config)
        runs.write_figure(path, figure)
        print(f"maps: {path}")


if __name__ == "__main__":
    run_command(main, GenerateConfig)
