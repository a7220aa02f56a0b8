"""Campaigns on the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest
from campaign_cases import in_process, planned, without_times, worker_options

from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.run import require_workers, run_cases
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.runs.cluster import cluster
from pisnn_deploy.runs.kernels.threads import available

ATTEMPTS = 2


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    # Importing it reads its settings, which may be changed only then.
    assert distributed.__name__ in dask.config.config
    with dask.config.set({"distributed.scheduler.allowed-failures": ATTEMPTS - 1}), cluster(workers=2) as found:
        yield found


def test_workers_of_another_version_are_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    require_workers(client)
    monkeypatch.setattr("pisnn_deploy.campaign.run.__version__", "9")
    address = min(client.run(os.getpid))
    with pytest.raises(UsageError, match=rf"^worker {address} has pisnn-deploy 0\.1\.0; install 9 on all workers$"):
        require_workers(client)


def test_a_cluster_that_runs_already_is_used(client: Any, tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nsteps: [1, 2, 3]\n")
    keys = client.security  # of that cluster alone
    settings = {f"distributed.comm.tls.client.{part}": getattr(keys, f"tls_client_{part}") for part in ("key", "cert")}
    with (
        dask.config.set({"distributed.comm.tls.ca-file": keys.tls_ca_file, **settings}),
        cluster(client.scheduler.address) as other,
    ):
        rows = [row for some in run_cases(other, cases, worker_options()) for row in some]
    assert {row.key for row in without_times(rows)} == {case.key for case in cases}
    assert len(client.run(os.getpid)) == 2


def test_workers_share_the_cores(client: Any) -> None:
    assert set(client.run(lambda: os.environ["PISNN_THREADS"]).values()) == {str(max(1, available() // 2))}


def test_a_lost_workers_cases_run_again(client: Any, tmp_path: Path) -> None:
    text = "models: heat1d\nmeshes: [16, 64]\ninitial: random\nseeds: [1, 2, 3, 4]\nsteps: 20000\n"
    cases = planned(tmp_path, text)
    processes = client.run(os.getpid)
    found: list[Row] = []
    for number, rows in enumerate(run_cases(client, cases, worker_options())):
        found += rows
        if number == 0:
            address = busy(client)
            os.kill(processes[address], signal.SIGKILL)
    assert len(found) == len(cases)
    by_key = {row.key: row for row in found}
    expected = in_process(cases)
    assert without_times([by_key[case.key] for case in cases]) == without_times(expected)
    assert {row.verdict for row in expected} == {"conserved"}
    assert processes[address] not in client.run(os.getpid).values()


def busy(client: Any) -> str:
    """Address of a worker that has a case."""
    for _ in range(1000):
        for address, tasks in client.processing().items():
            if any(key.startswith("run_case") for key in tasks):
                return str(address)
        time.sleep(0.01)
    raise AssertionError("no worker has a case")


def test_a_case_that_kills_its_workers_is_given_up(client: Any, tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nmeshes: [16, 17]\nsteps: [1, 2]\n")
    safe = worker_options().compile_graph

    def compile_graph(request):  # type: ignore[no-untyped-def]
        if request.domain.mesh == "17":
            os.kill(os.getpid(), signal.SIGKILL)
        return safe(request)

    deadly = replace(worker_options(), compile_graph=compile_graph)
    # One after the other: a worker that dies casts suspicion on all that it had.
    rows = [row for part in (cases[:2], cases[2:]) for some in run_cases(client, part, deadly) for row in some]
    by_case = {row.key: row for row in rows}
    assert [by_case[case.key].verdict for case in cases] == ["conserved", "conserved", "failed", "failed"]
    assert by_case[cases[-1].key].message == f"its worker was lost in each of {ATTEMPTS} attempts"
