"""Files and situations of others that once went wrong: a folder each, whose README names command and right result.

Artifacts are upgraded to the version that the package reads (`upgraded_artifacts`) when a case is copied.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_command, run_installed
from upgraded_artifacts import upgrade_folder

CASES = Path(__file__).parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a pisnn-deploy command in the current folder."""


@pytest.fixture()
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Copy the case of that name, with ``artifact_of_16_cells.pisnn`` beside it, upgraded, and make it the current folder."""

    def enter(name: str) -> Path:
        copy = tmp_path / name
        shutil.copytree(CASES / name, copy)
        shutil.copy(CASES / "artifact_of_16_cells.pisnn", tmp_path)
        upgrade_folder(tmp_path)
        upgrade_folder(copy)
        monkeypatch.chdir(copy)
        return copy

    return enter


@pytest.fixture()
def run() -> Run:
    """In a fork of a process that has everything loaded."""
    return run_command


@pytest.fixture()
def installed() -> Run:
    """In a process of its own; takes options of `subprocess.run`."""
    return run_installed
