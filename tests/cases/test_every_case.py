"""Every case has a test."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parent


def test_every_case_has_a_test() -> None:
    tests = "".join(path.read_text() for path in sorted(CASES.glob("test_*.py")))
    names = {path.name for path in CASES.iterdir() if (path / "README.md").is_file()}
    assert {name for name in names if f'"{name}"' not in tests} == set()
