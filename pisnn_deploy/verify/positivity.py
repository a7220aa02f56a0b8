"""Check of the limiter: what cells hear and answer, and that the low flux never leads out of the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, added, from_triplets
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.verify.faces import Face, face_of
from pisnn_deploy.verify.limiting import LARGEST_SUM, Limiting, answers
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.stored import effective

Integers = NDArray[np.int64]


def positivity(graph: IntegerGraph, claim: Claim | None) -> Iterator[str]:
    """Yield errors in the claim that no cell leaves the limits.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    """
    face = face_of(graph)
    limiter = face.limiter
    if limiter is None or claim is None:
        yield "the graph has a limiter, but no claim on it" if claim is None else "the claim needs a limiter"
        return
    if len(graph.order.answers) != 1:
        yield "one population must answer what faces ask"
        return
    (population,) = map(graph.population, graph.order.answers)
    if population.size != graph.mesh.cells or not answers(read(str(population.program)), limiter):
        yield f"{population.name} does not answer with what each cell can grant"
        return
    yield from _limits(graph, population, limiter)
    yield from _joined(graph, population.name, limiter)
    yield from _low_flux(graph, face, limiter)
    for bound in graph.bounds:
        if (
            bound.population == population.name
            and bound.quantity in ("leaving", "coming")
            and bound.upper > LARGEST_SUM
        ):
            yield f"faces may ask {bound.upper} quanta of a cell, more than its table knows"
    window = graph.window
    figures = {"floor": window.lower, **({"ceiling": window.upper} if limiter.has_ceiling else {})}
    method = "floor-and-ceiling" if limiter.has_ceiling else "floor"
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", method, figures):
        yield "the claim differs from what the checker proved"


def where_it_cuts(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the limiter's figure of the equation claim.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    claim : Claim
        Claim on the equation.
    """
    claimed = claim.figures.get("limited")
    expected = 1 if face_of(graph).limiter is not None and claim.figures else None
    if claimed != expected:
        yield "the claim does not say whether a limiter may withhold packets"


def _limits(graph: IntegerGraph, population: Population, limiter: Limiting) -> Iterator[str]:
    """Limits of each cell must be the ends of the operating window."""
    volumes, window = graph.sole_field.inverse_volume, graph.window
    least = population.parameters["least"]
    wrong = np.flatnonzero((least * volumes < window.lower) | ((least - 1) * volumes >= window.lower))
    if wrong.size:
        yield f"cell {wrong[0]} keeps {least[wrong[0]]} quanta, which is not the floor {window.lower}"
    if limiter.has_ceiling:
        most = population.parameters["most"]
        wrong = np.flatnonzero((most * volumes > window.upper) | ((most + 1) * volumes <= window.upper))
        if wrong.size:
            yield f"cell {wrong[0]} has room for {most[wrong[0]]} quanta, which is not the ceiling {window.upper}"
        shown = graph.sole_field.reservoirs
        if shown.size and int(shown.max()) > window.upper:
            yield f"a reservoir shows {shown.max()}, above the ceiling {window.upper}"
    if graph.sole_field.reservoirs.size and int(graph.sole_field.reservoirs.min()) < window.lower:
        yield f"a reservoir shows {graph.sole_field.reservoirs.min()}, below the floor {window.lower}"


def _joined(graph: IntegerGraph, name: str, limiter: Limiting) -> Iterator[str]:
    """Masses, requests and answers must go between each face and the cells at its ends."""
    expected = _expected(graph, name, limiter)
    found: dict[tuple[str, int, str, str], list[Rows]] = {}
    for synapse in graph.synapses:
        if name in (synapse.source, synapse.target) or (synapse.target == FLUX and synapse.port != "arrival"):
            stored = synapse.mantissa_matrix().valued(partial(effective, synapse))
            found.setdefault((synapse.source, synapse.output, synapse.target, synapse.port), []).append(stored)
        elif synapse.source == FLUX and synapse.target != MEMBRANE:
            yield f"faces send to {synapse.target}"
    for source, output, target, port in sorted({*found} ^ {*expected}):
        word = "does not reach" if (source, output, target, port) in expected else "must not reach"
        yield f"value {output} of {source} {word} the port {port} of {target}"
        return
    for (source, output, target, port), matrix in expected.items():
        wrong = added(found[source, output, target, port], matrix.shape) - matrix
        if wrong.entries:
            yield f"value {output} of {source} does not reach the port {port} of {target} where its ends are"


