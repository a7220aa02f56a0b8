"""Models on every target: writes ``docs/results/targets.md`` and the figures of the profiles of boards."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.common import BUILD
from benchmarks.parts.circuits import FAMILIES
from benchmarks.parts.fitted import Fitted, fitted
from benchmarks.parts.instructions import MACHINES
from benchmarks.parts.on_targets import at_once_on_fpgas, on_processors, serially_on_fpgas
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.target.work import c_work, circuit_work

KEPT = BUILD / "targets.json"
MODELS: Mapping[str, str] = {
    "heat1d": "64",
    "examples/laws/melting.yaml": "24",
    "porous_medium": "64",
    "wave1d": "64",
    "lwr": "64",
    "heat2d": "12x12",
    "examples/laws/on_ramp.yaml": "32",
    "examples/laws/sunny_wall.yaml": "24",
    "cahn_hilliard2d": "12x12",
    "laplace2d": "32x32",
    "heat3d": "6x6x6",
    "burgers2d": "12x12",
    "advection_diffusion1d": "256",
    "burgers1d": "256",
    "advection_diffusion2d": "12x12",
    "viscous_burgers1d": "64",
    "gray_scott2d": "8x8",
    "shallow_water1d": "64",
    "lake1d": "64",
    "shallow_water2d": "6x6",
}
"""Models of the zoo and laws of the examples, with cells that most boards have room for."""
AT_ONCE: Mapping[str, str] = {"heat1d": "16", "examples/laws/melting.yaml": "8", "wave1d": "8", "porous_medium": "12"}
"""Circuits with all neurons at once."""
CODE = ("fixed_bytes", "operation_bytes", "wide_operation_bytes", "loop_bytes")
CYCLES = ("operation", "wide_operation", "synapse", "neuron")
CELLS = ("fixed_cells", "operation_bit_cells", "array_bit_cells")


def graph_of(name: str, mesh: str) -> IntegerGraph:
    """Compile a model."""
    graph, _ = compile_requested(compile_request(name, mesh=mesh))
    return graph


def measure() -> dict[str, Any]:
    """Measure all models, and keep what is known if interrupted: runs first, because synthesis takes longest."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    tasks = [(f"{name} {mesh}", name, mesh, on_processors) for name, mesh in MODELS.items()]
    tasks += [(f"{name} {mesh} at once", name, mesh, at_once_on_fpgas) for name, mesh in AT_ONCE.items()]
    tasks += [(f"{name} {mesh} one by one", name, mesh, serially_on_fpgas) for name, mesh in MODELS.items()]
    for key, name, mesh, task in tasks:
        if key not in kept:
            kept[key] = task(graph_of(name, mesh))
            KEPT.write_text(json.dumps(kept, indent=1))
            print(key, flush=True)
    return kept


def fits(kept: Mapping[str, Any]) -> dict[str, Fitted]:
    """Figures of the profiles of boards, by profile; keys are those of profiles."""
    works = {f"{name} {mesh}": (name, mesh) for name, mesh in MODELS.items()}
    graphs = {key: graph_of(*works[key]) for key in works if key in kept}
    figures: dict[str, Fitted] = {}
    in_c = {key: c_work(graph) for key, graph in graphs.items()}
    for profile in MACHINES:
        found = {key: kept[key]["c"][profile] for key in graphs if profile in kept[key]["c"]}
        rows = [in_c[key] for key in found]
        code = [sizes["flash"] - in_c[key].table_bytes for key, sizes in found.items()]
        sources = [(1, work.written, work.wide_written, work.loops) for work in rows]
        figures[profile] = {f"code.{key}": ends for key, ends in fitted(CODE, sources, code, code).items()}
        counts = [(work.operations, work.wide_operations, work.synapses, work.neurons) for work in rows]
        ends = ([sizes[f"{end}_cycles"] for sizes in found.values()] for end in ("fewest", "most"))
        figures[profile] |= {f"cycles.{key}": ends for key, ends in fitted(CYCLES, counts, *ends).items()}
    circuits = {key: circuit_work(graph) for key, graph in graphs.items()}
    for profile in FAMILIES:
        known = {key: kept.get(f"{key} one by one", {}).get(profile) for key in graphs}
        found = {key: sizes for key, sizes in known.items() if sizes}
        bits = [(1, circuits[key].operation_bits, circuits[key].array_bits) for key in found]
        cells = [sizes["cells"] for sizes in found.values()]
        figures[profile] = {f"circuit.{key}": ends for key, ends in fitted(CELLS, bits, cells, cells).items()}
        clocks = sorted(sizes["mhz"] for sizes in found.values() if "mhz" in sizes)
        if clocks:
            figures[profile]["clock.mhz"] = (clocks[len(clocks) // 2], clocks[0], clocks[-1])
    return figures


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fit", action="store_true", help="print the figures of profiles from what was measured so far"
    )
    if parser.parse_args().fit:
        for profile, figures in fits(json.loads(KEPT.read_text())).items():
            for name, (value, low, high) in figures.items():
                print(f"{profile} {name}: {{value: {value}, low: {low}, high: {high}}}")
        return
    measure()


if __name__ == "__main__":
    main()
