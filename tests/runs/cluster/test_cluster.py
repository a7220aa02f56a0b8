"""A cluster of this machine's lets nobody else in: other users of the machine reach loopback too."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from distributed import Client, Security

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.runs.cluster import cluster


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster(workers=1) as client:
        yield client


def ports(client: Any) -> list[int]:
    """Every TCP port on which this process and its workers listen."""
    listening = []
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        sockets = process.net_connections("tcp")
        assert all(s.laddr.ip == "127.0.0.1" for s in sockets if s.status == psutil.CONN_LISTEN)
        listening += [s.laddr.port for s in sockets if s.status == psutil.CONN_LISTEN]
    return sorted(listening)


def test_no_port_is_open_but_those_of_scheduler_nanny_and_worker(client: Any) -> None:
    ((worker, facts),) = client.scheduler_info(n_workers=-1)["workers"].items()
    assert facts["services"] == {} and client.scheduler_info()["services"] == {}
    addresses = (client.scheduler.address, worker, facts["nanny"])
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    assert ports(client) == sorted(int(address.rpartition(":")[2]) for address in addresses)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_foreign_client_does_not_get_in(client: Any, scheme: str, capfd: pytest.CaptureFixture[str]) -> None:
    port = client.scheduler.address.rpartition(":")[2]
    other: Any = Security.temporary() if scheme == "tls" else None  # type: ignore[no-untyped-call]
    with pytest.raises(OSError):
        Client(f"{scheme}://127.0.0.1:{port}", security=other, timeout=1)  # type: ignore[no-untyped-call]
    assert client.submit(int, "3").result() == 3


def test_no_port_answers_who_has_no_key(client: Any) -> None:
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    for port in ports(client):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with (
                pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED|certificate required"),
                socket.create_connection(("127.0.0.1", port), timeout=10) as bare,
                anyone.wrap_socket(bare) as spoken,
            ):
                spoken.recv(1)
            with suppress(ConnectionError):
                assert not plain.recv(100).startswith(b"HTTP")


def test_dask_prints_nothing(client: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO):
        client.retire_workers(list(client.nthreads()))
        client.submit(int, "3").cancel()
    assert caplog.text == "" and capfd.readouterr().err == ""


def test_a_scheduler_with_tls_and_no_keys_is_one_line(client: Any) -> None:
    lacks_keys = r"^`scheduler` tls://127\.0\.0\.1:\d+: no scheduler answers \(TLS expects"
    with pytest.raises(UsageError, match=lacks_keys), cluster(client.scheduler.address):
        pass
