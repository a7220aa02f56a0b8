"""Orders of convergence of the models and laws of the zoo: writes ``docs/results/convergence.md`` and its pictures.

Run it from the root of a checkout: ``python -m benchmarks.convergence [NAME ...]``. With names, only these are
measured, and the page is printed and not written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from benchmarks.common import PAGES, line, publish, table, times
from pisnn_deploy.project.converge_request import NORMS, Norm, converge_request
from pisnn_deploy.project.convergence import LABELS, SERIES, Convergence, converge
from pisnn_deploy.report.order_picture import draw_orders

PAGE = PAGES / "convergence.md"
LINE, PLANE = "32,64,128,256", "16x16,32x32,64x64,128x128"
MESHES = {
    "heat1d": LINE,
    "heat2d": "32x32,64x64,128x128",
    "laplace2d": "32x32,64x64,128x128",
    "advection_diffusion2d": "32x32,64x64,128x128",
    "burgers2d": PLANE,
    "heat3d": "8x8x8,16x16x16,32x32x32",
    "lwr": "16,32,64,128,256",
    "porous_medium": LINE,
    "shallow_water1d": "64,128,256,512",
    "viscous_burgers1d": LINE,
    "wave1d": LINE,
}
"""Models and laws that are known at their final time; a lake at rest has no error, and the solver of Cahn-Hilliard and
Gray-Scott would take hours."""
NORM: Norm = "l1"
OTHERS = """## Not measured

`advection_diffusion1d` and `burgers1d` were trained for one cell width, because their equations have a length of their
own: `converge` refuses them on other meshes. The laws `advection_diffusion2d` and `viscous_burgers1d` are of the same
equations. A lake at rest has no error on any mesh; of Cahn-Hilliard and Gray-Scott, only a solver on a much finer grid
is known.

Made by `make results`.
"""
HEAD = """# Convergence

Each model and law of the zoo on several meshes to its final time, by `pisnn-deploy converge --norm l1`: relative L1
errors, and after each the order between its mesh and the one before it; the last line has the slope of a line fitted
through all meshes. *No quantum* is the same scheme without quanta (of a model, the integer weights in float64; of a
law, quanta and words finer by 4 bits), *quantum's share* the difference of these two fields, *float scheme* the trained
network in float64 or a finite volume scheme. All runs are conserved. [How to measure](../how-to/convergence.md) an
order of your own.

"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models and laws to measure (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    arguments = parser.parse_args()
    is_dry = arguments.dry_run or bool(arguments.names)
    sections = []
    for name in arguments.names or MESHES:
        result = measured(name)
        sections += section(name, result)
        if not is_dry:
            draw_orders(
                PAGES / f"convergence_{name}.png", result.title, result.shapes, result.lines, NORMS[result.norm]
            )
    publish(PAGE, HEAD + "\n".join(sections) + "\n" + OTHERS, dry_run=is_dry)


def measured(name: str) -> Convergence:
    """Errors of a model or law on its meshes."""
    result = converge(converge_request(name, MESHES[name], norm=NORM))
    result.require_conserved()
    return result


def section(name: str, result: Convergence) -> list[str]:
    """Lines of the page about a model or law."""
    return [f"## {name}", "", *tables(result), f"![errors of {name}](convergence_{name}.png)", ""]


def tables(result: Convergence) -> list[str]:
    """A table for each field, and what its columns are of."""
    lines = []
    for field in result.fields:
        lines += table(("mesh", "PDE steps", *LABELS.values()), _rows(result, field))
        of = f"Field {field}; reference" if len(result.fields) > 1 else "Reference"
        lines += ["", f"{of}: {result.reference}; float scheme: {result.floats}.", ""]
    return lines


def _rows(result: Convergence, field: str) -> Iterator[str]:
    orders = {series: result.orders(field, series) for series in SERIES}
    for number, row in enumerate(result.meshes):
        cells = [
            _cell(getattr(row.errors[field], series), orders[series][number] if series in orders else None)
            for series in LABELS
        ]
        yield line(times(row.mesh), row.steps, *cells)
    fitted = {series: result.fitted_order(field, series) for series in SERIES}
    yield line("all", "", *(_order(fitted.get(series)) for series in LABELS))


def _cell(error: float | None, order: float | None) -> str:
    return "-" if error is None else f"{error:.2e} {_order(order)}".rstrip()


def _order(order: float | None) -> str:
    return "" if order is None else f"({order:.2f})"


if __name__ == "__main__":
    main()
