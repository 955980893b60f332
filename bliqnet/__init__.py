"""A bidirectional liquid network for response spectra (torch, torchdiffeq)."""
