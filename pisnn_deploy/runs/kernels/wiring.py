"""Weights of the synapses of a graph, and of the ends of its channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pisnn_deploy.core.rows import added, starts_of
from pisnn_deploy.graph.connections import CellEnds, Ends, Incidence, Stencil
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.synapse import Synapse, are_whole, effective
from pisnn_deploy.runs.kernels.weights import Columns, Repeating, Spelled, Weights


def into_ends(ends: Integers, holders: int) -> tuple[Integers, ...]:
    """Channels with an end in each holder: int64 [holders] for each, -1 for none."""
    order = np.argsort(ends, kind="stable")
    counts = np.bincount(ends, minlength=holders)
    starts = starts_of(counts)[:-1]
    columns = []
    for place in range(int(counts.max(initial=0))):
        has = counts > place
        columns.append(np.where(has, order[np.minimum(starts + place, ends.size - 1)], -1))
    return tuple(columns)


def incidence(source: Integers, target: Integers, holders: int, weight: int) -> Columns:
    """Weights with which holders hear channels: `weight` where packets enter, its negative where they leave."""
    entering, leaving = into_ends(target, holders), into_ends(source, holders)
    weights = (*(weight for _ in entering), *(-weight for _ in leaving))
    return Columns((*entering, *leaving), weights, holders)


def at_ends(holders: Sequence[Integers], weights: Sequence[int | Integers]) -> Columns:
    """Weights with which channels hear the holders at their ends; -1 for none."""
    return Columns(tuple(holders), tuple(weights), int(holders[0].size))


def weights_into(graph: IntegerGraph, target: str, port: str) -> list[tuple[str, int, Weights]]:
    """Sources of a port: population and output that send, and the weights of their neurons."""
    synapses: dict[tuple[str, int], list[Synapse]] = {}
    for synapse in graph.into(target, port):
        synapses.setdefault((synapse.source, synapse.output), []).append(synapse)
    return [(source, output, _weights(alike)) for (source, output), alike in synapses.items()]


def _weights(synapses: list[Synapse]) -> Weights:
    if len(synapses) > 1:
        merged = _stencil(synapses)
        return Spelled(added((s.matrix() for s in synapses), synapses[0].matrix().shape)) if merged is None else merged
    (synapse,) = synapses
    connections = synapse.connections
    match connections:
        case Stencil(outputs_per_face=1):
            repeating = _stencil(synapses)
            if repeating is not None:
                return repeating
        case Incidence() if are_whole(np.array([connections.value]), synapse.exponent):
            weight = int(effective(np.array([connections.value]), synapse.exponent)[0])
            return incidence(connections.source, connections.target, connections.holders, weight)
        case Ends() if are_whole(np.array([connections.value]), synapse.exponent):
            weight = int(effective(np.array([connections.value]), synapse.exponent)[0])
            return at_ends([np.where(connections.holder < connections.cells, connections.holder, -1)], [weight])
        case CellEnds() if are_whole(np.array([connections.at_source, connections.at_target]), synapse.exponent):
            ends = []
            for place, value in (
                (connections.source, connections.at_source),
                (connections.target, connections.at_target),
            ):
                weight = int(effective(np.array([value]), synapse.exponent)[0])
                columns = into_ends(place, max(int(place.max(initial=0)) + 1, connections.cells)) if value else ()
                ends += [(each[: connections.cells], weight) for each in columns]
            return Columns(tuple(each for each, _ in ends), tuple(weight for _, weight in ends), connections.cells)
    return Spelled(synapse.matrix())


def _stencil(synapses: list[Synapse]) -> Repeating | None:
    """Weights of stencils on the same boxes; None if they are not, or no integers."""
    first = synapses[0].connections
    if not isinstance(first, Stencil) or first.outputs_per_face != 1:
        return None
    boxes = first.boxes.axis.size
    starts, offsets, weights = [0], [], []
    for synapse in synapses:
        other = synapse.connections
        if not isinstance(other, Stencil) or not _same_boxes(first, other):
            return None
        if not are_whole(other.values, synapse.exponent):
            return None
    for box in range(boxes):
        for synapse in synapses:
            other = synapse.connections
            assert isinstance(other, Stencil)
            part = slice(int(other.starts[box]), int(other.starts[box + 1]))
            offsets.append(other.offsets[part])
            weights.append(effective(other.values[part], synapse.exponent))
        starts.append(starts[-1] + sum(each.size for each in weights[-len(synapses) :]))
    joint = Stencil(
        first.mesh, first.boxes, np.array(starts, np.int64), np.concatenate(offsets), np.concatenate(weights), 1
    )
    return Repeating(joint, np.asarray(joint.values, np.int64))


def _same_boxes(first: Stencil, other: Stencil) -> bool:
    ours, theirs = first.boxes, other.boxes
    pairs = ((ours.axis, theirs.axis), (ours.lower, theirs.lower), (ours.shape, theirs.shape))
    return other.outputs_per_face == 1 and all(np.array_equal(a, b) for a, b in pairs)
