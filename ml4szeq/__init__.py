"""ml4szeq: which trench segments host great megathrust earthquakes, and which geophysical features drive the answer."""
