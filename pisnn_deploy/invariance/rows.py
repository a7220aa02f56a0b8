"""Rows of the table of invariance, and runs of a subject that they compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from pisnn_deploy.core.errors import CheckError, PisnnError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Arrivals, Semantics, State
from pisnn_deploy.runs.comparison import first_difference
from pisnn_deploy.runs.run import Run, RunOptions, RunState, Trace, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, Stepper, stepped_run

Verdict = Literal["equal", "differs", "does not apply"]
EQUAL: Verdict = "equal"
DIFFERS: Verdict = "differs"
INAPPLICABLE: Verdict = "does not apply"


@dataclass(frozen=True)
class Row:
    """Result of one transformation.

    Attributes
    ----------
    transformation : str
        What was changed.
    compared : str
        Integers that were compared with those of the reference; empty if the transformation does not apply.
    verdict : str
        ``equal``, ``differs`` or ``does not apply``.
    detail : str
        The first difference, or why it does not apply; empty if all is equal.
    """

    transformation: str
    compared: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Subject:
    """A graph, and the run that its transformations are compared with.

    Attributes
    ----------
    steps : int
        PDE steps of each run.
    """

    graph: IntegerGraph
    steps: int

    @property
    def mass(self) -> Integers:
        """Masses at the start, int64 [cells]."""
        return self.graph.initial

    @property
    def options(self) -> RunOptions:
        """Options of each run: everything of every PDE step is kept."""
        return RunOptions(self.steps, everything=True)

    @cached_property
    def reference(self) -> Trace:
        """Trace of the reference.

        Raises
        ------
        CheckError
            The run breaks an invariant or leaves its range.
        """
        run = stepped(self.graph, ReferenceStepper(self.graph, start_of(self.graph, self.mass), self.steps), self.steps)
        if run.failure:
            raise CheckError(f"invariance: the run of {self.steps} PDE steps stops: {run.failure}")
        return run.trace


Make = Callable[[], Run]
"""Runs the transformed graph."""
Restore = Callable[[Trace], Trace]
"""Brings a trace of the transformed graph back into the numbering of the original."""


def row(subject: Subject, transformation: str, make: Make, restore: Restore = lambda trace: trace) -> Row:
    """Run a transformed graph and compare every integer with the reference.

    Parameters
    ----------
    make : callable
        Returns the run; a `PisnnError` says why the transformation does not apply, except for a `CheckError`.
    restore : callable, optional
        Undoes the transformation of the trace.
    """
    reference = subject.reference
    try:
        run = make()
    except CheckError as error:
        return Row(transformation, "", DIFFERS, str(error))
    except PisnnError as error:
        return inapplicable(transformation, str(error))
    trace = restore(run.trace)
    difference = first_difference(reference, trace)
    compared = _compared(trace)
    if difference is not None:
        return Row(transformation, compared, DIFFERS, difference.sentence("reference", transformation))
    if run.failure or trace.step.size != reference.step.size:
        return Row(transformation, compared, DIFFERS, run.failure or f"stopped after PDE step {run.steps}")
    return Row(transformation, compared, EQUAL)


def inapplicable(transformation: str, reason: str) -> Row:
    """Row of a transformation that does not apply."""
    return Row(transformation, "", INAPPLICABLE, reason)


def _compared(trace: Trace) -> str:
    """What is compared, such as ``1,234 integers: masses, ledgers, packets, currents, residues``."""
    parts = [("masses", trace.mass.size), ("ledgers", trace.ledger.size)]
    if trace.flux is None:
        parts.append(("sums of packets", trace.transported.size))
    else:
        parts += [(name, trace.transported.size) for name in ("packets", "currents", "residues")]
    return f"{sum(count for _, count in parts):,} integers: {', '.join(name for name, count in parts if count)}"


def stepped(graph: IntegerGraph, stepper: Stepper, steps: int, start: RunState | None = None) -> Run:
    """Run a stepper to the end, with everything of every PDE step in the trace.

    Parameters
    ----------
    start : RunState, optional
        State that the stepper starts from, if it is not the start of the run.
    """
    return stepped_run("reference", graph, stepper, replace(RunOptions(steps, everything=True), start=start))


def with_arrivals(subject: Subject, arrivals: Arrivals) -> Run:
    """Run the reference with other carriers of its messages."""
    start = start_of(subject.graph, subject.mass)
    states = _states(Semantics(subject.graph, arrivals), start)
    return stepped(subject.graph, ReferenceStepper(subject.graph, start, subject.steps, states), subject.steps)


def _states(semantics: Semantics, start: RunState) -> Iterator[State]:
    nothing, step = start.residue * 0, start.step
    state = State(start.mass, nothing, start.residue, nothing, start.current)
    while True:
        state = semantics.step(state, step)
        step += 1
        yield state
