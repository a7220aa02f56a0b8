"""Check of the declared widths of a population's values in a step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.populations import Population

Integers = NDArray[np.int64]

LARGEST_STACK = 1 << 12
"""Most neurons of a population whose values are checked together, which saves calls."""


class Widths:
    """Declared widths of the values of a program.

    Parameters
    ----------
    bits : mapping of (str, str) to int
        Declared widths of a graph, by population and quantity.
    """

    def __init__(self, population: Population, bits: Mapping[tuple[str, str], int]) -> None:
        self._name = population.name
        keys = ((name, population.quantity(name)) for name in population.program.names)
        self._declared = [
            (name, quantity, bits[population.name, quantity])
            for name, quantity in keys
            if (population.name, quantity) in bits
        ]
        self._most = np.array([(1 << (width - 1)) - 1 for _, _, width in self._declared], np.int64)
        rows = len(self._declared) if 0 < population.size <= LARGEST_STACK else 0
        self._stack = np.zeros((rows, population.size), np.int64)

    def require(self, values: Mapping[str, Integers], step: int) -> None:
        """Refuse values outside their width.

        Raises
        ------
        OverflowViolation
            Names the first one in the order of the program.
        """
        for row, (name, _, _) in zip(self._stack, self._declared, strict=False):
            row[:] = values[name]
        if len(self._stack):
            high, low = np.maximum.reduce(self._stack, axis=1), np.minimum.reduce(self._stack, axis=1)
            if (high <= self._most).all() and (low >= ~self._most).all():
                return
        for name, quantity, width in self._declared:
            require_width(values[name], width, self._name, quantity, step)
