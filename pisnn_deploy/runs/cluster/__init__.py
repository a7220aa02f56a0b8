"""Dask clusters: the cores of this machine, or one that runs already."""

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
"""Of workers. Dask would also have them give memory back at once, which costs more than stepping through it."""

_PATIENCE = "1 day"


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Any]:
    """A client of a Dask cluster.

    A cluster of this machine's has one process a worker, which share its cores, and leaves no file behind. A client of
    Dask runs code on its cluster, and other users of the machine reach loopback too: so every port wants TLS with the
    keys of this cluster alone, from both ends, and none serves HTTP.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler that runs already, such as ``tcp://host:8786``.
    workers : int, optional
        Processes of a cluster of this machine's; as many as it has cores unless given.

    Yields
    ------
    distributed.Client

    Raises
    ------
    UsageError
        No scheduler answers there, or it has no worker.
    """
    # Only now: most commands have no use for a cluster, and importing it takes longer than they do.
    import dask
    from distributed import Client, Nanny, Security, SpecCluster

    from pisnn_deploy.runs.cluster.nodes import LocalScheduler, LocalWorker, silence

    silence()

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TypeError) as error:  # the last where tls:// lacks keys in Dask's settings
            raise UsageError(f"`scheduler` {scheduler}: no scheduler answers ({error})") from error
        with client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise UsageError(f"`scheduler` {scheduler}: the cluster has no worker")
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
            # A worker that was killed is started again; a cluster that has not seen it by then gives it up for good.
            "distributed.deploy.lost-worker-timeout": _PATIENCE,
        }
        stack.enter_context(dask.config.set(settings))
        security = Security.temporary()  # type: ignore[no-untyped-call]
        common = {"host": "127.0.0.1", "protocol": "tls://", "security": security, "dashboard": False}
        worker = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, "worker_class": LocalWorker}
        with _deaf_to_interrupts():
            local = SpecCluster(  # type: ignore[no-untyped-call]
                workers={number: {"cls": Nanny, "options": {**common, **worker}} for number in range(count)},
                scheduler={"cls": LocalScheduler, "options": common},
                security=security,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(local)
        yield stack.enter_context(Client(local))  # type: ignore[no-untyped-call]


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Threads that begin meanwhile, and whatever they start later, never see Ctrl-C.

    A terminal sends it to workers too, which would die with a traceback each. It is for this process to end them.
    """
    resource_tracker.ensure_running()  # it would unblock the signal in the thread that starts the first worker
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
