"""The worker process of the `cpu` backend: ``python -m pisnn_deploy.lava.worker REQUEST.json``.

Input and output are files (see `pisnn_deploy.lava.exchange`). Standard output has one JSON object per line: ``actors``
(process ids by name) once, ``steps`` repeatedly, and finally ``ended``. All other output goes to the log.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from multiprocessing import current_process, shared_memory
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from pisnn_deploy.audit.recovery import detection_of
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation, PisnnError
from pisnn_deploy.core.surroundings import shut_out_current_folder
from pisnn_deploy.lava.exchange import STEPS, TIME_STEPS, Exchange, Integers
from pisnn_deploy.lava.guardian import die_with_parent, end_with_standard_input, guard_forked_children
from pisnn_deploy.lava.shared_memory import remove_segments

if TYPE_CHECKING:
    from lava.magma.core.process.process import AbstractProcess

    from pisnn_deploy.graph.integer import IntegerGraph

ModelSource = Callable[[], "Mapping[type[AbstractProcess], type]"]

_REPORT_SECONDS = 0.1
_DEADLOCK_SECONDS = 5.0


class _EndRequested(BaseException):
    """The parent asked the worker to end, or died."""


def serve(request_path: Path, replaced_models: ModelSource | None = None) -> int:
    """Serve one request.

    Parameters
    ----------
    request_path : Path
        Path of the request (JSON).
    replaced_models : callable, optional
        Called when Lava may be imported; returns replacements of model classes, by process class.

    Returns
    -------
    int
        Exit code: 0 if ``result.json`` was written.
    """
    files = Exchange(request_path.parent)
    request = files.read_json(request_path) or {}
    output = _take_standard_output()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(int(request["parent"]), signal.SIGTERM)
    prefix = str(request["shared_memory_prefix"])

    def clean_up() -> None:
        """Remove what a dead parent cannot."""
        if os.getppid() == int(request["parent"]):
            return
        for folder in (files.folder, Path(str(request["sockets"]))):
            shutil.rmtree(folder, ignore_errors=True)
        remove_segments(prefix)

    end_with_standard_input(clean_up)
    _mark_shared_memory(prefix)
    _keep_sockets_in(str(request["sockets"]))
    guard_forked_children()
    try:
        result = _run(files, request, output, replaced_models)
    except _EndRequested:
        clean_up()
        return 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(int(request["parent"]), signal.SIGKILL)
    files.write_json(files.result, result)
    _say(output, {"ended": str(result["status"])})
    return 0


def _run(
    files: Exchange,
    request: Mapping[str, object],
    output: TextIO,
    replaced_models: ModelSource | None,
) -> dict[str, object]:
    # networkx, with which Lava orders processes, asks of each list of edges whether it is pandas'. Loading that, with
    # pyarrow, would take 40 % of the time of a short run; networkx does without.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    # Imported here, after the shared-memory prefix and the fork hook are set.
    from pisnn_deploy.graph.artifact import read_artifact
    from pisnn_deploy.lava.network import build_network
    from pisnn_deploy.lava.supervisor import ActorFailure, DeadlinePassed, run_network

    time_steps, first_step = int(str(request["time_steps"])), int(str(request["first_step"]))
    deadline_seconds = float(str(request["deadline_seconds"]))
    reporter = _Reporter(output, int(str(request["parent"])), files.array("status"))
    try:
        graph = read_artifact(files.artifact).graph
        models = replaced_models() if replaced_models else _models_of_faults(graph, request)
        network = build_network(graph, files, first_step, bool(request["goes_on"]), models)
        seconds = run_network(
            network,
            time_steps,
            deadline_seconds,
            reporter.report,
        )
    except (InvariantViolation, OverflowViolation) as violation:
        overflow, seconds = isinstance(violation, OverflowViolation), reporter.seconds()
        stopped = asdict(detection_of(violation))
        return {
            "status": "violated",
            "failure": str(violation),
            "overflow": overflow,
            "seconds": seconds,
            "stopped": stopped,
        }
    except ActorFailure as failure:
        return {"status": "broken", "failure": str(failure), "traceback": failure.traceback}
    except DeadlinePassed:
        return {"status": "broken", "failure": reporter.verdict(deadline_seconds), "traceback": ""}
    except PisnnError as error:
        return {"status": "refused", "failure": str(error)}
    except Exception as error:
        failure_text = f"the worker raised {type(error).__name__}: {error}"
        return {"status": "broken", "failure": failure_text, "traceback": traceback.format_exc()}
    return {"status": "done", "failure": "", "seconds": seconds}


def _models_of_faults(graph: IntegerGraph, request: Mapping[str, Any]) -> Mapping[type[AbstractProcess], type]:
    """Replacements of models in a run with faults."""
    if not request["faults"]:
        return {}
    from pisnn_deploy.faults.injection import Injector
    from pisnn_deploy.faults.spec import parse_fault
    from pisnn_deploy.lava.processes.faulty.models import faulty_models

    injector = Injector(graph, [parse_fault(text) for text in request["faults"]], int(request["steps"]))
    return faulty_models(graph, injector, int(request["first_step"]), recovers=bool(request["recovers"]))


class _Reporter:
    """Reports progress to the parent, and ends the run if the parent dies."""

    def __init__(self, output: TextIO, parent: int, status: Integers) -> None:
        self._output = output
        self._parent = parent
        self._status = status
        self._started: float | None = None
        self._next = 0.0
        self._time_steps = 0
        self._moved = time.perf_counter()

    def report(self, actors: Mapping[str, int]) -> None:
        now = time.perf_counter()
        if self._started is None:
            self._started = self._moved = now
            _say(self._output, {"actors": dict(actors)})
        if now < self._next:
            return
        self._next = now + _REPORT_SECONDS
        if os.getppid() != self._parent:
            raise _EndRequested
        if self._status[TIME_STEPS] != self._time_steps:
            self._time_steps = int(self._status[TIME_STEPS])
            self._moved = now
        _say(self._output, {"steps": int(self._status[STEPS])})

    def seconds(self) -> float:
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def verdict(self, deadline_seconds: float) -> str:
        silent = time.perf_counter() - self._moved
        if silent < min(_DEADLOCK_SECONDS, deadline_seconds / 2):
            return f"the run did not finish within {deadline_seconds:g} s; increase the deadline"
        return f"deadlock: no time step finished for {silent:.1f} s, until the deadline of {deadline_seconds:g} s"


def _take_standard_output() -> TextIO:
    """Reserve standard output for the protocol, and redirect all other output to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output


def _say(output: TextIO, message: Mapping[str, object]) -> None:
    try:
        output.write(json.dumps(message) + "\n")
        output.flush()
    except BrokenPipeError as error:
        raise _EndRequested from error


def _mark_shared_memory(prefix: str) -> None:
    """Set the name prefix of shared-memory segments, by which the parent finds them."""
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 1 + 12  # type: ignore[attr-defined]


def _keep_sockets_in(folder: str) -> None:
    """Set the folder of multiprocessing's sockets, which the parent removes even if this process is killed."""
    current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]


def _end(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _EndRequested


def main() -> NoReturn:
    """Serve the request on the command line."""
    shut_out_current_folder()
    code = serve(Path(sys.argv[1]))
    # A normal exit would wait for Lava's children, which may be in a deadlock.
    os._exit(code)


if __name__ == "__main__":
    main()
