"""Run cases on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pisnn_deploy import __version__
from pisnn_deploy.campaign.case import Case, Target
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.work import WorkerOptions, compile_case, failed_row, run_case
from pisnn_deploy.core.errors import UsageError

CASES_A_THREAD = 4
"""Number of cases submitted at a time per thread of the cluster: enough to keep workers busy, and few enough that a
crash of a worker affects few cases."""


def require_workers(client: Any) -> None:
    """Check that all workers of a cluster have this version of the package.

    Raises
    ------
    UsageError
        A worker has another version or none; the message names it.
    """
    for address, version in sorted(client.run(_version, on_error="return").items()):
        if version != __version__:
            has = f"pisnn-deploy {version}" if isinstance(version, str) else f"no pisnn-deploy ({version})"
            raise UsageError(f"worker {address} has {has}; install {__version__} on all workers")


def _version() -> str:
    return __version__


def run_cases(client: Any, cases: Sequence[Case], options: WorkerOptions) -> Iterator[list[Row]]:
    """Run cases on a cluster.

    Each target is compiled once, on any free worker, and its cases then use the graph. If a worker is lost, its cases
    and compilations are run again on others. A case that loses several workers fails, with a row that says so.

    Parameters
    ----------
    cases : sequence of Case
        Cases; those with equal targets must be consecutive.

    Yields
    ------
    list of Row
        Newly finished rows, in any order.

    Raises
    ------
    UsageError
        The connection to the cluster was lost.
    """
    from distributed import as_completed

    submitted = _Submitted(client, cases, options)
    completed: Any = as_completed(loop=client.loop, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
    try:
        while True:
            for future in submitted.fill():
                completed.add(future)
            if not submitted.running:
                return
            yield [submitted.row(future, result) for future, result in completed.next_batch()]
    finally:
        client.cancel(list(submitted.running), force=True)


class _Submitted:
    """Cases submitted to a cluster."""

    def __init__(self, client: Any, cases: Sequence[Case], options: WorkerOptions) -> None:
        self._client = client
        self._waiting = iter(cases)
        self._options = options
        self._target: Target | None = None
        self._compiled: Any = None
        self.running: dict[Any, Case] = {}

    def fill(self) -> Iterator[Any]:
        """Submit cases up to the limit, and yield their futures."""
        room = CASES_A_THREAD * max(1, sum(self._client.nthreads().values())) - len(self.running)
        for _ in range(room):
            case = next(self._waiting, None)
            if case is None:
                return
            if case.target != self._target:
                # The scheduler keeps the previous graph as long as its cases need it.
                self._target = case.target
                self._compiled = self._client.submit(compile_case, case.target, self._options, pure=False)
            future = self._client.submit(run_case, case, self._compiled, self._options, pure=False)
            self.running[future] = case
            yield future

    def row(self, future: Any, result: Any) -> Row:
        """Row of a finished case."""
        from distributed import KilledWorker

        case = self.running.pop(future)
        if isinstance(result, Row):
            return result
        if future.status != "error":
            raise UsageError("the connection to the cluster was lost; continue with `resume` once it is back")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return failed_row(case, f"its worker was lost in each of {error.allowed_failures + 1} attempts")
        return failed_row(case, f"{type(error).__name__}: {error}")
