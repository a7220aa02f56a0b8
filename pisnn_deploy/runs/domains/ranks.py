"""MPI ranks that run one graph together.

The first rank reads the graph, divides it, and drives the run; the others serve it: each holds one domain. A rank that
fails ends all of them.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.printable import printable
from pisnn_deploy.runs.domains.layout import Domain, Link
from pisnn_deploy.runs.domains.team import Crew, Item, Team
from pisnn_deploy.runs.domains.worker import DomainWorker
from pisnn_deploy.runs.kernels.threads import VARIABLE, available, thread_count
from pisnn_deploy.runs.run import Integers, RunState

_LOG = logging.getLogger(__name__)
_STOP = "stop"
_PAUSE = 1e-4
"""Seconds between two looks for what the first rank says."""


class Ranks:
    """All ranks of the MPI job.

    Attributes
    ----------
    rank, count : int
        Number of this rank from 0, and of all ranks.
    """

    def __init__(self) -> None:
        from mpi4py import MPI

        self._comm = MPI.COMM_WORLD
        self.rank, self.count = int(self._comm.rank), int(self._comm.size)
        self._is_busy = False
        self._team: Team | None = None

    def _told(self, words: tuple[str, tuple[Any, ...]] | None) -> tuple[str, tuple[Any, ...]]:
        """What the first rank says to all."""
        meeting = self._comm.Ibarrier()  # a broadcast would wait for the first rank at full load
        while not meeting.Test():
            time.sleep(_PAUSE)
        told: tuple[str, tuple[Any, ...]] = self._comm.bcast(words)
        return told

    # On the first rank.

    def call(self, method: str, *arguments: Any, **own: Any) -> Any:
        """Call a method of `Team` on all ranks, with some arguments on the first only; return its result."""
        self._is_busy = True
        self._told((method, arguments))
        result = self._run(method, arguments, **own)
        self._is_busy = False
        return result

    def release(self, exit_code: int = 0) -> None:
        """End the service of the other ranks.

        If they are amid a call they cannot hear this one, so all ranks are ended at once when this process exits, after
        it has said why.
        """
        if self._is_busy:
            atexit.register(self.abort, exit_code)
        else:
            self._told((_STOP, ()))

    def abort(self, exit_code: int) -> None:
        """End all ranks at once."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._comm.Abort(exit_code or 1)

    # On the others.

    def serve(self) -> None:
        """Do what the first rank calls, until it releases this one."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first rank records the run, and then ends all
        while True:
            method, arguments = self._told(None)
            if method == _STOP:
                return
            try:
                self._run(method, arguments)
            except Exception as error:  # the others would wait for ever
                _LOG.debug("where the error arose", exc_info=error)
                sys.stderr.write(f"{printable(f'rank {self.rank} failed: {type(error).__name__}: {error}')}\n")
                self.abort(1)

    def _run(self, method: str, arguments: tuple[Any, ...], **own: Any) -> Any:
        if method == "begin":
            return self.begin(*arguments)
        assert self._team is not None
        return getattr(self._team, method)(*arguments, **own)

    # On all.

    def begin(self, steps: int, rounds: int) -> list[str]:
        """Take over a domain, which the first rank has dealt with `deal`; return the errors of all ranks."""
        if self._team is not None:
            self._team.close()
        if self.rank:
            self._dealt: tuple[Domain, tuple[Link, ...], RunState] = self._comm.recv(source=0)
        domain, links, start = self._dealt
        error, worker = "", None
        try:
            worker = DomainWorker(domain, links, start, steps, self._threads(domain))
        except Exception as problem:  # every rank must learn of it, or the others wait for ever
            error = f"rank {self.rank}: {problem}"
        errors = [each for each in self._comm.allgather(error) if each]
        if worker is not None and not errors:
            _LOG.info("rank %d has %d cells and channels", self.rank, domain.layout.holders.size)
            self._team = Team(MpiCrew(self._comm, worker), rounds)
        return errors

    def deal(self, rank: int, part: tuple[Domain, tuple[Link, ...], RunState]) -> None:
        """Give a rank its domain, after `begin` was called on it."""
        if rank:
            self._comm.send(part, dest=rank)
        else:
            self._dealt = part

    def begin_with(self, steps: int, rounds: int, parts: Any) -> list[str]:
        """Begin a run on all ranks, with the parts in their order; return the errors."""
        self._is_busy = True
        self._told(("begin", (steps, rounds)))
        for rank, part in enumerate(parts):
            self.deal(rank, part)
        errors = self.begin(steps, rounds)
        self._is_busy = False
        return errors

    def _threads(self, domain: Domain) -> int:
        threads = thread_count(max(1, sum(field.cells for field in domain.graph.fields)))
        if os.environ.get(VARIABLE):
            return threads
        cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
        from mpi4py import MPI

        here = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        sharing = here.allgather(cores).count(cores)
        here.Free()
        return min(threads, max(1, available() // sharing))


_give_way = getattr(os, "sched_yield", partial(time.sleep, 0))


class MpiCrew(Crew):
    """One domain for each rank."""

    def __init__(self, comm: Any, worker: DomainWorker) -> None:
        from mpi4py import MPI

        self._comm, self.workers = comm, [worker]
        self._are_done, self._least = MPI.Request.Testall, MPI.MIN
        self._buffers: list[NDArray[Any]] = [np.zeros(size, worker.dtype) for size in worker.incoming_sizes()]

    def exchange(self) -> None:
        """Copy all halos from their owners."""
        (worker,) = self.workers
        pairs = list(zip(worker.links, self._buffers, strict=True))
        requests = [self._comm.Irecv(buffer, source=link.other) for link, buffer in pairs]
        outgoing = worker.outgoing()
        requests += [
            self._comm.Isend(message, dest=link.other) for link, message in zip(worker.links, outgoing, strict=True)
        ]
        while not self._are_done(requests):
            _give_way()  # with more ranks than cores, the one that is waited for needs this core
        worker.take(self._buffers)

    def gathered(self, items: list[Item]) -> list[Item] | None:
        """See `Crew`."""
        gathered: list[Item] | None = self._comm.gather(items[0])
        return gathered

    def spread(self, value: Item) -> Item:
        """See `Crew`."""
        spread: Item = self._comm.bcast(value)
        return spread

    def dealt(self, items: list[Item] | None) -> list[Item]:
        """See `Crew`."""
        return [self._comm.scatter(items)]

    def least(self, values: list[int]) -> int:
        """See `Crew`."""
        total = np.zeros(1, np.int64)
        self._comm.Allreduce(np.array(values, np.int64), total, op=self._least)
        return int(total[0])

    def summed(self, values: list[Integers]) -> Integers:
        """See `Crew`."""
        total = np.zeros_like(values[0])
        self._comm.Allreduce(values[0], total)
        return total
