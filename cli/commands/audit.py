"""``pisnn-deploy audit``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pisnn_deploy.cli.console import Row, print_json, print_table
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP, JSON, QUIET, picture
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import require
from pisnn_deploy.project.outputs import check_outputs

if TYPE_CHECKING:
    from pisnn_deploy.trajectories.result import Audit, FieldAudit


@click.command("audit", context_settings=HELP)
@click.argument("trajectory", type=click.Path(path_type=Path))
@click.option("--mesh", metavar="SHAPE", help="Cells along each axis, such as 64x64 (default: the fields' own shape).")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME",
    help="Field, or a sum such as a+b; may be repeated (default: all).",
)
@click.option(
    "--boundary",
    metavar="SPEC",
    help="Conditions of the sides, as for compile (default: the law's, or closed). Through dirichlet, mass may leave.",
)
@click.option(
    "--law",
    metavar="LAW",
    help="Compare the change of each cell with a law: a recipe, a law of the zoo, or diffusion=D.",
)
@click.option("--lengths", metavar="L,L", help="Extent along each axis (default: the law's, the file's, or 1).")
@click.option(
    "--time-step", type=click.FloatRange(0, min_open=True), help="Time between rows, if the file has no times."
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="Trajectory with the same rows, to compare total masses with (cRMSE).",
)
@click.option(
    "--substeps",
    type=click.IntRange(1, 10**9),
    default=1,
    show_default=True,
    help="Solver steps between rows: each may round every cell.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    help="Share of the mass at the start that may drift (default: what rounding allows).",
)
@picture("Draw drift and local balance to this file")
@JSON
@QUIET
def command(
    trajectory: Path, lengths: str | None, plot: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Audit how well TRAJECTORY conserves, whoever computed it.

    TRAJECTORY is a .npz, .npy, .nc or .zarr file with fields over time, [time, *mesh]. A field of floats is conserved
    if its total changes by no more than rounding allows, one of integers only if it does not change. Arrays
    transported_x, transported_y, transported_z, [steps, *faces], add the balance of each cell, and entered, [steps],
    what came in through the sides.

    \b
    Examples:
      pisnn-deploy audit run.npz
      pisnn-deploy audit run.nc --boundary periodic --law diffusion=0.01 --plot audit.png
      pisnn-deploy audit run.npz --mesh 64x64 --field h --substeps 10 --tolerance 1e-9 --json
      pisnn-deploy simulate heat1d --save run.npz && pisnn-deploy audit run.npz --boundary periodic
    """
    from pisnn_deploy.project.audit_request import AuditRequest
    from pisnn_deploy.project.auditing import audit

    request = AuditRequest(trajectory, lengths=_lengths(lengths), **options)
    check_outputs([plot], [trajectory, request.reference, request.law])
    if plot is not None:
        require("--plot", "matplotlib")
        require_memory("pictures")
    result = audit(request)
    if plot is not None:
        from pisnn_deploy.report.audit_picture import draw_audit

        draw_audit(plot, result)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        _print(result)
    result.require_conserved()


def _lengths(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        lengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or not all(0 < length < float("inf") for length in lengths):
        raise UsageError(f"`lengths` {text!r}: expected positive numbers, such as 1,0.5")
    return lengths


def _print(result: Audit) -> None:
    mesh = "x".join(map(str, result.shape))
    for field in result.fields:
        print_table(f"{result.path}: {field.name}", _rows(field, result))
    rows: list[Row] = [("mesh", f"{mesh} cells"), ("rows", str(result.rows))]
    if result.times is not None:
        rows.append(("time", f"{result.times[0]:.6g} to {result.times[-1]:.6g}"))
    rows += [("boundary", result.boundary), ("cell sizes", result.lengths_from)]
    rows += [("law", result.law)] if result.law else []
    print_table("audited by", rows)
    for field in result.fields:
        if field.doubt:
            print_message(f"warning: {result.path}: {field.name}: {field.doubt}")


def _rows(field: FieldAudit, result: Audit) -> list[Row]:
    from pisnn_deploy.trajectories.result import mass_text

    balance, exact = field.balance, field.is_exact
    number = balance.largest_step
    step = balance.steps[number - 1]
    rows: list[Row] = [("verdict", _verdict(field)), ("sides", field.sides)]
    start, end = (mass_text(balance.totals[row], exact, digits=10) for row in (0, -1))
    rows.append(("mass", f"{start} to {end}"))
    if any(balance.entered):
        rows.append(("came in", mass_text(sum(balance.entered, Fraction(0)), exact)))
    rows.append(("drift", _amount(balance.drifts[-1], field)))
    rows.append((f"largest step, {number}", _amount(step, field)))
    rows += _allowed(field)
    broken = field.broken_text(result.times)
    rows += [("breaks", broken)] if broken else []
    if field.is_closed:
        rows.append(("cRMSE", f"{balance.crmse:.3g}, against its own start"))
    if field.crmse is not None:
        rows.append(("cRMSE", f"{field.crmse:.3g}, against the reference"))
    return rows + _local(field)


def _allowed(field: FieldAudit) -> list[Row]:
    from pisnn_deploy.trajectories.balance import OPERATIONS

    balance = field.balance
    if field.is_exact:
        return [("allowed", "0: integers are compared with ==")]
    if balance.tolerance is not None:
        return [("allowed", f"{balance.tolerance:.3g} of the mass at the start, by --tolerance")]
    step = balance.relative(float(balance.allowed[balance.largest_step - 1]))
    run = balance.relative(balance.allowed_drift)
    by = f"{OPERATIONS} roundings of each cell in a step, {field.dtype}"
    return [
        ("allowed", f"relative {step:.2e} in that step, {run:.2e} in the run: {by}"),
        ("independent rounding", f"relative {balance.relative(balance.typical_drift):.2e} in the run"),
    ]


def _local(field: FieldAudit) -> list[Row]:
    from pisnn_deploy.trajectories.content import cell_text

    rows: list[Row] = []
    if field.local is not None:
        step, cell = field.local.worst
        largest = f"largest difference {field.local.largest.max():.3g}"
        rows.append(("local balance", f"{largest}, cell {cell_text(cell)} in step {step}"))
    law = field.law
    if law is not None:
        unexplained = f"{100 * law.unexplained:.3g} % of the change is not explained by its fluxes"
        step, cell = law.worst
        rows.append(
            ("law", f"{unexplained} ({law.rule}, order {law.order}); most in cell {cell_text(cell)}, step {step}")
        )
        if law.stands_out is not None:
            step, cell = law.stands_out
            rows.append(("stands out", f"cell {cell_text(cell)} in step {step}"))
    return rows


def _amount(amount: Fraction, field: FieldAudit) -> str:
    from pisnn_deploy.trajectories.result import mass_text

    return f"{mass_text(amount, field.is_exact)}, relative {field.balance.relative(amount):.2e}" if amount else "0"


def _verdict(field: FieldAudit) -> str:
    if field.verdict == "open":
        return "open: mass may leave, and the file does not say how much"
    if field.verdict == "violated":
        return "violated"
    if field.is_exact:
        return "conserved: every total is equal"
    return "conserved within the tolerance" if field.balance.tolerance is not None else "conserved within rounding"
