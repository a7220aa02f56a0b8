"""Run a graph as requested: with faults, a recording, on MPI ranks, or a comparison with another backend."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.npy import write_arrays
from pisnn_deploy.core.optional import is_installed
from pisnn_deploy.core.output import whole_file
from pisnn_deploy.core.pointers import require_regular
from pisnn_deploy.fields.formats import NETCDF, TRACE, ZARR, format_to_write
from pisnn_deploy.fields.image import scale_text
from pisnn_deploy.fields.snapshots import Snapshots
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.problem import Solution
from pisnn_deploy.project.law_solution import exact_solution_of_law, law_solution
from pisnn_deploy.project.listener import UNHEARD, Listener
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.project.own_problem import (
    exact_solution,
    reference_of,
    relative_reference_error,
    steps_to_horizon,
    steps_to_time,
)
from pisnn_deploy.project.saved_trace import trace_arrays
from pisnn_deploy.project.simulate_request import Length, SimulateRequest
from pisnn_deploy.project.starting import initial_mass
from pisnn_deploy.project.steady import MOST_STEPS, Steady, steady_step
from pisnn_deploy.project.user_reference import (
    ReferenceErrors,
    UserReference,
    largest_interval,
    read_reference,
    reference_errors,
    require_kept,
)
from pisnn_deploy.runs import Run, RunOptions, run_graph, usual_backend
from pisnn_deploy.runs.comparison import Comparison, compare
from pisnn_deploy.runs.fast import SlowRunWarning
from pisnn_deploy.runs.plausibility import Plausibility, plausibility
from pisnn_deploy.runs.probes import probes_of
from pisnn_deploy.runs.recording import SUFFIX, discard, recording
from pisnn_deploy.runs.run import row_bytes
from pisnn_deploy.runs.segments import run_in_segments

if TYPE_CHECKING:
    from pisnn_deploy.runs.domains.ranks import Ranks

ROWS_WITHOUT_SAVING = 400
ROWS_ON_RANKS = 20
"""Most rows kept of a run on several ranks without --save; each is gathered from all of them."""
LARGEST_TRACE = 1 << 33
"""Memory limit of a trace in bytes."""
BYTES_WITHOUT_SAVING = 1 << 30
"""Memory limit in bytes for the rows of a run that is not saved; plots need only a few."""


class Source(Protocol):
    """A graph to run, and its origin."""

    @property
    def graph(self) -> IntegerGraph:
        """The graph."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Provenance of the artifact."""

    @property
    def sha256(self) -> str:
        """Hash of the artifact's bytes."""


@dataclass(frozen=True)
class Simulation:
    """A run and its request.

    Attributes
    ----------
    start : str or None
        Name of the initial condition; empty for the problem's own, None for a field of the user's.
    comparison : Comparison or None
        Comparison with another backend.
    steady : Steady or None
        Where the run is steady, if it was to run until then.
    user_reference : UserReference or None
        Reference of the user's.
    """

    source: Source
    run: Run
    request: SimulateRequest
    start: str | None
    comparison: Comparison | None = None
    steady: Steady | None = None
    user_reference: UserReference | None = None

    @property
    def graph(self) -> IntegerGraph:
        """The graph that was run."""
        return self.source.graph

    @property
    def exact(self) -> Callable[[float], NDArray[np.float64] | None] | None:
        """Exact cell averages at a physical time, field by field, float64 [cells]; None where no solution is known."""
        if self.start is None:
            return None
        if self.graph.spec.equation == "law":
            return exact_solution_of_law(self.graph, self.graph.spec)
        return exact_solution(self.graph, self.start or None)

    @cached_property
    def of_law(self) -> tuple[Solution | None, str]:
        """Solution of the law at the last kept step, and why there is none; see `law_solution`."""
        steps = self.run.trace.step
        if self.start is None or not steps.size or self.graph.spec.equation != "law":
            return None, ""
        return law_solution(self.graph, self.graph.spec, int(steps[-1]))

    @cached_property
    def reference(self) -> NDArray[np.float64] | None:
        """Exact cell averages at the last kept step, field by field, float64 [cells]."""
        # A stopped run may have been continued since.
        steps = self.run.trace.step
        if self.start is None or not steps.size:
            return None
        if self.graph.spec.equation == "law":
            exact, _ = self.of_law
            fields = self.graph.fields
            return None if exact is None else np.concatenate([exact.fields[f.name].reshape(-1) for f in fields])
        return reference_of(self.graph, int(steps[-1]), self.start or None)

    @cached_property
    def reference_errors(self) -> ReferenceErrors | None:
        """Errors against the reference of the user's; None without one."""
        if self.user_reference is None:
            return None
        return reference_errors(self.user_reference, self.graph, self.run.trace)

    @property
    def drawn_reference(self) -> tuple[NDArray[np.float64] | None, str]:
        """Field at the last kept step that pictures compare with, and its name: the user's if there is one."""
        steps = self.run.trace.step
        if self.user_reference is None or not steps.size:
            return self.reference, "exact"
        return self.user_reference.at(int(steps[-1]), int(steps[-1])), "reference"

    @property
    def reference_error(self) -> float | None:
        """Relative L2 error of the reference itself; None for laws, whose fields have an error each."""
        if self.reference is None or self.graph.spec.equation == "law":
            return None
        last = int(self.run.trace.step[-1])
        return relative_reference_error(self.graph, last, self.start or None, self.reference)

    @property
    def plausible(self) -> Plausibility:
        """Whether the field stays within the bounds set by start and boundary, and that of a law near its reference."""
        known = self.of_law[0] if self.run.conserved else None
        return plausibility(self.graph, self.run, None if known is None else known.fields)

    @property
    def cautions(self) -> list[str]:
        """Reasons why a run may be wrong although it conserves mass."""
        plausible = self.plausible
        sentences = [f"implausible: {sentence}" for sentence in plausible.sentences]
        if plausible.doubt and self.run.conserved:
            sentences.append(f"plausibility cannot be judged: {plausible.doubt}")
        return sentences


