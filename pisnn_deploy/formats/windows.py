"""Windows of cell values within the operating range, and bounds of affine functions of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLOAT32 = 2.0**-24
"""Largest relative error of one rounding in float32."""
FLOAT64 = 2.0**-53


@dataclass(frozen=True)
class Limits:
    """Limits of the cell values in one window.

    Attributes
    ----------
    lower, upper : float
        Smallest and largest cell value.
    difference : float or None
        Largest difference of neighbours along an axis.
    cells : tuple of int
        Cells of the window along each axis; empty if unknown.
    epsilon : float
        Largest relative error of one rounding in the file's floats.
    """

    lower: float
    upper: float
    difference: float | None = None
    cells: tuple[int, ...] = ()
    epsilon: float = FLOAT32

    def of_window(self, cells: tuple[int, ...], epsilon: float) -> Limits:
        """Limits for a window with these cells along each axis and floats of this precision."""
        return replace(self, cells=cells, epsilon=epsilon)

    def bounds(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Bounds of affine functions of a window.

        Parameters
        ----------
        weight : float64 array [functions, cells]
            Weights of the functions.
        bias : float64 array [functions]
            Constants of the functions.

        Returns
        -------
        lower, upper : float64 arrays [functions]
            Bounds over all windows.
        """
        middle, reach = (self.lower + self.upper) / 2, (self.upper - self.lower) / 2
        boxed, centre = np.abs(weight).sum(axis=1) * reach, weight.sum(axis=1) * middle + bias
        if self.difference is not None and math.prod(self.cells) == weight.shape[1]:
            tied = np.abs(weight.sum(axis=1)) * reach + self.difference * self._steps(weight)
            boxed = np.minimum(boxed, tied)
        return centre - boxed, centre + boxed

    def _steps(self, weight: Floats) -> Floats:
        """Sum of the absolute weights of neighbour differences on the paths from a middle cell to all others."""
        grid = weight.reshape(len(weight), *self.cells)
        total = np.zeros(len(weight))
        for axis in range(1, grid.ndim):
            sums = grid.sum(axis=tuple(range(axis + 1, grid.ndim)))
            middle = sums.shape[-1] // 2
            for side in (sums[..., :middle], sums[..., :middle:-1]):
                total += np.abs(np.cumsum(side, axis=-1)).reshape(len(weight), -1).sum(axis=1)
        return total

    def windows(self, count: int, seed: int = 0) -> Floats:
        """Draw windows within the limits: constant, steep and random ones.

        Parameters
        ----------
        count : int
            Number of windows, at least 8.

        Returns
        -------
        float64 array [count, cells]
            Cell values.
        """
        rng = np.random.default_rng(seed)
        size, span = math.prod(self.cells), self.upper - self.lower
        if self.difference is None:
            windows = rng.uniform(self.lower, self.upper, (count, size))
            windows[2:5] = rng.choice([self.lower, self.upper], (3, size))
        else:
            field = rng.uniform(self.lower, self.upper, (count, *(1,) * len(self.cells)))
            for axis, cells in enumerate(self.cells):
                steps = rng.uniform(-1, 1, (count, cells)) * self.difference
                steps[2:5] = self.difference * rng.choice([-1.0, 1.0], (3, 1))
                walk = np.cumsum(steps, axis=1).reshape(
                    count, *(cells if at == axis else 1 for at in range(len(self.cells)))
                )
                field = field + walk
            windows = np.clip(field, self.lower, self.upper).reshape(count, size)
        windows[0], windows[1] = self.lower, self.upper
        windows[5:8] = np.round(self.lower + span * rng.uniform(0, 1, (3, 1)), 2).clip(self.lower, self.upper)
        return windows
