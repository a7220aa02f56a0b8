"""The page on trust names what there is: theorems of the proofs, and findings of `verify`."""

from __future__ import annotations

import re
from pathlib import Path

from models_under_test import compiled

from pisnn_deploy.verify import check_certificate

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "trust.md").read_text(encoding="utf-8")


def first_column(heading: str) -> list[str]:
    """First cells of the rows of the table with a heading."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [row.split("|")[1].strip() for row in table.splitlines()[2:]]


def test_every_theorem_is_one_of_the_proofs() -> None:
    assumptions = (ROOT / "proofs" / "Assumptions.v").read_text(encoding="utf-8")
    names = [name for cell in first_column("theorem") for name in re.findall(r"`(\w+)`", cell)]
    assert len(names) > 10 and {*names} <= {*re.findall(r"\w+", assumptions)}


def test_every_finding_has_a_predicate() -> None:
    graph = compiled(boundary="dirichlet=1,1", limiter="positivity")
    assert first_column("finding") == ["kernel", *(finding.claim for finding in check_certificate(graph))]
