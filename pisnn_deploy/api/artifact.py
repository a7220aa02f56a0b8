"""Artifacts in Python: compile, load, verify, check and run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.api.table import html_table
from pisnn_deploy.checks import Report
from pisnn_deploy.checks.outcome import Outcome
from pisnn_deploy.compiler.explanation import Explanation
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.printable import counted, printable
from pisnn_deploy.graph import Field as ConservedField
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import (
    artifact_bytes,
    read_sealed_artifact,
    warnings_in,
    write_artifact,
)
from pisnn_deploy.project.checking import CheckKeywords, check_request, outcomes_of
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.explanation import explained
from pisnn_deploy.project.exports import export
from pisnn_deploy.project.keywords import FileName
from pisnn_deploy.project.listener import Progress, listener_of
from pisnn_deploy.project.request import CompileKeywords, CompileRequest, compile_request
from pisnn_deploy.project.simulate_request import SimulateKeywords, simulate_request
from pisnn_deploy.project.simulation import simulate
from pisnn_deploy.verify import Finding, check_certificate

if TYPE_CHECKING:
    from typing_extensions import Unpack


def compile(model: FileName, *, strict: bool = False, **options: Unpack[CompileKeywords]) -> CompiledArtifact:
    """Compile a model for a mesh and a target.

    Parameters
    ----------
    model : str or path
        A checkpoint, the name of a model in the zoo, or a flux network in ONNX, netx or NIR format.
    strict : bool
        Whether to fail on warnings.
    **options
        The options of ``pisnn-deploy compile``, documented as fields of `CompileRequest` and its groups `Domain`,
        `Limits`, `Origin` and `GraphOptions`: mesh, boundary, weld, materials, conductivity, capacity; value_range,
        slope, flux; problem, diffusion_number; coding, spikes, processes, limiter, placement and others; profile. By
        default, those of the problem or model are used. A mesh may also be a number or a tuple of numbers, a range a
        tuple, and a file a path.

    Raises
    ------
    UsageError
        An option is invalid; the message names it.
    CheckError
        There is a warning, and `strict` is set.

    Examples
    --------
    >>> import pisnn_deploy as pisnn
    >>> pisnn.compile("heat1d", mesh=64).graph.mesh.cells
    64
    """
    request = compile_request(model, **options)
    compiled = CompiledArtifact(*compile_requested(request), request)
    if strict and compiled.warnings:
        raise CheckError(f"{counted(len(compiled.warnings), 'warning')}: {compiled.warnings[0]}")
    return compiled


def load(path: str | PathLike[str]) -> CompiledArtifact:
    """Read an artifact (``.pisnn``).

    Raises
    ------
    FileError
        The file cannot be read, is not an artifact, or was changed after its certificate was issued.
    """
    read = read_sealed_artifact(Path(path))
    return CompiledArtifact(read.graph, read.provenance)


def _quantum(graph: IntegerGraph, field: ConservedField) -> str:
    return f"{field.quantum:g}" + (f" of {field.name}" if len(graph.fields) > 1 else "")


@dataclass(frozen=True)
class CompiledArtifact:
    """A compiled model.

    Attributes
    ----------
    graph : IntegerGraph
        Integer graph: mesh, populations, synapses, bounds, placement and certificate.
    provenance : mapping
        Model hash, options and versions.
    request : CompileRequest or None
        What it was compiled for; None for an artifact from a file.
    """

    graph: IntegerGraph = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    request: CompileRequest | None = field(repr=False, default=None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the compiler, one sentence each; `verify` does not check them again."""
        return warnings_in(self.provenance)

    @cached_property
    def sha256(self) -> str:
        """Hash of the artifact's bytes."""
        return hashlib.sha256(artifact_bytes(self.graph, self.provenance)).hexdigest()

    def save(self, path: str | PathLike[str]) -> str:
        """Write the artifact atomically.

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
        initial: str | PathLike[str] | ArrayLike | Mapping[str, ArrayLike] | None = None,
        strict: bool = False,
        progress: Progress | None = None,
        **options: Unpack[SimulateKeywords],
    ) -> SimulationRun:
        """Run the graph, with an audit of every step.

        Parameters
        ----------
        steps : int, optional
            Number of PDE steps (default: to the problem's final time).
        initial : str, path, array of the mesh's shape or mapping of such arrays, optional
            Name of an initial condition, an expression such as ``1 + 0.5*cos(2*pi*x)``, a file of a field, or
            cell averages in physical units (default: the problem's own initial condition). Several fields are a mapping
            by their names, or an array or ``.npy`` file with one axis more before those of the mesh.
        strict : bool
            Whether to fail if the run is violated or implausible, or its plausibility cannot be judged.
        progress : callable, optional
            Called regularly with the number of completed PDE steps.
        **options
            The options of ``pisnn-deploy simulate``, documented as fields of `SimulateRequest` and its groups `Length`,
            `Injection` and `SavedTrace`: backend, against, reference; time, until_steady, every, everything, timeout;
            faults, recover; save, resume, record_every.

        Returns
        -------
        SimulationRun
            Also if a violation stopped the run, see `SimulationRun.verdict`.

        Raises
        ------
        UsageError
            The initial condition or an option is invalid, or the backend is not available.
        CheckError
            The backend failed, or the run does not pass `strict`.
        """
        simulation = simulate(self, simulate_request(steps, initial, **options), listener_of(progress))
        run = SimulationRun(self.graph, simulation.run, simulation.reference, simulation.reference_error, simulation)
        if strict and (simulation.cautions or not run.run.conserved):
            raise CheckError(run.failure or f"conserved, but {simulation.cautions[0]}")
        return run

    def explain(self) -> Explanation:
        """Measure where the accuracy went: the error after each step from floats to integers, and with one bit more.

        Raises
        ------
        UsageError
            The artifact comes from a file, which does not say what it was compiled from.
        """
        if self.request is None:
            raise UsageError("explain: the artifact comes from a file; compile its model again")
        return explained(self.request, self.graph)

    def verify(self) -> tuple[Finding, ...]:
        """Verify every claim of the certificate independently of the compiler.

        Returns
        -------
        tuple of Finding
            One per claim; ``holds`` says whether it was proved.
        """
        return check_certificate(self.graph)

    def check(self, profile: str | PathLike[str] | None = None, **options: Unpack[CheckKeywords]) -> Report:
        """Check the graph against a hardware profile.

        Parameters
        ----------
        profile : str or path, optional
            Name or YAML file (default: the profile that the graph was compiled for, which must be in the library).
        **options
            As for `check_outcomes`.

        Returns
        -------
        Report
            All findings; ``passed`` is false if one of them is an error.

        Raises
        ------
        UsageError
            The profile or a rule does not exist.
        """
        profiles = () if profile is None else (fspath(profile),)
        return self.check_outcomes(profiles, **options)[0].report

    def check_outcomes(
        self, profiles: Sequence[str] = (), name: str = "the artifact", **options: Unpack[CheckKeywords]
    ) -> tuple[Outcome, ...]:
        """Check the graph against several profiles and a baseline.

        Parameters
        ----------
        profiles : sequence of str
            Names or YAML files (default: the profile that the graph was compiled for).
        name : str
            Name of the artifact in reports.
        **options
            The options of ``pisnn-deploy check``, documented as fields of the groups `Selection`, `Growing` and
            `Subject` of `CheckRequest`: select, ignore; baseline, max_growth; events, against_seconds, horizon.

        Returns
        -------
        tuple of Outcome
            One per profile; ``passed`` covers findings and growth. `pisnn_deploy.checks.formats.FORMATS` has the
            formatters of ``--format``.

        Raises
        ------
        UsageError
            A profile, rule or file is invalid.
        """
        return tuple(outcomes_of(check_request(profiles, **options), self.graph, Path(name)))

    def export(
        self,
        to: Literal["onnx", "netx", "nir", "lava", "c", "torch", "verilog", "sanafe"],
        output: str | PathLike[str],
        *,
        loop: bool = False,
        serial: bool = False,
        streamed: bool = False,
        steps: int | None = None,
    ) -> dict[str, Any]:
        """Export the artifact to another format.

        Parameters
        ----------
        to : str
            ``onnx``, ``netx``, ``nir``, ``lava``, ``c``, ``torch``, ``verilog`` or ``sanafe``.
        output : str or path
            Output file; for ``lava``, ``c``, ``torch``, ``verilog`` and ``sanafe`` a folder or a ``.zip`` file.
        loop : bool
            Whether to add an input ``steps`` to an ONNX model, the number of PDE steps to run.
        serial : bool
            Whether Verilog runs the neurons one after the other.
        streamed : bool
            Whether Verilog streams the rows of a grid.
        steps : int, optional
            PDE steps of the run whose spikes SANA-FE replays (default: 10).

        Returns
        -------
        dict
            Description of the export, as in ``export --json``.

        Raises
        ------
        UsageError
            The format does not support the graph, or the file cannot be written.
        """
        return export("artifact", self, to, Path(output), loop=loop, serial=serial, streamed=streamed, steps=steps)

    def synthesise(self, part: str, layout: Literal["parallel", "streamed", "serial"] = "serial") -> dict[str, Any]:
        """Synthesise the circuit of the artifact for an FPGA, then place and route it; needs yosys and nextpnr.

        Parameters
        ----------
        part : str
            Profile of an FPGA: ``ice40-up5k`` or ``ecp5-25f``.
        layout : str
            How the circuit lays out the neurons.

        Returns
        -------
        dict
            Cells, registers, blocks, clock and PDE steps per second, as ``inspect --format json`` shows them.

        Raises
        ------
        UsageError
            The part is not known, the layout does not suit the graph, or yosys is missing.
        CheckError
            The certificate does not hold, or yosys fails.
        """
        from pisnn_deploy.project.synthesis import synthesise

        return synthesise(self.graph, part, layout).plain()

    @property
    def _rows(self) -> dict[str, str]:
        graph, certificate = self.graph, self.graph.certificate
        claims = {} if certificate is None else certificate.claims
        return {
            "mesh": f"{graph.mesh.cells} cells, {graph.mesh.faces} faces, {graph.boundary_text}",
            "target": graph.profile or "none",
            "schedule": f"{graph.period} time steps per PDE step, {graph.coding} coding",
            "quantum": ", ".join(_quantum(graph, field) for field in graph.fields),
            "time step": f"{graph.time_step:.6g}",
            **{name: claim.status for name, claim in claims.items()},
            **({"warnings": " / ".join(self.warnings)} if self.warnings else {}),
        }

    def __repr__(self) -> str:
        summary = ", ".join(f"{name}: {text}" for name, text in self._rows.items())
        return printable(f"<CompiledArtifact {self.graph.spec.name}; {summary}>")

    def _repr_html_(self) -> str:
        return html_table(self.graph.spec.name, self._rows)
