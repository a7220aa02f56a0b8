"""Random graphs of flux networks of every kind: lines, planes, hidden layers, materials, multi-point fluxes, and faces
that see residues, each with a limiter where it has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from compiled_once import compile_once
from models_under_test import heat_model, hidden_model, plane_model
from two_point_graphs import four_triangles

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerMultiPoint, LowerTwoPoint, Material
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model
from pisnn_deploy.target import load_profile

KINDS = ("line", "hidden", "plane", "line", "cells", "binary", "residues", "multi-point")
LIMITED = ("line", "hidden", "plane", "cells")
"""Kinds that may have a limiter."""
LINES = ("periodic", "no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=1", "x-=dirichlet=0.25 x+=no-flux")
PLANES = ("periodic", "no-flux", "x=periodic y=dirichlet=1,0.5", "x-=no-flux x+=dirichlet=1 y=periodic")
LEAKS = (4096, 4096, 2048, 777, 1)
CODINGS: tuple[Coding, ...] = ("delta", "dense")
LIMITERS: tuple[Limiter, ...] = ("none", "positivity", "bounds")
ATTEMPTS = 50


def drawn_graph(seed: int, kind: str = "") -> IntegerGraph:
    """A random graph; some of what is drawn is refused, so draws go on until one is not.

    Parameters
    ----------
    kind : str
        One of `KINDS`; without it they take turns.
    """
    rng = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        try:
            return _drawn(rng, kind or KINDS[seed % len(KINDS)])
        except CompileError:
            continue
    raise AssertionError(f"all {ATTEMPTS} graphs of seed {seed} are refused")


def _drawn(rng: np.random.Generator, kind: str) -> IntegerGraph:
    limiter = LIMITERS[rng.integers(3)] if kind in LIMITED else "none"
    options = GraphOptions(
        coding=CODINGS[rng.integers(2)],
        limiter=limiter,
        residues="seen" if kind == "residues" else "unseen",
        digits="many" if kind == "multi-point" and rng.random() < 0.5 else "one",
        placement="none",
    )
    model, lower = _lowered(rng, kind, oscillates=limiter != "none")
    profile = load_profile("loihi1" if kind == "binary" else "loihi2")
    return compile_once(model, CompileOptions(lower, profile, options, search=False))


def _lowered(rng: np.random.Generator, kind: str, *, oscillates: bool) -> tuple[Model, Lower | LowerTwoPoint]:
    """A model, and how it is lowered to a mesh; kernels that oscillate take from empty cells."""
    cells, times = int(rng.integers(2, 40)), int(rng.integers(1, 4))
    if kind in ("cells", "multi-point"):
        mesh = four_triangles()
        points = mesh.points.copy()
        points[4] = rng.uniform(0.4, 0.6, 2)
        materials = {name: Material(*rng.uniform(0.5, 2.0, 2)) for name in mesh.material_names}
        sides = dict(zip(("left", "right"), rng.uniform(0.3, 1.6, 2).tolist(), strict=True))
        lowering = LowerTwoPoint if kind == "cells" else LowerMultiPoint
        return plane_model(), lowering(replace(mesh, points=points), sides, materials)
    if kind == "plane" or (kind == "residues" and rng.random() < 0.5):
        return plane_model(), Lower((5 * times, 6 * times), parse_boundary(_one(rng, PLANES), 2))
    sides_of_line = parse_boundary(_one(rng, LINES), 1)
    if kind == "hidden":
        channels = tuple(rng.integers(1, 5, rng.integers(1, 3)).tolist())
        return hidden_model(channels, int(rng.integers(100)), int(rng.choice(LEAKS))), Lower((cells,), sides_of_line)
    outer = [-int(rng.integers(6, 16))] if oscillates else rng.integers(-4, 13, rng.integers(3)).tolist()
    half = tuple(weight / 128 for weight in (*outer, int(rng.integers(20, 61))))
    return heat_model(half, leak=int(rng.choice(LEAKS))), Lower((cells,), sides_of_line)


def _one(rng: np.random.Generator, texts: tuple[str, ...]) -> str:
    return texts[rng.integers(len(texts))]


def drawn_masses(graph: IntegerGraph, seed: int) -> Integers:
    """Random masses; rough ones may leave the operating range, and then every backend must say so alike.

    With a limiter, cells are empty or as full as slopes allow, or full or as empty where there is a ceiling.
    """
    window, rng = graph.window, np.random.default_rng(seed)
    reach, limiter = window.upper - window.lower, known_face(graph).limiter
    reach = reach if window.difference is None else min(reach, window.difference)
    if limiter is None:
        middle = (window.upper + window.lower) // 2
        levels = rng.integers(middle - reach // 2, middle + reach // 2 + 1, graph.mesh.cells)
    else:
        ends = [window.lower, window.lower + reach]
        ends = [window.upper - reach, window.upper] if limiter.has_ceiling and rng.random() < 0.5 else ends
        levels = rng.choice(ends, graph.mesh.cells)
    size = np.abs(levels) // graph.sole_field.inverse_volume
    return np.asarray(np.sign(levels) * size, np.int64)
