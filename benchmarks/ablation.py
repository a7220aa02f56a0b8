"""What each switch of training and compilation is worth: writes ``docs/results/ablation.md``.

Run it from the root of a checkout with ``make results``. Each line trains the zoo's recipe with one thing changed.
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

BEFORE = """# What each switch is worth

Each line trains the zoo's recipe with one thing changed, compiles it and runs it on integers. Errors are relative L2
at the horizon T: of the float weights, of the nearest integers, and of those that the compiler's search finds; of the
latter also at 10 T.

"""
AFTER = """Where two lines deploy the same integers, the compiler's search of the kernels beside the nearest one has
made up for the difference.

Made by `make results`.
"""
COLUMNS = ("what", "float", "nearest integers", "searched integers", "at 10 T", "run")
NEVER = {"training": {"quantised_from": 1.0}}
CHANGES: dict[str, tuple[tuple[str, dict[str, dict[str, Any]]], ...]] = {
    "heat1d": (
        ("as it is: integers from 80 % of the epochs on", {}),
        ("integers from the first epoch on", {"training": {"quantised_from": 0.0}}),
        ("never integers in training", NEVER),
        ("one PDE step, no rollouts", {"training": {"horizons": (1,)}}),
        ("longest rollouts from the start", {"training": {"horizons": (16,)}}),
        ("no moments built in", {"training": {"consistent": False}}),
        ("no symmetry built in", {"training": {"symmetric": False}}),
        ("noise of 1e-3 on the starts", {"training": {"noise": 1e-3}}),
        ("penalty on growing waves", {"training": {"stability": 1.0}}),
    ),
    "advection_diffusion1d": (
        ("as it is: with a penalty on growing waves", {}),
        ("no penalty", {"training": {"stability": 0.0}}),
        ("no moments built in", {"training": {"consistent": False}}),
        ("noise of 1e-3 on the starts", {"training": {"noise": 1e-3}}),
        ("never integers in training", NEVER),
    ),
    "heat2d": (
        ("as it is: a face sees the lines beside its own", {}),
        ("a face sees its own line alone", {"model": {"transverse": 0}}),
        ("no symmetry built in", {"training": {"symmetric": False}}),
    ),
    "laplace2d": (
        ("as it is: parabolas beyond the reservoirs, friction", {}),
        ("odd reflections beyond the reservoirs", {"model": {"wall": "reflection"}}),
        ("one cell on either side", {"model": {"half_width": 1}}),
        ("half the friction", {"model": {"damping": 4.45}}),
        ("twice the friction", {"model": {"damping": 17.8}}),
        ("no penalty on growing waves", {"training": {"stability": 0.0}}),
    ),
    "burgers1d": (
        ("as it is: rounding with compensation", {}),
        ("rounding to the nearest integers", {"training": {"rounding": "nearest"}}),
        ("rollouts of 32 PDE steps only", {"training": {"horizons": (32,), "iterations": (8,)}}),
        ("no quiet fields", {"training": {"quiet_fields": 0}}),
    ),
}


def changed(recipe: Recipe, changes: dict[str, dict[str, Any]]) -> Recipe:
    """A recipe with some fields changed, checked again."""
    plain = recipe.model_dump(mode="json")
    for part, fields in changes.items():
        plain[part].update(fields)
    return Recipe.model_validate(plain)


def measured(what: str, recipe: Recipe) -> str:
    """One line of the table."""
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
    """Measure the lines of one problem; a part of the page."""
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
    parser.add_argument("--only", choices=tuple(CHANGES), action="append", help="measure these alone, keep the rest")
    only = parser.parse_args().only or tuple(CHANGES)
    STATE.parent.mkdir(parents=True, exist_ok=True)
    known = dict(re.findall(r"(?ms)^## (\w+)\n(.*?\n)(?=^## |^Where)", PAGE.read_text())) if PAGE.exists() else {}
    parts = {name: section(name) if name in only else f"## {name}\n{known.get(name, '')}" for name in CHANGES}
    PAGE.write_text(BEFORE + "".join(parts.values()) + AFTER)


if __name__ == "__main__":
    main()
