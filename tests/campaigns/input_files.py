"""The formats that are no tables of text: workbooks, waveforms, grids, JSON, and texts of other layouts."""

from input_oracle import OtherFormat

FORMATS: dict[str, OtherFormat] = {}
