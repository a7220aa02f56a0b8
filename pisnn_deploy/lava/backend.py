"""The `cpu` backend: the graph as Lava processes on Lava's CPU simulator, in a worker process.

This module imports neither Lava nor torch. The worker gets a process group, a folder and a shared-memory prefix of its
own, so that nothing of a run is left behind, however it ends.
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
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import FILES_OF_LAVA, memory_limit, require_files, says_lack_of_memory
from pisnn_deploy.core.optional import INTERPRETER_VARIABLE, require
from pisnn_deploy.core.surroundings import NEUTRAL, child_environment, python_command
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import kept_current
from pisnn_deploy.lava import exchange
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, Trace, start_of
from pisnn_deploy.runs.states import first_true, misfit

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 1.0
"""Time that a worker gets to end its processes before its group is killed."""
_DEADLINE_GRACE_SECONDS = 1.5
_REAP_SECONDS = 0.005
_LONGEST_SOCKET_FOLDER = 60
"""Characters: a socket's path may have 108 on Linux, and Python adds 47."""
_LOG_LINES = 12


class WorkerError(CheckError):
    """The worker or one of its processes broke down; the run has no verdict.

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
        This interpreter cannot run Lava, the graph has an empty population, or there is too little shared memory.
    WorkerError
        A process raised, died or hung.
    """
    if not graph.mesh.faces:
        raise UsageError("cpu backend: the mesh has no face, and Lava has no empty processes; use `backend` fast")
    require_files("cpu backend: Lava", FILES_OF_LAVA)
    Injector(graph, options.faults, options.steps)  # refuses what the graph has no place for
    command = worker_command()
    kept, start = options.kept_steps(), options.start or start_of(graph, mass)
    prefix = f"pisnn_{secrets.token_hex(6)}_"
    # Python's own sockets get a folder apart: their paths must be short.
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
            kept,
            options.last_step,
            len(graph.chain),
            everything=options.everything,
        )
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
            _remove_shared_memory(prefix)
        return _collect(graph, start, options, files, end, progress)


def _folder_of_sockets() -> str:
    """Where temporary files go, unless a socket in there would have too long a path."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_SOCKET_FOLDER else "/tmp"


def _time_steps(graph: IntegerGraph, start: RunState, options: RunOptions) -> int:
    """Time steps of a run; one that is to go on later ends when all but channels have answered the last masses."""
    deepest = max((graph.depths[population.name] for population in graph.between_fields), default=0)
    answers = deepest if options.last_step < options.steps else 0
    return (options.last_step - start.step) * int(graph.period or 0) + 1 + answers


def worker_command() -> list[str]:
    """Command that starts the worker, without the request.

    Raises
    ------
    UsageError
        Lava does not run on this interpreter, and no other one is named.
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
    """Environment of the worker: one thread per process, and this very package if the interpreter is this one."""
    environment = child_environment() if command[0] == sys.executable else os.environ
    return {**environment, **dict.fromkeys(_THREAD_VARIABLES, "1")}


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _serve(command: Sequence[str], files: Exchange, options: RunOptions, progress: Progress | None) -> str:
    """Start the worker and stay with it until it and all its processes have ended; say how it ended."""
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
    """Pass progress on until the worker ends or is overdue; say which."""
    assert worker.stdout is not None
    voice = worker.stdout.fileno()
    overdue = time.monotonic() + options.deadline_seconds + _START_SECONDS + _DEADLINE_GRACE_SECONDS
    pending = b""
    while time.monotonic() < overdue:
        ready, _, _ = select.select([voice], [], [], _POLL_SECONDS)
        if ready:
            heard = os.read(voice, 1 << 16)
            if not heard:
                return _death(worker)
            *lines, pending = (pending + heard).split(b"\n")
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
    return "the worker did not keep its deadline and was killed"


def _death(worker: subprocess.Popen[bytes]) -> str:
    try:
        code = worker.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return "the worker closed its output and was killed"
    if code < 0:
        return f"the worker was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"the worker ended by itself with exit code {code}"


