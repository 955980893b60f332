"""A small file of every checkpoint format, and what each of them says: made once for each format, then kept.

    python tests/checkpoints/make_checkpoints.py FOLDER     # below tests/checkpoints: the new format's version

Models are trained for an epoch or two on a few synthetic records. The files are gzipped, so that they stay small, and
``expected.json`` holds what they predict, for `test_checkpoints.py`: what is there once is never made again, or it
would not show that files of old can be read.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "shared"))
LARGE = 3000  # numbers
SMALL = ("--epochs", "2")
BLIQNET = ("--members", "2", "--hidden", "8", "--head", "8", *SMALL)
CVAE = ("--latent", "2", "--hidden", "8", "6", "--folds", "2", *SMALL)
CGM = ("--hidden", "8", "--latent", "2", "--batch", "32", "--threads", "1", *SMALL)
ML4SZEQ = ("--hidden", "4", "--members", "2", "--threads", "1", *SMALL)
FILES = {  # name here: run of FOLDER, file in it
    "bliqnet_model.pth": ("bliqnet", "best_liquid_model.pth"),
    "bliqnet_inverse.pth": ("bliqnet", "inverse.pth"),
    "bliqnet_training.pt": ("bliqnet", "training.pt"),
    "cvae.keras": ("cvae_sa", "cvae.keras"),
    "cvae_training.npz": ("cvae_sa", "training.npz"),
    "cgm_generator.pt": ("cgm_gm", "generator.pt"),
    "cgm_training.pt": ("cgm_gm", "training.pt"),
    "cgm_published.pt": ("cgm_published", "generator.pt"),
    "ml4szeq_final.pth": ("ml4szeq", "final.pth"),
    "ml4szeq_split.pth": ("ml4szeq", "scenario-1-50km.pth"),
}


def made(folder: Path) -> None:
    """Train one small model of each kind in ``folder``."""
    from made_segments import made_table

    from cgm_gm import simulation
    from shared import synthetic

    (folder / "code").symlink_to(ROOT)  # so that the files name no folder of one machine
    columns = ("PGA", "SA(0.200)", "SA(1.000)", "SA(3.000)")
    synthetic.make_flatfile(1, n_events=40, n_rows=800, columns=columns).table.to_csv(
        folder / "spectra.csv", index=False
    )
    simulation.write(
        folder / "records.h5",
        simulation.simulate(0, n_events=20, n_stations=10, n_records=100, duration=10.0)[0],
    )
    made_table(count=20).to_csv(folder / "segments.csv", index=False)
    published = ("--network", "published", "--recurrent", "8", "--embedded", "4", "--epochs", "1", "--threads", "1")
    for script, data, options, output in (
        ("bliqnet/train_bliqnet.py", "spectra.csv", BLIQNET, "bliqnet"),
        ("cvae_sa/train_cvae.py", "spectra.csv", CVAE, "cvae_sa"),
        ("cgm_gm/train_cgm.py", "records.h5", CGM, "cgm_gm"),
        ("cgm_gm/train_cgm.py", "records.h5", published, "cgm_published"),
        ("ml4szeq/train_fcn.py", "segments.csv", ML4SZEQ, "ml4szeq"),
    ):
        print(output, flush=True)
        command = [sys.executable, f"code/{script}", "--data", data, "--output", output, *options]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def thinned(path: Path) -> None:
    """Zero the tensors of a torch file that are large, so that it packs well: its format is what it is kept for."""
    import torch

    from shared.torch_tools import checkpoint_kind, load_checkpoint, save_checkpoint

    def smaller(value: Any) -> Any:
        if isinstance(value, dict):
            return type(value)((name, smaller(each)) for name, each in value.items())
        if isinstance(value, list | tuple):
            return type(value)(map(smaller, value))
        return torch.zeros_like(value) if isinstance(value, torch.Tensor) and value.numel() > LARGE else value

    kind = checkpoint_kind(path)
    content = {name: value for name, value in load_checkpoint(path, kind).items() if name != "kind"}
    save_checkpoint(path, kind, smaller(content))


def kept(folder: Path, target: Path) -> None:
    """Put the files of ``folder`` into ``target``, gzipped, always to the same bytes."""
    target.mkdir(parents=True)
    for name, (run, file) in FILES.items():
        if name.startswith("cgm"):
            thinned(folder / run / file)
        (target / f"{name}.gz").write_bytes(gzip.compress((folder / run / file).read_bytes(), 9, mtime=0))


def asked(target: Path) -> None:
    """Write what the files of ``target`` say: in processes of their own, since TensorFlow and torch do not mix."""
    found: dict[str, list[float]] = {}
    for kind in ("torch", "keras"):
        command = [sys.executable, str(Path(__file__).with_name("asking.py")), kind, str(target)]
        found |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rounded = {name: [float(f"{value:.7g}") for value in np.ravel(values)] for name, values in sorted(found.items())}
    (target / "expected.json").write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    target = Path(__file__).parent / sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder))
        kept(Path(folder), target)
    asked(target)
