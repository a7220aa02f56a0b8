"""The proofs compile, rest on no axiom, and fail where a theorem is false."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from proved import PROOFS, built

THEORIES = sorted(PROOFS.glob("*.v"))


def test_no_theorem_rests_on_an_axiom() -> None:
    assert (built() / "assumptions.txt").read_text() == "Closed under the global context\n"
    listed = re.findall(r"\w+", (PROOFS / "Assumptions.v").read_text().partition("every_theorem :=")[2])
    theorems = {
        name for file in THEORIES for name in re.findall(r"^(?:Theorem|Corollary) (\w+)", file.read_text(), re.M)
    }
    assert len(theorems) > 25 and theorems <= {*listed}


@pytest.mark.parametrize("word", ["Admitted", "admit", "Axiom", "Parameter", "Conjecture", "Hypothesis", "Variable"])
def test_nothing_is_assumed(word: str) -> None:
    places = [file.name for file in THEORIES if re.search(rf"\b{word}s?\b", file.read_text())]
    assert not places


@pytest.mark.parametrize(
    ("theory", "right", "wrong"),
    [
        ("Firing", "- half F <= rest F v <= half F", "- half F < rest F v <= half F"),
        ("Firing", "Z.abs v + half F - 1) F", "Z.abs v + half F) F"),
        ("Walls", "g + g - mirror", "g + g - mirror + 1"),
        ("Limiter", "Z.min left 2048", "Z.min (left + 1) 2048"),
    ],
)
def test_a_false_theorem_does_not_compile(tmp_path: Path, theory: str, right: str, wrong: str) -> None:
    text = (PROOFS / f"{theory}.v").read_text()
    assert right in text
    (tmp_path / f"{theory}.v").write_text(text.replace(right, wrong))
    done = subprocess.run(
        ["coqc", "-q", "-Q", ".", "Pisnn", f"{theory}.v"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Error" in done.stderr
