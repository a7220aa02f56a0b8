"""Random laws of all kinds that a recipe can name, compiled on small meshes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from law_recipes import recipe
from trained_laws import drawn

from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.compiler.construct.schemes import lacking
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.target import load_profile

SHAPES = ((12,), (5, 4))
"""Mesh of all laws with that number of axes."""
_FLUXES = (
    "{c}*{u}",
    "{c}*{u}*(1 - {u})",
    "{u}**2/2",
    "{u}**3/3 - {c}*{u}",
    "{c}*{u}/(2 + {u})",
    "sin({u})",
    "sqrt(1 + {u}**2)",
    "where({u} < 0.5, {u}, {c})",
)
_DIFFUSIVITIES = ("{c}", "{c}*(1 + {u})", "{c}*{u}", "0.1 + {c}*{u}**2", "{c}*exp({u})")
_LEVELS = ("{u}**3 - {u}", "{u}**3 - {u} - 0.004*laplacian({u})", "max({u} - 0.4, 0)", "tanh({u})")
_SOURCES = ("-{c}*{u}", "{c}*(1 - {u})", "{c}*{u}*(1 - {u})*({u} - 0.3)", "{c}*sin(2*pi*x)", "{c}*exp(-{u})")
_EXCHANGES = ("{c}*{u}*{v}", "{c}*{u}*{v}**2", "{c}*({u} - {v})")
_SIDES: tuple[Any, ...] = ("wall", "outflow", {"held": 0.5}, {"inflow": 0.4}, {"flux": 0.02}, {"robin": [0.5, 0.6]})


_OF_TIME: dict[str, Any] = {
    "held": {"times": [0, 0.01, 0.03, 1], "values": [0.5, 0.7, 0.4, 0.5], "periodic": True},
    "inflow": {"times": [0.001, 0.02], "values": [0.4, 0.3]},
    "flux": {"times": [0, 0.01], "values": [0.02, -0.01]},
    "robin": [0.5, {"times": [0, 0.02], "values": [0.6, 0.4]}],
}
"""What some sides give as a function of time."""


class _Draft:
    """A law under construction."""

    def __init__(self, rng: np.random.Generator, axes: int) -> None:
        self.rng, self.axes = rng, axes
        self.law: dict[str, Any] = {
            "fields": [],
            "flux": {},
            "diffusion": {},
            "sources": {},
            "level": {},
            "exchange": [],
        }
        if axes == 2:
            self.law["flux_y"] = {}
        self.initial: dict[str, str] = {}
        self.range: dict[str, list[float]] = {}

    def some(self, texts: tuple[str, ...], **names: str) -> str:
        """One of the texts with a coefficient."""
        text = texts[int(self.rng.integers(len(texts)))]
        return text.format(c=round(float(self.rng.uniform(0.1, 1.0)), 2), **names)

    def often(self, share: float) -> bool:
        """A coin."""
        return bool(self.rng.random() < share)

    def field(self, name: str, middle: float, wave: float, reach: float) -> None:
        """A field that starts as a wave in the middle of its range."""
        self.law["fields"].append(name)
        phase = "x" if self.axes == 1 else "(x + y)"
        self.initial[name] = f"{middle} + {wave}*sin(2*pi*{phase} + {self.rng.integers(6)})"
        self.range[name] = [middle - reach, middle + reach]

    def fluxes(self) -> Iterator[dict[str, str]]:
        """Those of each axis."""
        yield self.law["flux"]
        if self.axes == 2:
            yield self.law["flux_y"]

    def scalar(self, name: str) -> None:
        """A field of its own, with at least one thing that moves it."""
        self.field(name, 0.5, 0.2, 0.5)
        law = self.law
        if self.often(0.2):
            law["level"][name] = self.some(_LEVELS, u=name)
            law["diffusion"][name] = "1"
            return
        if self.often(0.4):
            law["diffusion"][name] = self.some(_DIFFUSIVITIES, u=name)
        if self.often(0.4):
            law["sources"][name] = self.some(_SOURCES, u=name)
        for flux in self.fluxes():
            if self.often(0.7) or (flux is law["flux"] and name not in law["diffusion"] and name not in law["sources"]):
                flux[name] = self.some(_FLUXES, u=name)

    def system(self) -> None:
        """Sound, or water."""
        law, flow = self.law, ["q", "r"][: self.axes]
        water = self.often(0.5)
        self.field("h", 1.5, 0.2, 0.6)
        for name in flow:
            self.field(name, 0.0, 0.1, 0.7)
        law["vector"] = [flow]
        pressure = "h**2/2" if water else "h"
        law.pop("flux_y", None)
        law["flux"]["h"] = "q"
        law["flux"]["q"] = f"q**2/h + {pressure}" if water else pressure
        if self.axes == 2:
            law["flux"]["r"] = "q*r/h" if water else "0"
        if self.often(0.4):
            law["sources"]["q"] = self.some(("-{c}*{u}", "-{c}*h*sin(2*pi*x)"), u="q")

    def side(self) -> Any:
        """A condition of all fields."""
        return _SIDES[int(self.rng.integers(len(_SIDES)))]

    def boundary(self) -> Any:
        """Conditions of all sides."""
        sides: dict[str, Any] = {}
        for low, high in (("left", "right"), ("bottom", "top"))[: self.axes]:
            periodic = self.often(0.4)
            sides |= dict.fromkeys((low, high), "periodic") if periodic else {low: self.side(), high: self.side()}
        return sides


def _over_time(boundary: dict[str, Any]) -> dict[str, Any]:
    """The same conditions with tables in place of numbers."""
    return {
        side: {kind: _OF_TIME[kind] for kind in condition} if isinstance(condition, dict) else condition
        for side, condition in boundary.items()
    }


def drawn_recipe(seed: int, over_time: bool = False) -> LawSpec:
    """A random recipe in one or two dimensions; its sides perhaps give functions of time.

    Raises
    ------
    pydantic.ValidationError
        It is ill-posed, or its parts do not fit together.
    """
    rng = np.random.default_rng(seed)
    axes = 1 + seed % 2
    draft = _Draft(rng, axes)
    if draft.often(0.3):
        draft.system()
    else:
        names = ["u", "v", "w"][: int(rng.integers(1, 4))]
        for name in names:
            draft.scalar(name)
        if len(names) > 1 and draft.often(0.6):
            draft.law["exchange"].append({"from": "u", "to": "v", "rate": draft.some(_EXCHANGES, u="u", v="v")})
    law = {name: part for name, part in draft.law.items() if part or name == "flux_y"}
    lengths: Any = 1.0 if axes == 1 else [1.0, 1.0]
    boundary = draft.boundary()
    spec = recipe(
        law, _over_time(boundary) if over_time else boundary, lengths, initial=draft.initial, range=draft.range
    )
    if not lacking(spec.parsed().numeric()) and draft.often(0.8):
        return spec.model_copy(update={"scheme": "taylor"})
    return spec


def drawn_law(seed: int, coding: Coding = "delta", profile: str = "loihi2", over_time: bool = False) -> IntegerGraph:
    """The compiled graph of a random recipe.

    Raises
    ------
    pydantic.ValidationError, UsageError, CompileError
        The law is ill-posed, or cannot be constructed or compiled.
    """
    spec = drawn_recipe(seed, over_time)
    options = CompileOptions(None, load_profile(profile), GraphOptions(coding=coding))
    return compile_law(spec, SHAPES[len(spec.lengths) - 1], options)


def drawn_trained_law(seed: int, coding: Coding = "delta") -> IntegerGraph:
    """The compiled graph of a random recipe with random trained fluxes.

    Raises
    ------
    pydantic.ValidationError, UsageError, CompileError
        As for `drawn_law`; or its fluxes depend on place, or a side gives values of several fields.
    """
    content = drawn_recipe(seed).model_dump(mode="json") | {"scheme": "auto"}
    axes = len(content["domain"]["lengths"])
    spec = LawSpec.model_validate(content | {"method": "trained", "mesh": SHAPES[axes - 1]})
    law = drawn(spec, np.random.default_rng(seed))
    options = CompileOptions(None, load_profile("loihi2"), GraphOptions(coding=coding))
    return compile_law(spec, spec.mesh, options, fluxes=law.fluxes)
