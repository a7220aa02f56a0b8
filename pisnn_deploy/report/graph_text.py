"""Text about a graph: for Graphviz, and sentences for pictures and reports."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.core.printable import printable
from pisnn_deploy.graph import IntegerGraph, Placement, Synapse

COLOUR = {"membrane": "#dceaf7", "flux": "#fde8d3"}
"""Colour of populations by name."""
HIDDEN_COLOUR = "#eceff1"
"""Colour of other populations."""


def dot_text(graph: IntegerGraph) -> str:
    """Format the graph for Graphviz, with populations as nodes, synapses as edges, and a summary of the placement."""
    title = [f"{graph.spec.name}: {schedule_sentence(graph)}"]
    if graph.placement is not None:
        title.append(placement_sentence(graph, graph.placement))
    lines = [
        f"digraph {_quoted([graph.spec.name])} {{",
        f"  label={_quoted(title)};",
        "  labelloc=t;",
        "  rankdir=LR;",
        '  graph [fontname="sans-serif"];',
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=11];',
    ]
    for name in graph.chain:
        details = [name, f"{graph.size(name):,} neurons"]
        details += [f"{b.quantity}: {b.bits} bits" for b in graph.bounds if b.population == name]
        if graph.placement is not None:
            cores = int(np.unique(graph.placement.core[name]).size)
            details.append(f"on {cores:,} core{'' if cores == 1 else 's'}")
        colour = COLOUR.get(name, HIDDEN_COLOUR)
        lines.append(f'  {_quoted([name])} [label={_quoted(details)}, fillcolor="{colour}"];')
    for synapse in graph.synapses:
        label = _quoted([synapse.name, f"{synapse.entries:,} entries", weights_text(synapse)])
        lines.append(f"  {_quoted([synapse.source])} -> {_quoted([synapse.target])} [label={label}];")
    return "\n".join([*lines, "}", ""])


def _quoted(lines: list[str]) -> str:
    """Quote lines of text as one Graphviz string, with backslashes and quotes escaped."""
    escaped = (printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def schedule_sentence(graph: IntegerGraph) -> str:
    """Number of time steps per PDE step, and the coding."""
    if graph.period is None:
        return "not scheduled"
    return f"{graph.period} time steps per PDE step, {graph.coding} coding"


def weights_text(synapse: Synapse) -> str:
    """Range of a synapse's mantissas, and their common exponent."""
    distinct = synapse.distinct_mantissas
    if not distinct.size:
        return "no weights"
    return f"weights {int(distinct.min())} to {int(distinct.max())}, times 2^{synapse.exponent}"


def placement_sentence(graph: IntegerGraph, placement: Placement) -> str:
    """Summary of a placement: numbers of cores, chips and axons between cores."""
    axons = sum(int(runs[:, 1].sum()) for runs in placement.axons.values())
    return (
        f"{_number(placement.cores, 'core')} on {_number(placement.chips, 'chip')} of "
        f"{printable(graph.profile) or 'the target'} "
        f"(by {placement.method}), {_number(axons, 'axon')} between cores"
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
