"""The problem that a recipe of a law poses: initial cell averages, solutions to compare with, and differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.laws.exact import NoLongerExact, exact
from pisnn_deploy.laws.reference import reference
from pisnn_deploy.laws.solution_names import SOLVER
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import Field, Solution, grid_of, initial, stacked

__all__ = ["Difference", "Solution", "compare", "difference", "exact", "grid_of", "initial", "solution", "stacked"]


def solution(spec: LawSpec, shape: tuple[int, ...], time: float) -> Solution | None:
    """Solution that a recipe names: the exact one, that of the solver, or None if it names none.

    At times to which the exact one does not reach, it is the solver's, and its basis says why.

    Raises
    ------
    UsageError
        The recipe poses another problem than the exact solution that it names, or the solver fails.
    """
    if spec.reference == SOLVER:
        return reference(spec, shape, time)
    try:
        return exact(spec, shape, time)
    except NoLongerExact as error:
        result = reference(spec, shape, time)
        return replace(result, basis=f"{result.basis}, because {error.reason}")


@dataclass(frozen=True)
class Difference:
    """Differences of one field to a reference.

    Attributes
    ----------
    l1, l2 : float
        Sums of the absolute and of the squared differences (square root), relative to those of the reference; absolute
        if the reference is 0 everywhere.
    largest : float
        Largest absolute difference.
    """

    l1: float
    l2: float
    largest: float


def compare(fields: Mapping[str, Field], reference: Mapping[str, Field]) -> dict[str, Difference]:
    """Differences of each field to a reference."""
    return {name: difference(fields[name], values) for name, values in reference.items()}


def difference(values: Field, reference: Field) -> Difference:
    """Differences of cell averages to a reference on the same cells."""
    apart = np.abs(values - reference)
    sizes = float(np.abs(reference).sum()) or 1.0, float(np.linalg.norm(reference)) or 1.0
    return Difference(float(apart.sum()) / sizes[0], float(np.linalg.norm(apart)) / sizes[1], float(apart.max()))
