"""Facts about programs of any kind."""

from __future__ import annotations

from collections import Counter

from pisnn_deploy.core.arithmetic import LEAK_BITS
from pisnn_deploy.programs.language import Operation, Program


def operations(program: Program) -> Counter[str]:
    """Count operations by name."""
    return Counter(operation.name for operation in program.operations)


def firing(program: Program) -> Operation | None:
    """Return the first ``fire`` of a program, or None."""
    return next((operation for operation in program.operations if operation.name == "fire"), None)


def threshold_exponent(program: Program) -> int | None:
    """Return ``F`` of the first ``fire``, whose threshold is ``2^F``, or None."""
    operation = firing(program)
    return None if operation is None else int(operation.operands[-1])


def withholds(program: Program) -> bool:
    """Whether a program fires, but sends something other than the fired packet."""
    operation = firing(program)
    return operation is not None and operation.results[0] not in program.sends


def thresholds(program: Program) -> tuple[int, ...]:
    """Thresholds for sending a value: those of ``fire``, and constants of ``ge``."""
    reached = []
    for operation in program.operations:
        last = operation.operands[-1]
        if operation.name == "fire":
            reached.append(1 << int(last))
        elif operation.name == "ge" and isinstance(last, int):
            reached.append(last)
    return tuple(reached)


def decay_constants(program: Program) -> tuple[int, ...]:
    """Decay of values in a step, in units of ``2^-12``: 4096 minus the constant of their product."""
    constants = (
        value
        for operation in program.operations
        if operation.name == "mul_shr" and operation.operands[-1] == LEAK_BITS
        for value in operation.values
        if isinstance(value, int)
    )
    return tuple((1 << LEAK_BITS) - constant for constant in constants)
