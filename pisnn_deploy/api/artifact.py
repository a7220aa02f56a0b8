"""An artifact in Python: compiled, loaded, proved again, checked, run."""

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
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.core.printable import counted, printable
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_sealed_artifact, warnings_in, write_artifact
from pisnn_deploy.project.checking import CheckKeywords, check_request, outcomes_of
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.exports import export
from pisnn_deploy.project.keywords import FileName
from pisnn_deploy.project.listener import Progress, listener_of
from pisnn_deploy.project.request import CompileKeywords, compile_request
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
        A checkpoint, the name of a model of the zoo, or a flux network as ONNX, netx or NIR.
    strict : bool
        Fail if there is a warning.
    **options
        Fields of `CompileRequest` and of its groups `Domain`, `Limits`, `Origin` and `GraphOptions`, which say what
        they mean: mesh, boundary, weld, materials, conductivity, capacity; value_range, slope, flux; problem,
        diffusion_number; coding, spikes, processes, limiter, placement and others; profile. They are the options of
        ``pisnn-deploy compile``. What is not given is the problem's or the model's own. A mesh may also be a number or
        a tuple of numbers, a range a tuple, a file a path.

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
        initial: str | PathLike[str] | ArrayLike | None = None,
        strict: bool = False,
        progress: Progress | None = None,
        **options: Unpack[SimulateKeywords],
    ) -> SimulationRun:
        """Run the graph; the audit looks at every step.

        Parameters
        ----------
        steps : int, optional
            PDE steps; to the problem's final time unless given.
        initial : str, path or array of the mesh's shape, optional
            Named initial condition, ``.npy`` file (a path or a text that ends so), or cell averages in physical units;
            the problem's own start unless given.
        strict : bool
            Fail if the run is violated or implausible, or cannot be judged.
        progress : callable, optional
            Called now and then with the number of PDE steps done.
        **options
            Fields of `SimulateRequest` and of its groups `Length`, `Injection`, `SavedTrace` and `Division`, which say
            what they mean: backend, against; every, everything, timeout; faults, recover; save, resume, record_every;
            domains, scheduler. They are the options of ``pisnn-deploy simulate``.

        Returns
        -------
        SimulationRun
            Also if a violation stopped the run: see `SimulationRun.verdict`.

        Raises
        ------
        UsageError
            A start or an option that cannot be used, or a backend that does not run here.
        CheckError
            The backend itself broke down, or `strict` forbids what came out.
        """
        simulation = simulate(self, simulate_request(steps, initial, **options), listener_of(progress))
        run = SimulationRun(self.graph, simulation.run, simulation.reference, simulation.reference_error, simulation)
        if strict and (simulation.cautions or not run.run.conserved):
            raise CheckError(run.failure or f"conserved, but {simulation.cautions[0]}")
        return run

    def verify(self) -> tuple[Finding, ...]:
        """Prove every claim of the certificate again, without the compiler.

        Returns
        -------
        tuple of Finding
            One for each claim; ``holds`` says whether it was proved.
        """
        return check_certificate(self.graph)

    def check(self, profile: str | PathLike[str] | None = None, **options: Unpack[CheckKeywords]) -> Report:
        """Check the graph against a hardware profile.

        Parameters
        ----------
        profile : str or path, optional
            A name or a YAML file; what the graph was compiled for unless given, which must be in the library.
        **options
            As for `check_outcomes`.

        Returns
        -------
        Report
            With every finding; ``passed`` is false if one is an error.

        Raises
        ------
        UsageError
            No such profile or rule.
        """
        profiles = () if profile is None else (fspath(profile),)
        return self.check_outcomes(profiles, **options)[0].report

    def check_outcomes(
        self, profiles: Sequence[str] = (), name: str = "the artifact", **options: Unpack[CheckKeywords]
    ) -> tuple[Outcome, ...]:
        """Check the graph against several profiles, beside a baseline.

        Parameters
        ----------
        profiles : sequence of str
            Names or YAML files; what the graph was compiled for unless given.
        name : str
            What reports call the artifact.
        **options
            Fields of the groups `Selection`, `Growing` and `Subject` of `CheckRequest`, which say what they mean:
            select, ignore; baseline, max_growth; events, against_seconds, horizon. They are the options of
            ``pisnn-deploy check``.

        Returns
        -------
        tuple of Outcome
            One a profile. ``passed`` looks at findings and growth; `pisnn_deploy.checks.formats.FORMATS` makes of them
            what ``--format`` prints.

        Raises
        ------
        UsageError
            A profile, rule or file that cannot be used.
        """
        return tuple(outcomes_of(check_request(profiles, **options), self.graph, Path(name)))

    def export(
        self, to: Literal["onnx", "netx", "nir", "lava"], output: str | PathLike[str], *, loop: bool = False
    ) -> dict[str, Any]:
        """Export to another format.

        Parameters
        ----------
        to : str
            ``onnx``, ``netx``, ``nir`` or ``lava``.
        output : str or path
            A file; for ``lava`` a folder or a ``.zip``.
        loop : bool
            An ONNX model that does as many PDE steps as its input ``steps`` says.

        Returns
        -------
        dict
            What was written.

        Raises
        ------
        UsageError
            The format cannot hold the graph, or the file cannot be written.
        """
        return export("artifact", self, to, Path(output), loop=loop)

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
