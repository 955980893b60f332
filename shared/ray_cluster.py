"""A Ray cluster for a while: one that runs already, or one started on this machine. Ray is an extra; see `check`."""

import contextlib
import importlib.util
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from shared.command import InputError, reason_of

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
ANSWER = 5.0  # s


def check(address: str | None = None) -> None:
    """Refuse, before any work, to go to Ray where it is not installed, or to a cluster that does not answer.

    Raises
    ------
    InputError
        So it is, or the address is none.
    """
    if importlib.util.find_spec("ray") is None:
        said = "Ray is not installed; pip install 'ground-motion-learning[ray]', or --engine local"
        raise InputError(f"--engine ray: {said}")
    if address in (None, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--address {address}: give HOST:PORT of a Ray cluster, or auto")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()  # Ray itself would try for minutes
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--address {address}: no Ray cluster answers there ({error}); start one, or drop it"
        ) from None


@contextlib.contextmanager
def joined(address: str | None, cpus: int) -> Iterator[ModuleType]:
    """Ray, joined to the cluster at ``address``, or to one of this machine with ``cpus``, which ends with the block.

    Raises
    ------
    InputError
        There is no cluster at the address.
    """
    os.environ |= {name: os.environ.get(name, value) for name, value in QUIET.items()}
    import ray  # an extra, and its settings are read here

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of its own affairs
        options = {"address": address}
        if address is None:
            short = "/tmp" if Path("/tmp").is_dir() else None  # names of sockets are limited to 107 characters
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True)
            )
            options = {"address": "local", "num_cpus": cpus, "include_dashboard": False, "_temp_dir": folder}
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            ray.init(**options, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            remedy = "start one, drop --address, or set RAY_AUTH_MODE=token if it asks for one"
            raise InputError(f"--address {address}: no Ray cluster to join ({reason_of(error)}); {remedy}") from None
        try:
            yield ray
        finally:
            ray.shutdown()
