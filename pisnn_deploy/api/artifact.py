"""An artifact in Python: compiled, loaded, proved again, checked, run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.api.table import html_table
from pisnn_deploy.checks import Report, check
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.printable import counted, printable
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_sealed_artifact, warnings_in, write_artifact
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.own_problem import (
    admitted_mass,
    named_start,
    reference_of,
    relative_reference_error,
    steps_to_horizon,
)
from pisnn_deploy.project.request import CompileKeywords, FileName, compile_request
from pisnn_deploy.runs import Progress, RunOptions, run_graph
from pisnn_deploy.target import load_profile, own_profile
from pisnn_deploy.verify import Finding, check_certificate

if TYPE_CHECKING:
    from typing_extensions import Unpack

ROWS = 400
"""Rows that a run keeps unless asked for others."""


def compile(model: FileName, *, strict: bool = False, **options: Unpack[CompileKeywords]) -> CompiledArtifact:
    """Compile a model for a mesh and a target.

    Parameters
    ----------
    model : str or path
        A checkpoint, the name of a model of the zoo, or a flux network as ONNX, netx or NIR.
    strict : bool
        Fail if there is a warning.
    **options
        Any of those below; names and meaning are those of ``pisnn-deploy compile``. What is not given is the
        problem's or the model's own.

    Other Parameters
    ----------------
    mesh : str, int or tuple of int
        Cells along each axis, or a file of a mesh.
    boundary : str or path
        Such as ``no-flux`` or ``dirichlet=0,1``, or a YAML file.
    profile : str or path
        Hardware profile: a name (default ``loihi2``) or a YAML file.
    value_range : (float, float)
        Lowest and highest cell value.
    slope, flux : float
        Largest slope of the field, in values per length; largest flux through a face in one PDE step, in cell values.
    coding : str
        ``delta`` (default) or ``dense``.
    spikes : str
        ``graded`` or ``binary``; what the profile has unless given.
    processes : str
        ``c-lif`` (default), or ``stock`` for Lava's own Sigma, SigmaDelta and Sparse.
    send_threshold : int
        With stock processes, quanta that a face keeps until they have added up.
    limiter : str
        ``none`` (default) or ``positivity``: no cell gives more than it has.
    placement : str
        How cells are cut onto cores: ``auto`` (default), ``blocks``, ``metis``, ``index`` or ``none``.
    materials : str or path
        YAML file of the materials of a mesh from a file.
    conductivity, capacity : str or path
        ``.npy`` files of a grid, cell by cell.
    weld : float
        Join points of a mesh from a file that lie within this distance of each other, in its unit of length.
    problem : str
        What a network from ONNX, netx or NIR solves.
    diffusion_number : float
        ``diffusivity * dt / h^2`` that such a network was trained for, if it has hidden layers.

    Returns
    -------
    CompiledArtifact

    Raises
    ------
    UsageError
        Something that was given cannot be used; the message names the option.
    CheckError
        There is a warning, and `strict` forbids it.

    Examples
    --------
    >>> import pisnn_deploy as pd
    >>> pd.compile("heat1d", mesh=64).graph.mesh.cells
    64
    """
    graph, provenance = compile_requested(compile_request(model, **options))
    compiled = CompiledArtifact(graph, provenance)
    if strict and compiled.warnings:
        raise CheckError(f"{counted(len(compiled.warnings), 'warning')}: {compiled.warnings[0]}")
    return compiled


def load(path: str | PathLike[str]) -> CompiledArtifact:
    """Read an artifact (``.pisnn``).

    Parameters
    ----------
    path : str or path

    Returns
    -------
    CompiledArtifact

    Raises
    ------
    FileError
        It cannot be read, is no artifact, or was changed after its certificate was issued.
    """
    read = read_sealed_artifact(Path(path))
    return CompiledArtifact(read.graph, read.provenance)


@dataclass(frozen=True)
class CompiledArtifact:
    """A compiled model.

    Attributes
    ----------
    graph : IntegerGraph
        All integers: mesh, populations, synapses, bounds, placement and certificate.
    provenance : mapping
        Model hash, options and versions.
    """

    graph: IntegerGraph = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the compiler warned about, a sentence each; nobody proves them again."""
        return warnings_in(self.provenance)

    @cached_property
    def sha256(self) -> str:
        """Hash of the artifact's bytes."""
        return hashlib.sha256(artifact_bytes(self.graph, self.provenance)).hexdigest()

    def save(self, path: str | PathLike[str]) -> str:
        """Write the artifact, whole or not at all.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        str
            SHA-256 of the file.
        """
        return write_artifact(Path(path), self.graph, self.provenance)

    def simulate(
        self,
        steps: int | None = None,
        *,
        backend: str = "cpu",
        initial: str | ArrayLike | None = None,
        every: int | None = None,
        timeout: float = 3600.0,
        progress: Progress | None = None,
    ) -> SimulationRun:
        """Run the graph; the audit looks at every step.

        Parameters
        ----------
        steps : int, optional
            PDE steps; to the problem's horizon unless given.
        backend : str
            ``cpu`` (Lava), ``fast``, ``onnx`` or ``torch``; all give the same integers.
        initial : str or array of the mesh's shape, optional
            Named initial condition, or cell averages in physical units; the problem's own start unless given.
        every : int, optional
            Keep each ``every``-th PDE step; so that about 400 are kept unless given.
        timeout : float
            Seconds after which a run on Lava is ended.
        progress : callable, optional
            Called now and then with the number of PDE steps done.

        Returns
        -------
        SimulationRun
            Also if a violation stopped the run: see `SimulationRun.verdict`.

        Raises
        ------
        UsageError
            A start or a number that cannot be used, or a backend that does not run here.
        CheckError
            The backend itself broke down.
        """
        graph = self.graph
        length = steps_to_horizon(graph) if steps is None else steps
        if length < 0:
            raise UsageError(f"steps: {length} is negative")
        if every is not None and every < 1:
            raise UsageError(f"every: {every} is not positive")
        name: str | None = initial if isinstance(initial, str) else None
        if initial is None:
            mass = graph.membrane.initial
        elif isinstance(initial, str):
            mass = admitted_mass(graph, named_start(graph, initial), initial)
        else:
            mass = admitted_mass(graph, self._cell_averages(initial), "initial")
        options = RunOptions(length, every or max(1, -(-length // ROWS)), timeout)
        run = run_graph(backend, graph, mass, options, progress)
        known = (initial is None or name is not None) and run.trace.step.size > 0
        last = int(run.trace.step[-1]) if known else 0
        reference = reference_of(graph, last, name) if known else None
        known_to = None if reference is None else relative_reference_error(graph, last, name, reference)
        return SimulationRun(graph, run, reference, known_to)

    def _cell_averages(self, initial: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        shape = self.graph.mesh.shape
        try:
            values = np.asarray(initial, np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"initial: is no array of numbers ({error})") from error
        if values.shape != shape:
            raise UsageError(f"initial: has shape {values.shape}, the mesh has {shape}")
        bad = np.flatnonzero(~np.isfinite(values.reshape(-1)))
        if bad.size:
            raise UsageError(f"initial: cell {int(bad[0])} is not finite")
        return values.reshape(-1)

    def verify(self) -> tuple[Finding, ...]:
        """Prove every claim of the certificate again, without the compiler.

        Returns
        -------
        tuple of Finding
            One for each claim; ``holds`` says whether it was proved.
        """
        return check_certificate(self.graph)

    def check(self, profile: str | None = None) -> Report:
        """Check the graph against a hardware profile.

        Parameters
        ----------
        profile : str, optional
            A name or a YAML file; what the graph was compiled for unless given, which must be in the library.

        Returns
        -------
        Report
            With every finding; ``passed`` is false if one is an error.

        Raises
        ------
        UsageError
            No such profile.
        """
        target = load_profile(profile) if profile else own_profile(self.graph.profile, "the artifact")
        rejected = tuple((finding.claim, finding.text) for finding in self.verify() if not finding.holds)
        return check(self.graph, target, rejected)

    @property
    def _rows(self) -> dict[str, str]:
        graph, certificate = self.graph, self.graph.certificate
        claims = {} if certificate is None else certificate.claims
        return {
            "mesh": f"{graph.mesh.cells} cells, {graph.mesh.faces} faces, {graph.mesh.boundary_text}",
            "target": graph.profile or "none",
            "schedule": f"{graph.period} time steps per PDE step, {graph.coding} coding",
            "quantum": f"{graph.quantum:g}",
            "time step": f"{graph.time_step:.6g}",
            **{name: claim.status for name, claim in claims.items()},
            **({"warnings": " / ".join(self.warnings)} if self.warnings else {}),
        }

    def __repr__(self) -> str:
        told = ", ".join(f"{name}: {text}" for name, text in self._rows.items())
        return printable(f"<CompiledArtifact {self.graph.spec.name}; {told}>")

    def _repr_html_(self) -> str:
        return html_table(self.graph.spec.name, self._rows)
