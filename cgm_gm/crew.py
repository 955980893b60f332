"""Several processes that train one generator, one for every GPU: each takes its share of every batch.

torchrun --nproc-per-node 2 cgm_gm/train_cgm.py ... starts them. Gradients are averaged, weighted by the shares, so that
a step is that of one process on the whole batch but for the order of sums; every process draws what is random for the
whole batch, and after an epoch all take the weights of the first, which alone writes files.
"""

import dataclasses
import os

import numpy as np
import torch
from torch import distributed, nn

from shared.command import InputError


@dataclasses.dataclass(frozen=True)
class Crew:
    """Process ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    def share(self, count: int) -> slice:
        """Which of ``count`` rows of a batch are this process's."""
        return slice(self.rank, count, self.size)

    def weight(self, count: int) -> float:
        """Of the mean over this process's share of ``count`` rows, for the mean over processes to be that over rows."""
        return self.size * len(range(count)[self.share(count)]) / count

    def average_gradients(self, network: nn.Module) -> None:
        """Give every process the mean of all processes' gradients."""
        if self.size > 1:
            gradients = [each.grad for each in network.parameters() if each.grad is not None]
            flat = torch.cat([each.flatten() for each in gradients])
            distributed.all_reduce(flat)
            for each, found in zip(gradients, (flat / self.size).split([g.numel() for g in gradients]), strict=True):
                each.copy_(found.view_as(each))

    def mean(self, values: np.ndarray, device: torch.device) -> np.ndarray:
        """Over the processes."""
        if self.size == 1:
            return values
        found = torch.as_tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(found)
        return found.cpu().numpy() / self.size

    def agree(self, network: nn.Module) -> None:
        """Take weights and buffers of the first process: rounding may differ from GPU to GPU."""
        for each in network.state_dict().values() if self.size > 1 else ():
            distributed.broadcast(each, 0)


ALONE = Crew()


def joined(device: torch.device) -> Crew:
    """The processes that torchrun has started, of which this is one with a GPU of its own; else this alone.

    Raises
    ------
    InputError
        A machine has fewer GPUs than processes.
    """
    if "WORLD_SIZE" not in os.environ or "LOCAL_RANK" not in os.environ:
        return ALONE
    if device.type == "cuda":
        place = int(os.environ["LOCAL_RANK"])
        if place >= torch.cuda.device_count():
            raise InputError(f"torchrun: {torch.cuda.device_count()} GPUs for more processes; lower --nproc-per-node")
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Crew(distributed.get_rank(), distributed.get_world_size())


def left() -> None:
    """Take leave of the others."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
