"""Comparison of a run with a field of the user's own, over time or at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.fields.formats import read_series
from pisnn_deploy.fields.trajectory import Trajectory
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs.run import Trace

CLOSE = 1e-3
"""How far a time of a reference may be from a PDE step, in time steps."""


@dataclass(frozen=True)
class UserReference:
    """A reference from a file.

    Attributes
    ----------
    steps : int64 array [n] or None
        PDE step of each row; None for one field, which the end of the run is compared with.
    """

    path: Path
    series: Trajectory
    steps: NDArray[np.int64] | None

    @property
    def last_step(self) -> int | None:
        """Last PDE step; None for one field."""
        return None if self.steps is None else int(self.steps.max())

    def within(self, last: int) -> list[int]:
        """PDE steps up to a last one."""
        return [] if self.steps is None else [int(step) for step in self.steps if step <= last]

    def at(self, step: int, last: int) -> NDArray[np.float64] | None:
        """Field at a PDE step, if the file has one; a single field is that of the last step."""
        if self.steps is None:
            return np.asarray(self.series.values[-1], np.float64) if step == last else None
        rows = np.flatnonzero(self.steps == step)
        return np.asarray(self.series.values[rows[0]], np.float64) if rows.size else None


@dataclass(frozen=True)
class ReferenceErrors:
    """Errors of a run against a reference of the user's.

    Attributes
    ----------
    steps : tuple of int
        PDE steps that were compared.
    times : tuple of float
        Their physical times.
    relative_l2, largest : mapping of str to tuple
        Of each field at each of these steps: relative L2 error, None where the reference is 0; and the largest
        difference of a cell value.
    later : int
        Number of times in the file that the run did not reach.
    """

    path: Path
    steps: tuple[int, ...]
    times: tuple[float, ...]
    relative_l2: Mapping[str, tuple[float | None, ...]]
    largest: Mapping[str, tuple[float, ...]]
    later: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fields = {
            name: {"relative_l2": list(self.relative_l2[name]), "largest": list(self.largest[name])}
            for name in self.relative_l2
        }
        return {
            "file": str(self.path),
            "steps": list(self.steps),
            "times": list(self.times),
            "fields": fields,
            "later_times": self.later,
        }


def read_reference(path: Path, graph: IntegerGraph) -> UserReference:
    """Read a reference.

    Raises
    ------
    FileError
        The file cannot be used, or one of its times is between two PDE steps.
    """
    series = read_series(path, graph)
    if series.time is None:
        if len(series.values) > 1:
            raise FileError(path, f"has {len(series.values)} fields without times", remedy="give it a coordinate time")
        return UserReference(path, series, None)
    exact = series.time / graph.time_step
    steps = np.rint(exact)
    wrong = np.flatnonzero(~(np.abs(exact - steps) <= CLOSE) | (steps < 0) | (steps > 2.0**53))
    if wrong.size:
        time = float(series.time[wrong[0]])
        raise FileError(
            path,
            f"time {time:.9g} is no PDE step of {graph.time_step:.9g}, and nothing is interpolated",
            remedy="give the reference at multiples of that time step, or one field for the end of the run",
        )
    return UserReference(path, series, steps.astype(np.int64))


def largest_interval(steps: Sequence[int], last: int, usual: int) -> int:
    """Interval of kept PDE steps, at most `usual`, with which these steps are kept; the last one always is."""
    common = int(np.gcd.reduce([step for step in steps if step != last] or [0]))
    if not common:
        return usual
    return next(interval for interval in range(min(common, max(usual, 1)), 0, -1) if common % interval == 0)


def require_kept(reference: UserReference, last: int, every: int) -> None:
    """Refuse an interval that misses a step of the reference.

    Raises
    ------
    UsageError
        It does; the message names the step.
    """
    missed = [step for step in reference.within(last) if step % every and step != last]
    if missed:
        raise UsageError(f"`every` {every}: the reference has PDE step {missed[0]}, which is not kept; leave it out")


def reference_errors(reference: UserReference, graph: IntegerGraph, trace: Trace) -> ReferenceErrors:
    """Compare the kept steps of a run with a reference."""
    kept = [int(step) for step in trace.step]
    last = kept[-1] if kept else -1
    compared = [(row, step) for row, step in enumerate(kept) if reference.at(step, last) is not None]
    relative: dict[str, list[float | None]] = {part.name: [] for part in trace.columns.fields}
    largest: dict[str, list[float]] = {part.name: [] for part in trace.columns.fields}
    for row, step in compared:
        theirs = reference.at(step, last)
        assert theirs is not None
        for part in trace.columns.fields:
            values = part.field.values(np.asarray(trace.mass[row, part.cells]))
            relative[part.name].append(relative_l2(values, theirs[part.cells]))
            largest[part.name].append(float(np.abs(values - theirs[part.cells]).max()))
    later = 0 if reference.steps is None else int((reference.steps > last).sum())
    return ReferenceErrors(
        reference.path,
        tuple(step for _, step in compared),
        tuple(step * graph.time_step for _, step in compared),
        {name: tuple(errors) for name, errors in relative.items()},
        {name: tuple(errors) for name, errors in largest.items()},
        later,
    )
