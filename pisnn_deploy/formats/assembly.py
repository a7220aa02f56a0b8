"""From a network that a reader found to a model that the compiler takes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.formats.affine import Layer
from pisnn_deploy.formats.comparison import fluxes_of
from pisnn_deploy.formats.defaults import spec_of_problem
from pisnn_deploy.formats.network import Network, Request
from pisnn_deploy.formats.windows import FLOAT32
from pisnn_deploy.physics.model import Model, ModelSpec, flux_moments, symmetry_basis
from pisnn_deploy.physics.problems import NAMES

LARGEST_MANTISSA = 127
"""Weights are scaled so that the largest of a layer stays within the 8 bits of one synapse."""
SMALLEST_WEIGHT = 2.0**-32
"""Bound from below of the largest weight of a layer; the largest exponent of a spec is 14."""
SCALED = "weights have no unit: train the network on cell values, not on scaled ones"
TOLERANCE = 0.05
"""How much of a kernel, or of a flux, may be missing for a constant field to be at rest: what 8-bit rounding of a
small kernel does. What is less is projected away, what is more is another operator."""
ROUNDING = 1e-12
"""Below this a kernel has the symmetry already, and is not touched."""
PROBES = 33

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Imported:
    """A model from the format of others.

    Attributes
    ----------
    source : str
        Format of the file.
    notes : tuple of str
        What was changed or not taken over.
    is_integer : bool
        Whether the nearest integers are the ones to take.
    """

    model: Model
    source: str
    notes: tuple[str, ...]
    is_integer: bool = False


def assemble(path: Path, network: Network, request: Request) -> Imported:
    """Make a model of a flux network.

    What the file says of the spec goes before what the problem says. A constant field must be at rest: for diffusion
    and Laplace a linear kernel is projected onto the kernels with the symmetry of the equation
    (`pisnn_deploy.physics.model.symmetry_basis`), if that changes it by less than `TOLERANCE` of its norm.

    Parameters
    ----------
    path : Path
        For messages and the model's name.

    Raises
    ------
    FileError
        Something is missing, or the network does not describe the equation.
    """
    said = dict(network.said)
    named = request.problem or said.get("problem")
    if named is None:
        raise FileError(path, "does not say what it solves", remedy=f"name a `problem`: {', '.join(NAMES)}")
    if request.problem not in (None, said.get("problem", request.problem)):
        raise FileError(path, f"was made for the problem {said['problem']!r}, not {request.problem!r}")
    _require_weights(path, network)
    hidden = tuple(layer.bias.size for layer in network.layers[:-1])
    fields: dict[str, Any] = {"name": _name(path), **spec_of_problem(str(named), request.shape), **said}
    # Validated with what is not known yet filled in, so that what the file says can be relied on from here.
    unknown = {"half_width": 1, "weight_exponents": (1,) * len(network.layers), "diffusion_number": 1.0}
    draft = _spec(path, {**unknown, **fields, "hidden": hidden})
    found = {"hidden": hidden, **_window(path, network, draft)}
    for field in sorted(found.keys() & said.keys()):
        if said[field] != (list(hidden) if field == "hidden" else found[field]):
            raise FileError(path, f"says {said[field]!r}, its network has {found[field]!r}", field=f"spec.{field}")
    fields |= found
    fields.setdefault(
        "weight_exponents", [_exponent(path, number, layer) for number, layer in enumerate(network.layers)]
    )
    kept = [f"{clip}: it is kept, as units of a hidden layer" for clip in network.clips]
    layers, notes = network.layers, [*network.notes, *kept]
    if hidden:
        number = request.diffusion_number or said.get("diffusion_number")
        if number is None:
            reason = f"is not linear, because {network.clips[0]}" if network.clips else "has hidden layers"
            raise FileError(
                path,
                f"{reason}, so its weights do not say how long a PDE step lasts",
                remedy="give the `diffusion_number` that it was trained for: diffusivity * dt / h^2",
            )
        spec = _spec(path, {**fields, "diffusion_number": number})
        notes += _rest_of_hidden(path, spec, layers)
    else:
        if request.diffusion_number is not None:
            raise FileError(
                path, "is linear: its diffusion number follows from its weights", remedy="leave out `diffusion_number`"
            )
        spec = _spec(path, {**fields, "diffusion_number": said.get("diffusion_number", 1.0)})
        layers, more = _at_rest(path, spec, layers)
        notes += more
        if "diffusion_number" not in said:
            spec = spec.model_copy(update={"diffusion_number": _diffusion_number(path, spec, layers[0])})
    model = Model(spec, tuple(layer.weight for layer in layers), tuple(layer.bias for layer in layers))
    for problem in model.problems():
        raise FileError(path, problem)
    return Imported(model, network.source, tuple(notes), network.is_integer)


def _spec(path: Path, fields: dict[str, Any]) -> ModelSpec:
    try:
        return ModelSpec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("spec", *(str(part) for part in first["loc"])))
        raise FileError(path, problem_text(first, tuple(ModelSpec.model_fields)), field=field) from error


def _name(path: Path) -> str:
    """A model's name from that of its file."""
    name = re.sub(r"[^a-z0-9_-]", "_", path.stem.lower())[:64].lstrip("_-0123456789")
    return name or "flux"


