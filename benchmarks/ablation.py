"""Ablation of training and compilation options: writes ``docs/results/ablation.md``.

Run it from the root of a checkout with ``make results``. Each row trains the zoo's recipe with one change.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import sys
from typing import Any

from benchmarks.common import BUILD, PAGES, line, table
from benchmarks.parts.zoo import compiled, error, horizon_steps
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.project.zoo import recipe_path
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.training.recipe import Recipe, read_recipe
from pisnn_deploy.training.trainer import train

PAGE = PAGES / "ablation.md"
STATE = BUILD / "ablation.state"

BEFORE = """# Ablation

Each row trains the zoo's recipe with one change, compiles it and runs it on integers. Errors are relative L2 at the
horizon T of the float weights, the nearest integers and the integers found by the compiler's search; the last also at
10 T.

"""
AFTER = """Where two rows deploy the same integers, the compiler's search of neighbouring kernels made up for the
difference.

Made by `make results`.
"""
COLUMNS = ("change", "float", "nearest integers", "searched integers", "at 10 T", "run")
NEVER = {"training": {"quantised_from": 1.0}}
CHANGES: dict[str, tuple[tuple[str, dict[str, dict[str, Any]]], ...]] = {
    "heat1d": (
        ("baseline: integers in the last 20 % of the epochs", {}),
        ("integers from the first epoch", {"training": {"quantised_from": 0.0}}),
        ("no integers in training", NEVER),
        ("single PDE steps, no rollouts", {"training": {"horizons": (1,)}}),
        ("longest rollouts from the start", {"training": {"horizons": (16,)}}),
        ("moments not built in", {"training": {"consistent": False}}),
        ("symmetry not built in", {"training": {"symmetric": False}}),
        ("initial fields with noise of 1e-3", {"training": {"noise": 1e-3}}),
        ("penalty on growing waves", {"training": {"stability": 1.0}}),
    ),
    "advection_diffusion1d": (
        ("baseline: penalty on growing waves", {}),
        ("no penalty", {"training": {"stability": 0.0}}),
        ("moments not built in", {"training": {"consistent": False}}),
        ("initial fields with noise of 1e-3", {"training": {"noise": 1e-3}}),
        ("no integers in training", NEVER),
    ),
    "heat2d": (
        ("baseline: a face also sees the neighbouring lines", {}),
        ("a face sees only its own line", {"model": {"transverse": 0}}),
        ("symmetry not built in", {"training": {"symmetric": False}}),
    ),
    "laplace2d": (
        ("baseline: parabolic ghost cells, friction", {}),
        ("odd reflection in ghost cells", {"model": {"wall": "reflection"}}),
        ("one cell on each side", {"model": {"half_width": 1}}),
        ("half the friction", {"model": {"damping": 4.45}}),
        ("twice the friction", {"model": {"damping": 17.8}}),
        ("no penalty on growing waves", {"training": {"stability": 0.0}}),
    ),
    "burgers1d": (
        ("baseline: compensated rounding", {}),
        ("rounding to nearest", {"training": {"rounding": "nearest"}}),
        ("rollouts of only 32 PDE steps", {"training": {"horizons": (32,), "iterations": (8,)}}),
        ("no quiet fields", {"training": {"quiet_fields": 0}}),
    ),
}


def changed(recipe: Recipe, changes: dict[str, dict[str, Any]]) -> Recipe:
    """Recipe with some fields changed, validated again."""
    plain = recipe.model_dump(mode="json")
    for part, fields in changes.items():
        plain[part].update(fields)
    return Recipe.model_validate(plain)


def measured(what: str, recipe: Recipe) -> str:
    """Train and run one recipe; return a row of the table."""
    try:
        trained = train(recipe, state_path=STATE)
        graph = compiled(trained.model)
        steps = horizon_steps(graph)
        far = run_graph("fast", graph, graph.initial, RunOptions(10 * steps, every=10 * steps))
    except PisnnError as refusal:
        return line(what, *"----", str(refusal).replace("|", "/"))
    quantisation, nearest = graph.quantisation, None
    with contextlib.suppress(PisnnError):
        nearest = compiled(trained.model, search=False).quantisation.relative_l2_integer
    late = error(graph, far.trace.mass[-1], 10 * steps) if far.conserved else math.nan
    claim = graph.certificate.stability.status if graph.certificate else "none"
    verdict = "conserved" if far.conserved else far.failure.replace("|", "/")
    errors = (quantisation.relative_l2_float, nearest, quantisation.relative_l2_integer, late)
    shown = ("-" if value is None or math.isnan(value) else f"{value:.1e}" for value in errors)
    return line(what, *shown, f"{verdict}; stability {claim}")


def section(name: str) -> str:
    """Measure the rows of one problem; return a section of the page."""
    with recipe_path(name) as path:
        recipe = read_recipe(path)
    rows = []
    for what, change in CHANGES[name]:
        sys.stderr.write(f"{name}: {what}\n")
        rows.append(measured(what, changed(recipe, change)))
    return "\n".join([f"## {name}", "", *table(COLUMNS, rows)]) + "\n\n"


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=tuple(CHANGES), action="append", help="measure only these, keep the rest")
    only = parser.parse_args().only or tuple(CHANGES)
    STATE.parent.mkdir(parents=True, exist_ok=True)
    known = dict(re.findall(r"(?ms)^## (\w+)\n(.*?\n)(?=^## |^Where)", PAGE.read_text())) if PAGE.exists() else {}
    parts = {name: section(name) if name in only else f"## {name}\n{known.get(name, '')}" for name in CHANGES}
    PAGE.write_text(BEFORE + "".join(parts.values()) + AFTER)


if __name__ == "__main__":
    main()
