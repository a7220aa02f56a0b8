"""Conditions at the sides of grids."""

from pathlib import Path

import numpy as np

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, literal
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh.boundary import Boundary, parse_boundary, reservoir_values
from pisnn_deploy.project.conditions import read_boundary

NONE = np.zeros(0, np.int64)
SEEDS = (
    b"x: periodic\ny-: no-flux\ny+: {dirichlet: [0.5, 1, 2, 3]}\n",
    b"x: no-flux\ny-: no-flux\ny+: {dirichlet: 1}\n",
    b"x=periodic y=dirichlet=0,1",
)


def _read(path: Path) -> None:
    boundary = _boundary(path)
    require(len(boundary.sides) == 2, "a boundary of another dimension was accepted")
    values = reservoir_values(boundary, [(NONE, NONE), (NONE, np.arange(4))])
    require(bool(np.isfinite(np.concatenate([np.asarray(v, float).ravel() for v in values])).all()), "not finite")


def _boundary(path: Path) -> Boundary:
    content = path.read_bytes()
    if b":" in content:
        return read_boundary(str(path), 2)
    try:
        return parse_boundary(content.decode(), 2)
    except UnicodeDecodeError as error:  # callers pass decoded text
        raise UsageError("no text") from error


TARGET = Target("input.yaml", _read, literal(*SEEDS), yaml_changed, size=1024)
