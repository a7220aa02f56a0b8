"""Pass `limit-law`: no cell has less than nothing of a field that the law calls positive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.compiler.passes.limit import require_target
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Channels, Field, OperatingWindow
from pisnn_deploy.graph.limiter import ChannelEnds, Joined, answer_to, answering, limiter_synapses
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.programs.limiter import FaceLimiter
from pisnn_deploy.programs.neurons import face_constants

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

FLOOR = 0
OF_FLOORS = FaceLimiter("none", 0, has_ceiling=False)
"""Channels of a law have no low flux: they ask for the whole packet."""


@dataclass(frozen=True)
class LimitLaw:
    """Let the channels of each positive field ask the cells that they take from.

    1. The fluxes of a positive field ask for their packets, and a cell answers with the part that it does not have: a
       new population of one neuron a cell for each field. Fields are limited on their own.
    2. Other channels may only give to such a field; `pisnn_deploy.compiler.passes.prove` refuses a source that takes.
    3. The operating windows of these fields begin at 0, where they reached below.

    Parameters
    ----------
    fields : tuple of str
        Positive fields.
    """

    name: ClassVar[str] = "limit-law"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    fields: tuple[str, ...]

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> LimitLaw | None:
        """None: only `compile_law` builds it, by `of_law`."""
        return None

    @classmethod
    def of_law(cls, options: CompileOptions, name: str, fields: tuple[str, ...]) -> LimitLaw | None:
        """The pass for a law, if a limiter is requested.

        Parameters
        ----------
        name : str
            Name of the law.
        fields : tuple of str
            Its positive fields.

        Raises
        ------
        UsageError
            The limiter has a ceiling or a floor of its own, or no field is positive.
        CompileError
            The target cannot compute or send what the limiter needs.
        """
        limiter = options.graph.limiter
        if limiter == "none":
            return None
        if limiter != "positivity":
            raise UsageError(
                f"`limiter` {limiter}: a ceiling needs a monotone flux, and laws have none; use positivity"
            )
        if options.graph.floor is not None:
            raise UsageError("`floor`: the limiter of a law keeps its `positive` fields at 0 or more; shift the field")
        if not fields:
            raise UsageError(f"`limiter` {limiter}: the law {name} names no `positive` fields, so there is no floor")
        require_target(cls.name, options)
        return cls(fields)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Limit `graph`.

        Raises
        ------
        CompileError
            An exchange moves mass between a positive field and another.
        """
        own = {channels.population: graph.field_of(channels.source_holder) for channels in self._limited(graph)}
        channels = {c.population: c for c in graph.channels}
        faces = {name: _asking(graph.population(name)) for name in own}
        answers = [_answers(field, faces[name]) for name, field in own.items()]
        synapses = [
            synapse
            for name, field in own.items()
            for synapse in _synapses(channels[name], field, faces[name], _answers_name(field))
        ]
        limited = {field.name for field in own.values()}
        whole = replace(
            graph,
            populations=(*(faces.get(p.name, p) for p in graph.populations), *answers),
            synapses=(*graph.synapses, *synapses),
            fields=tuple(_with_floor(field) if field.name in limited else field for field in graph.fields),
        )
        return replace(whole, populations=tuple(map(whole.population, whole.depths)))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        return f"{', '.join(self.fields)} from 0 on"

    def _limited(self, graph: IntegerGraph) -> Iterator[Channels]:
        """Channels between cells and sides of positive fields.

        Raises
        ------
        CompileError
            See `__call__`.
        """
        for channels in graph.channels:
            fields = [graph.field_of(holder) for holder in (channels.source_holder, channels.target_holder)]
            positive = [field.name for field in fields if field.name in self.fields]
            if positive and fields[0] is not fields[1]:
                raise CompileError(
                    self.name,
                    f"the exchange {channels.population} takes from {positive[0]} what no limiter of one field grants",
                    remedy="compile without `limiter`",
                )
            if positive and channels.population == f"{positive[0]}-flux":
                yield channels


def _asking(channels: Population) -> Population:
    """Channels that ask before they fire."""
    constants = face_constants(channels.program)
    assert constants is not None, "laws have the channels of this project"
    return replace(channels, program=replace(constants, limiter=OF_FLOORS).program)


def _answers_name(field: Field) -> str:
    return f"{field.name}-answers"


def _answers(field: Field, channels: Population) -> Population:
    """Answers of the cells of a field."""
    return answering(
        field, answer_to(channels.program), OperatingWindow(FLOOR, field.window.upper, None), _answers_name(field)
    )


def _synapses(channels: Channels, field: Field, faces: Population, answers: str) -> Iterable[Synapse]:
    ends = ChannelEnds(channels.source, channels.target, field.cells, field.size)
    return limiter_synapses(ends, faces.program, Joined(field.holder, faces.name, answers))


def _with_floor(field: Field) -> Field:
    return replace(field, window=replace(field.window, lower=max(FLOOR, field.window.lower)))
