"""A model or a law on one of several meshes: what its integers, the same scheme without quanta, and floats compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.construct.circuit import WORD
from pisnn_deploy.compiler.explanation import without_quanta
from pisnn_deploy.compiler.passes.construct import quantum_bits
from pisnn_deploy.compiler.passes.measure import Start
from pisnn_deploy.compiler.runner import Floating
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.baselines import SCHEMES, baseline
from pisnn_deploy.laws.expression import Number
from pisnn_deploy.laws.problem import Solution
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import Fields
from pisnn_deploy.project.compilation import compile_requested, lowered
from pisnn_deploy.project.law_file import LawRead, read_law_model
from pisnn_deploy.project.law_solution import law_solution
from pisnn_deploy.project.own_problem import problem_of
from pisnn_deploy.project.request import CompileRequest
from pisnn_deploy.target import load_profile

FINER_BITS = 4
"""Bits by which the quanta and words of a law are finer where they stand for none."""


class MeshCase(Protocol):
    """A model or a law that is compiled for a mesh."""

    @property
    def graph(self) -> IntegerGraph:
        """The integers."""

    @property
    def without_quantum_is(self) -> str:
        """What `without_quantum` computes."""

    @property
    def floats_are(self) -> str:
        """What `floats` computes."""

    def solution(self, steps: int) -> tuple[Solution | None, str]:
        """Reference after a number of PDE steps, or None and why there is none."""

    def without_quantum(self, steps: int) -> Fields | None:
        """Fields of the same scheme without quanta after a number of PDE steps; None where it cannot be had."""

    def floats(self, steps: int) -> tuple[Fields, Solution] | None:
        """Fields of the float scheme and the reference at its own time; None where it has none."""


def mesh_case(request: CompileRequest, scheme: str | None) -> MeshCase:
    """Compile a model or a law for a mesh.

    Parameters
    ----------
    scheme : str or None
        Float scheme beside a law, a key of `SCHEMES` (default: that of its equation); models are compared with the
        trained network in floats.

    Raises
    ------
    UsageError
        It cannot be compiled, or the scheme is unknown or not for it.
    """
    law = read_law_model(request.model)
    if law is None:
        if scheme is not None:
            raise UsageError("`scheme` is for laws; a model is compared with its trained network in floats")
        floating = lowered(request)
        return _ModelCase(compile_requested(request)[0], floating)
    if scheme is not None and scheme not in SCHEMES:
        raise UsageError(f"`scheme` {scheme!r}: expected one of {', '.join(SCHEMES)}")
    return law_case(request, law, compile_requested(request)[0], scheme)


def law_case(request: CompileRequest, law: LawRead, graph: IntegerGraph, scheme: str | None = None) -> LawCase:
    """The compiled graph of a law, with what it takes to compile it otherwise.

    Parameters
    ----------
    law : LawRead
        What the model of the request is.
    scheme : str or None
        As for `mesh_case`.
    """
    multiplies = load_profile(request.profile).microcode.multiply.value is not False
    return LawCase(graph, law, multiplies, scheme)


@dataclass(frozen=True)
class _ModelCase:
    graph: IntegerGraph
    floating: Floating

    @property
    def without_quantum_is(self) -> str:
        return f"integer {'weights' if isinstance(self.floating, FloatGraph) else 'conductances'} in float64"

    @property
    def floats_are(self) -> str:
        return f"{'trained network' if isinstance(self.floating, FloatGraph) else 'two-point fluxes'} in float64"

    def solution(self, steps: int) -> tuple[Solution | None, str]:
        return self._solution(steps * self.graph.time_step)

    def _solution(self, time: float) -> tuple[Solution | None, str]:
        (field,), graph, own = self.graph.fields, self.graph, problem_of(self.graph)
        exact = own.reference(graph.grid, graph.reservoir_values(), time)
        if exact is None:
            return None, f"no exact solution of {own.name} is known with these sides"
        error = own.reference_error(graph.grid, graph.reservoir_values(), time)
        return Solution({field.name: exact}, {field.name: error or 0.0}, f"exact solution of {own.name}"), ""

    def without_quantum(self, steps: int) -> Fields:
        return self._fields(without_quanta(self.floating, self.graph), steps)

    def floats(self, steps: int) -> tuple[Fields, Solution] | None:
        known, _ = self._solution(steps * self.floating.time_step)
        return None if known is None else (self._fields(self.floating, steps), known)

    def _fields(self, floating: Floating, steps: int) -> Fields:
        return {self.graph.sole_field.name: Start(1.0, 0.0, self.graph.initial).floats(floating, steps)}


@dataclass(frozen=True)
class LawCase:
    """A law on a mesh.

    Attributes
    ----------
    graph : IntegerGraph
        Its integers.
    law : LawRead
        Its recipe, and the fluxes of a trained one.
    multiplies : bool
        Whether the target multiplies two values.
    chosen : str or None
        Float scheme beside it (default: by its equation).
    """

    graph: IntegerGraph
    law: LawRead
    multiplies: bool
    chosen: str | None

    @property
    def spec(self) -> LawSpec:
        """Its recipe."""
        return self.law.spec

    @property
    def without_quantum_is(self) -> str:
        """As for `MeshCase`."""
        return f"quanta and words finer by {FINER_BITS} bits"

    @property
    def floats_are(self) -> str:
        """As for `MeshCase`."""
        return f"{self.scheme}, {SCHEMES[self.scheme].description}, in float64"

    @property
    def scheme(self) -> str:
        """Name of the float scheme beside it."""
        flows = any(flux != Number(0.0) for fluxes in self.spec.parsed().flux for flux in fluxes.values())
        return self.chosen or ("muscl" if flows else "central")

    def solution(self, steps: int) -> tuple[Solution | None, str]:
        """As for `MeshCase`."""
        known, reason = law_solution(self.graph, self.spec, steps)
        if known is None:
            return None, reason or f"the recipe of {self.spec.name} names no reference"
        return Solution(_flat(known.fields), known.errors, known.basis), ""

    def without_quantum(self, steps: int) -> Fields | None:
        """As for `MeshCase`."""
        return self.with_wider_words(FINER_BITS, steps)

    def with_wider_words(self, more: int, steps: int) -> Fields | None:
        """Fields of integers whose words and quanta have more bits; None where something does not grow with words."""
        bits = {field.name: quantum_bits(field.value_per_quantum) + more for field in self.graph.fields}
        spec = self.spec.model_copy(update={"quantum_bits": bits})
        shape, fluxes = self.graph.mesh.shape, self.law.fluxes
        try:
            graph = construct(spec, shape, multiplies=self.multiplies, word=WORD + more, trained=fluxes)
        except UsageError:
            return None
        return final_fields(graph, steps)

    def floats(self, steps: int) -> tuple[Fields, Solution] | None:
        """As for `MeshCase`."""
        known, _ = self.solution(steps)
        if known is None:
            return None
        try:
            result = baseline(self.scheme, self.spec, self.graph.mesh.shape, steps * self.graph.time_step)
        except UsageError:  # unstable
            return None
        return _flat(result.fields), known


def final_fields(graph: IntegerGraph, steps: int) -> Fields:
    """Fields after a number of PDE steps from a graph's own start, without an audit.

    Raises
    ------
    OverflowViolation
        A value leaves its declared width.
    """
    semantics = Semantics(graph)
    states = semantics.begin()
    for step in range(steps):
        states, _ = semantics.advance(states, step)
    masses = {field.name: next(iter(states[field.holder].values()))[: field.cells] for field in graph.fields}
    return {field.name: field.values(masses[field.name]) for field in graph.fields}


def _flat(fields: Fields) -> Fields:
    return {name: np.asarray(values, np.float64).reshape(-1) for name, values in fields.items()}
