"""Costs of a program on a target: operations, table words, multiplications and the widest product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pisnn_deploy.programs.facts import operations
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import bounds
from pisnn_deploy.programs.language import Program


@dataclass(frozen=True)
class Costs:
    """Costs of one neuron in one step.

    Attributes
    ----------
    operations : Counter
        Number of operations by name.
    states : int
        Number of states.
    table_words : int
        Number of entries in all tables.
    widest_value, widest_product : int
        Signed bits of the widest named value, and of the widest full product; 0 without one.
    """

    operations: Counter[str]
    states: int
    table_words: int
    widest_value: int
    widest_product: int

    @property
    def multiplications(self) -> int:
        """Number of products of two values."""
        return self.operations["mul_shr"]


def costs(program: Program, inputs: Mapping[str, Interval]) -> Costs:
    """Count the costs of a program.

    Parameters
    ----------
    program : Program
        Program of the neuron.
    inputs : mapping
        Bounds of each port, state and parameter.
    """
    widths = {name: interval.bits for name, interval in bounds(program, inputs).items()}
    return Costs(
        operations(program),
        len(program.states),
        sum(len(table.entries) for table in program.tables),
        max((bits for name, bits in widths.items() if not name.endswith("*")), default=0),
        max((bits for name, bits in widths.items() if name.endswith("*")), default=0),
    )
