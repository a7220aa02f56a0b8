"""Two-point fluxes between cells and reservoirs, read from the populations and synapses of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pisnn_deploy.formats.c.effects import BIAS, Digits
from pisnn_deploy.graph.digits import split
from pisnn_deploy.graph.integer import FLUX_DIGITS, IntegerGraph, Integers
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.neurons import rectifier_shift


@dataclass(frozen=True)
class Conduction:
    """Two-point fluxes, with reservoirs at some faces.

    Attributes
    ----------
    conductance : int64 array [faces]
        Drive of a face for each level of difference.
    shift : int
        A level is two to this power quanta.
    upstream : tuple of str
        Populations that turn masses into levels.
    digits : Digits or None
        Where conductances have several digits.
    """

    conductance: Integers
    shift: int
    upstream: tuple[str, ...]
    digits: Digits | None

    def weights_of(self, mesh: FaceMesh, reservoirs: Integers) -> Integers:
        """What a level of some reservoirs adds to the drive of each face, int64 [faces]."""
        is_set = np.zeros(mesh.holders, np.int64)
        is_set[mesh.cells + reservoirs] = 1
        return np.asarray(self.conductance * (is_set[mesh.source] - is_set[mesh.target]), np.int64)


def conduction(graph: IntegerGraph) -> Conduction | str:
    """Fluxes of a graph, or why they are not known."""
    names = tuple(population.name for population in graph.between_fields)
    levels = tuple(name for name in names if name not in FLUX_DIGITS)
    digits = (*(name for name in names if name in FLUX_DIGITS), graph.sole_channels.name)
    seen, mesh = (levels or (graph.sole_field.holder,))[-1], graph.mesh
    bits = [rectifier_shift(graph.population(name).program) or 0 for name in (*levels, *digits[:-1])]
    shift, of_digits = sum(bits[: len(levels)]), bits[len(levels) :]
    if any(BIAS not in graph.population(name).parameters for name in (*levels, *digits)):
        return "its faces see no values of reservoirs"
    matrix = graph.matrix(seen, digits[0])
    for number, name in enumerate(digits[1:], 1):
        matrix = matrix + graph.matrix(seen, name).shifted(sum(of_digits[:number]))
    ends = np.stack([mesh.source, mesh.target])[:, matrix.row_of]
    if not (ends == matrix.columns).any(axis=0).all():
        return "its fluxes are sums over several cells and reservoirs, whose weights it holds only added up"
    conductance = np.zeros(mesh.faces, np.int64)
    np.maximum.at(conductance, matrix.row_of, np.abs(matrix.values))
    lowest = -(_number(graph, levels, bits) >> shift) if levels else 0
    flow = Conduction(conductance, shift, levels, None)
    shown = graph.sole_field.reservoirs >> shift
    drive = np.zeros(mesh.faces, np.int64)
    for value in np.unique(shown).tolist():
        drive += flow.weights_of(mesh, np.flatnonzero(shown == value)) * (value - lowest)
    parts = split(drive, len(digits), of_digits[0] if of_digits else 1)
    raised = [graph.population(name).parameters[BIAS] - part for name, part in zip(digits, parts, strict=True)]
    if len(set(of_digits)) > 1 or any((each != each[:1]).any() for each in raised):
        return "its biases are not those of its sides"
    if len(digits) == 1:
        return flow
    made = Digits(digits, of_digits[0], tuple(int(each[0]) for each in raised), lowest)
    problem = _below_zero(graph, seen, made)
    return problem or Conduction(conductance, shift, levels, made)


def _number(graph: IntegerGraph, names: tuple[str, ...], bits: list[int]) -> int:
    """Bias of populations that carry from one to the next, in units of the first."""
    before = [sum(bits[:number]) for number in range(len(names))]
    first = [int(graph.population(name).parameters[BIAS][0]) for name in names]
    return sum(bias << above for bias, above in zip(first, before, strict=True))


def _below_zero(graph: IntegerGraph, seen: str, digits: Digits) -> str:
    """Say that the sum of a digit may be below 0 for some digits of a value, where it would be cut off; else empty."""
    known = {(bound.population, bound.quantity): bound for bound in graph.bounds}
    program = graph.population(seen).program
    level = known.get((seen, graph.population(seen).quantity(program.sends[0])))
    if level is None:
        return "the bounds of its levels are not declared"
    carried = 0
    for (name, _), raised in zip(pairwise(digits.populations), digits.raised, strict=False):
        rows = graph.matrix(seen, name)
        most = rows.valued(lambda weights: np.maximum(-weights, 0)).sums() * max(level.upper, 0)
        most += rows.valued(lambda weights: np.maximum(weights, 0)).sums() * max(-level.lower, 0)
        least = raised - int(most.max(initial=0)) - (1 << digits.bits >> 1) + carried
        if least < 0:
            return f"sums of {name} may be below 0 for some values"
        carried = least >> digits.bits
    return ""
