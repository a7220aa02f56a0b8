"""Graphs of cells that differ, compiled once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from compiled_once import compile_once
from models_under_test import heat_model, plane_model

from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerMultiPoint, LowerTwoPoint, Material
from pisnn_deploy.compiler.options import Digits
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import MeshFile, parse_boundary
from pisnn_deploy.target import load_profile


def four_triangles() -> MeshFile:
    """A square around a point off its middle, of two materials."""
    points = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.55, 0.45]])
    return MeshFile(
        path=Path("square.msh"),
        points=points,
        corners=np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]),
        material=np.array([0, 0, 1, 1]),
        material_names=("copper", "steel"),
        interior=np.array([[0, 1], [0, 3], [1, 2], [2, 3]]),
        interior_corners=np.array([[1, 4], [0, 4], [2, 4], [3, 4]]),
        boundary=np.array([0, 1, 2, 3]),
        boundary_corners=np.array([[0, 1], [1, 2], [2, 3], [0, 3]]),
        boundary_member=np.arange(4),
        boundary_group=np.array([0, 1, 0, 2]),
        group_names=("left", "rest", "right"),
    )


@cache
def base(name: str) -> IntegerGraph:
    target = load_profile("loihi2")
    if name == "line":
        ramp = np.linspace(1.0, 3.0, 7)
        lower = LowerTwoPoint((7,), parse_boundary("x-=no-flux x+=dirichlet=1", 1), {}, ramp, 4 - ramp)
        return compile_once(heat_model(), CompileOptions(lower, target, GraphOptions(coding="dense", digits="one")))
    if name == "alike":
        ramp = np.linspace(0.01, 0.03, 12).reshape(3, 4)
        lower = LowerTwoPoint(
            (3, 4), parse_boundary("x=periodic y=dirichlet=0.5,1", 2), {"default": Material(1.0)}, ramp
        )
        return compile_once(plane_model(), CompileOptions(lower, target, GraphOptions(digits="one")))
    if name == "plane":
        ramp = np.linspace(1.0, 3.0, 12).reshape(3, 4)
        lower = LowerTwoPoint((3, 4), parse_boundary("x=periodic y=no-flux", 2), {}, None, ramp)
        return compile_once(plane_model(), CompileOptions(lower, target, GraphOptions(digits="one")))
    materials = {"copper": Material(2.0, 1.5), "steel": Material(1.0)}
    kind = LowerMultiPoint if name == "several" else LowerTwoPoint
    lower = kind(four_triangles(), {"left": 0.5, "right": 1.5}, materials)
    digits: Digits = "many" if name == "digits" else "one"
    return compile_once(plane_model(), CompileOptions(lower, target, GraphOptions(digits=digits)))


@cache
def seeing_materials() -> IntegerGraph:
    """Cells of equal capacity and different conductivity on a grid, whose faces see residues."""
    ramp = np.linspace(0.01, 0.03, 12).reshape(3, 4)
    lower = LowerTwoPoint((3, 4), parse_boundary("x=periodic y=dirichlet=0.5,1", 2), {"default": Material(1.0)}, ramp)
    options = GraphOptions(digits="one", residues="seen")
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2"), options))
