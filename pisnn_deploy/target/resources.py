"""What a core holds: each resource, with its limit in a profile and what a graph uses of it."""

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
    """Something of which a core has a limited amount.

    Attributes
    ----------
    name : str
        Attribute of `Counts` that has the use of each core.
    text : str
        What is used, in the plural.
    figure : str
        Its limit in the section ``core`` of a profile.
    """

    name: str
    text: str
    figure: str

    def uses(self, counts: Counts) -> Uses:
        """Use of each core, int64 or float64 [cores]."""
        uses: Uses = getattr(counts, self.name)
        return uses

    def limit(self, profile: Profile) -> Figure[int | None]:
        """What a core of a profile holds."""
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
"""By name; what a placement must keep on each core."""


def limits(profile: Profile) -> Iterator[tuple[Resource, int]]:
    """Resources whose limit is published, with the limit."""
    for resource in RESOURCES.values():
        limit = resource.limit(profile).value
        if limit is not None:
            yield resource, limit
