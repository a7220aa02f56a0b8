"""A run that can be stepped, hit by faults and started again, audited at every PDE step."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pisnn_deploy.audit.recovery import Detection, detection_of
from pisnn_deploy.core.errors import CheckError, InvariantViolation, OverflowViolation, UsageError
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.outcome import Outcome, outcomes
from pisnn_deploy.faults.spec import Fault, parse_fault
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.fast import stepper_of
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.run import LARGEST_SUM, Integers, start_of
from pisnn_deploy.runs.stepping import Stepper

MOST_STEPS = 1 << 40
"""Largest PDE step; sums of packets may allow fewer."""
MOST_FAULTS = 64
"""Maximum number of faults between two resets."""
_LATE = 2
"""PDE steps after which nothing of a transient fault is left in the memories of a machine."""


class Session:
    """A run on `fast`: on kernels, and on the chip simulator while a fault is at work.

    Parameters
    ----------
    mass : int64 array [cells]
        Initial masses in quanta, field by field.

    Attributes
    ----------
    last_step : int
        PDE step at which the run ends.
    now, before : RunState
        State after the last audited PDE step, and one PDE step before it (at the start, the same).
    violation : CheckError or None
        Why the run stopped.
    seconds : float
        Time of stepping, without copies of states.
    """

    def __init__(self, graph: IntegerGraph, mass: Integers) -> None:
        self.graph, self._mass, self.seconds = graph, mass, 0.0
        bits = max((graph.bits(channels.population, "packet") for channels in graph.channels), default=1)
        self.last_step = min(MOST_STEPS, LARGEST_SUM >> (bits - 1))
        self._kernels = stepper_of(graph, start_of(graph, mass), self.last_step)
        self._kernels.prepare()
        self._kernels.begin()
        self.start = self._kernels.state()
        self._forget()

    def reset(self) -> None:
        """Return to the start, without faults."""
        self._kernels.restore(self.start)
        self._forget()

    def _forget(self) -> None:
        self.now = self.before = self.start
        self.violation: CheckError | None = None
        self._faults: tuple[Fault, ...] = ()
        self._faulty: FaultyStepper | None = None
        self._healed: tuple[Detection, ...] = ()

    def close(self) -> None:
        """Stop the threads of the kernels."""
        self._kernels.close()

    @property
    def has_ended(self) -> bool:
        """Whether a violation or the last possible PDE step ended the run."""
        return self.violation is not None or self.now.step >= self.last_step

    def advance(self, steps: int) -> None:
        """Run PDE steps, up to the end of the run.

        Parameters
        ----------
        steps : int
            Number of PDE steps, at least 1.
        """
        try:
            for some in (steps - 1, 1):
                some = min(some, self.last_step - self.now.step)
                if some > 0 and self.violation is None:
                    self.before = self.now
                    self._advance(some)
        except CheckError as violation:
            self.violation = violation
            self.now = self.before = self._stepper.state()

    def _advance(self, steps: int) -> None:
        while steps:
            # A transient fault leaves the machine within a few PDE steps, and kernels are far quicker.
            some = steps if self._faulty is None else 1
            begun = time.perf_counter()
            self._stepper.advance(some)
            self.seconds += time.perf_counter() - begun
            self.now = self._stepper.state()
            steps -= some
            if self._faulty is not None and not self._at_work(_LATE):
                self._healed += self._faulty.tally().healed
                self._faulty = None
                self._kernels.restore(self.now)

    @property
    def _stepper(self) -> Stepper:
        return self._kernels if self._faulty is None else self._faulty

    def _at_work(self, late: int = 0) -> list[Fault]:
        """Faults that last, or that strike in this PDE step or a later one, or struck `late` PDE steps ago."""
        return [fault for fault in self._faults if fault.lasts or fault.step + fault.delay + late >= self.now.step]

    def inject(self, text: str, *, recovers: bool) -> Fault:
        """Let a fault strike in the next PDE step, as ``simulate --fault`` does.

        Parameters
        ----------
        text : str
            Specification of the fault without ``@STEP``.
        recovers : bool
            Whether violations are repaired from now on.

        Returns
        -------
        Fault
            With its PDE step.

        Raises
        ------
        UsageError
            The fault is invalid, the run has ended, or an earlier fault is in the way.
        """
        if "@" in text:
            raise UsageError(f"fault {text[:200]!r}: leave out @ and the step; it strikes in the next PDE step")
        if self.has_ended:
            raise UsageError("the run has ended; reset it first")
        fault = parse_fault(f"{text}@{self.now.step + 1}")
        faults = (*self._at_work(), fault)
        waiting = [f for f in faults if f.kind == "delay" and f.step < self.now.step]
        if waiting:
            until = waiting[0].step + waiting[0].delay + 1
            raise UsageError(f"a delayed packet is on its way; wait until PDE step {until}")
        if len(self._faults) >= MOST_FAULTS:
            raise UsageError(f"there were {MOST_FAULTS} faults; reset the run first")
        faulty = self._machine(faults, recovers=recovers)
        if self._faulty is not None:
            self._healed += self._faulty.tally().healed
        self._faulty, self._faults = faulty, (*self._faults, fault)
        return fault

    def _machine(self, faults: Sequence[Fault], *, recovers: bool) -> FaultyStepper:
        injector = Injector(self.graph, faults, self.last_step)
        # At the start, the machine counts the first spikes itself.
        state = self.now if self.now.step else start_of(self.graph, self._mass)
        return FaultyStepper(self.graph, state, injector, recovers=recovers)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Each fault, and the violation that is attributed to it."""
        healed = self._healed + (() if self._faulty is None else self._faulty.tally().healed)
        stopped = self.violation
        if isinstance(stopped, InvariantViolation | OverflowViolation):
            healed += (detection_of(stopped),)
        return outcomes(self.graph, self._faults, healed)
