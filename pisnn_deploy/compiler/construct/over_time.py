"""What sides give as functions of time: a neuron for each side, with a clock and a table.

The value of a PDE step is that of its middle, so that a flux over the step is as exact as its integral. A periodic
table repeats after a rational number of steps, which is within 2^-44 of the period.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Block, Signal, Tap, tap
from pisnn_deploy.compiler.construct.fixed_point import Fixed
from pisnn_deploy.compiler.construct.plan import Plan
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.time_table import TimeTable
from pisnn_deploy.mesh.boundary import SIDE_NAMES
from pisnn_deploy.programs.clock import LARGEST_LIMIT, Clock

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]
"""Takes and returns float64 arrays."""


def clock_of_table(table: TimeTable, time_step: float, where: str) -> tuple[Clock, Function]:
    """Clock of a table, and the values of the table as a function of its count.

    Raises
    ------
    UsageError
        The table changes too slowly or too fast for PDE steps of this length.
    """
    if not table.periodic:
        steps = max(1, math.ceil(table.times[-1] / time_step))
        if steps > LARGEST_LIMIT:
            raise UsageError(
                f"{where}: the last time {table.times[-1]:g} is {steps} PDE steps away, expected at most "
                f"{LARGEST_LIMIT}; end the table earlier"
            )
        return Clock(1, steps, False), lambda count: table.at((count + 0.5) * time_step)
    share = Fraction(time_step / table.period).limit_denominator(LARGEST_LIMIT)
    if not 0 < share <= Fraction(1, 2):
        raise UsageError(
            f"{where}: the period {table.period:g} is {table.period / time_step:.3g} PDE steps, expected 2 to "
            f"{LARGEST_LIMIT}"
        )
    clock = Clock(share.numerator, share.denominator, True)
    return clock, lambda count: table.at(time_step / 2 + count / clock.limit * table.period)


def value_over_time(
    plan: Plan, name: str, axis: int, upper: int, table: TimeTable, function: Function | None = None
) -> tuple[Block, Fixed]:
    """Block of one neuron that computes a function of what a side gives, and its value.

    Parameters
    ----------
    function : callable, optional
        Function of the values of the table (default: the values).
    """
    side = SIDE_NAMES[axis][upper]
    where = f"domain.boundary.{side}.{name}"
    clock, values = clock_of_table(table, plan.clock.time_step, where)
    number = sum(population.startswith(f"{name}-{side}-") for population in plan.over_time)
    block = plan.block(f"{name}-{side}-time{number + 1}", 1, where)
    plan.over_time.append(block.name)
    of_values = function or (lambda given: given)
    value = block.fixed.table(block.count(clock), lambda count: of_values(values(count)), "the table")
    extent = of_values(np.linspace(min(table.values), max(table.values), 1025))
    return block, block.fixed.clamped(value, float(extent.min()), float(extent.max()))


def signal_over_time(
    plan: Plan,
    name: str,
    axis: int,
    upper: int,
    table: TimeTable,
    function: Function | None = None,
    fraction: int | None = None,
) -> Signal:
    """What `value_over_time` sends, with the fraction bits of the field or others."""
    key = f"{name}-{SIDE_NAMES[axis][upper]}"
    if function is None and key in plan.levels:
        return plan.levels[key]
    block, value = value_over_time(plan, name, axis, upper, table, function)
    number = block.send(value, plan.bits[name] if fraction is None else fraction)
    signal = block.finish()[number]
    if function is None:
        plan.levels[key] = signal
    return signal


def to_rows(signal: Signal, row: Integers, weight: int | Integers = 1) -> Tap:
    """Connections from the neuron of a side to some rows."""
    return tap(signal, row, np.zeros(row.size, np.int64), weight)
