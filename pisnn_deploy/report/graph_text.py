"""A graph in words: as Graphviz's text, and sentences that pictures and reports share."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.core.printable import printable
from pisnn_deploy.graph import IntegerGraph, Placement, Synapse

COLOUR = {"membrane": "#dceaf7", "flux": "#fde8d3"}
"""Of a population, by its name."""
HIDDEN_COLOUR = "#eceff1"
"""Of the other populations."""


def dot_text(graph: IntegerGraph) -> str:
    """The graph in Graphviz's language: populations as nodes, synapses as edges; of a placed graph, how many cores."""
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
    """Lines of text as one string of Graphviz's language, whose labels give backslashes and quotes a meaning."""
    escaped = (printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def schedule_sentence(graph: IntegerGraph) -> str:
    """How many time steps a PDE step takes, and how values are sent."""
    if graph.period is None:
        return "not scheduled"
    return f"{graph.period} time steps per PDE step, {graph.coding} coding"


def weights_text(synapse: Synapse) -> str:
    """The mantissas that a synapse has, and the exponent that they share."""
    distinct = synapse.distinct_mantissas
    if not distinct.size:
        return "no weights"
    return f"weights {int(distinct.min())} to {int(distinct.max())}, times 2^{synapse.exponent}"


def placement_sentence(graph: IntegerGraph, placement: Placement) -> str:
    """How many cores and chips a placement takes, and how many axons it leaves between cores."""
    axons = sum(int(runs[:, 1].sum()) for runs in placement.axons.values())
    return (
        f"{_number(placement.cores, 'core')} on {_number(placement.chips, 'chip')} of "
        f"{printable(graph.profile) or 'the target'} "
        f"(by {placement.method}), {_number(axons, 'axon')} between cores"
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
