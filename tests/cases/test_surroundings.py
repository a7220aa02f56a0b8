"""Cases of the current folder, of other users of the machine, and of poor surroundings."""

from __future__ import annotations

import json
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from distributed import Client

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FAST = ("simulate", "heat1d", "--backend", "fast", "--steps", "3", "-q")


def test_kernels_of_the_current_folder_are_not_loaded(case: Callable[[str], Path], installed: Run) -> None:
    """What names a folder of kernels must not lead into a folder of others; numba's files there mean nothing."""
    folder = case("cwd_numba_config")
    (folder / ".numba_config.yaml").write_text("[a, list]\n")
    for variable in ("PISNN_KERNELS", "XDG_CACHE_HOME"):
        done = installed(*FAST, env={**os.environ, variable: "c"})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not (folder / "c").exists() and not (folder / "PWNED").exists()


@pytest.mark.parametrize("words", ["simulate heat1d --steps 3 -q", "doctor -q"])
def test_multiprocessing_takes_nothing_from_the_current_folder(
    case: Callable[[str], Path], installed: Run, words: str
) -> None:
    folder = case("cwd_multiprocessing")
    for name in ("numba", "lava", "onnxruntime", "threading"):
        (folder / f"{name}.py").write_text("open('PWNED', 'a').write('ran')\nraise SystemExit\n")
    done = installed(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (folder / "PWNED").exists()


def test_a_file_of_options_that_was_only_found_chooses_no_place(case: Callable[[str], Path], installed: Run) -> None:
    folder = case("cwd_pisnn_toml")
    done = installed("check", "../artifact_of_16_cells.pisnn", "--format", "json")
    assert done.stderr == "check takes from pisnn.toml: --profile generic-int --ignore PD102\n"
    report = json.loads(done.stdout)
    assert (report["profile"], report["rules_left_out"]) == ("generic-int", ["PD102"])
    for words, problem in (
        ("inspect ../artifact_of_16_cells.pisnn", "inspect.output: is not taken from a file that was only found"),
        ("campaign plan.yaml", "campaign.scheduler: is not taken from a file that was only found"),
        ("simulate heat1d", "simulate.steps: must be one value, not a list"),
    ):
        done = installed(*words.split())
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"error: pisnn.toml: {problem}")
    assert not (folder.parent / "victim.txt").exists()


def test_memory_that_runs_out_leaves_no_worker(case: Callable[[str], Path], installed: Run) -> None:
    case("orphan_worker")
    for megabytes in (150, 200, 300, 500):
        bound = megabytes * 1_000_000
        done = installed(
            *("simulate", "heat1d", "--steps", "3", "-q"),
            env={**os.environ, "MARK_OF_THIS_TEST": "orphan_worker"},
            preexec_fn=lambda bound=bound: resource.setrlimit(resource.RLIMIT_AS, (bound, bound)),
            timeout=60,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("error: memory ran out")
    assert marked("orphan_worker") == []


def test_a_worker_dies_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(Path(sys.executable).with_name("pisnn-deploy")), "simulate", "heat1d", "--steps", "1000000", "-q"]
    parent = subprocess.Popen(words, env={**os.environ, "MARK_OF_THIS_TEST": "parent", "TMPDIR": str(tmp_path)})
    await_that(lambda: len(marked("parent")) > 5)  # worker, its children and their tracker
    parent.kill()
    parent.wait()
    await_that(lambda: not marked("parent"))


def marked(mark: str) -> list[int]:
    """Processes that live and have that mark in their environment."""
    alive = []
    for process in psutil.process_iter(["environ", "status"]):
        environment = process.info["environ"] or {}
        if environment.get("MARK_OF_THIS_TEST") == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
            alive.append(process.pid)
    return alive


def await_that(is_so: Callable[[], bool]) -> None:
    overdue = time.monotonic() + 100
    while not is_so():
        assert time.monotonic() < overdue
        time.sleep(0.05)


def test_settings_of_numba_change_nothing(case: Callable[[str], Path], installed: Run) -> None:
    case("numba_disable_jit")
    words = "simulate ../artifact_of_16_cells.pisnn --backend fast --steps 5 --json".split()
    done = installed(*words, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    usual = installed(*words)
    assert (done.returncode, done.stderr) == (0, "")
    for key in ("verdict", "mass", "packets", "violations", "events"):
        assert json.loads(done.stdout)[key] == json.loads(usual.stdout)[key]


def test_other_users_do_not_get_into_the_cluster_of_a_run(case: Callable[[str], Path]) -> None:
    folder = case("dask_loopback")
    (folder / "plan.yaml").write_text("models: [heat2d]\nmeshes: [64x64]\nbackends: [fast]\nsteps: [1000000000]\n")
    words = "campaign plan.yaml --workers 2 -q".split()
    command = str(Path(sys.executable).with_name("pisnn-deploy"))
    running = subprocess.Popen([command, *words], stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        await_that(lambda: len(ports(running.pid)) == 5)  # of the scheduler, two workers and their nannies
        for port in ports(running.pid):
            with pytest.raises(OSError):
                Client(f"tcp://127.0.0.1:{port}", timeout=1)  # type: ignore[no-untyped-call]
    finally:
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=100)
    assert (running.returncode, errors.strip()) == (130, "interrupted")


def ports(parent: int) -> set[int]:
    """TCP ports on which a process and its children listen."""
    listening = set()
    for process in (psutil.Process(parent), *psutil.Process(parent).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child may end between two looks
            sockets = process.net_connections("tcp")
            listening |= {socket.laddr.port for socket in sockets if socket.status == psutil.CONN_LISTEN}
    return listening
