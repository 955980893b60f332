"""Conditional generation of ground-motion waveforms (PyTorch): from records to generator, maps and their evaluation."""
