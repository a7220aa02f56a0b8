"""Traits of graphs that some parts of the package do not support, and the error that refuses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.facts import withholds
from pisnn_deploy.programs.neurons import LOW


@dataclass(frozen=True)
class Trait:
    """A property that a graph may have.

    Attributes
    ----------
    text : str
        Completes "a graph ..." in messages.
    is_of : callable
        Whether a graph has it.
    """

    text: str
    is_of: Callable[[IntegerGraph], bool]


def _channels(graph: IntegerGraph) -> tuple[Population, ...]:
    return tuple(graph.population(channels.population) for channels in graph.channels)


SEVERAL_FIELDS = Trait(
    "with several fields or channels, or with names other than membrane and flux",
    lambda graph: not is_of_one_field(graph),
)
OFF_GRID = Trait("on an unstructured mesh", lambda graph: graph.mesh.grid is None)
MATERIALS = Trait(
    "of two-point fluxes, for materials or cells that are not square", lambda graph: graph.materials is not None
)
BINARY = Trait("with binary spikes", lambda graph: any(population.lines for population in graph.populations))
LATE = Trait("whose faces receive the masses one step late", lambda graph: any(p.is_late for p in _channels(graph)))
SEEING = Trait("whose faces see residues", lambda graph: any(LOW in p.program.ports for p in _channels(graph)))
LIMITED = Trait("with a limiter", lambda graph: any(withholds(p.program) for p in _channels(graph)))


def first_of(graph: IntegerGraph, traits: tuple[Trait, ...]) -> Trait | None:
    """The first of the given traits that a graph has, or None."""
    return next((trait for trait in traits if trait.is_of(graph)), None)


def refuse(graph: IntegerGraph, who: str, traits: tuple[Trait, ...], remedy: str) -> None:
    """Refuse a graph that has any of the given traits.

    Parameters
    ----------
    who : str
        What does not support the traits; begins the message.
    traits : tuple of Trait
        Unsupported traits.
    remedy : str
        What to do instead.

    Raises
    ------
    UsageError
        The graph has one of them.
    """
    trait = first_of(graph, traits)
    if trait is not None:
        raise UsageError(f"{who}: cannot handle a graph {trait.text}; {remedy}")
