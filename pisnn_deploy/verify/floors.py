"""Check of the limiter of a law: each positive field on its own, by what its cells hear and answer.

A cell that is asked for P of the m quanta it holds grants at most m of them (`pisnn_deploy.verify.limiting`, without a
low flux), whatever its fluxes fire. Other channels that touch the cell have packets of one sign, which give to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from pisnn_deploy.core.rows import Rows, added, from_triplets
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.verify.faces import face_in
from pisnn_deploy.verify.laws import law_of
from pisnn_deploy.verify.limiting import LARGEST_SUM, Limiting, answers
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.stored import effective

_Place = tuple[str, int, str, str]
"""Source, output, target and port of a synapse."""


def floors(graph: IntegerGraph, claim: Claim | None) -> Iterator[str]:
    """Yield errors in the claim that no cell of a limited field falls below 0.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph of a law.
    """
    fields = [field for field in graph.fields if _asking(graph, field)]
    if claim is None or not fields:
        yield "the graph has a limiter, but no claim on it" if claim is None else "the claim needs a limiter"
        return
    for field in fields:
        if field.name not in law_of(graph).law.positive:
            yield f"{field.name} has a limiter, but the law does not name it as positive"
        yield from _field(graph, field)
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "floors", {"fields": len(fields), "floor": 0}):
        yield "the claim differs from what the checker proved"


def _asking(graph: IntegerGraph, field: Field) -> list[Channels]:
    """Channels that ask the cells of a field."""
    return [
        channels
        for channels in graph.channels
        if channels.source_holder == channels.target_holder == field.holder
        and "source_short" in graph.population(channels.population).program.ports
    ]


def _field(graph: IntegerGraph, field: Field) -> Iterator[str]:
    asking = _asking(graph, field)
    for channels in graph.channels:
        if channels not in asking and field.holder in (channels.source_holder, channels.target_holder):
            yield from _gives(graph, channels, field)
    (channels, *others) = asking
    if others:
        yield f"{channels.population} and {others[0].population} ask {field.name}, which grants everything to each"
        return
    limiter = _limiting(graph, channels)
    if limiter is None:
        yield f"{channels.population} may send more than the cells of {field.name} grant"
        return
    heard = {s.source for s in graph.into(channels.population, "source_short")}
    names = [name for name in heard if answers(read(str(graph.population(name).program)), limiter)]
    if len(heard) != 1 or not names:
        yield f"{channels.population} hears something other than the answers of the cells of {field.name}"
        return
    population = graph.population(names[0])
    if population.size != field.cells or population.parameters["least"].any():
        yield f"{population.name} does not answer with what each cell of {field.name} holds"
    yield from _joined(graph, channels, field, population.name)
    for bound in graph.bounds:
        if (bound.population, bound.quantity) == (population.name, "leaving") and bound.upper > LARGEST_SUM:
            yield f"{channels.population} may ask {bound.upper} quanta of a cell, more than its table knows"


def _limiting(graph: IntegerGraph, channels: Channels) -> Limiting | None:
    """How the packets of channels are limited; None unless their currents depend on nothing that cells answer."""
    face = face_in(read(str(graph.population(channels.population).program)))
    limiter = None if face is None else face.limiter
    return None if limiter is None or limiter.low or limiter.has_ceiling or channels.output else limiter


def _gives(graph: IntegerGraph, channels: Channels, field: Field) -> Iterator[str]:
    """Yield an error if channels that do not ask may take from a cell."""
    population = graph.population(channels.population)
    packet = population.quantity(population.program.sends[channels.output])
    spans = [(b.lower, b.upper) for b in graph.bounds if (b.population, b.quantity) == (population.name, packet)]
    low, high = spans[0] if len(spans) == 1 else (-1, 1)
    for holder, ends, sign in channels.ends:
        if holder == field.holder and (ends < field.cells).any() and (low if sign > 0 else -high) < 0:
            yield f"{channels.population} may take from the cells of {field.name} without asking"


def _joined(graph: IntegerGraph, channels: Channels, field: Field, name: str) -> Iterator[str]:
    """Masses, requests and answers must go between each channel and the cells at its ends, and nowhere else."""
    expected = _expected(channels, field, name)
    found: dict[_Place, list[Rows]] = {}
    for s in graph.synapses:
        is_packet = s.target in graph.holders and s.output == channels.output
        if name in (s.source, s.target) or (s.source == channels.population and not is_packet):
            matrix = s.mantissa_matrix().valued(partial(effective, s))
            found.setdefault((s.source, s.output, s.target, s.port), []).append(matrix)
    for source, output, target, port in sorted({*found} ^ {*expected}):
        word = "does not reach" if (source, output, target, port) in expected else "must not reach"
        yield f"value {output} of {source} {word} the port {port} of {target}"
        return
    for place, matrix in expected.items():
        if (added(found[place], matrix.shape) - matrix).entries:
            yield f"value {place[1]} of {place[0]} does not reach the port {place[3]} of {place[2]} where its ends are"
    ports = [s.port for s in graph.synapses if s.target == channels.population and s.source != name]
    if any(port != "arrival" for port in ports):
        yield f"{channels.population} hears more than its drive and the answers of {name}"


def _expected(channels: Channels, field: Field, name: str) -> dict[_Place, Rows]:
    """Weights between channels and cells."""
    size, cells = channels.source.size, np.arange(field.cells, dtype=np.int64)
    own = from_triplets(cells, cells, np.ones(field.cells, np.int64), (field.cells, field.size))
    expected: dict[_Place, Rows] = {(field.holder, 0, name, "mass"): own}
    for output, (end, ends) in enumerate((("source", channels.source), ("target", channels.target)), 1):
        at_cell = np.flatnonzero(ends < field.cells)
        ones = np.ones(at_cell.size, np.int64)
        expected[channels.population, output, name, "leaving"] = from_triplets(
            ends[at_cell], at_cell, ones, (field.cells, size)
        )
        expected[name, 0, channels.population, f"{end}_short"] = from_triplets(
            at_cell, ends[at_cell], ones, (size, field.cells)
        )
    return expected
