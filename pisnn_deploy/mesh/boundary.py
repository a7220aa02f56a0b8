"""Boundary conditions of a structured mesh: the condition of each side and the values of reservoirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError

Side = Literal["periodic", "no-flux", "dirichlet"]
"""Boundary condition of one side of the domain."""
Sides = tuple[Side, Side]
"""Conditions of the lower and upper side of an axis; both are periodic, or neither is."""

PERIODIC: Side = "periodic"
NO_FLUX: Side = "no-flux"
DIRICHLET: Side = "dirichlet"

MAXIMUM_CELLS = 1 << 26
"""Largest accepted mesh, so that a typo cannot exhaust memory."""
AXES = "xyz"
SIDE_NAMES = (("left", "right"), ("bottom", "top"), ("back", "front"))
"""Names of the lower and upper side along each axis."""

LARGEST_VALUE = 2.0**53
"""Larger reservoir values are refused: no integer mass could represent them exactly."""

Values = tuple[float, ...]
"""Reservoir values of a side: one for all, or one per cell of the side in C order; empty without reservoirs."""


@dataclass(frozen=True)
class Boundary:
    """Boundary conditions of all axes.

    Attributes
    ----------
    sides : tuple of (str, str)
        Conditions of the lower and upper side of each axis.
    values : tuple of (tuple of float, tuple of float)
        Reservoir values of the lower and upper side of each axis.
    """

    sides: tuple[Sides, ...]
    values: tuple[tuple[Values, Values], ...]

    @property
    def text(self) -> str:
        """Short text for people; arrays are summarised by their number of values."""
        parts = [
            " ".join(_side_text(side, values) for side, values in zip(sides, pair, strict=True))
            if sides != (PERIODIC, PERIODIC)
            else PERIODIC
            for sides, pair in zip(self.sides, self.values, strict=True)
        ]
        return parts[0] if len(parts) == 1 else ", ".join(f"{AXES[n]}: {part}" for n, part in enumerate(parts))


def uniform_boundary(side: Side, dimensions: int, value: float | None = None) -> Boundary:
    """Apply the same condition at all sides.

    Parameters
    ----------
    side : str
        ``periodic``, ``no-flux`` or ``dirichlet``.
    dimensions : int
        Number of axes.
    value : float, optional
        Reservoir value for Dirichlet sides.
    """
    values: Values = () if value is None else (float(value),)
    return Boundary(((side, side),) * dimensions, ((values, values),) * dimensions)


def parse_boundary(text: str, dimensions: int) -> Boundary:
    """Parse boundary conditions.

    Parameters
    ----------
    text : str
        ``periodic``, ``no-flux`` or ``dirichlet=LOWER,UPPER`` for all axes; or one entry per axis,
        ``x=periodic y=dirichlet=0,1``; or one entry per side, ``x-=no-flux x+=dirichlet=1`` or
        ``left=no-flux right=dirichlet=1``.
    dimensions : int
        Number of axes of the mesh.

    Raises
    ------
    UsageError
        A condition or axis is unknown, an axis is missing or given twice, or only one of its sides is periodic.
    """
    conditions: dict[tuple[int, int], tuple[Side, Values]] = {}
    entries = text.split()
    sides = {side for pair in SIDE_NAMES for side in pair}
    named = entries[0].partition("=")[0] if len(entries) == 1 else ""
    if named and named.rstrip("+-") not in AXES and named not in sides:
        entries = [f"{axis}={entries[0]}" for axis in AXES[:dimensions]]
    for entry in entries:
        name, _, condition = entry.partition("=")
        axis, ends = _axis(text, name, dimensions)
        pair = _conditions(text, condition, len(ends))
        for side, side_condition in zip(ends, pair, strict=True):
            if (axis, side) in conditions:
                raise UsageError(f"boundary {text!r}: axis {AXES[axis]!r} is given twice")
            conditions[axis, side] = side_condition
    return _assemble(f"boundary {text!r}", conditions, dimensions)


def boundary_from_mapping(content: Mapping[str, object], dimensions: int) -> Boundary:
    """Read boundary conditions from plain data, such as the content of a YAML file.

    Parameters
    ----------
    content : mapping
        Condition by axis (``x``) or side (``x-`` or ``left``, ``x+`` or ``right``): ``periodic``, ``no-flux``, or
        ``{dirichlet: value}`` with a number or a list of numbers, one per cell of the side.
    dimensions : int
        Number of axes of the mesh.

    Raises
    ------
    UsageError
        As for `parse_boundary`.
    """
    conditions: dict[tuple[int, int], tuple[Side, Values]] = {}
    for name, condition in content.items():
        axis, ends = _axis("file", str(name), dimensions)
        for side in ends:
            if (axis, side) in conditions:
                raise UsageError(f"boundary file: axis {AXES[axis]!r} is given twice")
            conditions[axis, side] = _plain_condition(str(name), condition)
    return _assemble("boundary file", conditions, dimensions)


def reservoir_values(boundary: Boundary, layers: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Values:
    """Value of each reservoir, in the order of the reservoirs.

    Parameters
    ----------
    layers : sequence of (int64 array, int64 array)
        Indices of the reservoirs at the lower and upper side of each axis, from 0; empty without reservoirs.

    Returns
    -------
    tuple of float
        In physical units.

    Raises
    ------
    UsageError
        A side has several values, but not one per cell.
    """
    levels: dict[int, float] = {}
    for axis, (numbers, pair) in enumerate(zip(layers, boundary.values, strict=True)):
        for end, (layer, values) in enumerate(zip(numbers, pair, strict=True)):
            if layer.size and len(values) not in (1, layer.size):
                side = f"{AXES[axis]}{'-+'[end]}"
                raise UsageError(f"boundary side {side} has {len(values)} values for {layer.size} cells")
            levels.update(
                zip(layer.reshape(-1).tolist(), values * (layer.size if len(values) == 1 else 1), strict=False)
            )
    return tuple(levels[number] for number in sorted(levels))


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse a mesh shape such as ``128`` or ``64x64``.

    Parameters
    ----------
    text : str
        Cells along each axis, separated by ``x``.

    Returns
    -------
    tuple of int
        One to three positive numbers.

    Raises
    ------
    UsageError
        The text has another form, or the mesh more than 2^26 cells.
    """
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"mesh {text!r}: expected cells along each axis, such as 128 or 64x64")
    shape = tuple(int(part) for part in parts)
    cells = 1
    for count in shape:
        cells *= count
    if not 1 <= cells <= MAXIMUM_CELLS:
        raise UsageError(f"mesh {text!r}: {cells} cells, expected 1 to {MAXIMUM_CELLS}")
    return shape


