"""Invariance of the zoo under all transformations: writes ``docs/results/invariance.md``.

Run it from the root of a checkout: ``python -m benchmarks.invariance``. It takes about 15 minutes, most of them for
starts of Lava.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import BUILD, PAGES, line, page_parser, publish, table, times
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.invariance import DIFFERS, EQUAL, INAPPLICABLE, Row, invariance_rows
from pisnn_deploy.invariance.table import installed_backends
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request

PAGE = PAGES / "invariance.md"
STEPS = 8
PLATE = Path("examples/plate_with_hole")
VERDICTS = (EQUAL, DIFFERS, INAPPLICABLE)

CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("heat1d", {"mesh": "48"}),
    ("heat1d", {"mesh": "24", "boundary": "dirichlet=0,1", "limiter": "positivity", "slope": 60.0}),
    ("heat1d", {"mesh": "24", "boundary": "dirichlet=0,1", "residues": "seen", "slope": 60.0}),
    ("heat1d", {"mesh": "24", "processes": "stock"}),
    ("heat1d", {"mesh": "24", "profile": "loihi1"}),
    ("heat2d", {"mesh": "12x10", "boundary": "x=no-flux y=periodic"}),
    (
        "heat2d",
        {
            "mesh": str(PLATE / "plate.msh"),
            "materials": PLATE / "materials.yaml",
            "boundary": "hole=dirichlet=1 left=dirichlet=0 right=dirichlet=0",
            "value_range": "0,1",
        },
    ),
    ("laplace2d", {"mesh": "32x32"}),
    ("advection_diffusion1d", {}),
    ("burgers1d", {}),
    ("heat3d", {"mesh": "8x8x8"}),
    ("advection_diffusion2d", {"mesh": "12x12"}),
    ("burgers2d", {"mesh": "12x12"}),
    ("cahn_hilliard2d", {"mesh": "12x12"}),
    ("gray_scott2d", {"mesh": "12x12"}),
    ("lake1d", {"mesh": "32"}),
    ("lwr", {"mesh": "32"}),
    ("porous_medium", {"mesh": "32"}),
    ("shallow_water1d", {"mesh": "32"}),
    ("shallow_water2d", {"mesh": "10x10"}),
    ("viscous_burgers1d", {"mesh": "32"}),
    ("wave1d", {"mesh": "32"}),
)
"""Models and laws of the zoo with options of their compilation, on small meshes."""

HEAD = """# Invariance of the zoo

`pisnn-deploy verify --invariance` runs an artifact under every transformation that must not change an integer, and
compares masses, ledgers, packets, currents and residues of every PDE step with those of the reference, for equality.
Here the zoo does so on small meshes, {steps} PDE steps each, on the backends {backends}: {count:,} integers, of
which {different} differ.

"""


def graph_of(model: str, options: Mapping[str, Any]) -> IntegerGraph:
    """Compile a case."""
    return compile_requested(compile_request(model, **options))[0]


def named(model: str, options: Mapping[str, Any], graph: IntegerGraph) -> str:
    """Short name of a case."""
    words = [f"{name} {value}" for name, value in options.items() if name not in ("mesh", "materials", "value_range")]
    return ", ".join([f"{model} on {times(graph.mesh.shape)} cells", *words])


def integers(row: Row) -> int:
    """Number of integers that a row compared."""
    number = row.compared.partition(" integers")[0].replace(",", "")
    return int(number) if number.isdecimal() else 0


def page(results: Mapping[str, Sequence[Row]]) -> str:
    """Format the page."""
    every = [row for rows in results.values() for row in rows]
    text = HEAD.format(
        steps=STEPS,
        backends=", ".join(installed_backends()),
        count=sum(map(integers, every)),
        different=sum(row.verdict == DIFFERS for row in every) or "none",
    )
    cases = [
        line(name, sum(map(integers, rows)), *(sum(row.verdict == verdict for row in rows) for verdict in VERDICTS))
        for name, rows in results.items()
    ]
    text += "\n".join(table(("artifact", "integers", *VERDICTS), cases)) + "\n\n## By transformation\n\n"
    by_kind: defaultdict[str, list[Row]] = defaultdict(list)
    for row in every:
        by_kind[re.sub(r" \(\d+\)|(?<=PDE step) \d+|(?<=onto) \d+", "", row.transformation)].append(row)
    kinds = [
        line(kind, *(sum(row.verdict == verdict for row in rows) for verdict in VERDICTS))
        for kind, rows in by_kind.items()
    ]
    text += "\n".join(table(("transformation", *VERDICTS), kinds))
    reasons: defaultdict[str, set[str]] = defaultdict(set)
    for kind, rows in by_kind.items():
        for row in rows:
            if row.verdict != EQUAL:
                reasons[re.sub(r": (packet|state).*", "", row.detail)].add(kind)
    text += "\n\n## Why some do not apply\n\n"
    text += "\n".join(f"* {', '.join(sorted(kinds))}: {reason}" for reason, kinds in reasons.items())
    return f"{text}\n\nMade by `python -m benchmarks.invariance`.\n"


def main() -> int:
    """Run all cases and write the page; 1 if an integer differs. Earlier rows are read from the folder ``build``."""
    arguments = page_parser(__doc__).parse_args()
    path = BUILD / "invariance.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    results = {name: [Row(**row) for row in rows] for name, rows in map(json.loads, lines)}
    for model, options in CASES[len(results) :]:
        graph = graph_of(model, options)
        name = named(model, options, graph)
        results[name] = list(invariance_rows(graph, STEPS))
        with path.open("a") as stream:
            stream.write(json.dumps([name, [vars(row) for row in results[name]]]) + "\n")
        sys.stderr.write(f"{name}: {[row for row in results[name] if row.verdict == DIFFERS] or 'equal'}\n")
    publish(PAGE, page(results), dry_run=arguments.dry_run)
    return int(any(row.verdict == DIFFERS for rows in results.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
