"""A bidirectional liquid network for response spectra (torch, torchdiffeq)."""

import os

# Read once, when NumPy and torch are imported, hence here. OpenMP threads that wait should sleep, not spin: on a
# machine with other work, spinning made an epoch 40 times slower. OpenBLAS gets small matrices: one thread is enough.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Deterministic matrix products on CUDA ask for this; on the CPU it means nothing.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
