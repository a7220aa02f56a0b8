"""The `cpu` backend: runs a graph on Lava's CPU simulator, in a worker process.

This module imports neither Lava nor torch. The worker has its own process group, folder and shared-memory prefix, so
that everything is cleaned up however a run ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import (
    FILES_OF_LAVA,
    FILES_OF_PROCESS,
    memory_limit,
    require_files,
    says_lack_of_memory,
)
from pisnn_deploy.core.optional import INTERPRETER_VARIABLE, require
from pisnn_deploy.core.surroundings import NEUTRAL, child_environment, python_command
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.columns import divergence
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.lava import exchange
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.plan import require_process
from pisnn_deploy.lava.probing import create_probes
from pisnn_deploy.lava.results import run_of
from pisnn_deploy.lava.shared_memory import remove_segments
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, start_of
from pisnn_deploy.runs.states import first_true, holder_place, misfit

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 1.0
"""Time for a worker to end its processes before its group is killed."""
_DEADLINE_GRACE_SECONDS = 1.5
_REAP_SECONDS = 0.005
_LONGEST_SOCKET_FOLDER = 60
"""Longest path in characters: Linux allows 108 for a socket, and Python adds 47."""
_LOG_LINES = 12


class WorkerError(CheckError):
    """The worker or one of its processes failed; the run has no verdict.

    Parameters
    ----------
    cause : str
        What happened.
    details : str, optional
        Traceback or last lines of the worker's log.
    """

    def __init__(self, cause: str, details: str = "") -> None:
        super().__init__(f"cpu backend: {cause}" + (f"\n{details}" if details else ""))
        self.cause = cause
        self.details = details


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`.

    Raises
    ------
    UsageError
        If this interpreter cannot run Lava, a population is empty, or there is too little shared memory.
    WorkerError
        If a process raised an error, died or hung.
    """
    _require_processes(graph)
    require_files("cpu backend: Lava", max(FILES_OF_LAVA, FILES_OF_PROCESS * _processes(graph)))
    Injector(graph, options.faults, options.steps)  # refuses faults with a place that the graph does not have
    command = worker_command()
    trace_steps, start = options.kept_steps(), options.start or start_of(graph, mass)
    prefix = f"pisnn_{secrets.token_hex(6)}_"
    # Sockets get a separate folder, because their paths must be short.
    with (
        tempfile.TemporaryDirectory(prefix="pisnn-run-") as folder,
        tempfile.TemporaryDirectory(prefix="pisnn-", dir=_folder_of_sockets()) as sockets,
    ):
        files = Exchange(Path(folder))
        flux = np.stack([np.zeros_like(start.current), start.current, start.residue])
        files.create(
            start.mass,
            flux,
            start.transported,
            trace_steps,
            options.last_step,
            len(graph.chain),
            everything=options.everything,
        )
        create_probes(files, graph, options.probes, trace_steps.size)
        if options.faults:
            files.create_repairs(start.mass, flux)
        files.array("status")[exchange.STEPS] = start.step
        write_artifact(files.artifact, graph, {})
        request = {
            "parent": os.getpid(),
            "time_steps": _time_steps(graph, start, options),
            "first_step": start.step,
            "goes_on": options.start is not None,
            "deadline_seconds": options.deadline_seconds,
            "shared_memory_prefix": prefix,
            "sockets": sockets,
            "steps": options.steps,
            "faults": [str(fault) for fault in options.faults],
            "recovers": options.recovers,
        }
        files.write_json(files.request, request)
        try:
            end = _serve(command, files, options, progress)
        finally:
            remove_segments(prefix)
        return _collect(graph, start, options, files, end, progress)


def _require_processes(graph: IntegerGraph) -> None:
    """Refuse graphs that Lava's processes cannot run."""
    if graph.has_flux_network and not graph.mesh.faces:
        raise UsageError("cpu backend: the mesh has no faces, but Lava needs at least one; use `backend` fast")
    empty = [population.name for population in graph.populations if not population.size]
    if empty:
        raise UsageError(
            f"cpu backend: population {empty[0]} has no neurons, but Lava needs at least one; use `backend` fast"
        )
    try:
        for name in graph.chain:
            require_process(graph, name)
    except UsageError as refusal:
        raise UsageError(f"cpu backend: {refusal}") from None


def _processes(graph: IntegerGraph) -> int:
    """Number of processes: the populations, their synapses and the audit."""
    return len(graph.populations) + sum(lines_of(graph, synapse.source) for synapse in graph.synapses) + 1


