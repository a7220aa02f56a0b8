"""Cases of the current folder, of other users of the machine, and of poor surroundings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FAST = ("simulate", "heat1d", "--backend", "fast", "--steps", "3", "-q")


def test_numba_is_not_configured_by_the_current_folder(case: Callable[[str], Path], run: Run) -> None:
    folder = case("cwd_numba_config")
    numba = [sys.executable, "-c", "import numba; numba.njit(cache=True)", "x"]
    assert subprocess.run(numba, check=False).returncode == 0
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    plain = {**environment, "NUMBA_CACHE_DIR": str(folder / "c")}  # what the planted file would choose
    assert run(*FAST, env=plain).returncode == 0
    subprocess.run([sys.executable, "plant.py"], check=True)
    assert list(folder.glob("c/**/*.nbi"))
    for settings in ("cache_dir: ./c\n", "[a, list]\n", "disable_jit: 1\n", "{a: [", "\0", "cpu_name: nonsense\n"):
        (folder / ".numba_config.yaml").write_text(settings)
        done = run(*FAST, env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (folder / "PWNED").exists()


@pytest.mark.parametrize("words", ["simulate heat1d --steps 3 -q", "doctor -q"])
def test_multiprocessing_takes_nothing_from_the_current_folder(
    case: Callable[[str], Path], run: Run, words: str
) -> None:
    folder = case("cwd_multiprocessing")
    for name in ("numba", "lava", "onnxruntime", "threading"):
        (folder / f"{name}.py").write_text("open('PWNED', 'a').write('ran')\nraise SystemExit\n")
    done = run(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (folder / "PWNED").exists()


def test_a_file_of_options_that_was_only_found_chooses_no_place(case: Callable[[str], Path], run: Run) -> None:
    folder = case("cwd_pisnn_toml")
    done = run("check", "../artifact_of_16_cells.pisnn", "--format", "json")
    assert done.stderr == "check takes from pisnn.toml: --profile generic-int --ignore PD102\n"
    report = json.loads(done.stdout)
    assert (report["profile"], report["rules_left_out"]) == ("generic-int", ["PD102"])
    for words, problem in (
        ("inspect ../artifact_of_16_cells.pisnn", "inspect.output: is not taken from a file that was only found"),
        ("campaign plan.yaml", "campaign.scheduler: is not taken from a file that was only found"),
        ("simulate heat1d", "simulate.steps: must be one value, not a list"),
    ):
        done = run(*words.split())
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"error: pisnn.toml: {problem}")
    assert not (folder.parent / "victim.txt").exists()
