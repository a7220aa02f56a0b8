"""What the search of integers gains over the nearest ones, model by model: writes ``docs/results/quantisation.md``.

Run it from the root of a checkout: ``python -m benchmarks.quantisation``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

PAGE = Path(__file__).parents[1] / "docs" / "results" / "quantisation.md"
MODELS = ("heat1d", "heat2d", "laplace2d", "advection_diffusion1d", "burgers1d")
PROFILES = ("loihi2", "generic-int")
BEFORE = """# What the search of integers gains

Each model of the zoo, compiled for a target with 24-bit states (loihi2) and one with 32 (generic-int). Errors are
relative L2 on the problem's own start at its horizon: of the float weights, of the nearest integers, and of those that
the compiler chose (kernel beside the nearest one, threshold; see [compiler.md](../explanation/compiler.md)).

| model | target | threshold | float | nearest integers | chosen integers | gain | synapse populations |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
BETWEEN = """
## What a finer threshold costs and gives

What the compiler measured before it chose. A threshold of one bit more rounds weights half as much; where states are
full it costs a bit of the quantum, and weights beyond 127 take a second synapse population (high and low part). It is
taken if it halves the error.

| model | target | measured |
| --- | --- | --- |
"""
AFTER = """
Made by `python -m benchmarks.quantisation`.
"""


def compiled(model: Model, profile: str) -> IntegerGraph:
    """A model on its own mesh."""
    own = problem(model.spec.problem)
    shape = own.default_shape
    if model.spec.cell_width is not None:
        shape = tuple(round(length / model.spec.cell_width) for length in model.spec.lengths)
    options = CompileOptions(Lower(shape, own.default_boundary(shape)), load_profile(profile))
    return compile_model(model, replace(options, graph=GraphOptions(placement="index")))


def main() -> None:
    """Compile, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print only")
    arguments = parser.parse_args()
    rows, searches = [], []
    for name in MODELS:
        with model_path(name) as path:
            model = read_checkpoint(path)
        for profile in PROFILES:
            sys.stderr.write(f"{name} {profile}\n")
            graph = compiled(model, profile)
            quantisation = graph.quantisation
            assert (
                quantisation.relative_l2_rounded and quantisation.relative_l2_integer and quantisation.relative_l2_float
            )
            rows.append(
                f"| {name} | {profile} | 2^{known_face(graph).exponent} | {quantisation.relative_l2_float:.1e} "
                f"| {quantisation.relative_l2_rounded:.1e} | {quantisation.relative_l2_integer:.1e} "
                f"| {quantisation.relative_l2_rounded / quantisation.relative_l2_integer:.1f} "
                f"| {len(graph.synapses) - 1} |"
            )
            (search,) = (record.summary for record in graph.history if record.text == "search")
            searches.append(f"| {name} | {profile} | {search.partition('errors: ')[2]} |")
    text = BEFORE + "\n".join(rows) + "\n" + BETWEEN + "\n".join(searches) + "\n" + AFTER
    sys.stdout.write(text)
    if not arguments.dry_run:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
