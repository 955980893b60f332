"""A bidirectional liquid network for response spectra (torch, torchdiffeq)."""

import os

# OpenMP threads that wait should sleep, not spin: on a machine with other work, spinning made an epoch 40 times slower.
# The runtime reads this once, when torch is imported, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Deterministic matrix products on CUDA ask for this; on the CPU it means nothing.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
