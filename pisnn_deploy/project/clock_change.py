"""What another length or diffusivity of a linear model of diffusion changes: its clock alone."""

from __future__ import annotations

import math
from typing import Any

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.model import ModelSpec


def clock_change(graph: IntegerGraph, own: ModelSpec) -> dict[str, Any] | None:
    """The model's own diffusivity and lengths, with the time step that the same integers have there.

    The weights of a linear model of diffusion know neither: a PDE step moves ``r = diffusivity * dt / h^2``. So the
    integers of a graph are also those of any other diffusivity and length, with another `dt`.

    Parameters
    ----------
    own : ModelSpec
        The model as trained.

    Returns
    -------
    dict or None
        None if nothing was changed, or more than the clock: proportions of the axes, or cells with their own materials.
    """
    spec = graph.spec
    if spec.equation != "diffusion" or graph.materials is not None or spec.along != own.along:
        return None
    if (spec.diffusivity, spec.lengths) == (own.diffusivity, own.lengths):
        return None
    scale = spec.lengths[0] / own.lengths[0]
    if not all(math.isclose(new, scale * old) for new, old in zip(spec.lengths, own.lengths, strict=True)):
        return None
    step = graph.time_step * (spec.diffusivity / own.diffusivity) / scale**2
    return {"diffusivity": own.diffusivity, "lengths": list(own.lengths), "time_step": step}
