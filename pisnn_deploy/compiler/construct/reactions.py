"""Sources and exchange: rates of each cell into channels to a reservoir, or to another field of the cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pisnn_deploy.compiler.construct.assembly import Block, tap
from pisnn_deploy.compiler.construct.fixed_point import Fixed, Real
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.laws.expression import Expression, free_names


def rates_of_cells(plan: Plan, expressions: Mapping[str, Expression]) -> dict[str, Term | float]:
    """Build the population of the rates of all sources and exchanges.

    Parameters
    ----------
    expressions : mapping of str to Expression
        Rate of each, by its place in the law.

    Returns
    -------
    dict of str to Term or float
        What each cell gains in a PDE step times ``2^exponent`` of the clock; a number where it is constant.
    """
    cells = np.arange(plan.grid.cells, dtype=np.int64)
    block = plan.block("rates", plan.grid.cells, "law.sources")
    names = {name for expression in expressions.values() for name in free_names(expression)}
    for name in (name for name in plan.law.fields if name in names):
        taps = [tap(signal, cells, cells) for signal in (plan.signals[name], *plan.changes.get(name, ()))]
        block.fixed.name(name, block.fixed.clamped(block.sum(taps), *plan.ranges[name]))
    rates: dict[str, Term | float] = {}
    for place, expression in expressions.items():
        block.fixed.where = block.circuit.where = place
        value = _rate(plan, block, expression)
        if isinstance(value, Fixed):
            rates[place] = Term(block, value, cells, cells, np.ones(cells.size, np.int64), is_local=True)
        else:
            rates[place] = value
    return rates


def _rate(plan: Plan, block: Block, expression: Expression) -> Real:
    block.fixed.is_unbiased = True
    for name, values in plan.known(expression, plan.grid.centres()).items():
        block.fixed.name(name, block.known(name, values))
    rate = block.fixed.lower(expression)
    # Rounded down here, because what is sent is rounded to the nearest again: both biases cancel.
    block.fixed.is_unbiased = False
    return block.fixed.scaled(rate, plan.clock.flow)
