"""Traffic saved by the compiler's placement: writes ``docs/results/placement.md``.

Run it from the root of a checkout with ``python -m benchmarks.placement``. Models of the zoo are compiled for loihi2
and placed by each method; everything is counted again.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from benchmarks.common import PAGES, line, page_parser, publish, seconds, table
from benchmarks.parts.zoo import compiled
from pisnn_deploy.compiler.options import PlacementMethod
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import load_profile

PAGE = PAGES / "placement.md"
METHODS: tuple[PlacementMethod, ...] = ("index", "blocks", "metis")
CASES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("heat1d", (128,)),
    ("heat1d", (4096,)),
    ("heat2d", (64, 64)),
    ("heat2d", (256, 256)),
    ("laplace2d", (64, 64)),
    ("laplace2d", (128, 128)),
)
SMALL_CHIP = 4
"""Cores per chip in the second table, so that small meshes need several chips."""
COLUMNS = (
    *("mesh", "method", "cores", "chips", "axons between cores", "factor", "axons between chips", "factor", "seconds"),
)

BEFORE = """# Placement

Populations are cut onto the cores of loihi2, within its limits: in the order of their indices (consecutive cells), into
blocks as close to cubes as possible, or by METIS. An axon between cores is a source neuron that reaches another core;
the factor is the axons of the index order divided by those of the method. Seconds are those of the pass `place`.

"""
BETWEEN = f"""
The same with {SMALL_CHIP} cores per chip, for meshes that then need several chips:

"""
AFTER = """
On a line, blocks equal the index order. Made by `python -m benchmarks.placement`.
"""


@dataclass(frozen=True)
class Cost:
    """Cost of a placement."""

    cores: int
    chips: int
    between_cores: int
    between_chips: int
    seconds: float


def cost(graph: IntegerGraph, method: PlacementMethod, usable: int | None) -> Cost:
    """Place a graph on loihi2, or on any number of chips with `usable` cores each, and count axons."""
    profile = load_profile("loihi2")
    if usable is not None:
        few = profile.chip.cores_usable.model_copy(update={"value": usable, "low": None, "high": None})
        many = profile.system.chips.model_copy(update={"value": None})
        chip = profile.chip.model_copy(update={"cores_usable": few})
        profile = profile.model_copy(update={"chip": chip, "system": profile.system.model_copy(update={"chips": many})})
    placed: list[IntegerGraph] = []
    took = seconds(lambda: placed.append(Place(profile, method)(graph)))
    placement = placed[0].placement
    assert placement is not None
    cores = chips = 0
    for synapse in graph.synapses:
        first, length, target = placement.axons[synapse.name].T
        cores += int(length.sum())
        neuron = np.arange(length.sum()) + np.repeat(first - (np.cumsum(length) - length), length)
        origin = placement.chip[placement.core[synapse.source][neuron]]
        chips += int((origin != placement.chip[np.repeat(target, length)]).sum())
    return Cost(placement.cores, placement.chips, cores, chips, took)


def factor(baseline: int, value: int) -> str:
    """Ratio of baseline to value, for the table."""
    return "-" if not value else f"{baseline / value:.2f}"


def compared(graphs: dict[str, IntegerGraph], usable: int | None) -> tuple[list[str], dict[str, list[float]]]:
    """Lines of one table, and each method's factors between cores on planes that need several cores."""
    rows = []
    factors: dict[str, list[float]] = {method: [] for method in METHODS}
    for name, graph in graphs.items():
        index = cost(graph, "index", usable)
        if usable is not None and index.chips == 1:
            continue
        for method in METHODS:
            placed = index if method == "index" else cost(graph, method, usable)
            axons = (
                *(f"{placed.between_cores:,}", factor(index.between_cores, placed.between_cores)),
                *(f"{placed.between_chips:,}", factor(index.between_chips, placed.between_chips)),
            )
            rows.append(line(name, method, placed.cores, placed.chips, *axons, f"{placed.seconds:.2f}"))
            if placed.between_cores and len(graph.mesh.shape) > 1:
                factors[method].append(index.between_cores / placed.between_cores)
    return table(COLUMNS, rows), factors


def spread(factors: list[float]) -> str:
    """Format the range and the geometric mean."""
    mean = math.exp(sum(map(math.log, factors)) / len(factors))
    return f"{min(factors):.2f} to {max(factors):.2f} (geometric mean {mean:.2f})"


def main() -> None:
    """Compile, place, count, write."""
    arguments = page_parser(__doc__).parse_args()
    graphs = {}
    for name, shape in CASES:
        sys.stderr.write(f"{name} {shape}\n")
        graphs[f"{name} {' x '.join(map(str, shape))}"] = compiled(name, shape)
    lines, factors = compared(graphs, None)
    small, _ = compared(graphs, SMALL_CHIP)
    verdict = (
        "On planes that need several cores, the index order has more axons between cores by a factor of "
        f"{spread(factors['blocks'])} than blocks and of {spread(factors['metis'])} than METIS."
    )
    text = BEFORE + "\n".join([*lines, "", verdict, ""]) + BETWEEN + "\n".join([*small, ""]) + AFTER
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
