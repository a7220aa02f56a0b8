"""Cut a straight line of operations into programs of a neuron's size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pisnn_deploy.programs import Operation
from pisnn_deploy.programs.language import MAX_OPERATIONS

MOST_PORTS = 8
MOST_OUTPUTS = 4
MOST_TABLE_CHARACTERS = 60_000
"""Largest length of the tables of a program as text; a whole program may have 2^16 characters."""
MOST_REPEATED = 3
"""Largest number of operations of a value, such as a clamped port, that programs compute instead of receiving it."""


@dataclass(frozen=True)
class Part:
    """Operations of one program, and the results that it sends."""

    operations: tuple[Operation, ...]
    sends: tuple[str, ...]


def used(operations: Sequence[Operation]) -> Iterator[str]:
    """Names that operations use, as often as they do."""
    for operation in operations:
        for value in operation.values:
            if isinstance(value, str):
                yield value


class Cutter:
    """Finds the fewest consecutive parts by dynamic programming.

    Parameters
    ----------
    operations : sequence of Operation
        In an order in which every value is defined before it is used.
    outputs : collection of str
        Results that leave the last part.
    parameters : collection of str
        Names that cost no port.
    characters : mapping of str to int
        Length of the text of each table.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        outputs: Collection[str],
        parameters: Collection[str],
        characters: Mapping[str, int],
    ) -> None:
        self._outputs, self._parameters, self._characters = set(outputs), set(parameters), characters
        needed = _needed(operations, outputs)
        self._cones = self._repeated(needed)
        self._operations = [operation for operation in needed if operation.results[0] not in self._cones]
        self._last_use = {name: len(self._operations) for name in outputs}
        for number, operation in enumerate(self._operations):
            for value in used([operation]):
                self._last_use[value] = max(self._last_use.get(value, 0), number)

    def _repeated(self, operations: Sequence[Operation]) -> dict[str, tuple[Operation, ...]]:
        """Values of few operations on ports, each with these operations in order."""
        cones: dict[str, tuple[Operation, ...]] = {}
        computed: set[str] = set()
        for operation in operations:
            (result,) = operation.results
            inner = [value for value in used([operation]) if value in computed]
            cone = (*dict.fromkeys(o for value in inner for o in cones.get(value, ())), operation)
            is_light = not operation.signature.reads_table and len(cone) <= MOST_REPEATED
            if is_light and all(value in cones for value in inner) and result not in self._outputs:
                cones[result] = cone
            computed.add(result)
        return cones

    def parts(self) -> list[Part] | None:
        """The parts; None where no cut keeps the limits."""
        count = len(self._operations)
        best: list[tuple[int, int] | None] = [None] * (count + 1)
        best[0] = (0, 0)
        for end in range(1, count + 1):
            for start in self._starts(end):
                reached, current = best[start], best[end]
                if reached is not None and (current is None or (reached[0] + 1, start) < current):
                    best[end] = reached[0] + 1, start
        ends = [count]
        while ends[-1]:
            step = best[ends[-1]]
            if step is None:
                return None
            ends.append(step[1])
        ends.reverse()
        return [self._part(start, end) for start, end in zip(ends[:-1], ends[1:], strict=True)]

    def _starts(self, end: int) -> Iterator[int]:
        """First operations of parts that end before `end` and keep the limits."""
        produced: set[str] = set()
        arriving: set[str] = set()
        repeated: set[Operation] = set()
        tables: set[str] = set()
        sent = 0
        for start in range(end - 1, -1, -1):
            operation = self._operations[start]
            (result,) = operation.results
            produced.add(result)
            arriving.discard(result)
            for value in used([operation]):
                repeated.update(self._cones.get(value, ()))
            made = {o.results[0] for o in repeated}
            arriving.update({*used([operation, *repeated])} - produced - made - self._parameters)
            if operation.signature.reads_table:
                tables.add(str(operation.operands[-1]))
            sent += self._last_use.get(result, -1) >= end
            if (
                sent > MOST_OUTPUTS
                or end - start + len(repeated) > MAX_OPERATIONS
                or sum(self._characters[table] for table in tables) > MOST_TABLE_CHARACTERS
            ):
                return
            if len(arriving) <= MOST_PORTS:
                yield start

    def _part(self, start: int, end: int) -> Part:
        own = self._operations[start:end]
        repeated = dict.fromkeys(o for value in used(own) for o in self._cones.get(value, ()))
        sends = tuple(o.results[0] for o in own if self._last_use.get(o.results[0], -1) >= end)
        return Part((*repeated, *own), sends)


def _needed(operations: Sequence[Operation], outputs: Collection[str]) -> list[Operation]:
    """Operations that outputs depend on, in order."""
    needed, kept = set(outputs), []
    for operation in reversed(operations):
        if operation.results[0] in needed:
            needed.update(used([operation]))
            kept.append(operation)
    return kept[::-1]
