"""``pisnn-deploy converge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pisnn_deploy.cli.console import Row, listener, print_json, print_table
from pisnn_deploy.cli.options import BOUNDARY, HELP, JSON, PROFILE, QUIETER, picture
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import require
from pisnn_deploy.project.outputs import check_outputs

if TYPE_CHECKING:
    from pisnn_deploy.project.convergence import Convergence


@click.command("converge", context_settings=HELP)
@click.argument("model")
@click.option(
    "--meshes", required=True, metavar="MESH,MESH,...", help="Meshes to run, such as 32,64,128 or 32x32,64x64."
)
@PROFILE
@BOUNDARY
@click.option(
    "--time",
    type=click.FloatRange(0, min_open=True),
    help="Time of the errors, to the nearest PDE step of each mesh (default: the problem's final time).",
)
@click.option(
    "--norm",
    type=click.Choice(["l1", "l2", "largest"]),
    default="l2",
    show_default=True,
    help="How errors are measured.",
)
@click.option(
    "--scheme",
    metavar="NAME",
    help="Float scheme beside a law: central, godunov, lax-wendroff, muscl or weno5 (default: muscl, or central "
    "without a flux).",
)
@click.option(
    "--min-order",
    type=float,
    metavar="ORDER",
    help="Exit with 1 if the errors of the integers fall more slowly, by a line fitted through all meshes.",
)
@picture("Draw the errors to this file")
@JSON
@QUIETER
def command(
    model: str, meshes: str, min_order: float | None, plot: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Measure the order of convergence of MODEL on several meshes.

    MODEL is a model of the zoo, a checkpoint, or a law by name or file. Each mesh is compiled and run on fast to the
    same time. The table has the error of the integers against the exact solution or the solver of the recipe, the same
    scheme without quanta, the quantum's share (what these two differ by), and a float scheme.

    \b
    Examples:
      pisnn-deploy converge heat1d --meshes 32,64,128,256
      pisnn-deploy converge laplace2d --meshes 32x32,64x64,128x128 --plot order.png
      pisnn-deploy converge my_law.yaml --meshes 64,128,256 --norm l1 --scheme weno5 --json
      pisnn-deploy converge lwr --meshes 64,128,256 --min-order 1.8
    """
    from pisnn_deploy.project.converge_request import NORMS, converge_request
    from pisnn_deploy.project.convergence import converge

    request = converge_request(model, meshes, **options)
    check_outputs([plot], request.compiling.inputs)
    if plot is not None:
        require("--plot", "matplotlib")
        require_memory("pictures")
    result = converge(request, listener(quiet=quiet))
    if plot is not None:
        from pisnn_deploy.report.order_picture import draw_orders

        draw_orders(plot, result.title, result.shapes, result.lines, NORMS[result.norm])
    if as_json:
        print_json(result.to_dict() | {"min_order": min_order})
    elif not quiet:
        _print(result)
    result.require_conserved()
    if min_order is not None:
        result.require_order(min_order)


def _print(result: Convergence) -> None:
    from pisnn_deploy.project.converge_request import NORMS
    from pisnn_deploy.project.convergence import LABELS, SERIES

    for field in result.fields:
        orders = {series: result.orders(field, series) for series in SERIES}
        rows: list[Row] = []
        for number, row in enumerate(result.meshes):
            between = {series: each[number] for series, each in orders.items()}
            cells = [_cell(getattr(row.errors[field], series), between.get(series)) for series in LABELS]
            rows.append(("x".join(map(str, row.mesh)), str(row.steps), *cells))
        fitted = {series: result.fitted_order(field, series) for series in SERIES}
        rows.append(("all", "", *(_order(fitted.get(series)) for series in LABELS)))
        of = f", {field}" if len(result.fields) > 1 else ""
        print_table(f"{result.title}{of}: {NORMS[result.norm]}, order", rows, ("mesh", "steps", *LABELS.values()))
    about = [("reference", result.reference), *result.compared.items()]
    about += [(f"mesh {'x'.join(map(str, row.mesh))}", row.note) for row in result.meshes if row.note]
    print_table("columns", about)


def _cell(error: float | None, order: float | None) -> str:
    return "-" if error is None else f"{error:.2e} {_order(order)}".rstrip()


def _order(order: float | None) -> str:
    return "" if order is None else f"{order:.2f}"
