"""An exported model as a ground-motion model of OpenQuake, for classical hazard calculations.

This is the only file that imports OpenQuake (GNU Affero General Public License 3, unlike ours): nothing else here needs
or imports it, and it is not installed with the project. Importing the module makes the class known to hazardlib by its
name, in logic trees too:

    [LearnedGMM]
    onnx_file = "model.onnx"

The package needs openquake.engine, onnxruntime, tyro and the ``shared`` folder on the path; neither torch nor
TensorFlow.
"""

import warnings
from pathlib import Path

import numpy as np
from openquake.hazardlib import const
from openquake.hazardlib.gsim.base import GMPE
from openquake.hazardlib.imt import PGA, SA

from shared.command import InputError
from shared.onnx_model import OnnxModel, OutOfRange
from shared.scenario_inputs import COMPONENTS, STYLES


class LearnedGMM(GMPE):
    """Medians (ln g), tau, phi and sigma of an exported BLiqNet or CVAE, for the horizontal component (RotD50).

    Between the model's periods ln median, tau and phi are linear in the log of the period; a period outside them is
    refused. The rupture's own rake and distances are used. Scenarios beyond the training records warn once.

    Parameters
    ----------
    onnx_file
        What ``bliqnet/export_bliqnet.py`` or ``cvae_sa/export_cvae.py`` has written.

    Raises
    ------
    InputError
        The file cannot be used, the model knows no horizontal component, or a period lies outside its own.
    """

    DEFINED_FOR_TECTONIC_REGION_TYPE = const.TRT.ACTIVE_SHALLOW_CRUST
    DEFINED_FOR_INTENSITY_MEASURE_TYPES = frozenset({PGA, SA})
    DEFINED_FOR_INTENSITY_MEASURE_COMPONENT = const.IMC.RotD50
    DEFINED_FOR_STANDARD_DEVIATION_TYPES = frozenset(
        {const.StdDev.TOTAL, const.StdDev.INTER_EVENT, const.StdDev.INTRA_EVENT}
    )
    REQUIRES_SITES_PARAMETERS = frozenset({"vs30"})
    REQUIRES_RUPTURE_PARAMETERS = frozenset({"mag", "rake", "hypo_depth"})
    REQUIRES_DISTANCES = frozenset({"rjb", "rrup"})

    def __init__(self, onnx_file):
        self.onnx_file = str(Path(onnx_file).resolve())
        self._model, self._warned = OnnxModel.load(self.onnx_file), False
        if "H" not in self._model.components:
            raise InputError(f"{onnx_file}: a model of the vertical component; a hazard calculation needs horizontal")

    def __getstate__(self):
        """For other processes: a session of onnxruntime stays in its own, and is opened anew there."""
        return vars(self) | {"_model": None}

    def compute(self, ctx: np.recarray, imts, mean, sig, tau, phi):
        """Fill ``mean`` (ln g) and the deviations (M, N), of M intensity measures and N pairs of rupture and site."""
        if self._model is None:
            self._model = OnnxModel.load(self.onnx_file)
        inputs = inputs_of(ctx)
        if not self._warned and (lines := self._model.outside(inputs)):
            warnings.warn("; ".join(lines), OutOfRange, stacklevel=2)
            self._warned = True
        spectrum = self._model.evaluate(inputs).at([imt.period for imt in imts])  # PGA has the period 0
        mean[:], tau[:], phi[:], sig[:] = spectrum.ln_median.T, spectrum.tau.T, spectrum.phi.T, spectrum.sigma.T


def inputs_of(ctx: np.recarray) -> dict[str, np.ndarray]:
    """Inputs (N,) of an exported model from a context; the style of faulting is left to the rake."""
    named = ("mag", "rake", "hypo_depth", "rjb", "rrup", "vs30")
    inputs = {name: np.asarray(getattr(ctx, name), dtype=float) for name in named}
    count = len(inputs["rjb"])
    codes = {"style": STYLES["U"], "component": COMPONENTS["H"]}
    return inputs | {name: np.full(count, code, dtype=np.int64) for name, code in codes.items()}
