"""Populations without a reader, such as slopes along an axis whose flux does not depend on the field, are left out."""

from __future__ import annotations

from collections.abc import Collection

from pisnn_deploy.compiler.construct.assembly import Assembly
from pisnn_deploy.graph import Synapse
from pisnn_deploy.graph.populations import Population


def needed_by(ends: Collection[str], assembly: Assembly) -> tuple[list[Population], list[Synapse]]:
    """Populations that reach some others, directly or not, with these others themselves, and the synapses into them.

    Parameters
    ----------
    ends : collection of str
        Names of populations that stay.
    """
    needed = {*ends}
    waiting = [*ends]
    while waiting:
        target = waiting.pop()
        new = {synapse.source for synapse in assembly.synapses if synapse.target == target} - needed
        needed |= new
        waiting += sorted(new)
    return (
        [population for population in assembly.populations if population.name in needed],
        [synapse for synapse in assembly.synapses if synapse.target in needed],
    )
