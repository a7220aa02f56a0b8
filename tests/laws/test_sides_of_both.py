"""The solver and the integers take the same conditions at the sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from law_recipes import masses_after, values
from short_laws import line

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.laws.problem import compare
from pisnn_deploy.laws.reference import solved

WAVES = {"fields": ["p", "v"], "flux": {"p": "v", "v": "p"}, "vector": ["v"]}
CARRIED = {"fields": ["u"], "flux": {"u": "0.5*u"}, "diffusion": {"u": "0.01"}}
SPREAD = {"fields": ["u"], "diffusion": {"u": "0.05*(1 + u)"}}
BUMP = "0.5 + 0.4*exp(-(x - 0.5)**2/0.02)"


@pytest.mark.parametrize(
    ("law", "boundary"),
    [
        (WAVES, "wall"),
        (WAVES, "outflow"),
        (WAVES, {"left": {"inflow": 0.8}, "right": "outflow"}),
        (WAVES, {"left": {"p": {"held": 0.2}, "v": "outflow"}, "right": {"p": "outflow", "v": {"held": 0.1}}}),
        (CARRIED, {"left": {"inflow": 0.9}, "right": {"inflow": 0.1}}),
        (CARRIED, {"left": {"held": 0.9}, "right": {"held": 0.1}}),
        (CARRIED, {"left": {"flux": 0.3}, "right": "wall"}),
        (CARRIED, {"left": {"robin": [0.5, 0.1]}, "right": "outflow"}),
        (SPREAD, {"left": {"held": 0.9}, "right": {"robin": [0.5, 0.1]}}),
        (SPREAD, {"left": {"inflow": 0.9}, "right": {"flux": "-0.1"}}),
    ],
)
def test_integers_and_solver_agree(law: dict[str, Any], boundary: Any) -> None:
    at_rest = "0.1*sin(pi*x)" if boundary == "wall" else "0.1"
    start = {"p": BUMP, "v": at_rest} if law is WAVES else {"u": BUMP}
    spec = line(law, start, domain={"lengths": [1.0], "boundary": boundary}, range=dict.fromkeys(start, (-1, 2)))
    graph = construct(spec, (64,))
    steps = round(0.4 / graph.time_step)
    integers = values(graph, masses_after(graph, steps))
    floats = dict(zip(start, solved(spec, (64,), steps * graph.time_step).state, strict=True))
    for difference in compare(integers, floats).values():
        assert difference.l1 < 0.03, np.round(integers[min(start)], 3)
