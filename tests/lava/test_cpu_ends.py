"""However a Lava run ends: the cause is named within two seconds, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from models_under_test import compiled
from network_runs import Traces, break_with, children, marked_run

from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.lava.backend import WorkerError
from pisnn_deploy.runs import RunOptions

PROMPT_SECONDS = 15.0
"""Far below the deadline of a run, 60 s, and enough where other tests take the processors."""
MANY_STEPS = 10_000_000
INTERRUPTED = """
import signal, sys
from pathlib import Path
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.graph.artifact import read_artifact
cpu.secrets.token_hex = lambda _: sys.argv[2]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
graph = read_artifact(Path(sys.argv[1])).graph
try:
    cpu.run(graph, graph.initial, RunOptions(10_000_000, every=10_000_000), lambda n: print(n, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    """Finds what the runs of this test leave behind."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket
        yield marked_run(monkeypatch, Path(folder))


def broken_run(deadline_seconds: float = 60.0, steps: int = 50) -> tuple[WorkerError, float]:
    """Run a graph that breaks down; the error, and the seconds that it took."""
    graph = compiled()
    started = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        cpu.run(graph, graph.initial, RunOptions(steps, steps, deadline_seconds))
    return caught.value, time.monotonic() - started


def test_a_worker_loads_nothing_that_takes_longer_than_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "idle_import")
    graph = compiled()
    assert cpu.run(graph, graph.initial, RunOptions(5)).conserved


def test_a_deep_folder_of_temporary_files_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    marked_run(monkeypatch, deep)
    graph = compiled()
    assert cpu.run(graph, graph.initial, RunOptions(3)).conserved


def test_a_good_run_leaves_nothing(traces: Traces) -> None:
    graph = compiled()
    seen: list[int] = []
    run = cpu.run(graph, graph.initial, RunOptions(300), lambda _: seen.append(len(traces.shared_memory())))
    assert run.conserved and max(seen) > 0
    assert traces.nothing_left()


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("raising", "process membrane (RaisingModel) raised ValueError: the model is broken (PDE step 4)"),
        ("killed", "process flux (KilledModel) was killed by signal 9 (SIGKILL) (PDE step 4)"),
        ("exiting", "process audit (ExitingModel) ended by itself with exit code 0 (PDE step 4)"),
    ],
)
def test_a_process_that_breaks_down(fault: str, cause: str, traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, fault)
    error, seconds = broken_run()
    assert error.cause == cause and error.exit_code == 1
    assert seconds < PROMPT_SECONDS + 1.0  # one second for starting Lava
    assert traces.nothing_left()
    if fault == "raising":
        assert error.details.startswith("Traceback (most recent call last):\n  File ")
        assert error.details.endswith(
            'in run_spk\n    raise ValueError("the model is broken")\nValueError: the model is broken'
        )
        assert "lava/magma" not in error.details


def test_a_deadlock_ends_at_the_deadline(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "deadlocked")
    error, seconds = broken_run(deadline_seconds=1.5)
    assert error.cause.startswith("deadlock: no time step finished for 1.")
    assert error.cause.endswith(" s, until the deadline of 1.5 s (PDE step 4)")
    assert seconds < 1.5 + PROMPT_SECONDS
    assert traces.nothing_left()


def test_a_run_that_is_only_slow_is_not_called_a_deadlock(traces: Traces) -> None:
    error, _ = broken_run(deadline_seconds=1.0, steps=MANY_STEPS)
    assert error.cause.startswith("the run did not finish within 1 s; increase the deadline")
    assert traces.nothing_left()


def test_a_process_killed_from_outside(traces: Traces) -> None:
    graph = compiled()
    killed: list[float] = []

    def kill(_: int) -> None:
        if not killed:
            worker = children(os.getpid(), traces.processes())[0]
            actors = children(worker, traces.processes())
            os.kill(max(actors), signal.SIGKILL)
            killed.append(time.monotonic())

    with pytest.raises(WorkerError) as caught:
        cpu.run(graph, graph.initial, RunOptions(MANY_STEPS, MANY_STEPS), kill)
    assert time.monotonic() - killed[0] < PROMPT_SECONDS
    assert " was killed by signal 9 (SIGKILL) (PDE step " in caught.value.cause
    assert caught.value.cause.startswith("process ")
    assert traces.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker(number: signal.Signals, traces: Traces) -> None:
    graph = compiled()
    killed: list[float] = []

    def kill(_: int) -> None:
        if not killed:
            os.kill(children(os.getpid(), traces.processes())[0], number)
            killed.append(time.monotonic())

    with pytest.raises(WorkerError) as caught:
        cpu.run(graph, graph.initial, RunOptions(MANY_STEPS, MANY_STEPS), kill)
    assert time.monotonic() - killed[0] < PROMPT_SECONDS
    assert caught.value.cause.startswith(f"the worker was killed by signal {int(number)} ({number.name}) (PDE step ")
    assert traces.nothing_left()


def test_ctrl_c_ends_everything(traces: Traces, tmp_path: Path) -> None:
    parent, output = started_run(traces, tmp_path)
    signalled = time.monotonic()
    parent.send_signal(signal.SIGINT)
    try:
        parent.communicate(timeout=10)
    finally:
        parent.kill()
    assert parent.returncode == 130
    assert time.monotonic() - signalled < PROMPT_SECONDS
    assert traces.nothing_left()
    assert output


def test_a_worker_does_not_outlive_its_parent(traces: Traces, tmp_path: Path) -> None:
    parent, _ = started_run(traces, tmp_path)
    assert traces.shared_memory()
    parent.kill()
    parent.communicate()
    killed = time.monotonic()
    while not traces.nothing_left() and time.monotonic() - killed < PROMPT_SECONDS:
        time.sleep(0.05)
    assert traces.nothing_left()


def started_run(traces: Traces, tmp_path: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that runs a graph for very long; returns after its first report."""
    graph = compiled()
    artifact = tmp_path / "graph.pisnn"
    write_artifact(artifact, graph, {})
    parent = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(artifact), traces.mark], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, parent.stdout.readline()
