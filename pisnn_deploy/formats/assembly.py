"""Assemble a model for the compiler from a network that a reader returned."""

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
"""Weights are scaled so that the largest one of a layer fits the 8 bits of one synapse."""
SMALLEST_WEIGHT = 2.0**-32
"""Lower bound on the largest weight of a layer; the largest exponent of a spec is 14."""
SCALED = "weights are dimensionless: train the network on cell values, not on scaled ones"
TOLERANCE = 0.05
"""Largest relative deviation of a kernel or flux from one that leaves a constant field unchanged, as 8-bit rounding of
a small kernel may cause. Smaller deviations are removed by projection, larger ones mean another operator."""
ROUNDING = 1e-12
"""Kernels with a smaller deviation are left unchanged."""
PROBES = 33

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Imported:
    """A model from another format.

    Attributes
    ----------
    source : str
        Format of the file.
    notes : tuple of str
        Sentences on what was changed or omitted.
    is_integer : bool
        Whether the weights must be rounded to the nearest integers.
    """

    model: Model
    source: str
    notes: tuple[str, ...]
    is_integer: bool = False


def assemble(path: Path, network: Network, request: Request) -> Imported:
    """Assemble a model from a flux network.

    Fields of the spec in the file take precedence over those of the problem. A constant field must not change: for
    diffusion and Laplace a linear kernel is projected onto the kernels with the symmetry of the equation
    (`pisnn_deploy.physics.model.symmetry_basis`), if that changes it by less than `TOLERANCE` of its norm.

    Parameters
    ----------
    path : Path
        File for error messages and for the model's name.

    Raises
    ------
    FileError
        Something is missing, or the network is not consistent with the equation.
    """
    from_file = dict(network.spec_fields)
    problem_name = request.problem or from_file.get("problem")
    if problem_name is None:
        raise FileError(path, "does not name its problem", remedy=f"give a `problem`: {', '.join(NAMES)}")
    if request.problem not in (None, from_file.get("problem", request.problem)):
        raise FileError(path, f"was made for the problem {from_file['problem']!r}, not {request.problem!r}")
    _require_weights(path, network)
    hidden = tuple(layer.bias.size for layer in network.layers[:-1])
    fields: dict[str, Any] = {"name": _name(path), **spec_of_problem(str(problem_name), request.shape), **from_file}
    # Validated with placeholders for unknown fields, so that the file's fields are valid from here on.
    unknown = {"half_width": 1, "weight_exponents": (1,) * len(network.layers), "diffusion_number": 1.0}
    draft = _spec(path, {**unknown, **fields, "hidden": hidden})
    of_network = {"hidden": hidden, **_window(path, network, draft)}
    for field in sorted(of_network.keys() & from_file.keys()):
        if from_file[field] != (list(hidden) if field == "hidden" else of_network[field]):
            problem = f"is {from_file[field]!r}, but the network has {of_network[field]!r}"
            raise FileError(path, problem, field=f"spec.{field}")
    fields |= of_network
    fields.setdefault(
        "weight_exponents", [_exponent(path, number, layer) for number, layer in enumerate(network.layers)]
    )
    clips = [f"{clip}: this became units of a hidden layer" for clip in network.clips]
    layers, notes = network.layers, [*network.notes, *clips]
    if hidden:
        number = request.diffusion_number or from_file.get("diffusion_number")
        if number is None:
            reason = f"is not linear, because {network.clips[0]}" if network.clips else "has hidden layers"
            raise FileError(
                path,
                f"{reason}, so its weights do not determine the length of a PDE step",
                remedy="give the `diffusion_number` that it was trained for: diffusivity * dt / h^2",
            )
        spec = _spec(path, {**fields, "diffusion_number": number})
        notes += _rest_of_hidden(path, spec, layers)
    else:
        if request.diffusion_number is not None:
            raise FileError(
                path, "is linear, so its weights determine the diffusion number", remedy="omit `diffusion_number`"
            )
        spec = _spec(path, {**fields, "diffusion_number": from_file.get("diffusion_number", 1.0)})
        layers, more = _at_rest(path, spec, layers)
        notes += more
        if "diffusion_number" not in from_file:
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
    """Derive the model's name from the file name."""
    name = re.sub(r"[^a-z0-9_-]", "_", path.stem.lower())[:64].lstrip("_-0123456789")
    return name or "flux"


