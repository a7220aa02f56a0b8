"""Resources of a core, with their limits in a profile and their use by a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.target.schema import Figure, Profile
from pisnn_deploy.target.utilisation import Counts

Uses = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Resource:
    """A limited resource of a core.

    Attributes
    ----------
    name : str
        Attribute of `Counts` with the use on each core.
    text : str
        Name for people, in the plural.
    figure : str
        Field of the section ``core`` of a profile with the limit.
    """

    name: str
    text: str
    figure: str

    def uses(self, counts: Counts) -> Uses:
        """Use on each core, int64 or float64 [cores]."""
        uses: Uses = getattr(counts, self.name)
        return uses

    def limit(self, profile: Profile) -> Figure[int | None]:
        """Limit of a core in a profile."""
        figure: Figure[int | None] = getattr(profile.core, self.figure)
        return figure


RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource("neurons", "neurons", "neurons_max"),
        Resource("synaptic_words", "words of synaptic memory", "synaptic_memory_words"),
        Resource("input_axons", "input axons", "input_axons_max"),
        Resource("output_axons", "output axon entries", "output_axons_max"),
        Resource("axon_map_words", "words of axon map", "axon_map_words"),
        Resource("axon_memory_words", "words of axon memory", "axon_memory_words"),
        Resource("total_words", "words in total", "total_words"),
    )
}
"""Resources by name; a placement must respect their limits on each core."""


def limits(profile: Profile) -> Iterator[tuple[Resource, int]]:
    """Yield the resources with a published limit, and the limit."""
    for resource in RESOURCES.values():
        limit = resource.limit(profile).value
        if limit is not None:
            yield resource, limit
