"""Export a trained BLiqNet as one ONNX file: physical quantities in, medians, tau, phi and sigma out, checked.

python bliqnet/export_bliqnet.py --run latest --output model.onnx
"""

import torch

from bliqnet.config import ExportConfig
from bliqnet.trained import CHECKPOINT, TrainedModel
from shared import onnx_export, runs
from shared.command import run_command
from shared.predictions import SYNTHETIC, tell


def main(config: ExportConfig) -> None:
    """Write the model as an ONNX file, if onnxruntime computes from it what torch does."""
    onnx_export.check_installed()
    onnx_export.check_output(config.output)
    run = runs.find_run("bliqnet", config.run, or_pretrained=True)
    model = TrainedModel.load(run.path / CHECKPOINT, torch.device("cpu"))
    print(f"model: {run.path}, trained on {model.provenance['data']['format']}")
    from bliqnet.onnx_network import exported  # needs the extra

    known, graph, outputs = exported(model)
    difference = onnx_export.write(config.output, known, graph, outputs, model.predict)

    print(f"{len(model.columns)} periods, at most {difference:.1e} ln units from torch: {config.output}")
    tell("warning", [SYNTHETIC] * model.synthetic)


if __name__ == "__main__":
    run_command(main, ExportConfig)
