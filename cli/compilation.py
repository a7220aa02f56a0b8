"""From a model's name or file to a compiled graph, for the commands that need one."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from pisnn_deploy import __version__, zoo
from pisnn_deploy.compiler import CompileOptions, compile_model
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary, parse_shape
from pisnn_deploy.model import OperatingRange
from pisnn_deploy.problems import problem
from pisnn_deploy.profiles import load_profile


def is_file_name(name_or_path: str) -> bool:
    """Whether a user means a file: there is one, or it looks like one; a folder named like a model does not count."""
    path = Path(name_or_path)
    return path.is_file() or bool(path.suffix)


@contextmanager
def model_file(name_or_path: str) -> Iterator[Path]:
    """The checkpoint that a user named: a file if there is one, else a model of the zoo."""
    path = Path(name_or_path)
    if is_file_name(name_or_path):
        yield path
    else:
        with zoo.model_path(name_or_path) as found:
            yield found


def compile_file(
    name_or_path: str,
    *,
    mesh: str | None = None,
    boundary: str = "periodic",
    profile: str = "loihi2",
    coding: Literal["delta", "dense"] = "delta",
    limits: str | None = None,
    slope: float | None = None,
) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a checkpoint.

    Parameters
    ----------
    name_or_path : str
        Model of the zoo, or a ``.pt`` file.
    mesh, boundary, profile, coding : str
        As on the command line.
    limits : str, optional
        ``LOWER,UPPER``: the range of cell values, instead of the model's.
    slope : float, optional
        The largest slope, instead of the model's.

    Returns
    -------
    graph : IntegerGraph
    provenance : dict

    Raises
    ------
    UsageError
        Something that was given cannot be used.
    """
    from pisnn_deploy.training.checkpoint import read_checkpoint

    target = load_profile(profile)
    with model_file(name_or_path) as path:
        model = read_checkpoint(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shape = parse_shape(mesh) if mesh else problem(model.spec.problem).default_shape
    options = CompileOptions(
        shape=shape,
        boundary=parse_boundary(boundary, len(shape)),
        profile=target,
        coding=coding,
        operating_range=_operating_range(model.spec.operating_range, limits, slope),
    )
    provenance = {
        "model": model.spec.name,
        "model_sha256": digest,
        "options": {
            "mesh": "x".join(map(str, shape)),
            "boundary": boundary,
            "profile": target.name,
            "coding": coding,
            "range": limits,
            "slope": slope,
        },
        "versions": {"pisnn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }
    return compile_model(model, options), provenance


def _operating_range(own: OperatingRange, limits: str | None, slope: float | None) -> OperatingRange | None:
    if limits is None and slope is None:
        return None
    try:
        lower, upper = (own.lower, own.upper) if limits is None else map(float, limits.split(","))
        return OperatingRange(lower=lower, upper=upper, slope=own.slope if slope is None else slope)
    except ValidationError as error:
        raise UsageError(f"operating range: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    except ValueError as error:
        raise UsageError(f"--range {limits!r}: expected two numbers, such as 0,2") from error
