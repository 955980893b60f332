"""What is wrong with a cluster is said at once, in one line."""

import importlib.util
import socket

import pytest

from shared import ray_cluster
from shared.command import InputError

pytest.importorskip("ray", reason="Ray is an extra")


def test_without_ray(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray: Ray is not installed; pip install"):
        ray_cluster.check()


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:port"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(InputError, match=rf"--address {address}: give HOST:PORT"):
        ray_cluster.check(address)


def test_where_nobody_answers():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(InputError, match=rf"--address 127.0.0.1:{port}: no Ray cluster answers there"):
        ray_cluster.check(f"127.0.0.1:{port}")
    with pytest.raises(InputError, match="no Ray cluster answers there"):
        ray_cluster.check("127.0.0.1:123456")


def test_what_answers_may_be_a_cluster():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray_cluster.check(f"127.0.0.1:{server.getsockname()[1]}")
    ray_cluster.check("auto")
    ray_cluster.check()
