"""Commented starters of the files that users write: laws, recipes, profiles and plans."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.field_errors import shown
from pisnn_deploy.core.output import write_new, write_whole
from pisnn_deploy.project.outputs import check_outputs

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LAW = """\
# A conservation law: its flux and sources become integers that lose nothing. All fields: docs/reference/laws.md.
name: "@"
law:
  # What is conserved. With several fields, write [h, q]; each needs a flux, a diffusion or a source.
  fields: [c]
  # Numbers by name, for the expressions below.
  parameters: {velocity: 1.0, diffusivity: 0.002, decay: 0.5}
  # Flux along x of each field; on more axes also flux_y and flux_z.
  flux: {c: velocity*c}
  # Diffusivity of each field; it may depend on the fields.
  diffusion: {c: diffusivity}
  # Gains and losses, which a ledger of this name keeps.
  sources:
    c: {decay: -decay*c}
  # Fields that never fall below 0: their range starts there, and compile --limiter positivity keeps it.
  positive: [c]
domain:
  # One length for each axis.
  lengths: [1.0]
  # periodic, wall, outflow, {held: 1}, {inflow: 1}, {flux: 0.1}, {robin: [2, 1]}; or by side: {left: ..., right: ...}
  boundary: periodic
# The start, in terms of x (y, z) and the parameters.
initial:
  c: "0.2 + 0.6*exp(-((x - 0.3)/0.1)**2)"
# Smallest and largest value of each field during the run; the quantum and all widths follow from it.
range: {c: [0.0, 1.0]}
# Final time, and cells along each axis.
time: 0.5
mesh: [128]
"""
_RECIPE = """\
# A recipe to train a flux network for your own coefficients. All fields: docs/reference/checkpoint.md.
model:
  name: "@"
  # diffusion, advection-diffusion (with velocity and cell_width), laplace (with damping) or burgers.
  equation: diffusion
  diffusivity: 0.05
  # Initial conditions and exact solution, of a model of the zoo.
  problem: heat1d
  # Extent along each axis.
  lengths: [2.0]
  # Cells that a face sees on either side.
  half_width: 3
  # Fraction bits of the weights.
  weight_exponents: [7]
  # Diffusivity times time step over the squared width of a cell: the time step.
  diffusion_number: 0.5
  # Smallest and largest value of the field, and its largest slope.
  operating_range: {lower: 10.0, upper: 30.0, slope: 60.0}
training:
  seed: 1
  # Mesh and number of waves of the random training fields, their mean and their amplitude.
  cells: 48
  modes: 20
  mean: 20.0
  amplitude: 1.0
  # Fields in each step, and steps of the optimiser.
  batch: 8
  epochs: 400
  # PDE steps of a rollout, one length after the other.
  horizons: [1, 2, 4]
  learning_rate: 0.02
  # Share of the epochs after which the forward pass uses the integers of the hardware.
  quantised_from: 0.8
  # Training fields are rounded to multiples of 2^-14.
  quantum_exponent: 14
"""
_PROFILE = """\
# A hardware profile: what a chip or a board holds. All figures: docs/reference/profiles.md.
# It says only what differs from the profile that it extends; see pisnn-deploy profiles list.
extends: loihi2
name: "@"
description: My board of 4 chips.

system:
  # Every figure has a value, a confidence and a source. Confidence: documented, quoted, inferred, contradictory or
  # unpublished. A value of null is no limit.
  chips: {value: 4, confidence: documented, source: "Counted on the board"}

core:
  # Neurons of a core; smaller than the chip's, to leave room for others.
  neurons_max: {value: 4096, confidence: inferred, source: "Half of a core is kept for other networks"}
"""
_PLAN = """\
# A campaign: all combinations of these lists are compiled, run and tabulated. All lists: docs/reference/campaigns.md.
# Names of the zoo, checkpoints, and recipes of laws, with paths relative to this file.
models: [heat1d]
# own is the problem's; else cells such as 128 or 64x64, or files of meshes.
meshes: [64, 128]
# As for compile --boundary.
boundaries: [periodic, no-flux]
# Starts: own, names of initial conditions, .npy files, or random with seeds.
initial: [random]
seeds: [1, 2]
# PDE steps, or horizon for the problem's final time.
steps: [100]
backends: [fast]
"""


@dataclass(frozen=True)
class Starter:
    """A starter of one kind of file.

    Attributes
    ----------
    text : str
        Content, with ``@`` for the name.
    commands : tuple of str
        What to do with the file next, with ``@`` for its path.
    """

    text: str
    commands: tuple[str, ...]


STARTERS: Mapping[str, Starter] = {
    "law": Starter(_LAW, ("law show @", "compile @")),
    "recipe": Starter(_RECIPE, ("train @",)),
    "profile": Starter(_PROFILE, ("profiles validate @", "compile heat1d --profile @")),
    "plan": Starter(_PLAN, ("campaign @ --dry-run", "campaign @")),
}
"""Starters by kind."""


def write_starter(kind: str, name: str, output: Path | None = None, *, force: bool = False) -> Path:
    """Write a starter.

    Parameters
    ----------
    kind : str
        A key of `STARTERS`.
    name : str
        Name of the law, model, profile or plan.
    output : Path, optional
        Where to write it (default: the name with the suffix ``.yaml``).
    force : bool
        Overwrite an existing file.

    Raises
    ------
    UsageError, FileError
        The name is none, or the file exists or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name {shown(name)}: expected a letter followed by at most 63 lower-case letters, digits, - and _"
        )
    path = output or Path(f"{name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise FileError(path, "is no name of a YAML file", remedy="end it in .yaml")
    content = STARTERS[kind].text.replace("@", name).encode()
    if force:
        check_outputs([path])
        write_whole(path, content)
    else:
        if path.exists() or path.is_symlink():
            raise FileError(path, "exists", remedy="choose another name, or overwrite it with `force`")
        write_new(path, content)
    return path
