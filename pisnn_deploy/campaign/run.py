"""Cases on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pisnn_deploy import __version__
from pisnn_deploy.campaign.case import Case, Target
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.work import WorkerOptions, compile_case, failed_row, run_case
from pisnn_deploy.core.errors import UsageError

CASES_A_THREAD = 4
"""Cases that are handed out at once for each thread of the cluster: enough that none waits for this process, and few
enough that a worker's death casts suspicion on few of them."""


def require_workers(client: Any) -> None:
    """Make sure that all workers of a cluster have this version of the package.

    Raises
    ------
    UsageError
        One has not; the message names it.
    """
    for address, version in sorted(client.run(_version, on_error="return").items()):
        if version != __version__:
            has = f"pisnn-deploy {version}" if isinstance(version, str) else f"no pisnn-deploy ({version})"
            raise UsageError(f"worker {address} has {has}; all need {__version__}")


def _version() -> str:
    return __version__


def run_cases(client: Any, cases: Sequence[Case], options: WorkerOptions) -> Iterator[list[Row]]:
    """Run cases on a cluster.

    Each target is compiled once, on whichever worker is free; its cases wait for it, and are handed the graph. What a
    worker had when it was lost is run again on another, the compilation included. A case that loses several workers is
    given up and gets a row that says so.

    Parameters
    ----------
    cases : sequence of Case
        Those of equal targets follow each other.

    Yields
    ------
    list of Row
        Those that were finished since the last ones, in no order.

    Raises
    ------
    UsageError
        The cluster is gone.
    """
    from distributed import as_completed

    handed_out = _HandedOut(client, cases, options)
    completed: Any = as_completed(loop=client.loop, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
    try:
        while True:
            for future in handed_out.fill():
                completed.add(future)
            if not handed_out.running:
                return
            yield [handed_out.row(future, result) for future, result in completed.next_batch()]
    finally:
        client.cancel(list(handed_out.running), force=True)


class _HandedOut:
    """What is handed out."""

    def __init__(self, client: Any, cases: Sequence[Case], options: WorkerOptions) -> None:
        self._client = client
        self._waiting = iter(cases)
        self._options = options
        self._target: Target | None = None
        self._compiled: Any = None
        self.running: dict[Any, Case] = {}

    def fill(self) -> Iterator[Any]:
        """Hand out as many cases as the cluster has use for."""
        room = CASES_A_THREAD * max(1, sum(self._client.nthreads().values())) - len(self.running)
        for _ in range(room):
            case = next(self._waiting, None)
            if case is None:
                return
            if case.target != self._target:
                # The scheduler keeps the one before for as long as its cases need it.
                self._target = case.target
                self._compiled = self._client.submit(compile_case, case.target, self._options, pure=False)
            future = self._client.submit(run_case, case, self._compiled, self._options, pure=False)
            self.running[future] = case
            yield future

    def row(self, future: Any, result: Any) -> Row:
        """Row of a case that has ended."""
        from distributed import KilledWorker

        case = self.running.pop(future)
        if isinstance(result, Row):
            return result
        if future.status != "error":
            raise UsageError("the cluster is gone; go on with `resume` when there is one")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return failed_row(case, f"its worker was lost each time (attempts: {error.allowed_failures + 1})")
        return failed_row(case, f"{type(error).__name__}: {error}")
