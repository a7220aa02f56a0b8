"""What a program asks of a target: operations, table words, multiplications and the widest product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pisnn_deploy.programs.facts import operations
from pisnn_deploy.programs.intervals import Interval, bounds
from pisnn_deploy.programs.language import Program


@dataclass(frozen=True)
class Costs:
    """Of one neuron in one step.

    Attributes
    ----------
    operations : Counter
        How often each operation occurs, by name.
    states : int
        Words that are kept from step to step.
    table_words : int
        Entries of all tables.
    widest_value, widest_product : int
        Signed bits of the widest named value, and of the widest whole product; 0 without one.
    """

    operations: Counter[str]
    states: int
    table_words: int
    widest_value: int
    widest_product: int

    @property
    def multiplications(self) -> int:
        """Products of two values."""
        return self.operations["mul_shr"]


def costs(program: Program, inputs: Mapping[str, Interval]) -> Costs:
    """Count what a program asks for.

    Parameters
    ----------
    program : Program
        What is counted.
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
