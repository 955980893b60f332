"""A conditional variational autoencoder of spectral acceleration (Keras 3 on TensorFlow)."""

import contextlib
import os
import sys
import tempfile

# Read once, when Keras, TensorFlow and NumPy are imported, hence here.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # one order of summation, whatever the processor
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _import_quietly() -> None:
    """Import Keras and TensorFlow, whose C++ parts write start-up lines to the terminal before they can be told not to.

    What they wrote is shown after all should the import fail.
    """
    done = False
    with tempfile.TemporaryFile() as said:
        sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            import keras
            import tensorflow as tf

            # one thread an operation, so that sums have one order, however busy the machine: same seed, same bits
            with contextlib.suppress(RuntimeError):  # TensorFlow runs already
                tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.list_physical_devices()  # looks for a GPU, and says so
            tf.get_logger().setLevel("ERROR")  # it warns of every model after the first few that it traces
            keras.config.disable_traceback_filtering()
            done = True
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if not done:
                said.seek(0)
                os.write(2, said.read())


_import_quietly()