def _window(path: Path, network: Network, draft: ModelSpec) -> dict[str, Any]:
    """Determine half width and transverse reach of the window."""
    cells, axes = math.prod(network.window), len(draft.lengths)
    transverse = draft.transverse
    if any(size != 1 for size in network.window[1:]):
        across = network.window[1:]
        if len(network.window) != axes or len({*across}) != 1 or across[0] % 2 == 0:
            raise FileError(
                path,
                f"has a window of {_times(network.window)} cells, which does not fit {axes} axes: all but the first "
                "size must be equal and odd",
            )
        transverse = (across[0] - 1) // 2
    lines = (2 * transverse + 1) ** (axes - 1)
    if cells % (2 * lines):
        raise FileError(path, f"has a window of {cells} cells, which is not symmetric about the face")
    return {"half_width": cells // lines // 2, "transverse": transverse}


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _require_weights(path: Path, network: Network) -> None:
    for number, layer in enumerate(network.layers):
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise FileError(path, f"layer {number} contains NaN or infinity")
        if not layer.weight.any():
            raise FileError(path, f"all weights of layer {number} are 0")
        largest = float(np.abs(layer.weight).max())
        if largest < SMALLEST_WEIGHT:
            raise FileError(
                path,
                f"the largest weight of layer {number} is {largest:g}, below {SMALLEST_WEIGHT:g} and too small for "
                "integers",
                remedy=SCALED,
            )


def _exponent(path: Path, number: int, layer: Layer) -> int:
    """Largest exponent at which the weights of a layer fit 8 bits."""
    largest = float(np.abs(layer.weight).max())
    exponent = min(14, math.floor(math.log2(LARGEST_MANTISSA / largest)))
    if exponent < 1:
        raise FileError(
            path,
            f"layer {number} has the weight {largest:g}, above {LARGEST_MANTISSA / 2:g}",
            remedy=SCALED,
        )
    return exponent


def _at_rest(path: Path, spec: ModelSpec, layers: tuple[Layer, ...]) -> tuple[tuple[Layer, ...], list[str]]:
    """Make a linear network leave constant fields unchanged, and describe the changes."""
    kernel, bias = layers[0].weight[0], float(layers[0].bias[0])
    if spec.equation not in ("diffusion", "laplace"):
        return layers, []
    notes = []
    largest_bias = TOLERANCE * float(np.abs(kernel).max()) * (spec.operating_range.upper - spec.operating_range.lower)
    if abs(bias) > largest_bias:
        raise FileError(
            path,
            f"has a bias of {bias:.3g}, which gives a constant field a flux that {spec.equation} does not have",
            remedy="train without a bias, or subtract it",
        )
    if bias:
        notes.append(f"a bias of {bias:.3g} was removed, because a constant field must not change")
    basis = symmetry_basis(spec)
    projected = (kernel @ basis.T / np.abs(basis).sum(axis=1)) @ basis
    missing = float(np.linalg.norm(kernel - projected) / np.linalg.norm(kernel))
    if missing > TOLERANCE:
        total = math.fsum(kernel)
        if abs(total) > FLOAT32 * float(np.abs(kernel).sum()):
            sums, harm = f"; its weights sum to {total:.3g}", "a constant field would change"
        else:
            sums, harm = "", "a mirrored field would not have the mirrored flux"
        raise FileError(
            path,
            f"has a kernel that is not antisymmetric (deviation {100 * missing:.3g} %, allowed {100 * TOLERANCE:g} %"
            f"{sums}), so {harm}",
            remedy="train with an antisymmetric kernel",
        )
    if missing > ROUNDING:
        notes.append(f"the kernel was made antisymmetric, which changed it by {100 * missing:.2g} %")
        kernel = projected
    return (Layer(kernel[None, :], np.zeros(1)),), notes


def _rest_of_hidden(path: Path, spec: ModelSpec, layers: tuple[Layer, ...]) -> list[str]:
    """Check that constant fields have almost no flux in a network with hidden layers, and describe the rest."""
    if spec.equation not in ("diffusion", "laplace"):
        return []
    limits = spec.operating_range
    constant = np.linspace(limits.lower, limits.upper, PROBES)
    slopes = np.linspace(-1.0, 1.0, PROBES) * (limits.upper - limits.lower) / (2 * spec.half_width)
    middle = (limits.lower + limits.upper) / 2
    resting = fluxes_of(layers, np.repeat(constant[:, None], spec.positions.shape[1], axis=1))
    moving = fluxes_of(layers, middle + slopes[:, None] * spec.positions[0])
    at_rest, largest = float(np.abs(resting).max()), float(np.abs(moving).max())
    # Negated so that NaN is refused, too.
    if not at_rest <= TOLERANCE * largest:
        raise FileError(
            path,
            f"gives constant fields a flux of up to {at_rest:.3g}, more than {100 * TOLERANCE:g} % of the largest flux "
            f"{largest:.3g}",
            remedy="train it further, or subtract its flux of a constant field",
        )
    if at_rest <= ROUNDING * largest:
        return []
    return [f"a constant field has a flux of up to {100 * at_rest / largest:.2g} % of the largest"]


def _diffusion_number(path: Path, spec: ModelSpec, layer: Layer) -> float:
    """``diffusivity * dt / h^2`` of a linear kernel, consistent with `pisnn_deploy.physics.clock.time_step`."""
    zeroth, first = flux_moments(layer.weight[0], spec.positions)
    number = first
    if spec.equation == "diffusion":
        number = first * MEMORYLESS / spec.leak
    elif spec.equation == "advection-diffusion":
        # The second moment of one step includes the square of the distance moved (Lax and Wendroff, 1960).
        number = first - zeroth**2 / 2
    if not number > 0:
        raise FileError(
            path,
            f"has a kernel with the diffusion number {number:.3g}, which would run {spec.equation} backwards in time",
            remedy="the first input must be the cell furthest back along the axis, and a flux along the axis positive",
        )
    return float(number)
