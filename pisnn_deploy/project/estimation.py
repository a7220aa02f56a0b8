"""Time and energy of a PDE step on every target, estimated from a graph, and measured on this CPU when asked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pisnn_deploy.checks import check_target
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.estimates.activity import Activity, every_neuron
from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import DEFAULT, Fpga, Microcontroller, Profile, Target, board_names, load_target

TIME, ENERGY = "time_per_pde_step_us", "energy_per_pde_step_nj"
_FROM: Mapping[type[Target], str] = {
    Profile: "events, public figures",
    Microcontroller: "cycles, fitted in simulators",
    Fpga: "clock cycles, clocks after place and route",
}
"""What the time of a kind of target is made of."""
_MICROSECONDS = 1e6
_LEAST_SECONDS, _MOST_STEPS, _GROWTH, _ROUNDS = 0.1, 1 << 18, 4, 3
_STABLE = 0.1
"""Weight of a flux; stable with up to five faces of a cell, and the time does not depend on it."""


@dataclass(frozen=True)
class TargetEstimate:
    """Estimated cost of a PDE step on a target.

    Attributes
    ----------
    target, part : str
        Name of the profile, and its description.
    made_of : str
        What the figures are made of.
    time : Estimate
        Time of a PDE step in microseconds.
    energy : Estimate
        Energy of a PDE step in nanojoules.
    problems : tuple of str
        Why the graph does not fit the target, or cannot be exported for it; empty if it fits.
    """

    target: str
    part: str
    made_of: str
    time: Estimate
    energy: Estimate
    problems: tuple[str, ...]

    @property
    def steps_per_second(self) -> tuple[float | None, float | None]:
        """Fewest and most PDE steps per second; None without a time."""
        slow, fast = (_MICROSECONDS / end if end else None for end in (self.time.high, self.time.low))
        return slow, fast

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        slow, fast = self.steps_per_second
        return {
            "target": self.target,
            "part": self.part,
            "from": self.made_of,
            TIME: _plain(self.time),
            ENERGY: _plain(self.energy),
            "pde_steps_per_second": {"low": slow, "high": fast},
            "fits": not self.problems,
            "problems": list(self.problems),
        }


@dataclass(frozen=True)
class Measured:
    """Measured cost of a PDE step on this CPU.

    Attributes
    ----------
    name : str
        What ran.
    microseconds : float or None
        Processor time of a PDE step, median of three; None if it could not run.
    note : str
        What the time includes, or why it could not run.
    """

    name: str
    microseconds: float | None
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; nothing measures energy."""
        return {"name": self.name, TIME: self.microseconds, ENERGY: None, "note": self.note}


def all_targets() -> tuple[str, ...]:
    """Names of the targets that are estimated by default: the default chip, and all boards."""
    return DEFAULT, *board_names()


def estimate_targets(
    graph: IntegerGraph, targets: Sequence[str] = (), activity: Activity | None = None
) -> Iterator[TargetEstimate]:
    """Estimate the cost of a PDE step on each target.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    targets : sequence of str
        Names or YAML files of profiles; by default `all_targets`.
    activity : Activity, optional
        Spikes of a run, for chips of neurons (default: every neuron sends once). Boards compute every neuron.

    Raises
    ------
    UsageError
        A profile cannot be used.
    """
    for target in [load_target(name) for name in targets or all_targets()]:
        made_of = next(text for kind, text in _FROM.items() if isinstance(target, kind))
        try:
            report = check_target(graph, target, activity=activity or every_neuron(graph))
        except UsageError as error:
            unknown = Estimate(None, None, None, "unpublished", (str(error),))
            yield TargetEstimate(target.name, target.description, made_of, unknown, unknown, (str(error),))
            continue
        problems = tuple(finding.message for finding in report.findings if finding.severity == "error")
        costs = report.estimates
        yield TargetEstimate(target.name, target.description, made_of, costs[TIME], costs[ENERGY], problems)


def measure_here(graph: IntegerGraph) -> Iterator[Measured]:
    """Measure a PDE step on this CPU: of the graph on `fast`, and of diffusion in float64 on the same mesh.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    """
    try:
        seconds = _seconds_of_a_step(lambda steps: _run(graph, steps))
        yield Measured("this CPU, fast", _MICROSECONDS * seconds, "every step audited; all fields of the graph")
    except UsageError as error:
        yield Measured("this CPU, fast", None, str(error))
    note = "numpy, explicit two-point diffusion of one field on the same mesh; less accurate than the graph"
    yield Measured("this CPU, float64", _MICROSECONDS * _seconds_of_a_step(_float_solver(graph)), note)


def _run(graph: IntegerGraph, steps: int) -> None:
    from pisnn_deploy.runs import RunOptions, run_graph  # Imported here, because estimates alone do without.

    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=steps))
    if run.failure:
        raise UsageError(f"not measured: the run stopped: {run.failure}")


def _float_solver(graph: IntegerGraph) -> Callable[[int], None]:
    mesh = graph.mesh
    start = np.zeros(mesh.holders)
    start[: mesh.cells] = np.linspace(0.0, 1.0, mesh.cells)

    def run(steps: int) -> None:
        values = start.copy()
        for _ in range(steps):
            flux = _STABLE * (values[mesh.source] - values[mesh.target])
            gain = np.bincount(mesh.target, flux, mesh.holders) - np.bincount(mesh.source, flux, mesh.holders)
            values[: mesh.cells] += gain[: mesh.cells]

    return run


def _seconds_of_a_step(run: Callable[[int], None]) -> float:
    """Processor time of a step without set-up: the median of what more steps take beyond a single one."""
    run(1)  # compiles
    steps, took = 1, 0.0
    while took < _LEAST_SECONDS and steps < _MOST_STEPS:
        steps *= _GROWTH
        took = _beyond_one(run, steps)
    return max(statistics.median([took, *(_beyond_one(run, steps) for _ in range(_ROUNDS - 1))]), 0.0) / (steps - 1)


def _beyond_one(run: Callable[[int], None], steps: int) -> float:
    return _seconds(run, steps) - _seconds(run, 1)


def _seconds(run: Callable[[int], None], steps: int) -> float:
    start = time.process_time()
    run(steps)
    return time.process_time() - start


def _plain(estimate: Estimate) -> dict[str, Any]:
    return asdict(estimate) | {"sources": list(estimate.sources)}
