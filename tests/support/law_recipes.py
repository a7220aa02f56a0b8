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


def traffic(scheme: str = "auto") -> LawSpec:
    """Lighthill, Whitham and Richards on a ring."""
    return recipe(
        {"fields": ["u"], "parameters": {"v": 1.0, "most": 1.0}, "flux": {"u": "v*u*(1 - u/most)"}, "positive": ["u"]},
        initial={"u": "0.5 + 0.3*sin(2*pi*x)"},
        range={"u": [0, 1]},
        time=0.3,
        scheme=scheme,
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


def porous_medium(scheme: str = "auto") -> LawSpec:
    """Barenblatt's profile spreads; the range leaves room for the small undershoots of wide differences."""
    return recipe(
        {"fields": ["u"], "level": {"u": "max(u, 0)**2"}},
        lengths=8.0,
        domain={"origin": -4.0},
        initial={"u": "max(0.5 - x**2/12, 0)"},
        range={"u": [-0.001, 0.55]},
        time=3.0,
        scheme=scheme,
    )


def gray_scott(cells: int) -> LawSpec:
    """Two species with feed and kill."""
    return recipe(
        {
            "fields": ["u", "v"],
            "diffusion": {"u": 0.16, "v": 0.08},
            "sources": {"u": {"feed": "0.0352*(1 - u)"}, "v": {"kill": "-0.0938*v"}},
            "exchange": [{"name": "reaction", "from": "u", "to": "v", "rate": "u*v**2"}],
            "positive": ["u", "v"],
        },
        lengths=[float(cells)] * 2,
        initial={"u": "1 - 0.5*exp(-((x - 8)**2 + (y - 9)**2)/9)", "v": "0.3*exp(-((x - 8)**2 + (y - 9)**2)/9)"},
        range={"u": [0, 1.02], "v": [0, 0.7]},
        time=1000.0,
    )


def cahn_hilliard(cells: int) -> LawSpec:
    """Separation of two phases."""
    return recipe(
        {"fields": ["u"], "level": {"u": "u**3 - u - laplacian(u)"}},
        lengths=[float(cells)] * 2,
        initial={"u": "0.05 + 0.1*sin(1.7*x)*cos(2.3*y + x)"},
        range={"u": [-1.2, 1.2]},
        time=100.0,
        courant=0.9,
    )


def lake(surface: str = "0") -> LawSpec:
    """Water over a bed that slopes and has a hump; `s` is the surface above its level at rest."""
    return recipe(
        {
            "fields": ["s", "q"],
            "parameters": {"g": 9.81},
            "given": {"depth": "1 - 0.5*x - 0.2*exp(-((x - 0.5)/0.1)**2)"},
            "flux": {"s": "q", "q": "q**2/(s + depth) + g*(s**2/2 + s*depth)"},
            "vector": ["q"],
            "sources": {"q": {"bed": "g*s*dx(depth)"}},
        },
        "wall",
        initial={"s": surface, "q": "0"},
        range={"s": [-0.1, 0.1], "q": [-0.5, 0.5]},
    )


def radial_dam_break() -> LawSpec:
    """A round column of water between four walls."""
    return recipe(
        {
            "fields": ["h", "qx", "qy"],
            "parameters": {"g": 1.0},
            "flux": {"h": "qx", "qx": "qx**2/h + g*h**2/2", "qy": "qx*qy/h"},
            "vector": [["qx", "qy"]],
            "positive": ["h"],
        },
        "wall",
        [2.0, 2.0],
        domain={"origin": [-1.0, -1.0]},
        initial={"h": "where(x**2 + y**2 < 0.25, 2, 1)", "qx": "0", "qy": "0"},
        range={"h": [0.7, 2.1], "qx": [-1, 1], "qy": [-1, 1]},
        time=0.4,
    )


def sound(boundary: str = "periodic") -> LawSpec:
    """Pressure and velocity."""
    return recipe(
        {"fields": ["p", "v"], "flux": {"p": "v", "v": "p"}, "vector": ["v"]},
        boundary,
        initial={"p": "0.5*cos(2*pi*x)", "v": "0"},
        range={"p": [-0.6, 0.6], "v": [-0.6, 0.6]},
    )


def warm_bar(boundary: dict[str, Any], scheme: str = "auto") -> LawSpec:
    """Heat in a bar."""
    return recipe(
        {"fields": ["u"], "diffusion": {"u": 1.0}},
        boundary,
        initial={"u": "0.5"},
        range={"u": [-0.1, 1.2]},
        scheme=scheme,
    )


def dye(scheme: str = "auto") -> LawSpec:
    """A cloud of dye that a stream carries through a square and out of it."""
    return recipe(
        {
            "fields": ["u"],
            "flux": {"u": "u"},
            "flux_y": {"u": "0.5*u"},
            "diffusion": {"u": 0.002},
        },
        {"left": {"inflow": 0.1}, "right": "outflow", "bottom": {"inflow": 0.1}, "top": {"inflow": 5.0}},
        [1.0, 1.0],
        initial={"u": "0.1 + 0.5*exp(-((x - 0.3)**2 + (y - 0.35)**2)/0.0072)"},
        range={"u": [-0.1, 1]},
        scheme=scheme,
    )
