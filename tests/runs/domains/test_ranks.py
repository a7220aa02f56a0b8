"""Runs that mpirun starts have the bytes of a run in one process, whatever the number of ranks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import run_command

from pisnn_deploy.core.optional import is_installed
from pisnn_deploy.runs.domains.launch import is_launched

pytestmark = pytest.mark.skipif(not is_installed("mpi4py"), reason="needs the extra mpi")
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[3]
SECONDS = 120


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PISNN_THREADS": "1"}


def words(ranks: int, *arguments: str) -> list[str]:
    launched = [str(BIN / "mpirun"), "-n", str(ranks)] if ranks else []
    return [*launched, str(BIN / "pisnn-deploy"), *arguments]


def run(folder: Path, ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not ranks:
        return run_command(*arguments, folder=folder, PISNN_THREADS="1")
    return subprocess.run(
        words(ranks, *arguments), cwd=folder, env=environment(), capture_output=True, text=True, timeout=SECONDS
    )


def simulated(folder: Path, ranks: int, *others: str) -> str:
    """Hash of the trace."""
    trace = folder / f"{ranks}.npz"
    common = ("simulate", "a.pisnn", "--backend", "fast", "--steps", "60", "--every", "20", "-q", "--save", trace.name)
    done = run(folder, ranks, *common, *others)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not trace.with_name(f"{trace.name}.partial").exists()
    return hashlib.sha256(trace.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    done = run(folder, 0, "compile", "heat2d", "--mesh", "48x40", "--placement", "none", "-q", "-o", "a.pisnn")
    assert done.returncode == 0, done.stderr
    return folder


def test_two_ranks_write_the_trace_of_one_process(folder: Path) -> None:
    assert simulated(folder, 2) == simulated(folder, 0)


@pytest.mark.long
@pytest.mark.parametrize("ranks", [1, 3, 4, 6, 8])
def test_other_numbers_of_ranks_write_the_trace_of_one_process(folder: Path, ranks: int) -> None:
    assert simulated(folder, ranks) == simulated(folder, 0)


@pytest.mark.parametrize("ranks", [0, pytest.param(3, marks=pytest.mark.long)])
def test_a_killed_rank_ends_the_run_with_a_line_and_a_checkpoint_for_any_number_of_ranks(
    ranks: int, folder: Path
) -> None:
    arguments = ("simulate", "a.pisnn", "--backend", "fast", "--steps", "2500", "--every", "500")
    recorded = (*arguments, "--save", "killed.npz", "--record-every", "0.2")
    running = subprocess.Popen(
        words(2, *recorded), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    snapshot = folder / "killed.npz.partial" / "snapshot.npz"
    overdue = time.monotonic() + SECONDS
    while not snapshot.exists() and time.monotonic() < overdue:
        time.sleep(0.02)
    os.kill(rank_of(running.pid, 1), signal.SIGKILL)
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 9 and snapshot.exists()
    assert "a rank was killed, so all were ended; a run with --save goes on from its last checkpoint" in errors
    done = run(folder, ranks, *recorded, "--resume", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    whole = run(folder, 0, *arguments, "--save", "whole.npz", "-q")
    assert whole.returncode == 0
    assert (folder / "killed.npz").read_bytes() == (folder / "whole.npz").read_bytes()


def rank_of(launcher: int, rank: int) -> int:
    """Process of a rank of a launcher."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and is_below(int(path.name), launcher):
            variables = (path / "environ").read_bytes().split(b"\0")
            if f"PMI_RANK={rank}".encode() in variables and b"-I" not in (path / "cmdline").read_bytes().split(b"\0"):
                return int(path.name)
    raise AssertionError(f"no rank {rank}")


def is_below(process: int, ancestor: int) -> bool:
    while process > 1:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if process == ancestor:
            return True
    return False


def test_what_is_wrong_is_said_once_and_ends_all_ranks(folder: Path) -> None:
    other = run(folder, 2, "simulate", "a.pisnn", "--backend", "onnx")
    assert other.returncode == 2
    assert [line for line in other.stderr.splitlines() if line.startswith("error")] == [
        "error: --backend onnx: runs in one process, but an MPI launcher started 2; use --backend fast"
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"PMI_SIZE": "1", "PMI_RANK": "0"}, False),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
        ({"PMIX_RANK": "0"}, True),
        ({"SLURM_NTASKS": "4"}, False),  # a batch job starts its script in one process
    ],
)
def test_launchers_are_known_by_their_variables(variables: dict[str, str], expected: bool) -> None:
    assert is_launched(variables) == expected
