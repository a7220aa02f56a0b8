"""Gain of searched over nearest integers for each model: writes ``docs/results/quantisation.md``.

Run it from the root of a checkout: ``python -m benchmarks.quantisation``.
"""

from __future__ import annotations

import sys

from benchmarks.common import PAGES, line, page_parser, publish, table
from benchmarks.parts.zoo import compiled, zoo_model
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import Model

PAGE = PAGES / "quantisation.md"
MODELS = ("heat1d", "heat2d", "laplace2d", "advection_diffusion1d", "burgers1d")
PROFILES = ("loihi2", "generic-int")
BEFORE = """# Search for better integers

Each model of the zoo, compiled for a target with 24-bit states (loihi2) and one with 32-bit states (generic-int).
Errors are relative L2 at the problem's horizon, from its own initial field: of the float weights, the nearest integers,
and the integers that the compiler chose (neighbouring kernels and thresholds; see
[compiler.md](../explanation/compiler.md)).

"""
BETWEEN = """
## Finer thresholds

Errors that the compiler measured before it chose. One more threshold bit halves the rounding of weights. It costs a bit
of the quantum if states are full, and a second synapse population (high and low part) for weights beyond 127. It is
chosen if it halves the error.

"""
COLUMNS = (
    *("model", "target", "threshold", "float", "nearest integers", "chosen integers", "gain", "synapse populations"),
)
AFTER = """
Made by `python -m benchmarks.quantisation`.
"""


def own_mesh(model: Model) -> tuple[int, ...]:
    """Mesh of a model whose equation has a length scale; else the default."""
    if model.spec.cell_width is None:
        return ()
    return tuple(round(length / model.spec.cell_width) for length in model.spec.lengths)


def main() -> None:
    """Compile, compare, write."""
    arguments = page_parser(__doc__).parse_args()
    rows, searches = [], []
    for name in MODELS:
        model = zoo_model(name)
        for profile in PROFILES:
            sys.stderr.write(f"{name} {profile}\n")
            graph = compiled(model, own_mesh(model), profile=profile, placement="index")
            quantisation = graph.quantisation
            nearest, chosen = quantisation.relative_l2_rounded, quantisation.relative_l2_integer
            assert nearest and chosen and quantisation.relative_l2_float
            errors = (f"{value:.1e}" for value in (quantisation.relative_l2_float, nearest, chosen))
            threshold, gain = f"2^{known_face(graph).exponent}", f"{nearest / chosen:.1f}"
            rows.append(line(name, profile, threshold, *errors, gain, len(graph.synapses) - 1))
            (search,) = (record.summary for record in graph.history if record.text == "search")
            searches.append(line(name, profile, search.partition("errors: ")[2]))
    chosen_table, search_table = table(COLUMNS, rows), table(("model", "target", "measured"), searches)
    text = BEFORE + "\n".join(chosen_table) + "\n" + BETWEEN + "\n".join(search_table) + "\n" + AFTER
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
