"""Models and graphs that tests share."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.compiler import CompileOptions, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.mesh import Side
from pisnn_deploy.model import Model, ModelSpec, OperatingRange
from pisnn_deploy.profiles import load_profile


def heat_spec(**changes: object) -> ModelSpec:
    """The spec of a linear heat model, with changes."""
    plain: dict[str, object] = {
        "name": "heat1d",
        "equation": "diffusion",
        "diffusivity": 0.01,
        "problem": "heat1d",
        "lengths": (1.0,),
        "half_width": 4,
        "weight_exponents": (7,),
        "diffusion_number": 1.0,
        "operating_range": OperatingRange(lower=0.0, upper=2.0, slope=7.0),
    }
    return ModelSpec.model_validate({**plain, **changes})


def heat_model(half: tuple[float, ...] = (1 / 128, 4 / 128, 18 / 128, 46 / 128), **changes: object) -> Model:
    """A linear heat model from the lower half of its antisymmetric kernel."""
    lower = np.array(half)
    kernel = np.concatenate([lower, -lower[::-1]])
    return Model(heat_spec(half_width=len(half), **changes), (kernel[None, :],), (np.zeros(1),))


def hidden_model(channels: tuple[int, ...] = (4,), seed: int = 1, leak: int = 4096) -> Model:
    """A heat model with hidden layers of random weights around a contracting flux."""
    rng = np.random.default_rng(seed)
    widths = (4, *channels, 1)
    weights, biases = [], []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        weights.append(rng.uniform(-0.4, 0.4, (outputs, inputs)))
        biases.append(rng.uniform(-0.2, 0.2, outputs))
    weights[0] -= weights[0].mean(axis=1, keepdims=True)
    weights[-1] *= 0.1
    biases[-1][:] = 0.0
    spec = heat_spec(
        half_width=2,
        hidden=channels,
        leak=leak,
        weight_exponents=(7,) * (len(channels) + 1),
        operating_range=OperatingRange(lower=-8.0, upper=8.0),
    )
    return Model(spec, tuple(weights), tuple(biases))


def compiled(
    model: Model | None = None, cells: int = 16, boundary: Side = "periodic", coding: Coding = "delta"
) -> IntegerGraph:
    """A model compiled for a small line."""
    options = CompileOptions((cells,), (boundary,), load_profile("loihi2"), coding)
    return compile_model(model or heat_model(), options)
