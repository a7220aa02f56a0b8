"""Corners, materials and starts: the field after some steps is the right one, or the refusal names what is at fault."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Case = Callable[[str], Path]


@pytest.fixture(autouse=True)
def command_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def test_a_turned_plate_has_the_turned_field(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case("corner_of_two_dirichlet_sides")
    runpy.run_path("run.py")
    *plates, difference = capsys.readouterr().out.splitlines()
    assert [plate.split()[-2:] for plate in plates] == [["conserved", "0.5"]] * 2
    assert float(difference) == 0.0
