"""Short-time Fourier transforms, there and back by one window.

A Hann window in both directions: with the published rectangular window and an inversion that assumes Hann, the Fourier
amplitudes of noise come back .46 ln units too high. Axes: B batch, T samples, F frequencies, J frames.
"""

import dataclasses

import torch

FLOOR = 1e-10  # of an amplitude before its logarithm, relative to the unit of the waveform


@dataclasses.dataclass(frozen=True)
class Stft:
    """The transform: ``n_fft`` samples a frame, ``hop`` samples from frame to frame, waveforms of ``n_samples``."""

    n_fft: int = 160
    hop: int = 46
    n_samples: int = 6000

    @property
    def n_frequencies(self) -> int:
        """F."""
        return self.n_fft // 2 + 1

    @property
    def n_frames(self) -> int:
        """J."""
        return self.n_samples // self.hop + 1

    def window(self, like: torch.Tensor) -> torch.Tensor:
        """The Hann window, on the device and of the precision of ``like``."""
        kind = like.real.dtype if like.is_complex() else like.dtype
        return torch.hann_window(self.n_fft, device=like.device, dtype=kind)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Complex spectrogram (B, F, J) of waveforms (B, T)."""
        return torch.stft(waveforms, self.n_fft, self.hop, window=self.window(waveforms), return_complex=True)

    def inverse(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, T) whose spectrogram is the nearest to ``spectrogram`` (B, F, J), in least squares."""
        window = self.window(spectrogram)
        return torch.istft(spectrogram, self.n_fft, self.hop, window=window, length=self.n_samples)

    def cell_times(self, sampling_rate: float, cells: int) -> torch.Tensor:
        """Seconds (T,) of the middles of the cells, ``cells`` to a hop, the first about the first sample."""
        return torch.arange((self.n_frames - 1) * cells + 1) * self.hop / (cells * sampling_rate)

    def cell_weights(self, cells: int) -> torch.Tensor:
        """What a frame of noise sees of the power in the cells about its middle (W,), W odd; they add to 1."""
        squares = torch.hann_window(self.n_fft, dtype=torch.float64) ** 2
        place = (torch.arange(self.n_fft) - self.n_fft / 2) * cells / self.hop
        nearest = torch.floor(place + 0.5).long()
        sides = int(nearest.abs().max())
        found = torch.zeros(2 * sides + 1, dtype=torch.float64).index_add_(0, nearest + sides, squares)
        return found / found.sum()

    def frame_times(self, sampling_rate: float) -> torch.Tensor:
        """Seconds (J,) of the middles of the frames after the first sample."""
        return torch.arange(self.n_frames) * self.hop / sampling_rate

    def frequencies(self, sampling_rate: float) -> torch.Tensor:
        """Hz (F,)."""
        return torch.arange(self.n_frequencies) * sampling_rate / self.n_fft
