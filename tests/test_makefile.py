"""The Makefile's front door, and what it says where there is no Python 3.10."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == set(phony.split())


def test_setup_without_python_3_10_says_what_to_install(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("make", "sh", "touch", "test"):
        found = shutil.which(name)
        assert found is not None
        (binaries / name).symlink_to(found)
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["make", "setup"],
        cwd=tmp_path,
        env={"PATH": str(binaries), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pisnn-deploy needs Python 3.10, because Lava runs on no other, and there is none here." in done.stderr
    assert "Install it with 'pyenv install 3.10' or 'uv python install 3.10'" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("line", ["exec make test"])
def test_ci_calls_make_test_and_nothing_else(line: str) -> None:
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [c for c in commands if c and not c.startswith(("#", "cd ", "set "))] == [line]