def _expected(graph: IntegerGraph, name: str, limiter: Limiting) -> dict[tuple[str, int, str, str], Rows]:
    """Weights between faces and cells, by source, output, target and port."""
    mesh = graph.mesh
    at_cell = {"source": np.flatnonzero(mesh.source < mesh.cells), "target": np.flatnonzero(mesh.target < mesh.cells)}
    cell = {"source": mesh.source[at_cell["source"]], "target": mesh.target[at_cell["target"]]}

    def to_cells(end: str, sign: int = 1) -> Rows:
        values = np.full(cell[end].size, sign, np.int64)
        return from_triplets(cell[end], at_cell[end], values, (mesh.cells, mesh.faces))

    def to_faces(end: str, width: int) -> Rows:
        values = np.ones(cell[end].size, np.int64)
        return from_triplets(at_cell[end], cell[end], values, (mesh.faces, width))

    first = 2 if limiter.low else 1
    cells = np.arange(mesh.cells, dtype=np.int64)
    own = from_triplets(cells, cells, np.ones(mesh.cells, np.int64), (mesh.cells, mesh.holders))
    expected = {
        (MEMBRANE, 0, name, "mass"): own,
        (FLUX, first, name, "leaving"): to_cells("source"),
        (FLUX, first + 1, name, "leaving"): to_cells("target"),
    }
    for port in limiter.low:
        expected[MEMBRANE, 0, FLUX, port] = to_faces(port.removesuffix("_mass"), mesh.holders)
    if limiter.low:
        expected[FLUX, 1, name, "balance"] = to_cells("target") + to_cells("source", -1)
    if limiter.has_ceiling:
        expected[FLUX, first, name, "coming"] = to_cells("target")
        expected[FLUX, first + 1, name, "coming"] = to_cells("source")
    for output, what in enumerate(("short", "full")[: 1 + limiter.has_ceiling]):
        for end in ("source", "target"):
            expected[name, output, FLUX, f"{end}_{what}"] = to_faces(end, mesh.cells)
    return expected


@dataclass(frozen=True)
class _LowFlux:
    """Low flux of each face: ``sign(x) (|x| weight >> F) + base``, where x is a difference of masses plus `beyond`."""

    weight: int
    exponent: int
    adds: Integers
    subtracts: Integers
    beyond: Integers
    base: Integers

    def at(self, level: int) -> Integers:
        """Its values where all cells hold `level`."""
        moved = (level * (self.adds - self.subtracts) + self.beyond) * self.weight
        return np.asarray(np.where(moved < 0, -(-moved >> self.exponent), moved >> self.exponent) + self.base)


def _low_flux(graph: IntegerGraph, face: Face, limiter: Limiting) -> Iterator[str]:
    """The low flux must keep every cell between the limits.

    It grows with the mass of the source and falls with that of the target, so the worst neighbours of a cell are at a
    limit. A difference of two masses (with a reservoir's value for one) gives a cell ``n`` quanta above the floor at
    most ``floor(n weight / 2^F)`` to lose through each face. The mass of one end gives it at most ``ceil`` of that more
    to lose than at the floor, through one face; or ``floor`` of it, through all, at a floor of 0.
    """
    if not limiter.low:
        return
    mesh, window, parameters = graph.mesh, graph.window, graph.sole_channels.parameters
    if not graph.sole_field.holds_alike:
        yield "cells of different volumes have no low flux"
        return
    ends = {"source_mass": mesh.source, "target_mass": mesh.target}
    hears = {port: (ends[port] < mesh.cells) & (port in limiter.low) for port in ends}
    low = _LowFlux(
        limiter.weight,
        face.exponent,
        hears["source_mass"].astype(np.int64),
        hears["target_mass"].astype(np.int64),
        parameters["beyond"],
        parameters["base"],
    )
    joins = mesh.source != mesh.target
    counted = np.concatenate([ends[port][joins & hears[port]] for port in limiter.low])
    most = int(np.bincount(counted, minlength=mesh.holders)[: mesh.cells].max(initial=0))
    theta = 1 << face.exponent
    if len(limiter.low) == 2:
        shown = np.concatenate([np.zeros(mesh.cells, np.int64), graph.sole_field.reservoirs])
        if low.base.any() or (low.beyond != shown[mesh.source] - shown[mesh.target]).any():
            yield "the low flux is not that of the masses and reservoirs at the ends of a face"
        if most * low.weight > theta:
            yield f"the low flux of {most} faces may take more than a cell has"
        return
    cells = hears[limiter.low[0]]
    is_exact = window.lower == 0 and not limiter.has_ceiling and not low.beyond[cells].any()
    if low.weight > theta or (most > 1 and not (is_exact and most * low.weight <= theta)):
        yield f"the low flux of {most} faces may take more than a cell has"
    limits = [(window.lower, 1), *([(window.upper, -1)] if limiter.has_ceiling else [])]
    for level, sign in limits:
        flux = low.at(level)
        gain = np.zeros(mesh.holders, np.int64)
        np.add.at(gain, mesh.target, flux)
        np.add.at(gain, mesh.source, -flux)
        if (sign * gain[: mesh.cells] < 0).any():
            cell = int(np.argmax(sign * gain[: mesh.cells] < 0))
            yield f"the low flux leads cell {cell} out of the limits where all cells hold {level}"
