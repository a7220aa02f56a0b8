"""Clocks: states of neurons that count PDE steps and depend on nothing else.

A clock adds a number in each step. It stops at its limit, or starts again from what exceeds it::

    stops     next = max(min(count + n, limit), 0)
    repeats   next = count + n - limit if count + n >= limit, else count + n

Its count after any number of steps is known without the steps before, so that a run that starts later needs no stored
state for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs.language import Program, parse

COUNT = "count"
"""State of a clock."""
LARGEST_LIMIT = 1 << 22


@dataclass(frozen=True)
class Clock:
    """What a clock counts.

    Attributes
    ----------
    added : int
        Added in each step; at least 1, and at most `limit`.
    limit : int
        Where it stops, or repeats.
    repeats : bool
        Whether it starts again.
    """

    added: int
    limit: int
    repeats: bool

    @property
    def highest(self) -> int:
        """Largest count."""
        return self.limit - 1 if self.repeats else self.limit

    def at(self, step: int) -> int:
        """Count before a step; 0 before the first one, whose number is 0."""
        return self.added * step % self.limit if self.repeats else min(self.added * step, self.limit)

    @property
    def program(self) -> Program:
        """Program of a neuron that sends its count; the interval of its next count does not depend on the last one."""
        lines = ["neuron clock(; count; )", f"raised = add(count, {self.added})"]
        if self.repeats:
            lines += [
                f"lowered = sub(raised, {self.limit})",
                "positive = max(lowered, 0)",
                f"over = min(positive, {self.limit - 1})",
                "rising = max(raised, 0)",
                f"under = min(rising, {self.limit - 1})",
                f"is_over = ge(raised, {self.limit})",
                "next = select(is_over, over, under)",
            ]
        else:
            lines += [f"stopped = min(raised, {self.limit})", "next = max(stopped, 0)"]
        return parse("\n".join([*lines, "shown = add(count, 0)", "keep count = next", "send shown"]))


@lru_cache(maxsize=64)
def clock_of(program: Program) -> Clock | None:
    """Clock of a program whose only state is one, or None: what a program does with the count does not matter."""
    if program.ports or program.states != (COUNT,) or not program.operations:
        return None
    made = {operation.results[0]: operation for operation in program.operations}
    repeats = "is_over" in made
    try:
        added, limit = (int(made[name].operands[1]) for name in ("raised", "is_over" if repeats else "stopped"))
        clock = Clock(added, limit, repeats)
        counting = clock.program
    except (KeyError, IndexError, ValueError, UsageError):
        return None
    if not 1 <= added <= limit <= LARGEST_LIMIT:
        return None
    same = program.operations[: len(counting.operations) - 1] == counting.operations[:-1]
    return clock if same and program.after == counting.after else None
