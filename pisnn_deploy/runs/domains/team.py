"""All domains of a run, which step together: a stepper for `pisnn_deploy.runs.stepping`.

A `Crew` carries values between domains. Those of one process are in a `LocalCrew`; those of MPI ranks are in
`pisnn_deploy.runs.domains.ranks`. Every rank runs the same methods of `Team` at the same time; only the first has the
whole graph and the results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.runs.domains.explanation import Finding, not_repeated
from pisnn_deploy.runs.domains.worker import Counts, DomainWorker, Owned
from pisnn_deploy.runs.run import Integers, RunState

Item = TypeVar("Item")


class Crew(ABC):
    """Domains of this process, and how they reach all others.

    Attributes
    ----------
    workers : sequence of DomainWorker
        Those of this process.
    """

    workers: Sequence[DomainWorker]

    @abstractmethod
    def exchange(self) -> None:
        """Copy all halos from their owners."""

    @abstractmethod
    def gathered(self, items: list[Item]) -> list[Item] | None:
        """Items of all domains in their order, from one item for each domain of this process; None but on the first."""

    @abstractmethod
    def spread(self, value: Item) -> Item:
        """Value of the first process, on all."""

    @abstractmethod
    def dealt(self, items: list[Item] | None) -> list[Item]:
        """Items for the domains of this process, of those for all domains on the first."""

    @abstractmethod
    def least(self, values: list[int]) -> int:
        """Least of the values of all domains."""

    @abstractmethod
    def summed(self, values: list[Integers]) -> Integers:
        """Sum of equal arrays of all domains, int64."""


class LocalCrew(Crew):
    """All domains in this process, one after another."""

    def __init__(self, workers: Sequence[DomainWorker]) -> None:
        self.workers = workers

    def exchange(self) -> None:
        """Copy all halos from their owners."""
        messages: dict[tuple[int, int], NDArray[Any]] = {}
        for number, worker in enumerate(self.workers):
            for link, message in zip(worker.links, worker.outgoing(), strict=True):
                messages[number, link.other] = message
        for number, worker in enumerate(self.workers):
            worker.take([messages[link.other, number] for link in worker.links])

    def gathered(self, items: list[Item]) -> list[Item] | None:
        """See `Crew`."""
        return items

    def spread(self, value: Item) -> Item:
        """See `Crew`."""
        return value

    def dealt(self, items: list[Item] | None) -> list[Item]:
        """See `Crew`."""
        return items or []

    def least(self, values: list[int]) -> int:
        """See `Crew`."""
        return min(values)

    def summed(self, values: list[Integers]) -> Integers:
        """See `Crew`."""
        return np.asarray(np.sum(values, axis=0, dtype=np.int64), np.int64)


_NEVER = 1 << 62


class Team:
    """Domains that step together.

    Parameters
    ----------
    rounds : int
        PDE steps between two exchanges.
    """

    def __init__(self, crew: Crew, rounds: int) -> None:
        self._crew, self._rounds = crew, rounds

    def prepare(self) -> None:
        """Compile all kernels."""
        for worker in self._crew.workers:
            worker.prepare()
        self._crew.least([0])  # ranks wait for each other, so that no step includes the time

    def note(self) -> None:
        """Keep the state to return to when a flag is explained."""
        for worker in self._crew.workers:
            worker.note()

    def advance(self, steps: int) -> tuple[int, Finding | None, Integers]:
        """Run PDE steps.

        Returns
        -------
        step : int
            PDE step reached.
        finding : Finding or None
            Why the run stops there.
        totals : int64 array [sets of fields]
            Mass of all holders.
        """
        workers, goal = self._crew.workers, self._crew.workers[0].step + steps
        finding = None
        while finding is None and (at := min(worker.step for worker in workers)) < goal:
            self._rounds_to(goal, at, self._rounds)
            first = self._first_flag()
            if first < _NEVER:
                finding = self._explain(first)
            else:
                break
        totals = self._crew.summed([worker.totals() for worker in workers])
        step = self._crew.least([worker.step for worker in workers])
        return step, finding, totals

    def _rounds_to(self, goal: int, at: int, rounds: int) -> None:
        while at < goal:
            self._crew.exchange()
            steps = min(rounds, goal - at)
            for worker in self._crew.workers:
                worker.advance(steps)
            at += steps

    def _first_flag(self) -> int:
        """First PDE step of any domain that set a flag, or the last of its sweep."""
        return self._crew.least([_NEVER if each.flagged is None else each.flagged[0] for each in self._crew.workers])

    def _explain(self, flagged: int) -> Finding | None:
        """Repeat all steps since the last note up to the flagged one, which runs again with care.

        Halos are copied before each of these steps, so fewer copies are wrong and fewer flags are set.
        """
        workers = self._crew.workers
        flags = [each.flagged[1] if each.flagged is not None and each.flagged[0] == flagged else 0 for each in workers]
        while True:
            for worker in workers:
                worker.go_back()
            self._rounds_to(flagged - 1, workers[0].step, 1)
            first = self._first_flag()
            if first == _NEVER:
                break
            flagged, flags = first, [0] * len(workers)
        self._crew.exchange()
        findings = []
        for worker, raised in zip(workers, flags, strict=True):
            finding, is_flagged = worker.careful()
            findings.append(finding if is_flagged else not_repeated(flagged - 1, raised))
        everything = self._crew.gathered(findings)
        known = [each for each in everything or [] if each is not None]
        finding = min(known, key=lambda each: (each.step, each.index)) if known else None
        finding = self._crew.spread(finding)
        for worker in workers:
            if finding is None:
                worker.note()
            else:
                worker.undo()
        return finding

    def owned(self) -> tuple[list[Owned] | None, list[Counts] | None]:
        """What all domains own, and their counts; None but on the first rank."""
        workers = self._crew.workers
        return self._crew.gathered([each.owned() for each in workers]), self.counts()

    def counts(self) -> list[Counts] | None:
        """Counts of all domains; None but on the first rank."""
        return self._crew.gathered([each.counts() for each in self._crew.workers])

    def restore(self, states: list[RunState] | None = None) -> None:
        """Continue from other local states.

        Parameters
        ----------
        states : list of RunState or None
            One for each domain; None but on the first rank.
        """
        for worker, state in zip(self._crew.workers, self._crew.dealt(states), strict=True):
            worker.restore(state)

    def close(self) -> None:
        """Stop all threads."""
        for worker in self._crew.workers:
            worker.close()
