"""What the search of integers gains over the nearest ones, model by model: writes ``docs/results/quantisation.md``.

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
BEFORE = """# What the search of integers gains

Each model of the zoo, compiled for a target with 24-bit states (loihi2) and one with 32 (generic-int). Errors are
relative L2 on the problem's own start at its horizon: of the float weights, of the nearest integers, and of those that
the compiler chose (kernel beside the nearest one, threshold; see [compiler.md](../explanation/compiler.md)).

"""
BETWEEN = """
## What a finer threshold costs and gives

What the compiler measured before it chose. A threshold of one bit more rounds weights half as much; where states are
full it costs a bit of the quantum, and weights beyond 127 take a second synapse population (high and low part). It is
taken if it halves the error.

"""
COLUMNS = (
    *("model", "target", "threshold", "float", "nearest integers", "chosen integers", "gain", "synapse populations"),
)
AFTER = """
Made by `python -m benchmarks.quantisation`.
"""


def own_mesh(model: Model) -> tuple[int, ...]:
    """The mesh that a model belongs to, where its equation has a length of its own; else nothing."""
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