_START_SECONDS = 60.0
"""Longest time for importing Lava and compiling the network."""


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
    """Wait until the last process of a killed group is dead, so that none can make new shared memory."""
    overdue = time.monotonic() + _GRACE_SECONDS
    while _lives(group) and time.monotonic() < overdue:
        time.sleep(_REAP_SECONDS)


def _lives(group: int) -> bool:
    """Whether a process group has a member that still runs.

    A dead one that its new parent, process 1, has not collected yet does not count: some take a second for that.
    """
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, member_of = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(member_of) == group and state not in "ZX":
                return True
    return False


def _remove_shared_memory(prefix: str) -> None:
    for segment in Path("/dev/shm").glob(f"{prefix}*"):
        segment.unlink(missing_ok=True)


def _collect(
    graph: IntegerGraph, start: RunState, options: RunOptions, files: Exchange, end: str, progress: Progress | None
) -> Run:
    """Read what a worker left behind."""
    kept = options.kept_steps()
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
    cells = graph.mesh.cells
    steps, rows = int(status[exchange.STEPS]), int(status[exchange.ROWS])
    counted = files.events(graph.chain)
    events = {name: count + start.events[name] for name, count in counted.items()}
    packets_sent = start.packets_sent + int(status[exchange.PACKETS])
    quanta_sent = start.quanta_sent + int(status[exchange.QUANTA])
    trace = Trace(
        kept[:rows],
        np.array(files.array("mass")[:rows, :cells]),
        np.array(files.array("mass")[:rows, cells:]),
        np.array(files.array("transported")[:rows]),
        np.array(files.array("in_flight")[:rows]),
        np.array(files.array("flux")[:rows]) if options.everything else None,
    )
    end_state = None
    if steps == options.last_step and not result["failure"]:
        _, current, residue = np.array(files.array("end_flux"))
        end_state = RunState(
            steps,
            np.array(files.array("end_mass")),
            kept_current(graph, current),
            residue,
            np.array(files.array("end_transported")),
            int(np.abs(files.array("end_flux")[0]).sum()),
            packets_sent,
            quanta_sent,
            events,
        )
        if not options.faults:
            _require_state(graph, start, end_state)
    if progress is not None:
        progress(steps)
    return Run(
        backend="cpu",
        steps=steps,
        time_steps=start.step * int(graph.period or 0) + int(status[exchange.TIME_STEPS]),
        trace=trace,
        violations=dict(_violations(status, overflow=bool(result.get("overflow")))),
        failure=str(result["failure"]),
        packets_sent=packets_sent,
        quanta_sent=quanta_sent,
        events=events,
        wall_seconds=float(result["seconds"]),
        end=end_state,
        detections=_detections(files, result),
    )


def _require_state(graph: IntegerGraph, start: RunState, end: RunState) -> None:
    """Refuse what a worker left behind if a run from `start` cannot end so."""
    expected = start.mass + graph.mesh.divergence(end.transported - start.transported)
    wrong = first_true(expected != end.mass)
    problem = misfit(graph, end) if wrong is None else f"membrane [{wrong}] is {end.mass[wrong]}, not {expected[wrong]}"
    if problem:
        raise WorkerError(f"the worker left a state that the run cannot be in: {problem}")


def _require_memory(text: str, files: Exchange) -> None:
    """Blame the memory for what comes of its lack; where it is limited, that is the death of a process too."""
    dies = "killed by signal" in text and memory_limit() is not None
    if dies or says_lack_of_memory(text) or says_lack_of_memory(_tail(files.log)):
        raise UsageError("cpu backend: memory ran out; choose a coarser `mesh`, or allow the process more")


def _detections(files: Exchange, result: Mapping[str, Any]) -> tuple[Detection, ...]:
    """What was healed, and what stopped the run."""
    found = [*(files.read_json(files.healed) or {"healed": []})["healed"]]
    if "stopped" in result:
        found.append(result["stopped"])
    return tuple(Detection(**detection) for detection in found)


def _violations(status: Integers, *, overflow: bool) -> Mapping[str, int]:
    counts = dict(zip(KINDS, status[exchange.VIOLATIONS].tolist(), strict=True))
    counts["overflow"] += int(overflow)
    return counts


def _tail(log: Path) -> str:
    """Last lines of the log."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-_LOG_LINES:])
