"""Graphs of laws, compiled in this process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pisnn_deploy.compiler.compile import compile_integers
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.options import CompileOptions, GraphOptions
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.laws.spec import law_from_mapping
from pisnn_deploy.target import load_profile

RECIPES = Path(__file__).parents[2] / "models"


@cache
def compiled_law(name: str, shape: tuple[int, ...], coding: Coding = "delta") -> IntegerGraph:
    """The graph of a law of the zoo."""
    path = RECIPES / name / "recipe.yaml"
    graph = construct(law_from_mapping(path, read_mapping(path)), shape)
    return compile_integers(graph, CompileOptions(None, load_profile("generic-int"), GraphOptions(coding=coding)))