def _side_text(side: Side, values: Values) -> str:
    if side != DIRICHLET:
        return side
    return f"{side}={values[0]:g}" if len(values) == 1 else f"{side} ({len(values)} values)"


def _axis(text: str, name: str, dimensions: int) -> tuple[int, tuple[int, ...]]:
    """Axis and sides (0 lower, 1 upper) of a name such as ``x`` or ``x+``."""
    letters = AXES[:dimensions]
    for axis, pair in enumerate(SIDE_NAMES[:dimensions]):
        if name in pair:
            return axis, (pair.index(name),)
    letter, end = name[:1], name[1:]
    if not letter or letter not in letters or end not in ("", "-", "+"):
        raise UsageError(f"boundary {text!r}: unknown axis {name!r}; use {_side_names(dimensions)}")
    return letters.index(letter), {"": (0, 1), "-": (0,), "+": (1,)}[end]


def _side_names(dimensions: int) -> str:
    """Names of axes and sides, for messages."""
    axes = AXES[:dimensions]
    return f"{', '.join(axes)}, x-, x+ or {', '.join(side for pair in SIDE_NAMES[:dimensions] for side in pair)}"


def _conditions(text: str, condition: str, count: int) -> tuple[tuple[Side, Values], ...]:
    kind, _, numbers = condition.partition("=")
    if kind in (PERIODIC, NO_FLUX) and not numbers:
        return ((kind, ()),) * count
    if kind != DIRICHLET:
        raise UsageError(f"boundary {condition!r}: unknown condition; use periodic, no-flux or dirichlet=LOWER,UPPER")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(abs(value) <= LARGEST_VALUE for value in values):
        expected = "two numbers, such as dirichlet=0,1" if count == 2 else "a number, such as dirichlet=1"
        raise UsageError(f"boundary {text!r}: expected {expected}")
    return tuple((DIRICHLET, (value,)) for value in values)


def _plain_condition(name: str, condition: object) -> tuple[Side, Values]:
    if condition == PERIODIC:
        return PERIODIC, ()
    if condition == NO_FLUX:
        return NO_FLUX, ()
    if isinstance(condition, Mapping) and list(condition) == [DIRICHLET]:
        level = condition[DIRICHLET]
        numbers = level if isinstance(level, list) else [level]
        if numbers and all(
            isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= LARGEST_VALUE
            for number in numbers
        ):
            return DIRICHLET, tuple(float(number) for number in numbers)
    raise UsageError(
        f"boundary file: {name} must be periodic, no-flux, or dirichlet with a number or a list of numbers"
    )


def _assemble(where: str, conditions: Mapping[tuple[int, int], tuple[Side, Values]], dimensions: int) -> Boundary:
    sides: list[Sides] = []
    values: list[tuple[Values, Values]] = []
    for axis in range(dimensions):
        pair = [conditions.get((axis, side)) for side in (0, 1)]
        if pair[0] is None or pair[1] is None:
            raise UsageError(f"{where}: no condition for axis {AXES[axis]!r}")
        (lower, low), (upper, high) = pair[0], pair[1]
        if (lower == PERIODIC) != (upper == PERIODIC):
            raise UsageError(f"{where}: axis {AXES[axis]!r} is periodic at one side only")
        sides.append((lower, upper))
        values.append((low, high))
    return Boundary(tuple(sides), tuple(values))