def _window(path: Path, network: Network, draft: ModelSpec) -> dict[str, Any]:
    """Half width and transverse reach of a window."""
    cells, axes = math.prod(network.window), len(draft.lengths)
    transverse = draft.transverse
    if any(size != 1 for size in network.window[1:]):
        across = network.window[1:]
        if len(network.window) != axes or len({*across}) != 1 or across[0] % 2 == 0:
            raise FileError(
                path,
                f"its window of {_times(network.window)} cells does not fit {axes} axes: across the face's axis it "
                "must be as wide, and odd, along each",
            )
        transverse = (across[0] - 1) // 2
    lines = (2 * transverse + 1) ** (axes - 1)
    if cells % (2 * lines):
        raise FileError(path, f"its window of {cells} cells does not have as many on either side of the face")
    return {"half_width": cells // lines // 2, "transverse": transverse}


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _require_weights(path: Path, network: Network) -> None:
    for number, layer in enumerate(network.layers):
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise FileError(path, f"layer {number} holds NaN or infinity")
        if not layer.weight.any():
            raise FileError(path, f"all weights of layer {number} are 0")
        largest = float(np.abs(layer.weight).max())
        if largest < SMALLEST_WEIGHT:
            raise FileError(
                path,
                f"the largest weight of layer {number} is {largest:g}, below {SMALLEST_WEIGHT:g}: integers cannot hold "
                "it",
                remedy=SCALED,
            )


def _exponent(path: Path, number: int, layer: Layer) -> int:
    """The largest exponent with which the weights of a layer stay within 8 bits."""
    largest = float(np.abs(layer.weight).max())
    exponent = min(14, math.floor(math.log2(LARGEST_MANTISSA / largest)))
    if exponent < 1:
        raise FileError(
            path,
            f"layer {number} has the weight {largest:g}, larger than {LARGEST_MANTISSA / 2:g}",
            remedy=SCALED,
        )
    return exponent


def _at_rest(path: Path, spec: ModelSpec, layers: tuple[Layer, ...]) -> tuple[tuple[Layer, ...], list[str]]:
    """A linear network for which a constant field is at rest, and what that took."""
    kernel, bias = layers[0].weight[0], float(layers[0].bias[0])
    if spec.equation not in ("diffusion", "laplace"):
        return layers, []
    notes = []
    largest_bias = TOLERANCE * float(np.abs(kernel).max()) * (spec.operating_range.upper - spec.operating_range.lower)
    if abs(bias) > largest_bias:
        raise FileError(
            path,
            f"its bias of {bias:.3g} drives a flux through a constant field, and {spec.equation} has none",
            remedy="train without a bias, or subtract it",
        )
    if bias:
        notes.append(f"a bias of {bias:.3g} was left out: a constant field is at rest")
    basis = symmetry_basis(spec)
    projected = (kernel @ basis.T / np.abs(basis).sum(axis=1)) @ basis
    missing = float(np.linalg.norm(kernel - projected) / np.linalg.norm(kernel))
    if missing > TOLERANCE:
        total = math.fsum(kernel)
        if abs(total) > FLOAT32 * float(np.abs(kernel).sum()):
            sums, harm = f"; its weights sum to {total:.3g}", "a constant field would not be at rest"
        else:
            sums, harm = "", "a mirrored field would not have the mirrored flux"
        raise FileError(
            path,
            f"its kernel is not antisymmetric ({100 * missing:.3g} % of it are not, {100 * TOLERANCE:g} % are allowed"
            f"{sums}), so {harm}",
            remedy="train with an antisymmetric kernel",
        )
    if missing > ROUNDING:
        notes.append(f"the kernel was made antisymmetric, which changed it by {100 * missing:.2g} %")
        kernel = projected
    return (Layer(kernel[None, :], np.zeros(1)),), notes


def _rest_of_hidden(path: Path, spec: ModelSpec, layers: tuple[Layer, ...]) -> list[str]:
    """Whether a constant field is at rest in a network with hidden layers, and how much it is not."""
    if spec.equation not in ("diffusion", "laplace"):
        return []
    limits = spec.operating_range
    constant = np.linspace(limits.lower, limits.upper, PROBES)
    slopes = np.linspace(-1.0, 1.0, PROBES) * (limits.upper - limits.lower) / (2 * spec.half_width)
    middle = (limits.lower + limits.upper) / 2
    resting = fluxes_of(layers, np.repeat(constant[:, None], spec.positions.shape[1], axis=1))
    moving = fluxes_of(layers, middle + slopes[:, None] * spec.positions[0])
    at_rest, largest = float(np.abs(resting).max()), float(np.abs(moving).max())
    # Also true of NaN.
    if not at_rest <= TOLERANCE * largest:
        raise FileError(
            path,
            f"drives a flux of up to {at_rest:.3g} through a constant field, and of {largest:.3g} through the steepest "
            f"one: more than the {100 * TOLERANCE:g} % that are allowed",
            remedy="train it further, or subtract what it answers to a constant field",
        )
    if at_rest <= ROUNDING * largest:
        return []
    return [f"a constant field has a flux of up to {100 * at_rest / largest:.2g} % of the largest"]


def _diffusion_number(path: Path, spec: ModelSpec, layer: Layer) -> float:
    """``diffusivity * dt / h^2`` of a linear kernel, as `pisnn_deploy.physics.clock.time_step` has it."""
    zeroth, first = flux_moments(layer.weight[0], spec.positions)
    number = first
    if spec.equation == "diffusion":
        number = first * MEMORYLESS / spec.leak
    elif spec.equation == "advection-diffusion":
        # The second moment of one step holds the square of the distance moved (Lax and Wendroff, 1960).
        number = first - zeroth**2 / 2
    if not number > 0:
        raise FileError(
            path,
            f"its kernel has the diffusion number {number:.3g}, so {spec.equation} would not run forwards in time",
            remedy="the first input is the cell furthest back along the axis, and a flux along the axis is positive",
        )
    return float(number)