def _folder_of_sockets() -> str:
    """Folder of temporary files, or a shorter one if socket paths in it would be too long."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_SOCKET_FOLDER else "/tmp"


def _time_steps(graph: IntegerGraph, start: RunState, options: RunOptions) -> int:
    """Number of time steps of a run; a partial run ends when all but channels have fired on the last masses."""
    deepest = max((graph.depths[population.name] for population in graph.between_fields), default=0)
    answers = deepest if options.last_step < options.steps else 0
    return (options.last_step - start.step) * int(graph.period or 0) + 1 + answers


def worker_command() -> list[str]:
    """Command that starts the worker, without the request.

    Raises
    ------
    UsageError
        If Lava does not run on this interpreter, and no other is configured.
    """
    interpreter = os.environ.get(INTERPRETER_VARIABLE, "")
    if not interpreter:
        if sys.version_info[:2] != (3, 10):
            raise UsageError(
                f"cpu backend: Lava needs Python 3.10 and this is {sys.version_info[0]}.{sys.version_info[1]}; name a "
                f"Python 3.10 interpreter that has pisnn-deploy in {INTERPRETER_VARIABLE}, or use `backend` fast"
            )
        require("cpu backend: Lava", "lava")
        interpreter = sys.executable
    return python_command("from pisnn_deploy.lava.worker import main; sys.exit(main())", interpreter)


def _environment(command: Sequence[str]) -> dict[str, str]:
    """Environment of the worker: one thread per process, and the path of this package for the same interpreter."""
    environment = child_environment() if command[0] == sys.executable else os.environ
    return {**environment, **dict.fromkeys(_THREAD_VARIABLES, "1")}


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _serve(command: Sequence[str], files: Exchange, options: RunOptions, progress: Progress | None) -> str:
    """Run the worker until it and all its processes have ended, and return how it ended."""
    with files.log.open("wb") as log:
        try:
            worker = subprocess.Popen(
                [*command, str(files.request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd=NEUTRAL,
                env=_environment(command),
            )
        except OSError as error:
            raise UsageError(f"cpu backend: {command[0]} cannot be started ({error.strerror})") from error
    try:
        return _relay(worker, options, progress)
    finally:
        _end(worker)
        for stream in (worker.stdin, worker.stdout):
            if stream is not None:
                stream.close()


def _relay(worker: subprocess.Popen[bytes], options: RunOptions, progress: Progress | None) -> str:
    """Forward progress until the worker ends or exceeds its deadline, and return how it ended."""
    assert worker.stdout is not None
    output = worker.stdout.fileno()
    overdue = time.monotonic() + options.deadline_seconds + _START_SECONDS + _DEADLINE_GRACE_SECONDS
    pending = b""
    while time.monotonic() < overdue:
        ready, _, _ = select.select([output], [], [], _POLL_SECONDS)
        if ready:
            received = os.read(output, 1 << 16)
            if not received:
                return _death(worker)
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "ended" in message:
                    return "the worker ended"
                if progress is not None and "steps" in message:
                    progress(message["steps"])
                if "actors" in message:
                    overdue = time.monotonic() + options.deadline_seconds + _DEADLINE_GRACE_SECONDS
        elif worker.poll() is not None:
            return _death(worker)
    return "the worker exceeded its deadline and was killed"


def _death(worker: subprocess.Popen[bytes]) -> str:
    try:
        code = worker.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return "the worker closed its output and was killed"
    if code < 0:
        return f"the worker was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"the worker ended by itself with exit code {code}"


_START_SECONDS = 60.0
"""Time limit for importing Lava and compiling the network."""


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End the worker and its whole process group."""
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
            worker.wait(_GRACE_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        _await_group(worker.pid)


def _await_group(group: int) -> None:
    """Wait until all processes of a killed group are dead, so that none can allocate shared memory."""
    overdue = time.monotonic() + _GRACE_SECONDS
    while _lives(group) and time.monotonic() < overdue:
        time.sleep(_REAP_SECONDS)


def _lives(group: int) -> bool:
    """Whether a process group has a running member.

    Zombies do not count: process 1 may take a second to collect them.
    """
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, member_of = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(member_of) == group and state not in "ZX":
                return True
    return False


def _collect(
    graph: IntegerGraph, start: RunState, options: RunOptions, files: Exchange, end: str, progress: Progress | None
) -> Run:
    """Read the results of a worker."""
    result = files.read_json(files.result)
    status = files.array("status")
    if result is None:
        _require_memory(end, files)
        raise WorkerError(f"{end} (PDE step {int(status[exchange.STEPS])})", _tail(files.log))
    if result["status"] == "refused":
        raise UsageError(f"cpu backend: {result['failure']}")
    if result["status"] == "broken":
        _require_memory(f"{result['failure']}\n{result['traceback']}", files)
        details = str(result["traceback"]).rstrip() or _tail(files.log)
        raise WorkerError(f"{result['failure']} (PDE step {int(status[exchange.STEPS])})", details)
    run = run_of(
        graph,
        start,
        options,
        files,
        failure=str(result["failure"]),
        overflow=bool(result.get("overflow")),
        seconds=float(result["seconds"]),
    )
    if run.end is not None and not options.faults:
        _require_state(graph, start, run.end)
    if progress is not None:
        progress(run.steps)
    return replace(run, detections=_detections(files, result))


def _require_state(graph: IntegerGraph, start: RunState, end: RunState) -> None:
    """Refuse a worker's final state that is impossible for a run from `start`."""
    expected = start.mass + divergence(graph, end.transported - start.transported)
    wrong, problem = first_true(expected != end.mass), misfit(graph, end)
    if wrong is not None:
        problem = f"{holder_place(graph, wrong)} is {end.mass[wrong]}, not {expected[wrong]}"
    if problem:
        raise WorkerError(f"the worker returned an impossible state: {problem}")


def _require_memory(text: str, files: Exchange) -> None:
    """Report a failure by lack of memory; if memory is limited, this includes killed processes."""
    dies = "killed by signal" in text and memory_limit() is not None
    if dies or says_lack_of_memory(text) or says_lack_of_memory(_tail(files.log)):
        raise UsageError("cpu backend: out of memory; use a coarser `mesh`, or allow the process more memory")


def _detections(files: Exchange, result: Mapping[str, Any]) -> tuple[Detection, ...]:
    """Repaired violations, and the one that stopped the run."""
    detections = [*(files.read_json(files.healed) or {"healed": []})["healed"]]
    if "stopped" in result:
        detections.append(result["stopped"])
    return tuple(Detection(**detection) for detection in detections)


def _tail(log: Path) -> str:
    """Last lines of a log."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-_LOG_LINES:])