def simulate(
    source: Source, request: SimulateRequest, listener: Listener = UNHEARD, ranks: Ranks | None = None
) -> Simulation:
    """Run a graph, audited at every step.

    Parameters
    ----------
    source : Source
        An artifact.
    ranks : Ranks, optional
        MPI ranks that divide the run, which is then on ``fast``.

    Returns
    -------
    Simulation
        Also if a violation stopped the run.

    Raises
    ------
    UsageError
        A field of the request cannot be used; the message names it.
    CheckError
        The backend itself failed.
    """
    if ranks is not None:
        request = _on_ranks(request, ranks)
        if request.length.until_steady is not None:
            raise UsageError("`until_steady`: does not run on several ranks; find the step in one process")
    backend = request.runs_on
    graph, length, save = source.graph, request.length, request.trace.path
    starting = length.initial if isinstance(length.initial, Path) else None
    check_outputs([save], [starting, request.reference_path])
    if save is not None:
        format_to_write(save, graph)
        require_regular(save)  # a trace is an archive with a recording next to it
        if length.probe_texts and save.suffix not in ("", TRACE, NETCDF, ZARR):
            listener.say(f"note: {save}: has no spikes; those of `probe` are in {TRACE}, {NETCDF} and {ZARR} files")
    if isinstance(length.initial, Path) and length.initial.suffix == ".png":
        listener.say(f"{length.initial}: {scale_text(graph)}")
    mass, name = initial_mass(graph, length.initial)
    reference = None if request.reference_path is None else read_reference(request.reference_path, graph)
    steady = _steady(graph, mass, request, listener)
    steps = _steps(graph, length, reference) if steady is None else steady.step
    options = _options(graph, request, steps, reference, ranks)
    with ExitStack() as stack:
        if request.backend is None:
            stack.enter_context(_usual_backend(listener))
        if save is None or options.faults:  # recorded states do not include what a fault left behind
            with listener.progress(_title(graph, backend, ranks), options.steps) as report:
                run = run_graph(backend, graph, mass, options, report)
        else:
            run = _recorded(source, mass, request, options, stack, listener)
        compared = _compared(graph, mass, request, options, listener)
        if save is not None:
            _save(save, source, run)
            if not options.faults:
                discard(_recording_of(save))
    return Simulation(source, run, request, name, compared, steady, reference)


def _save(save: Path, source: Source, run: Run) -> None:
    """Write the trace, or the fields of a run in the format of the file."""
    write = format_to_write(save, source.graph).write
    if write is not None:
        write(save, Snapshots(source.graph, run, source.sha256))
        return
    with whole_file(save) as stream:
        write_arrays(stream, trace_arrays(source.graph, run, source.sha256))


def _on_ranks(request: SimulateRequest, ranks: Ranks) -> SimulateRequest:
    if request.backend not in (None, "fast"):
        raise UsageError(
            f"`backend` {request.backend}: runs in one process, but an MPI launcher started {ranks.count}; "
            "use `backend` fast"
        )
    return replace(request, backend="fast")


@contextmanager
def _usual_backend(listener: Listener) -> Iterator[None]:
    """Report the backend in one line where none was named and Lava is not installed."""
    notice = usual_backend()[1]
    if notice:
        listener.say(notice)
    with warnings.catch_warnings():
        if notice and not is_installed("llvmlite"):  # as the notice says
            warnings.simplefilter("ignore", SlowRunWarning)
        yield


def _steps(graph: IntegerGraph, length: Length, reference: UserReference | None) -> int:
    """PDE steps as asked for, or to the last time of a reference, or to the problem's final time."""
    if length.steps is not None:
        return length.steps
    if length.duration is not None:
        return steps_to_time(graph, length.duration.of(graph))
    last = None if reference is None else reference.last_step
    return steps_to_horizon(graph) if last is None else last


