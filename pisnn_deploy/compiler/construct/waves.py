"""Wave speeds as expressions of the fields, and the time step that they and the stiffness allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pisnn_deploy.laws.expression import Call, Expression, Number, derivative, simplified

ZERO = Number(0.0)
"""Expression without effect."""


def jacobian(flux: Mapping[str, Expression], fields: Sequence[str]) -> list[list[Expression]]:
    """Derivative of the flux of each field by each field."""
    return [[simplified(derivative(flux.get(name, ZERO), other)) for other in fields] for name in fields]


def wave_speed(flux: Mapping[str, Expression], fields: Sequence[str]) -> Expression | None:
    """Largest magnitude of the eigenvalues of the Jacobian of a flux.

    Fields that depend on each other in a circle form a block; its eigenvalues are those of one or two fields.

    Returns
    -------
    Expression or None
        None where a block has three fields or more.
    """
    matrix = jacobian(flux, fields)
    speed: Expression = ZERO
    for block in _blocks(matrix):
        if len(block) == 1:
            own: Expression = Call("abs", (matrix[block[0]][block[0]],))
        elif len(block) == 2:
            own = _of_two(*(matrix[row][column] for row in block for column in block))
        else:
            return None
        own = simplified(own)
        if own != ZERO:
            speed = own if speed == ZERO else Call("max", (speed, own))
    return speed


def _of_two(a: Expression, b: Expression, c: Expression, d: Expression) -> Expression:
    """``|a + d| / 2 + sqrt((a - d)^2 / 4 + b c)``."""
    half = Number(0.5)
    middle = Call("mul", (half, Call("add", (a, d))))
    spread = Call("mul", (half, Call("sub", (a, d))))
    square = Call("add", (Call("pow", (spread, Number(2.0))), Call("mul", (b, c))))
    return Call("add", (Call("abs", (middle,)), Call("sqrt", (Call("max", (simplified(square), ZERO)),))))


def _blocks(matrix: Sequence[Sequence[Expression]]) -> list[list[int]]:
    """Sets of fields that depend on each other."""
    count = len(matrix)
    reaches = [[matrix[row][column] != ZERO or row == column for column in range(count)] for row in range(count)]
    for middle in range(count):
        for row in range(count):
            for column in range(count):
                reaches[row][column] |= reaches[row][middle] and reaches[middle][column]
    blocks: list[list[int]] = []
    for row in range(count):
        block = [column for column in range(count) if reaches[row][column] and reaches[column][row]]
        if block not in blocks:
            blocks.append(block)
    return blocks
