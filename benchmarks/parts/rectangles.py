"""Goals on cells that are not square and diffusivities that differ from axis to axis."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import pisnn_deploy as pd
from benchmarks.parts.goal import Row, goal

RECTANGLES = (
    ("heat2d", {"mesh": "64x32"}, 1e-5),
    ("heat2d", {"mesh": "64x48"}, 1e-5),
    ("heat2d", {"mesh": "64x64", "diffusivity": "0.01,0.003"}, 1e-5),
    ("laplace2d", {"mesh": "64x32"}, 5e-4),
)
"""Models, options, and errors that count as accurate: about those of the square meshes."""
GRAIN = {
    "name": "grain",
    "law": {"fields": ["u"], "diffusion": {"u": ["0.02", "0.005"]}},
    "domain": {"lengths": [1.0, 2.0], "boundary": "periodic"},
    "initial": {"u": "1 + 0.3*cos(2*pi*x)*cos(pi*y) + 0.2*cos(2*pi*y)"},
    "range": {"u": [0, 2]},
    "time": 0.5,
    "mesh": [32, 32],
    "reference": "modes",
    "scheme": "linear",
}

PLATE: dict[str, dict[str, Any]] = {
    "model": {
        "name": "plate",
        "equation": "diffusion",
        "diffusivity": [0.02, 0.01],
        "problem": "heat2d",
        "lengths": [1.0, 1.0],
        "half_width": 2,
        "transverse": 1,
        "weight_exponents": [8],
        "diffusion_number": 0.3,
        "operating_range": {"lower": 0.0, "upper": 2.0, "slope": 8.0},
    },
    "training": {
        "cells": [12, 16],
        "modes": 3,
        "amplitude": 0.05,
        "batch": 4,
        "epochs": 400,
        "horizons": [1, 2, 4],
        "learning_rate": 0.02,
        "quantised_from": 0.8,
        "quantum_exponent": 18,
        "stability": 1.0,
    },
}
"""Recipe of a training with a diffusivity and a number of cells for each axis."""


def of_training() -> Iterator[Row]:
    """A kernel trained for each axis."""
    with tempfile.TemporaryDirectory() as folder:
        recipe, checkpoint = Path(folder) / "plate.yaml", Path(folder) / "plate.safetensors"
        recipe.write_text(yaml.safe_dump(PLATE))
        pd.train(recipe, checkpoint)
        artifact = pd.compile(checkpoint, mesh="48x64", placement="none")
    measured, certificate = artifact.graph.quantisation, artifact.graph.certificate
    assert certificate is not None and measured.relative_l2_float is not None
    error = measured.relative_l2_integer or math.inf
    proved = certificate.stability.status == "proved" and all(finding.holds for finding in artifact.verify())
    yield goal(
        "a diffusivity and cells for each axis are trained, compiled, stable: at most 1e-4",
        f"{error:.1e} (float {measured.relative_l2_float:.1e}), {'proved' if proved else 'not proved'}",
        error <= 1e-4 and proved,
        "train plate.yaml",
    )


def of_rectangles() -> Iterator[Row]:
    """Cells that are not square, and a diffusivity along each axis."""
    for model, options, largest in RECTANGLES:
        artifact = pd.compile(model, placement="none", **options)  # type: ignore[arg-type]
        error, certificate = artifact.graph.quantisation.relative_l2_integer or math.inf, artifact.graph.certificate
        assert certificate is not None
        proved = certificate.stability.status == "proved" and all(finding.holds for finding in artifact.verify())
        words = " ".join(f"--{name} {value}" for name, value in options.items())
        yield goal(
            f"{model} with {words}: stable, at most {largest:.0e}",
            f"{error:.1e}, {'proved' if proved else 'not proved'}",
            error <= largest and proved,
            f"compile {model} {words}",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grain.yaml"
        path.write_text(yaml.safe_dump(GRAIN))
        run = pd.compile(path, placement="none").simulate(backend="fast")
    error = run.relative_l2 or math.inf
    yield goal(
        "a law with a diffusivity for each axis, rectangular cells: at most 1e-4",
        f"{error:.1e}, drift {run.run.verdict.drift}",
        error <= 1e-4 and run.run.verdict.drift == 0,
        "compile grain.yaml",
    )
