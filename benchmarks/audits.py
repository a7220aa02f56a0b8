"""Audits of trajectories of py-pde, FiPy and numpy: fills the table of ``docs/how-to/audit_any_run.md``.

Run it from the root of a checkout with the extra `baselines`: ``python -m benchmarks.audits``.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, fill, line, page_parser, table
from benchmarks.parts.peer_trajectories import CELLS, STEPS, TRAJECTORIES
from pisnn_deploy.project.audit_request import AuditRequest
from pisnn_deploy.project.auditing import audit

PAGE = ROOT / "docs" / "how-to" / "audit_any_run.md"
COLUMNS = ("trajectory", "drift of the run", "allowed", "verdict", "first break", "cRMSE", "not explained by the law")


def row(name: str, folder: Path) -> str:
    """Make a trajectory, audit it, and return its row."""
    make, law = TRAJECTORIES[name]
    path = folder / "run.npz"
    np.savez(path, **make())
    result = audit(AuditRequest(path, boundary="periodic", law=law or None))
    (field,) = result.fields
    balance = field.balance
    return line(
        name,
        f"{balance.relative(balance.drifts[-1]):.1e}",
        f"{balance.relative(balance.allowed_drift):.1e}",
        field.verdict,
        f"step {balance.first_break}" if balance.first_break is not None else "none",
        f"{balance.crmse:.1e}",
        "" if field.law is None else f"{field.law.unexplained:.1e} ({field.law.rule}, order {field.law.order})",
    )


def main() -> int:
    """Make all trajectories and audit them; return the exit code."""
    arguments = page_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(name, Path(folder)) for name in TRAJECTORIES]
    versions = ", ".join(f"{name} {version(name)}" for name in ("py-pde", "FiPy", "numpy"))
    lines = "\n".join(table(COLUMNS, rows))
    text = f"{lines}\n\n{CELLS} cells, {STEPS} steps, each a row; {versions}. Made by `python -m benchmarks.audits`."
    sys.stdout.write(f"{text}\n")
    if not arguments.dry_run:
        fill(PAGE, "audits", f"\n{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
