"""Parts of a program that compute some of its values."""

from __future__ import annotations

from collections.abc import Iterable

from pisnn_deploy.programs.language import Program


def computing(program: Program, sends: Iterable[str]) -> Program:
    """Return the part of a program that computes some of its values from its inputs.

    The part leaves its states as they are; it has the inputs and tables that these values depend on.

    Parameters
    ----------
    sends : iterable of str
        Names of the values, which the part sends.
    """
    sent = tuple(sends)
    needed, operations = {*sent}, []
    for operation in reversed(program.operations):
        if needed.intersection(operation.results):
            operations.append(operation)
            needed.update(operand for operand in operation.operands if isinstance(operand, str))
    ports, states, parameters = (
        tuple(name for name in names if name in needed) for names in (program.ports, program.states, program.parameters)
    )
    tables = tuple(table for table in program.tables if table.name in needed)
    return Program(program.name, ports, states, parameters, tuple(reversed(operations)), states, sent, tables)
