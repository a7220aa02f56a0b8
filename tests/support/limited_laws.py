"""Laws with a limiter on small meshes."""

from __future__ import annotations

from functools import cache
from typing import Any

from law_recipes import recipe

from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.target import load_profile

A, B = ("max(0, min(1, 40*({} - abs(x - {}))))".format(*ends) for ends in ((0.15, 0.4), (0.1, 0.6)))
"""Two boxes."""


def law(fields: str, initial: tuple[str, ...], **sections: Any) -> LawSpec:
    """A law of positive fields between 0 and 2."""
    others = {key: sections.pop(key) for key in ("mesh", "scheme") if key in sections}
    return recipe(
        {"fields": [*fields], "positive": [*fields], **sections},
        initial=dict(zip(fields, initial, strict=True)),
        range={name: [0, 2] for name in fields},
        **others,
    )


LAWS = {
    "two species": law("ab", (A, B), flux={"a": "a", "b": "-0.5*b"}, mesh=[16]),
    "porous medium": law("a", ("max(0.5 - 40*(x - 0.5)**2, 0)",), level={"a": "a**2"}, mesh=[24], scheme="wide"),
    "asked at different times": law(
        "ab",
        (A, B),
        flux={"a": "a*a/2"},
        diffusion={"b": "0.02*(1 + a)"},
        sources={"b": {"gain": "0.2*a"}},
        mesh=[16],
    ),
}


@cache
def limited_law(name: str, limiter: Limiter = "positivity", coding: Coding = "delta") -> IntegerGraph:
    """A law, compiled with a limiter or without."""
    options = CompileOptions(None, load_profile("loihi2"), GraphOptions(coding=coding, limiter=limiter))
    return compile_law(LAWS[name], LAWS[name].mesh, options)
