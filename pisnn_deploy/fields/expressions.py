"""Initial fields from expressions of the place, in the grammar of laws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.fields.content import Floats
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.places import centres_of, origin_of
from pisnn_deploy.laws.expression import Expression, evaluate, free_names, parse, substitute
from pisnn_deploy.laws.grid import AXES, Grid
from pisnn_deploy.laws.quadrature import cell_averages, gauss_points

_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_POINTS_AT_ONCE = 1 << 20
_POINTS_ALONG = 6


def averages_of(graph: IntegerGraph, text: str | Mapping[str, str]) -> Floats:
    """Cell averages of expressions of ``x``, ``y``, ``z`` and the parameters of the law.

    On a grid by the quadrature of laws, which halves cells at kinks and jumps; on triangles and tetrahedra by Gauss
    points in each cell, exact for polynomials of degree 9, without halving.

    Parameters
    ----------
    text : str or mapping of str to str
        An expression; of several fields, one for each by name, as a text such as ``h = 1; q = 0``.

    Returns
    -------
    float64 array [cells of all fields]
        Field by field.

    Raises
    ------
    UsageError
        An expression is invalid, a field is missing, or an average is not finite.
    """
    texts = _by_field(graph, text)
    given, parameters = _known(graph)
    axes = AXES[: centres_of(graph).shape[1]]
    parts = []
    for field in graph.fields:
        where = "`initial`" if len(graph.fields) == 1 else f"`initial` {field.name}"
        names = (*axes, *parameters, *given)
        expression = substitute(parse(texts[field.name], names, where), given)
        with np.errstate(all="ignore"):
            values = _averages(graph, expression, parameters)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise UsageError(f"{where}: has no finite average in cell {int(bad[0])}; check the expression")
        parts.append(values)
    return np.concatenate(parts)


def _by_field(graph: IntegerGraph, text: str | Mapping[str, str]) -> Mapping[str, str]:
    names = [field.name for field in graph.fields]
    if not isinstance(text, str):
        texts = dict(text)
    elif _NAMED.match(text):
        texts = {}
        for part in text.split(";"):
            match = _NAMED.match(part)
            if match is None:
                expected = " = ...; ".join(names)
                raise UsageError(f"`initial`: {part.strip()[:40]!r} names no field; write {expected} = ...")
            if match[1] in texts:
                raise UsageError(f"`initial`: {match[1]} is given twice")
            texts[match[1]] = match[2]
    elif len(names) == 1:
        return {names[0]: text}
    else:
        fields = " = ...; ".join(names)
        raise UsageError(f"`initial`: the graph has {len(names)} fields; write one expression for each: {fields} = ...")
    if sorted(texts) != sorted(names):
        raise UsageError(f"`initial`: has the fields {', '.join(texts)}, the graph {', '.join(names)}")
    return texts


def _known(graph: IntegerGraph) -> tuple[Mapping[str, Expression], Mapping[str, float]]:
    """Functions of place and parameters of a law; none for models."""
    if graph.spec.equation != "law":
        return {}, {}
    law = graph.spec.parsed()
    return law.given, law.parameters


def _averages(graph: IntegerGraph, expression: Expression, parameters: Mapping[str, float]) -> Floats:
    grid = graph.mesh.grid
    if grid is None:
        return _simplex_averages(graph, expression, parameters)
    lower, lengths = (tuple(map(float, ends)) for ends in (origin_of(graph), grid.lengths))
    averages = cell_averages([expression], parameters, Grid(grid.shape, lengths, lower))
    return np.asarray(averages[0].reshape(-1), np.float64)


def _simplex_averages(graph: IntegerGraph, expression: Expression, parameters: Mapping[str, float]) -> Floats:
    simplices = graph.mesh.simplices
    assert simplices is not None  # the mesh is no grid
    points, corners = simplices
    shares, weights = _rule(points.shape[1])
    if not free_names(expression) & set(AXES):
        return np.full(len(corners), float(evaluate(expression, parameters)))
    parts, at_once = [], max(1, _POINTS_AT_ONCE // len(weights))
    for first in range(0, len(corners), at_once):
        places = np.einsum("pk,ckd->cpd", shares, points[corners[first : first + at_once]])
        by_name = {name: places[..., axis] for axis, name in enumerate(AXES[: points.shape[1]])}
        parts.append(np.asarray(evaluate(expression, {**parameters, **by_name})) @ weights)
    return np.concatenate(parts)


def _rule(dimensions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Barycentric coordinates and weights of Gauss points of a cube that is collapsed to a simplex (Stroud)."""
    nodes, weights = gauss_points(_POINTS_ALONG)
    shares, factors = [], []
    for numbers in product(range(_POINTS_ALONG), repeat=dimensions):
        rest, factor, point = 1.0, 1.0, []
        for axis, number in enumerate(numbers):
            point.append(rest * nodes[number])
            factor *= weights[number] * (1 - nodes[number]) ** (dimensions - 1 - axis)
            rest *= 1 - nodes[number]
        shares.append([*point, rest])
        factors.append(factor)
    weighted = np.array(factors)
    return np.array(shares), weighted / weighted.sum()
