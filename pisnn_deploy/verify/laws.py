"""Checks of a graph of a law: its fields, mesh and ledgers, operating windows in quanta, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import NO_FLUX, PERIODIC
from pisnn_deploy.mesh.boundary import SIDE_NAMES

LEFT_OUT = {
    "alike": "not claimed: that channels of a kind compute alike; laws that depend on place do not say so",
    "clock": "not claimed: the time step; no theorem covers graphs of a law",
    "stability": "not claimed: whether modes grow; no theorem covers graphs of a law",
    "equation": "not claimed: that the integers compute the fluxes and rates of the law; simulate measures the error",
}
"""What is not claimed of a graph of a law."""


def law_of(graph: IntegerGraph) -> LawSpec:
    """Recipe of the law of a graph that is known to be one.

    Raises
    ------
    TypeError
        The graph is that of a model.
    """
    if graph.spec.equation != "law":
        raise TypeError("the graph is that of a model")
    return graph.spec


def named_law(graph: IntegerGraph) -> Iterator[str]:
    """Yield what differs between a graph and its law: fields, units, domain and ledgers."""
    spec, grid = law_of(graph), graph.mesh.grid
    names, expected = [field.name for field in graph.fields], [*spec.law.fields]
    if names != expected:
        yield f"the graph has the fields {', '.join(names)}, but the law has {', '.join(expected)}"
        return
    if grid is None or grid.lengths != spec.lengths:
        yield f"the mesh is no grid of the lengths {spec.lengths} that the law has"
        return
    for axis, sides in enumerate(grid.boundary):
        kinds = {spec.conditions[side][name].kind for side in SIDE_NAMES[axis] for name in names}
        side = PERIODIC if "periodic" in kinds else NO_FLUX
        if sides != (side, side):
            yield f"axis {axis} of the mesh is {' and '.join(sides)}, for this law it must be {side}"
    for field in graph.fields:
        unit = spec.parsed().units.get(field.name, "")
        if field.unit != unit:
            yield f"the unit of {field.name} is {field.unit!r}, but the law says {unit!r}"
        open_sides = [name for axis in SIDE_NAMES[: len(grid.shape)] for name in axis if not _is_periodic(spec, name)]
        known = {*open_sides, *(source.name for source in spec.parsed().sources if source.field == field.name)}
        for ledger in field.ledgers:
            if ledger.name not in known:
                yield f"the ledger {ledger.name} of {field.name} is neither an open side of the domain nor a source"


def _is_periodic(spec: LawSpec, side: str) -> bool:
    return any(condition.kind == "periodic" for condition in spec.conditions[side].values())


ROUNDING_QUANTA = 32
"""Quanta by which a window may exceed the range of its field on either side."""


def windows(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the operating windows and reservoirs of the fields."""
    spec = law_of(graph)
    for field in graph.fields:
        if math.frexp(field.value_per_quantum)[0] != 0.5:
            yield f"the value of a quantum of {field.name} is {field.value_per_quantum}, which is not a power of two"
            return
        yield from _window(field, *spec.range[field.name])


def _window(field: Field, lower: float, upper: float) -> Iterator[str]:
    unit, window = Fraction(field.value_per_quantum), field.window
    low, high = math.floor(Fraction(lower) / unit), math.ceil(Fraction(upper) / unit)
    if not (low - ROUNDING_QUANTA <= window.lower <= low and high <= window.upper <= high + ROUNDING_QUANTA):
        yield (
            f"the range {lower:g} to {upper:g} of {field.name} is {low} to {high} quanta, but its window is "
            f"{window.lower} to {window.upper}"
        )
    if window.difference is not None or window.current is not None:
        yield f"the window of {field.name} limits differences or currents, but the law gives no limit of them"
    with np.errstate(all="ignore"):  # an overflow never equals a reservoir's quanta
        wrong = np.flatnonzero(np.rint(field.held / field.value_per_quantum) != field.reservoirs)
    if wrong.size:
        number = int(wrong[0])
        yield (
            f"reservoir {number} of {field.name} has the value {field.held[number]:g}, but its quanta are worth "
            f"{field.reservoirs[number] * field.value_per_quantum:g}"
        )


def schedule(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the coding and the period."""
    if graph.coding is None or graph.period != 1 + max(graph.depths.values()):
        yield "the graph has no coding, or its period does not match its populations"


def overflow(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the claim that widths hold within the operating windows."""
    figures = {"bounds": len(graph.bounds), "fields": len(graph.fields)}
    if (claim.status, claim.method, dict(claim.figures)) != ("assumed", "operating-windows", figures):
        yield "the claim differs from what the checker proved"


def left_out(claim: Claim | None, graph: IntegerGraph) -> Iterator[str]:
    """Yield an error if a claim is not explicitly left out."""
    if claim is None or (claim.status, claim.method, dict(claim.figures)) != ("none", "no-theorem", {}):
        yield "the claim differs from what the checker proved"