def _steady(
    graph: IntegerGraph, mass: NDArray[np.int64], request: SimulateRequest, listener: Listener
) -> Steady | None:
    """Where the run is steady, by a run of its own; None if that is not asked for, or a violation stops it."""
    tolerance = request.length.until_steady
    if tolerance is None:
        return None
    limited = request.length.steps is not None or request.length.duration is not None
    limit = _steps(graph, request.length, None) if limited else MOST_STEPS
    with listener.progress(f"{graph.spec.name} until steady", limit) as report:
        return steady_step(graph, mass, tolerance, limit, report)


def _options(
    graph: IntegerGraph, request: SimulateRequest, steps: int, reference: UserReference | None, ranks: Ranks | None
) -> RunOptions:
    """Options of a run whose rows fit in memory or on disk, with the steps of a reference among them."""
    length, save = request.length, request.trace.path
    everything = length.everything and save is None  # recordings do not keep them
    probes = probes_of(graph, length.probe_texts)
    bytes_of_row = row_bytes(graph, everything=everything, probes=probes)
    every = length.every
    if every is None:
        most = ROWS_WITHOUT_SAVING if ranks is None else ROWS_ON_RANKS
        most = steps + 1 if probes else most
        rows = max(1, min(most, BYTES_WITHOUT_SAVING // bytes_of_row - 2))
        every = 1 if save is not None and save.suffix in ("", TRACE) else max(1, -(-steps // rows))
        every = every if reference is None else largest_interval(reference.within(steps), steps, every)
    elif reference is not None:
        require_kept(reference, steps, every)
    _require_room(save, steps // every + 2, bytes_of_row)
    faults, recovers = request.injection.parsed, request.injection.recover
    kept = RunOptions(steps, every, length.timeout, everything, faults=faults, recovers=recovers, probes=probes)
    return replace(kept, ranks=ranks)


def _require_room(save: Path | None, rows: int, row_bytes: int) -> None:
    """Refuse a trace that does not fit on disk, where it briefly exists twice, or in memory."""
    if save is not None:
        free = shutil.disk_usage(save.parent).free
        if 2 * rows * row_bytes > free:
            raise UsageError(
                f"`save` {save}: the trace would hold {rows} steps of {row_bytes} bytes, and takes twice that while it "
                f"is written; {free} bytes are free; keep fewer with `every`"
            )
    elif rows * row_bytes > LARGEST_TRACE:
        raise UsageError(f"the trace would hold {rows} steps, more than {LARGEST_TRACE} bytes; keep fewer with `every`")


def _recorded(
    source: Source,
    mass: NDArray[np.int64],
    request: SimulateRequest,
    options: RunOptions,
    stack: ExitStack,
    listener: Listener,
) -> Run:
    """Run with a recording; the trace is mapped from it, so it stays open until the stack unwinds."""
    graph, backend = source.graph, request.runs_on
    identity = {
        "artifact": source.sha256,
        "backend": backend,
        "start": hashlib.sha256(mass.tobytes()).hexdigest(),
        "steps": options.steps,
        "every": options.every,
        **({"probe": [probe.text for probe in options.probes]} if options.probes else {}),
    }
    assert request.trace.path is not None
    folder, resume = _recording_of(request.trace.path), request.trace.resume
    record = stack.enter_context(recording(folder, graph, identity, options.probes))
    if resume and not record.is_begun:
        listener.say(f"warning: `resume`: nothing is recorded in {folder}; starting at PDE step 0")
    if record.is_begun and not resume:
        listener.say(f"warning: {folder}: discarding the earlier recording; use `resume` to continue it")
    seconds = request.trace.record_every
    with listener.progress(_title(graph, backend, options.ranks), options.steps) as report:
        try:
            return run_in_segments(
                backend, graph, mass, options, record, report, resume=resume, segment_seconds=seconds
            )
        except (KeyboardInterrupt, CheckError):
            progressed = record.progressed()
            if progressed is None:
                discard(folder)
            else:
                listener.say(f"recorded to PDE step {progressed.state.step}; go on with `resume`")
            raise


def _compared(
    graph: IntegerGraph, mass: NDArray[np.int64], request: SimulateRequest, options: RunOptions, listener: Listener
) -> Comparison | None:
    """Compare the run with another backend."""
    if request.against is None:
        return None
    with listener.progress(f"{request.runs_on} against {request.against}", options.steps) as report:
        limits = RunOptions(options.steps, deadline_seconds=options.deadline_seconds)
        return compare((request.runs_on, request.against), graph, mass, limits, report)


def _title(graph: IntegerGraph, backend: str, ranks: Ranks | None) -> str:
    return f"{graph.spec.name} on {backend}" + ("" if ranks is None else f", {ranks.count} ranks")


def _recording_of(save: Path) -> Path:
    return save.with_name(save.name + SUFFIX)
