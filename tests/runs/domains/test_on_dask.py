"""Domains on the workers of a Dask cluster."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import compiled, plane_model
from models_under_test import compiled_box as box

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.cluster import cluster
from pisnn_deploy.runs.domains.run import dask_workers, divided, divided_run


def test_two_processes_have_the_integers_of_one() -> None:
    with cluster(workers=2) as client:
        for graph in (compiled(cells=90, boundary="dirichlet=0.5,1.5"), box(plane_model(), (40, 48), "periodic")):
            options = RunOptions(30, every=7)
            domains, rounds, halo = divided(graph, 2)
            with dask_workers(client, domains, options.steps, halo) as workers:
                found = divided_run(graph, domains, workers, rounds, options)
            whole = fast.run(graph, graph.initial, options)
            assert found.conserved, found.failure
            for part in ("mass", "ledger", "transported", "in_flight"):
                assert np.array_equal(getattr(found.trace, part), getattr(whole.trace, part)), part


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pisnn_deploy.runs.cluster.CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(UsageError, match=r"`scheduler` tcp://127\.0\.0\.1:9: no scheduler answers"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pass
