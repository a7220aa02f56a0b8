"""Random boundaries for tests, and what becomes of them when a mesh is turned and mirrored."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import DIRICHLET, NO_FLUX, PERIODIC, Boundary
from pisnn_deploy.mesh.boundary import Sides, Values


def cases(default: int) -> Iterator[np.random.Generator]:
    """A generator of random numbers for each case; ``PISNN_CASES`` asks for more of them than the default."""
    for seed in range(int(os.environ.get("PISNN_CASES", default))):
        yield np.random.default_rng([14, seed])


def drawn_boundary(rng: np.random.Generator, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Boundary:
    """Sides of all kinds; Dirichlet sides hold one value or one for each cell."""
    sides: list[Sides] = []
    values: list[tuple[Values, Values]] = []
    for count in shape:
        if rng.random() < 0.2:
            sides.append((PERIODIC, PERIODIC))
            values.append(((), ()))
            continue
        along = math.prod(shape) // count
        pair = [_side(rng, along, low, high) for _ in range(2)]
        sides.append((pair[0][0], pair[1][0]))
        values.append((pair[0][1], pair[1][1]))
    return Boundary(tuple(sides), tuple(values))


def _side(rng: np.random.Generator, cells: int, low: float, high: float) -> Any:
    if rng.random() < 0.3:
        return NO_FLUX, ()
    return DIRICHLET, tuple(rng.uniform(low, high, 1 if rng.random() < 0.5 else cells).tolist())


@dataclass(frozen=True)
class Turn:
    """New axis ``a`` is the old axis ``axes[a]``, mirrored where ``mirrored[a]``."""

    axes: tuple[int, ...]
    mirrored: tuple[bool, ...]

    def field(self, field: NDArray[Any]) -> NDArray[Any]:
        """A field on the turned mesh."""
        return np.flip(field.transpose(self.axes), np.flatnonzero(self.mirrored).tolist())

    def boundary(self, boundary: Boundary, shape: tuple[int, ...]) -> Boundary:
        """The boundary of the turned mesh; `shape` is that of the old one."""
        sides: list[Sides] = []
        values: list[tuple[Values, Values]] = []
        for axis, old in enumerate(self.axes):
            pair = [self._values(held, axis, shape) for held in boundary.values[old]]
            step = -1 if self.mirrored[axis] else 1
            lower, upper = boundary.sides[old][::step]
            sides.append((lower, upper))
            values.append((pair[::step][0], pair[::step][1]))
        return Boundary(tuple(sides), tuple(values))

    def _values(self, held: Values, axis: int, shape: tuple[int, ...]) -> Values:
        if len(held) <= 1:
            return held
        old = [a for a in range(len(shape)) if a != self.axes[axis]]
        new = [a for a in range(len(shape)) if a != axis]
        layer = np.array(held).reshape([shape[a] for a in old]).transpose([old.index(self.axes[a]) for a in new])
        return tuple(np.flip(layer, [n for n, a in enumerate(new) if self.mirrored[a]]).reshape(-1).tolist())


def drawn_turn(rng: np.random.Generator, dimensions: int) -> Turn:
    """Any of the symmetries of a cube."""
    axes: Sequence[int] = rng.permutation(dimensions).tolist()
    return Turn(tuple(axes), tuple(bool(bit) for bit in rng.integers(0, 2, dimensions)))
