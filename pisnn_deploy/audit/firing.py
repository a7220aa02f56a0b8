"""Find the current and residue that I3 compares in the program of a channel."""

from __future__ import annotations

from dataclasses import dataclass

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.contract import CURRENT, RESIDUE
from pisnn_deploy.graph.limiter import LIMITER_PORTS
from pisnn_deploy.programs import Operand, Operation, Program


@dataclass(frozen=True)
class Firing:
    """Values of I3: ``current = (packet << exponent) + residue - residue before``.

    Attributes
    ----------
    current, residue : str
        Names in the program of the input and of the remainder.
    exponent : int
        A packet of one quantum reduces the residue by ``2^exponent``.
    rest : int or None
        Largest absolute residue after ``fire``; None without ``fire``.
    withholding : Program or None
        Operations between firing and sending the packet and requests; None if the packet is sent unchanged.
    """

    current: str
    residue: str
    exponent: int
    rest: int | None
    withholding: Program | None


def firing_of(program: Program, output: int) -> Firing | None:
    """Find how a channel keeps the part of its current that it does not send.

    The residue is a state to which a current is added, and from which the packet is subtracted, directly or by
    ``fire``.

    Parameters
    ----------
    program : Program
        Program of the channel.
    output : int
        Index of the packet among the values that it sends.

    Returns
    -------
    Firing or None
        None if the program has no such residue; then I3 does not apply.

    Raises
    ------
    UsageError
        If packets are withheld by values that the audit cannot recompute.
    """
    sent = program.sends[output]
    makers = {result: operation for operation in program.operations for result in operation.results}
    for state, residue in zip(program.states, program.after, strict=True):
        maker = makers.get(residue)
        if maker is None:
            continue
        fires = maker.name == "fire" and maker.results[1] == residue
        if not fires and not (maker.name == "sub" and maker.operands[1] == sent):
            continue
        current = _added_to(state, makers.get(str(maker.operands[0])))
        if current is None:
            continue
        if not fires:
            return Firing(current, residue, 0, None, None)
        exponent = int(maker.operands[-1])
        if sent == maker.results[0]:
            return Firing(current, residue, exponent, 1 << exponent >> 1, None)
        withholding = _withholding(program, maker, sent)
        if withholding is not None:
            return Firing(current, residue, exponent, 1 << exponent >> 1, withholding)
    return None


def audited_values(program: Program, output: int) -> tuple[str, str] | None:
    """Return the names of the current and the residue that the audit checks for a channel.

    Parameters
    ----------
    program : Program
        Program of the channel.
    output : int
        Index of the packet among the values that it sends.

    Returns
    -------
    tuple of str or None
        None if the program has neither a residue nor values with these names.

    Raises
    ------
    UsageError
        See `firing_of`.
    """
    firing = firing_of(program, output)
    if firing is not None:
        return firing.current, firing.residue
    return (CURRENT, RESIDUE) if {CURRENT, RESIDUE}.issubset(program.names) else None


def _added_to(state: str, operation: Operation | None) -> str | None:
    """Return the term that an operation adds to a state, or None if it is not such a sum."""
    if operation is None or operation.name != "add" or state not in operation.operands:
        return None
    others: list[Operand] = [operand for operand in operation.operands if operand != state]
    return others[0] if len(others) == 1 and isinstance(others[0], str) else None


def _withholding(program: Program, firing: Operation, sent: str) -> Program | None:
    """Return the operations from the fired packet to all sent values, or None if the packet is unrelated to it."""
    fired, residue = firing.results
    if fired not in _made_of(program, firing, {sent})[0]:
        return None
    needed, operations = _made_of(program, firing, {*program.sends})
    unknown = needed.intersection((*program.states, *program.ports, residue)) - {*LIMITER_PORTS}
    if unknown:
        raise UsageError(f"program {program.name}: {sent} depends on {min(unknown)}, which the audit cannot recompute")
    ports = (fired, *(port for port in program.ports if port in needed))
    parameters = tuple(name for name in program.parameters if name in needed)
    return Program(program.name, ports, (), parameters, operations, (), program.sends, program.tables)


def _made_of(program: Program, firing: Operation, values: set[str]) -> tuple[set[str], tuple[Operation, ...]]:
    """Return all values that some values depend on after firing, and the operations that make them."""
    needed, operations = {*values}, []
    for operation in reversed(program.operations):
        if operation is not firing and needed.intersection(operation.results):
            operations.append(operation)
            needed.update(value for value in operation.values if isinstance(value, str))
    return needed, tuple(reversed(operations))
