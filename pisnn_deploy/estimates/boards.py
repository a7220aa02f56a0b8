"""Estimate the cost of one PDE step on a board.

Every neuron is computed in every PDE step, so time and energy do not depend on activity. Counts of the work are exact;
cycles of an operation, clocks of circuits and energies are figures of the profile with their ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.target.board_resources import Demand, Spread, exactly, spread
from pisnn_deploy.target.boards import Board, Fpga, Microcontroller
from pisnn_deploy.target.schema import Figure

_MICROSECONDS = 1e6
_COUNTED = "Clock cycles of the circuit: one for each synapse, and a few for each population."


def board_estimates(board: Board, needed: Demand, seconds: float | None = None) -> dict[str, Estimate]:
    """Estimate the cost of one PDE step.

    Parameters
    ----------
    seconds : float, optional
        Measured time of a float solver per PDE step in seconds.

    Returns
    -------
    dict of str to Estimate
        ``cycles_per_pde_step``, ``time_per_pde_step_us`` in microseconds, ``energy_per_pde_step_nj`` in nanojoules,
        and with `seconds` ``time_over_float_solver``, a ratio.
    """
    costs = _COSTS[type(board)](board, needed.work)
    if seconds is not None:
        time = costs["time_per_pde_step_us"]
        ratio = Spread(time.value, time.low, time.high).times(1 / (seconds * _MICROSECONDS))
        costs["time_over_float_solver"] = Estimate(*ratio.ends, time.confidence, time.sources)
    return costs


def _of_microcontroller(board: Microcontroller, work: Any) -> dict[str, Estimate]:
    figures = (board.cycles.operation, board.cycles.wide_operation, board.cycles.synapse, board.cycles.neuron)
    counts = (work.operations, work.wide_operations, work.synapses, work.neurons)
    cycles = exactly(0.0)
    for figure, count in zip(figures, counts, strict=True):
        cycles += spread(figure).times(count)
    time = cycles.times(_MICROSECONDS / board.clock.hz.value)
    energy, joules = spread(board.energy.cycle_nj), board.energy.cycle_nj
    nanojoules = Spread(
        *(None if a is None or b is None else a * b for a, b in zip(cycles.ends, energy.ends, strict=True))
    )
    return {
        "cycles_per_pde_step": _estimate(cycles, figures),
        "time_per_pde_step_us": _estimate(time, (*figures, board.clock.hz)),
        "energy_per_pde_step_nj": _estimate(nanojoules, (*figures, joules)),
    }


def _of_fpga(board: Fpga, work: Any) -> dict[str, Estimate]:
    clock, power = board.clock.mhz, board.energy.dynamic_w
    slowest_first = spread(clock)
    value, slow, fast = slowest_first.ends
    time = Spread(*(work.cycles / mhz if mhz else None for mhz in (value, fast, slow)))
    watts = spread(power)
    ends = zip(time.ends, watts.ends, strict=True)
    energy = Spread(*(None if us is None or w is None else 1e3 * us * w for us, w in ends))
    return {
        "cycles_per_pde_step": Estimate(*exactly(float(work.cycles)).ends, "counted", (_COUNTED,)),
        "time_per_pde_step_us": _estimate(time, (clock,)),
        "energy_per_pde_step_nj": _estimate(energy, (power,)),
    }


_COSTS: Mapping[type[Board], Callable[[Any, Any], dict[str, Estimate]]] = {
    Microcontroller: _of_microcontroller,
    Fpga: _of_fpga,
}


def _estimate(amount: Spread, figures: tuple[Figure[Any], ...]) -> Estimate:
    known = any(end is not None for end in amount.ends)
    sources = tuple(dict.fromkeys(figure.source for figure in figures))
    return Estimate(*amount.ends, "inferred" if known else "unpublished", sources)
