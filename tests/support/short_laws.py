"""Recipes of laws for tests: those of the zoo, and short ones written in a test."""

from __future__ import annotations

from typing import Any

from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.project import zoo

NAMES = zoo.laws()


def recipe(name: str) -> LawSpec:
    with zoo.recipe_path(name) as path:
        return read_law(path)


def line(law: dict[str, Any], initial: dict[str, Any], **sections: Any) -> LawSpec:
    """A law on a line of length 1 with periodic sides, unless given otherwise."""
    content: dict[str, Any] = {
        "name": "short",
        "law": law,
        "domain": {"lengths": [1.0], "boundary": "periodic"},
        "initial": initial,
        "range": {name: [-0.5, 2.5] for name in law["fields"]},
        "time": 0.5,
        "mesh": [64],
    }
    return LawSpec.model_validate({**content, **sections})


ADVECTION = {"fields": ["u"], "flux": {"u": "u"}}
HEAT = {"fields": ["u"], "diffusion": {"u": "0.01"}}
BURGERS = {"fields": ["u"], "flux": {"u": "u**2/2"}, "diffusion": {"u": "0.01"}}
TRAFFIC = {"fields": ["u"], "flux": {"u": "u*(1 - u)"}}
SHALLOW_WATER = {"fields": ["h", "q"], "flux": {"h": "q", "q": "q**2/h + h**2/2"}, "vector": ["q"]}
