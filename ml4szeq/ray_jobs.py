"""Independent work on a Ray cluster, one task a job. Workers need share no disk with this machine; Ray is an extra."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from shared import ray_cluster

AGAIN = 2  # times that a job is begun anew whose worker was lost


def on_cluster(
    work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], workers: int, address: str | None
) -> Iterator[Any]:
    """As `parallel.in_processes`, on the cluster at ``address``, or one of this machine that is started for it.

    Raises
    ------
    InputError
        There is no cluster at the address.
    """
    if not jobs:
        return
    with ray_cluster.joined(address, workers):
        task = ray.remote(work).options(num_cpus=1, max_retries=AGAIN)
        left = list(reversed(jobs))
        waiting = [task.remote(*left.pop()) for _ in range(min(workers, len(left)))]
        while waiting:
            (done,), waiting = ray.wait(waiting, num_returns=1)
            if left:
                waiting.append(task.remote(*left.pop()))
            yield ray.get(done)
