"""Recipes of laws for tests, and runs of the graphs made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.shape import joined
from pisnn_deploy.laws.spec import LawSpec

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def recipe(law: dict[str, Any], boundary: Any = "periodic", lengths: Any = 1.0, **others: Any) -> LawSpec:
    """A recipe with defaults for what a test does not care about."""
    domain = {"lengths": lengths, "boundary": boundary, **others.pop("domain", {})}
    axes = 1 if isinstance(lengths, float) else len(lengths)
    content = {"name": "case", "law": law, "domain": domain, "time": 1.0, "mesh": [8] * axes, **others}
    return LawSpec.model_validate(content)


def traffic() -> LawSpec:
    """Lighthill, Whitham and Richards on a ring."""
    return recipe(
        {"fields": ["u"], "parameters": {"v": 1.0, "most": 1.0}, "flux": {"u": "v*u*(1 - u/most)"}, "positive": ["u"]},
        initial={"u": "0.5 + 0.3*sin(2*pi*x)"},
        range={"u": [0, 1]},
        time=0.3,
    )


def shallow_water(time: float = 1.0) -> LawSpec:
    """Dam break between walls."""
    return recipe(
        {
            "fields": ["h", "q"],
            "parameters": {"g": 1.0},
            "flux": {"h": "q", "q": "q**2/h + g*h**2/2"},
            "vector": ["q"],
            "positive": ["h"],
        },
        "wall",
        5.0,
        domain={"origin": -2.5},
        initial={"h": "where(x < 0, 2, 1)", "q": "0"},
        range={"h": [0.9, 2.1], "q": [-0.2, 1.2]},
        time=time,
    )


def total(graph: IntegerGraph, masses: dict[str, Integers]) -> list[int]:
    """Sum of the masses and ledgers of each joined set of holders, in Python's integers."""
    sets = joined(graph)
    sums = [0] * (1 + max(int(labels.max()) for labels in sets.values()))
    for holder, labels in sets.items():
        for label in np.unique(labels):
            sums[label] += sum(masses[holder][labels == label].tolist())
    return sums


def masses_after(graph: IntegerGraph, steps: int) -> dict[str, Integers]:
    """Masses and ledgers of every field after some PDE steps, in the reference."""
    semantics = Semantics(graph)
    states = semantics.begin()
    for step in range(steps):
        states, _ = semantics.advance(states, step)
    return {holder: next(iter(states[holder].values())) for holder in graph.holders}


def values(graph: IntegerGraph, masses: dict[str, Integers]) -> dict[str, Floats]:
    """Cell values of every field."""
    return {f.name: masses[f.holder][: f.cells] * f.value_per_quantum for f in graph.fields}
