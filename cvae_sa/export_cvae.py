"""Export a trained CVAE as one ONNX file: physical quantities in, medians, tau, phi and sigma out, checked.

python cvae_sa/export_cvae.py --run latest --output model.onnx
"""

from functools import partial

from cvae_sa.config import ExportConfig
from cvae_sa.sessions import PROJECT
from cvae_sa.trained import CHECKPOINT, TrainedCVAE
from shared import onnx_export, runs
from shared.command import run_command
from shared.predictions import SYNTHETIC, tell


def main(config: ExportConfig) -> None:
    """Write the model as an ONNX file, if onnxruntime computes from it what TensorFlow does."""
    onnx_export.check_installed()
    onnx_export.check_output(config.output)
    run = runs.find_run(PROJECT, config.run, or_pretrained=True)
    model = TrainedCVAE.load(run.path / CHECKPOINT)
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    from cvae_sa.onnx_network import exported  # needs the extra

    known, graph, outputs = exported(model, config.road)
    difference = onnx_export.write(config.output, known, graph, outputs, partial(model.predict, road=config.road))

    print(f"{len(model.columns)} periods, at most {difference:.1e} ln units from TensorFlow: {config.output}")
    tell("warning", [SYNTHETIC] * model.synthetic)


if __name__ == "__main__":
    run_command(main, ExportConfig)
