"""The request to run a graph, filled by the command line and the Python API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from numpy.typing import ArrayLike

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import Fault, parse_fault
from pisnn_deploy.fields.formats import is_field_file
from pisnn_deploy.project.durations import Duration, parse_duration
from pisnn_deploy.project.keywords import FileName, request_of
from pisnn_deploy.project.own_problem import MOST_STEPS
from pisnn_deploy.runs.registry import usual_backend
from pisnn_deploy.runs.segments import SEGMENT_SECONDS

if TYPE_CHECKING:
    from typing_extensions import Unpack

Start = str | Path | ArrayLike | Mapping[str, ArrayLike] | Mapping[str, str] | None
"""A named initial condition, an expression, a file of a field, or cell averages (default: the problem's own)."""


class SimulateKeywords(TypedDict, total=False):
    """Keywords of a run besides start and length: the options of ``simulate`` by name."""

    backend: str | None
    time: float | str | None
    until_steady: float | None
    every: int | None
    timeout: float
    everything: bool
    probe: str | tuple[str, ...] | list[str]
    against: str | None
    reference: FileName | None
    faults: tuple[str, ...] | list[str]
    recover: bool
    save: FileName | None
    resume: bool
    record_every: float


class _Keywords(SimulateKeywords, total=False):
    steps: int | None
    initial: Any


@dataclass(frozen=True)
class Length:
    """Start and length of a run, and which steps to keep.

    Attributes
    ----------
    steps : int or None
        Number of PDE steps (default: to the problem's final time).
    time : float, str or None
        Physical time to reach, in the unit of the model, or as text with a unit, such as ``2.5s``, where a law states
        units: the run ends with the first PDE step at or after it.
    until_steady : float or None
        End with the first PDE step in which no cell changes by this much per unit of time: the largest
        ``|u_after - u_before| / time_step`` over all cells and fields is smaller. `steps` or `time` limit the search,
        else a million PDE steps. It is a run of its own on ``fast``, which the run proper repeats.
    initial : str, Path, float64 array of the mesh's shape, mapping of str to such arrays or to str, or None
        A named initial condition, an expression of the place, a file of a field, cell averages, or arrays or
        expressions by field; the problem's own if None. Arrays and .npy files of several fields have one axis more,
        before those of the mesh.
    every : int or None
        Keep each ``every``-th PDE step (default: all with ``probe`` or a trace, else about 400).
    everything : bool
        Also keep the integers of the flux compartments; a report shows which values occurred.
    probe : str or tuple of str
        Populations whose spikes and states to keep, each as ``POPULATION`` or ``POPULATION:NEURONS``, such as
        ``flux:0-9,63``; on ``cpu`` and ``fast``.
    timeout : float
        Time limit of a run on Lava, in seconds.
    """

    steps: int | None = None
    time: float | str | None = None
    until_steady: float | None = None
    initial: Start = None
    every: int | None = None
    everything: bool = False
    probe: str | tuple[str, ...] | list[str] = ()
    timeout: float = 3600.0

    @property
    def probe_texts(self) -> tuple[str, ...]:
        """Each probe."""
        return (self.probe,) if isinstance(self.probe, str) else tuple(self.probe)

    @property
    def duration(self) -> Duration | None:
        """The time to reach.

        Raises
        ------
        UsageError
            It is no time.
        """
        return None if self.time is None else parse_duration(self.time)

    def __post_init__(self) -> None:
        for text in self.probe_texts:
            if not isinstance(text, str):
                raise UsageError(f"`probe` {text!r}: expected texts, such as flux:0-9")
        if not math.isfinite(self.timeout):
            raise UsageError(f"`timeout` {self.timeout}: expected a finite number of seconds")
        if self.timeout <= 0:
            raise UsageError(f"`timeout` {self.timeout}: expected a positive number of seconds")
        if self.steps is not None and not 0 <= self.steps <= MOST_STEPS:
            raise UsageError(f"`steps` {self.steps}: expected 0 to {MOST_STEPS}")
        if self.time is not None and self.steps is not None:
            raise UsageError("`time`: excludes `steps`; give one of them")
        _ = self.duration
        if self.until_steady is not None and not (math.isfinite(self.until_steady) and self.until_steady > 0):
            raise UsageError(f"`until_steady` {self.until_steady}: expected a positive, finite number")
        if self.every is not None and not 1 <= self.every <= MOST_STEPS:
            raise UsageError(f"`every` {self.every}: expected 1 to {MOST_STEPS}")


@dataclass(frozen=True)
class Injection:
    """Faults to inject into the run.

    Attributes
    ----------
    faults : tuple of str
        See docs/explanation/faults.md.
    recover : bool
        Repair violations and continue.
    """

    faults: tuple[str, ...] | list[str] = ()
    recover: bool = False

    def __post_init__(self) -> None:
        if self.recover and not self.faults:
            raise UsageError("`recover`: needs `faults`; nothing else breaks a simulated run")

    @cached_property
    def parsed(self) -> tuple[Fault, ...]:
        """The parsed faults."""
        return tuple(parse_fault(text) for text in self.faults)


@dataclass(frozen=True)
class SavedTrace:
    """A trace to save; the run is recorded next to the file meanwhile.

    Attributes
    ----------
    save : str, Path or None
        File of the trace (``.npz``), or of fields, by its suffix; see ``docs/how-to/fields.md``. None writes no file.
    resume : bool
        Continue an interrupted run from its recording.
    record_every : float
        Seconds between two records of the run's state.
    """

    save: FileName | None = None
    resume: bool = False
    record_every: float = SEGMENT_SECONDS

    def __post_init__(self) -> None:
        if self.resume and self.save is None:
            raise UsageError("`resume`: name the run to continue with `save`")
        if not self.record_every > 0:
            raise UsageError(f"`record_every` {self.record_every}: expected a positive number of seconds")

    @property
    def path(self) -> Path | None:
        """The file."""
        return None if self.save is None else Path(self.save)


@dataclass(frozen=True)
class SimulateRequest:
    """A request to run a graph.

    Attributes
    ----------
    backend : str or None
        ``cpu`` (Lava), ``fast``, ``onnx`` or ``torch``; all give the same integers. Default: ``cpu`` where Lava
        is installed, else ``fast``.
    against : str or None
        Compare every integer of every PDE step with this backend.
    reference : str, Path or None
        File of a field or trajectory to compare the run with, see ``docs/how-to/fields.md``.
    length : Length
        Start, number of steps and what to keep.
    injection : Injection
        Faults to inject.
    trace : SavedTrace
        File of the trace, and its recording.
    """

    backend: str | None = None
    against: str | None = None
    reference: FileName | None = None
    length: Length = Length()
    injection: Injection = Injection()
    trace: SavedTrace = SavedTrace()

    @property
    def reference_path(self) -> Path | None:
        """File of the reference."""
        return None if self.reference is None else Path(self.reference)

    @property
    def runs_on(self) -> str:
        """The backend to run, named or by default."""
        return usual_backend()[0] if self.backend is None else self.backend

    def __post_init__(self) -> None:
        others = (
            ("against", self.against),
            ("resume", self.trace.resume),
            ("probe", self.length.probe),
            ("until_steady", self.length.until_steady),
        )
        for name, value in others:
            if self.injection.faults and value:
                raise UsageError(f"`faults`: does not go with `{name}`")


def simulate_request(
    steps: int | None = None,
    initial: str | PathLike[str] | ArrayLike | Mapping[str, ArrayLike] | None = None,
    **options: Unpack[SimulateKeywords],
) -> SimulateRequest:
    """Build a request from keywords, whichever group they belong to.

    Parameters
    ----------
    steps : int, optional
        See `Length`.
    initial : str, path or array, optional
        Text that ends like a file name is read as one.
    **options
        See `SimulateKeywords`.

    Raises
    ------
    UsageError
        Options exclude each other; the message names the option.
    TypeError
        No such option.
    """
    is_file = isinstance(initial, PathLike) or (isinstance(initial, str) and is_field_file(initial))
    if isinstance(options.get("faults"), str):
        raise UsageError("`faults`: expected a list of texts, one per fault")
    fields = {"steps": steps, "initial": Path(initial) if is_file else initial, **options}  # type: ignore[arg-type]
    return request_of(SimulateRequest, _Keywords, fields)
