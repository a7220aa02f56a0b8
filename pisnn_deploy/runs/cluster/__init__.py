"""Dask clusters: a local one, or a running one."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import FILES_OF_CLUSTER, FILES_OF_WORKER, require_files, require_memory
from pisnn_deploy.runs.kernels.threads import VARIABLE as THREADS

CONNECT_SECONDS = 10
_ENVIRONMENT = {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1, "MKL_NUM_THREADS": 1}
"""Environment of workers; replaces Dask's, which also trims memory at once and so slows down stepping."""

_PATIENCE = "1 day"


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Any]:
    """Connect to a Dask cluster, or start a local one.

    A local cluster has one process per worker and leaves no files. Clients of Dask can run code on a cluster, and other
    users of the machine can reach loopback, so all ports require TLS with keys of this cluster from both ends, and none
    serves HTTP.

    Parameters
    ----------
    scheduler : str, optional
        Address of a running scheduler, such as ``tcp://host:8786``.
    workers : int, optional
        Number of processes of a local cluster (default: number of cores).

    Raises
    ------
    UsageError
        If the scheduler does not answer, or has no workers.
    """
    # Imported here, because importing takes longer than most commands, which need no cluster.
    import dask
    from distributed import Client, Nanny, Security, SpecCluster

    from pisnn_deploy.runs.cluster.nodes import LocalScheduler, LocalWorker, silence

    silence()

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without keys in Dask's settings
            raise UsageError(f"`scheduler` {scheduler}: no scheduler answers ({error})") from error
        with client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise UsageError(f"`scheduler` {scheduler}: the cluster has no workers")
            yield client
        return
    cores = len(os.sched_getaffinity(0))
    count = workers or cores
    require_memory("cluster")
    require_files(f"a cluster of {count} workers", FILES_OF_CLUSTER + FILES_OF_WORKER * count)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pisnn-dask-"))
        settings = {
            "temporary-directory": folder,
            "distributed.nanny.pre-spawn-environ": _ENVIRONMENT,
            "distributed.nanny.environ": {THREADS: os.environ.get(THREADS) or max(1, cores // count)},
            # Time for a killed worker to restart, after which Dask would remove it from the cluster.
            "distributed.deploy.lost-worker-timeout": _PATIENCE,
        }
        stack.enter_context(dask.config.set(settings))
        security = Security.temporary()  # type: ignore[no-untyped-call]
        common = {"host": "127.0.0.1", "protocol": "tls://", "security": security, "dashboard": False}
        worker = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, "worker_class": LocalWorker}
        with _interrupts_blocked():
            local = SpecCluster(  # type: ignore[no-untyped-call]
                workers={number: {"cls": Nanny, "options": {**common, **worker}} for number in range(count)},
                scheduler={"cls": LocalScheduler, "options": common},
                security=security,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(local)
        yield stack.enter_context(Client(local))  # type: ignore[no-untyped-call]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in new threads and in everything that they start.

    A terminal sends it to workers, too, which would each die with a traceback; this process ends them instead.
    """
    resource_tracker.ensure_running()  # starting it later would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
