"""The example of a Lava program runs, and its thermostat reaches its target."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "thermostat_in_lava"


def test_the_rod_has_what_its_left_end_gave() -> None:
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(FOLDER.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    sensor = re.search(r"^sensor: ([\d.]+), target 0\.5$", done.stdout, re.MULTILINE)
    books = re.search(r"^the left end gave (\d+) quanta, the rod has (\d+)$", done.stdout, re.MULTILINE)
    assert sensor is not None and abs(float(sensor[1]) - 0.5) < 0.05
    assert books is not None and books[1] == books[2] != "0"
    assert done.stdout.endswith("\nconserved\n")
