"""What the compiler's placement saves: writes ``docs/results/placement.md``.

Run it from the root of a checkout with ``python -m benchmarks.placement``. Models of the zoo are compiled for loihi2
and placed by each method; everything is counted anew.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pisnn_deploy.compiler import CompileOptions, Lower, compile_model
from pisnn_deploy.compiler.options import PlacementMethod
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

PAGE = Path(__file__).parents[1] / "docs" / "results" / "placement.md"
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
"""Cores of the chip of the second table, so that meshes of this size take several chips."""

BEFORE = """# Placement

Populations are cut onto the cores of loihi2, within its limits, in the order of their indices (consecutive cells), into
blocks as near to cubes as possible, or by METIS. An axon between cores is a source neuron that reaches a core other
than its own; the factor is that of the index order over the method. Seconds are those of the pass `place`.

"""
BETWEEN = f"""
The same with chips of {SMALL_CHIP} cores, for the meshes that then take several:

"""
AFTER = """
Along a line blocks are the index order. Made by `python -m benchmarks.placement`.
"""


@dataclass(frozen=True)
class Cost:
    """What one placement costs."""

    cores: int
    chips: int
    between_cores: int
    between_chips: int
    seconds: float


def cost(graph: IntegerGraph, method: PlacementMethod, usable: int | None) -> Cost:
    """Place a graph on loihi2, or on one with chips of `usable` cores and as many as it takes, and count axons."""
    profile = load_profile("loihi2")
    if usable is not None:
        few = profile.chip.cores_usable.model_copy(update={"value": usable, "low": None, "high": None})
        many = profile.system.chips.model_copy(update={"value": None})
        chip = profile.chip.model_copy(update={"cores_usable": few})
        profile = profile.model_copy(update={"chip": chip, "system": profile.system.model_copy(update={"chips": many})})
    started = time.perf_counter()
    placement = Place(profile, method)(graph).placement
    seconds = time.perf_counter() - started
    assert placement is not None
    cores = chips = 0
    for synapse in graph.synapses:
        first, length, target = placement.axons[synapse.name].T
        cores += int(length.sum())
        neuron = np.arange(length.sum()) + np.repeat(first - (np.cumsum(length) - length), length)
        origin = placement.chip[placement.core[synapse.source][neuron]]
        chips += int((origin != placement.chip[np.repeat(target, length)]).sum())
    return Cost(placement.cores, placement.chips, cores, chips, seconds)


def factor(baseline: int, value: int) -> str:
    """How many times fewer, for the table."""
    return "-" if not value else f"{baseline / value:.2f}"


def table(graphs: dict[str, IntegerGraph], usable: int | None) -> tuple[list[str], dict[str, list[float]]]:
    """Lines of one table, and the factors of each method between cores on planes that take several cores."""
    lines = [
        "| mesh | method | cores | chips | axons between cores | factor | axons between chips | factor | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    factors: dict[str, list[float]] = {method: [] for method in METHODS}
    for name, graph in graphs.items():
        index = cost(graph, "index", usable)
        if usable is not None and index.chips == 1:
            continue
        for method in METHODS:
            placed = index if method == "index" else cost(graph, method, usable)
            lines.append(
                f"| {name} | {method} | {placed.cores} | {placed.chips} "
                f"| {placed.between_cores:,} | {factor(index.between_cores, placed.between_cores)} "
                f"| {placed.between_chips:,} | {factor(index.between_chips, placed.between_chips)} "
                f"| {placed.seconds:.2f} |"
            )
            if placed.between_cores and len(graph.mesh.shape) > 1:
                factors[method].append(index.between_cores / placed.between_cores)
    return lines, factors


def spread(factors: list[float]) -> str:
    """Range and geometric mean."""
    mean = math.exp(sum(map(math.log, factors)) / len(factors))
    return f"{min(factors):.2f} to {max(factors):.2f} (geometric mean {mean:.2f})"


def compiled(name: str, shape: tuple[int, ...]) -> IntegerGraph:
    """A model of the zoo, compiled for a mesh with the problem's own boundary."""
    with model_path(name) as path:
        model = read_checkpoint(path)
    return compile_model(
        model, CompileOptions(Lower(shape, problem(name).default_boundary(shape)), load_profile("loihi2"))
    )


def main() -> None:
    """Compile, place, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print only")
    arguments = parser.parse_args()
    graphs = {}
    for name, shape in CASES:
        sys.stderr.write(f"{name} {shape}\n")
        graphs[f"{name} {' x '.join(map(str, shape))}"] = compiled(name, shape)
    lines, factors = table(graphs, None)
    small, _ = table(graphs, SMALL_CHIP)
    verdict = (
        "On planes that take several cores, there are fewer axons between cores than in the index order by a factor of "
        f"{spread(factors['blocks'])} with blocks and of {spread(factors['metis'])} with METIS."
    )
    text = BEFORE + "\n".join([*lines, "", verdict, ""]) + BETWEEN + "\n".join([*small, ""]) + AFTER
    sys.stdout.write(text)
    if not arguments.dry_run:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
