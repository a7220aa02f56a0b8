"""Terms that depend on the place and differ at the two ends of a periodic axis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.laws.conditions import Conditions, Flaw
from pisnn_deploy.laws.nodes import evaluate, free_names
from pisnn_deploy.laws.states import States, shown_number
from pisnn_deploy.mesh.boundary import SIDE_NAMES

_EQUAL = 1e-9


def seam_flaws(states: States, conditions: Conditions) -> Iterator[Flaw]:
    """Fluxes and diffusivities that jump where the sides of a periodic axis meet: there is no value for that face."""
    law = states.law
    for axis, name in enumerate(law.coordinates):
        if next(iter(conditions[SIDE_NAMES[axis][0]].values())).kind != "periodic":
            continue
        section = "flux" if axis == 0 else f"flux_{name}"
        terms = [(f"law.{section}.{field}", flux) for field, flux in law.flux[axis].items()]
        terms += [(f"law.diffusion.{field}", diffusivity) for field, diffusivity in law.diffusion.items()]
        for place, term in terms:
            values = states.lattice([term])
            if name not in values:
                continue
            ends = []
            for end in states.ranges[name]:
                there = {**values, name: np.asarray(end)}
                there |= {known: evaluate(law.given[known], there) for known in free_names(term) & law.given.keys()}
                ends.append(np.broadcast_to(evaluate(term, there), np.shape(evaluate(term, values))))
            apart = np.abs(ends[0] - ends[1])
            if np.any(apart > _EQUAL * (1 + np.abs(ends[0]))):
                at = int(np.argmax(apart))
                first, last = (shown_number(float(np.ravel(end)[at])) for end in ends)
                yield (
                    place,
                    f"is {first} at one end of the periodic axis {name} and {last} at the other, which are the same "
                    f"place; use a function of {name} that repeats, or sides",
                )
