"""Pictures of a graph: its populations and the synapses between them."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_whole

_QUANTITY = {"membrane": "mass", "flux": "current"}


def dot_text(graph: IntegerGraph) -> str:
    """The graph in graphviz's language.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    str
    """
    lines = [f'digraph "{graph.spec.name}" {{', "  rankdir=LR;", "  node [shape=box];"]
    for name in graph.chain:
        lines.append(f'  "{name}" [label="{name}\\n{graph.size(name)} neurons"];')
    for synapse in graph.synapses:
        lines.append(
            f'  "{synapse.source}" -> "{synapse.target}" [label="{synapse.name}\\n{synapse.entries} entries"];'
        )
    return "\n".join([*lines, "}", ""])


def draw_graph(path: Path, graph: IntegerGraph) -> None:
    """Draw the populations as boxes and the synapses as arrows.

    Parameters
    ----------
    path : Path
        A ``.png`` file; written whole or not at all.
    graph : IntegerGraph

    Raises
    ------
    FileError
        The file cannot be written.
    """
    chain = graph.chain
    figure = Figure(figsize=(3.2 * len(chain) + 0.8, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlim=(-0.6, len(chain) - 0.4), ylim=(-1.25, 1.0))
    axes.axis("off")
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    for place, name in enumerate(chain):
        width = bits.get((name, _QUANTITY.get(name, "activation")))
        text = f"{name}\n{graph.size(name)} neurons" + (f"\n{width} bits" if width else "")
        box = {"boxstyle": "round,pad=0.6", "facecolor": "#ebf4ff", "edgecolor": "#2b6cb0"}
        axes.text(place, 0, text, ha="center", va="center", fontsize=11, bbox=box)
    for source, target in (*zip(chain, chain[1:], strict=False), (chain[-1], chain[0])):
        parts = list(graph.between(source, target))
        start, end = chain.index(source), chain.index(target)
        back = end < start
        arrow = {"arrowstyle": "-|>", "color": "#4a5568", "connectionstyle": f"arc3,rad={-0.35 if back else 0}"}
        ends = ((start, -0.32), (end, -0.32)) if back else ((start + 0.28, 0), (end - 0.28, 0))
        axes.annotate("", xytext=ends[0], xy=ends[1], arrowprops=arrow)
        text = "\n".join(f"{synapse.name}: {synapse.entries} entries" for synapse in parts)
        axes.text((start + end) / 2, -1.1 if back else 0.36, text, ha="center", va="bottom", fontsize=9)
    schedule = (
        "not scheduled" if graph.period is None else f"{graph.period} time steps a PDE step, {graph.coding} coding"
    )
    axes.set_title(f"{graph.spec.name}: {schedule}", fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_whole(path, buffer.getvalue())
