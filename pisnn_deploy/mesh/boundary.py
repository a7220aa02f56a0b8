"""Boundary conditions of a structured mesh and their text forms."""

from __future__ import annotations

from typing import Literal

from pisnn_deploy.errors import UsageError

Side = Literal["periodic", "no-flux"]
"""What stands at a side of the domain."""

PERIODIC: Side = "periodic"
NO_FLUX: Side = "no-flux"

MAXIMUM_CELLS = 1 << 26
"""Largest mesh that is accepted, so that a typing error cannot exhaust memory."""


def parse_boundary(text: str, dimensions: int) -> tuple[Side, ...]:
    """Boundary condition of each axis from its text.

    Parameters
    ----------
    text : str
        ``periodic`` or ``no-flux`` for all axes, or one entry an axis: ``x=periodic y=no-flux``.
    dimensions : int
        Number of axes of the mesh.

    Returns
    -------
    tuple of str
        One condition per axis.

    Raises
    ------
    UsageError
        Unknown condition or axis, or an axis that is missing.
    """
    names = "xyz"[:dimensions]
    entries = text.split()
    if len(entries) == 1 and ("=" not in entries[0] or entries[0].startswith("dirichlet")):
        return (_side(entries[0]),) * dimensions
    found: dict[str, Side] = {}
    for entry in entries:
        axis, _, condition = entry.partition("=")
        if axis not in names or not axis:
            raise UsageError(f"boundary {text!r}: unknown axis {axis!r}; use {', '.join(names)}")
        if axis in found:
            raise UsageError(f"boundary {text!r}: axis {axis!r} is given twice")
        found[axis] = _side(condition)
    missing = [axis for axis in names if axis not in found]
    if missing:
        raise UsageError(f"boundary {text!r}: nothing is said of axis {missing[0]!r}")
    return tuple(found[axis] for axis in names)


def _side(condition: str) -> Side:
    if condition == "periodic":
        return PERIODIC
    if condition == "no-flux":
        return NO_FLUX
    if condition.startswith("dirichlet"):
        raise UsageError(f"boundary {condition!r}: Dirichlet sides are not supported yet; use periodic or no-flux")
    raise UsageError(f"boundary {condition!r}: unknown condition; use periodic or no-flux")


def parse_shape(text: str) -> tuple[int, ...]:
    """Mesh shape from its text, such as ``128`` or ``64x64``.

    Parameters
    ----------
    text : str
        Cells along each axis, joined by ``x``.

    Returns
    -------
    tuple of int
        One to three positive numbers.

    Raises
    ------
    UsageError
        Not such a text, or more than 2^26 cells.
    """
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"mesh {text!r}: expected cells along each axis, such as 128 or 64x64")
    shape = tuple(int(part) for part in parts)
    cells = 1
    for count in shape:
        cells *= count
    if not 1 <= cells <= MAXIMUM_CELLS:
        raise UsageError(f"mesh {text!r}: {cells} cells; between 1 and {MAXIMUM_CELLS} are possible")
    return shape
