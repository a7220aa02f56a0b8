"""Assess a training: held-out fields, a first-order scheme on the same mesh, learned coefficients, growth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.mesh import AXES
from pisnn_deploy.physics.clock import nominal_time_step
from pisnn_deploy.physics.model import Model, flux_moments
from pisnn_deploy.physics.symbol import gain_along, largest_root

Floats = NDArray[np.float64]

GROWTH_MARGIN = 1e-9
"""Rounding tolerance for the modulus of an amplification factor."""
WAVES_ALONG = {1: 1025, 2: 129, 3: 33}
"""Waves along each axis that are checked for growth."""
LARGEST_SUBSTEP = {1: 0.4, 2: 0.2, 3: 0.13}
"""Largest diffusion number of a step of the first-order scheme."""
LARGEST_COURANT = 0.9


@dataclass(frozen=True)
class Coefficient:
    """A coefficient of the equation: the value of the integer weights, and the target value from the model."""

    name: str
    learned: float
    wanted: float


@dataclass(frozen=True)
class HeldOut:
    """Fields not used in training, at the end of a rollout.

    Attributes
    ----------
    start, exact : float64 array [batch, cells]
        Cell averages at the start, and of the exact solution at the end.
    before, after : float64 array [batch, cells]
        Results of the network before training, in floats, and after training, with integer weights.
    first_order : float64 array [batch, cells]
        Results of a first-order scheme in float64.
    scheme : str
        Name of the first-order scheme.
    steps : int
        PDE steps of the rollout.
    """

    start: Floats
    exact: Floats
    before: Floats
    after: Floats
    first_order: Floats
    scheme: str
    steps: int

    def error(self, values: Floats) -> float:
        """L2 error relative to the variation of the initial fields."""
        variation = np.linalg.norm(self.start - self.start.mean(axis=1, keepdims=True))
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.linalg.norm(values - self.exact) / variation)


@dataclass(frozen=True)
class Assessment:
    """Results of a training, and the reasons if it failed.

    Attributes
    ----------
    loss_before, loss_after : float
        Mean square error on the held-out fields, relative to their variation.
    held_out_error : float
        Root of `loss_after`: relative L2 error after `held_out_steps` PDE steps with integer weights.
    accept : float
        Limit from the recipe, or the error of `scheme` on the same mesh.
    amplification_factor : float
        Largest modulus over all waves; with hidden layers, around constant fields within the operating range.
    coefficients : tuple of Coefficient
        Coefficients of the integer weights, with their target values.
    failures : tuple of str
        One sentence per failure; empty if the training succeeded.
    """

    loss_before: float
    loss_after: float
    held_out_error: float
    held_out_steps: int
    scheme: str
    scheme_error: float
    accept: float
    amplification_factor: float
    coefficients: tuple[Coefficient, ...]
    failures: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """Plain data for JSON; values that are not finite are None."""
        plain: dict[str, Any] = strict(asdict(self))
        return plain


def strict(value: Any) -> Any:
    """Convert nested data to strict JSON data: values that are not finite become None, tuples become lists."""
    if isinstance(value, Mapping):
        return {name: strict(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def assess(
    model: Model, spacing: tuple[float, ...], step: float, held_out: HeldOut, accept: float | None
) -> Assessment:
    """Assess a trained model.

    Parameters
    ----------
    model : Model
        The trained model.
    spacing : tuple of float
        Cell width along each axis.
    step : float
        Physical time of a PDE step with the integer weights.
    accept : float, optional
        Largest accepted held-out error (default: that of the first-order scheme).
    """
    before, after, scheme_error = map(held_out.error, (held_out.before, held_out.after, held_out.first_order))
    limits = model.spec.operating_range
    values = np.linspace(limits.lower, limits.upper, 33) if model.spec.hidden else np.array([limits.lower])
    factor, wave = max(_largest_factor(model, float(value)) for value in values)
    failures = []
    if not math.isfinite(after):
        failures.append("held-out fields blow up")
    elif after > before:
        failures.append(f"the loss rose from {before**2:.2e} to {after**2:.2e} on held-out fields")
    if not 0 < step < math.inf:
        failures.append(f"the weights imply a time step of {step:g}")
    largest = scheme_error if accept is None else accept
    if math.isfinite(after) and after > largest:
        limit = f"that of {held_out.scheme} on the same mesh" if accept is None else "training.accept"
        failures.append(f"the held-out error {after:.2e} is above {largest:.2e}, {limit}")
    if not model.spec.hidden and factor > 1 + GROWTH_MARGIN:
        failures.append(
            f"waves of {2 * math.pi / wave:.2g} cells grow by {factor:.6g} in each PDE step; raise training.stability "
            "or lower model.diffusion_number"
        )
    coefficients = _coefficients(model, spacing, step, held_out.start.shape[1])
    failures += [
        f"the integer weights have the {coefficient.name} {coefficient.learned:g}, expected {coefficient.wanted:g}"
        + ("; lower model.damping" if coefficient.name == "damping" else "")
        for coefficient in coefficients
        if not math.isfinite(coefficient.learned)
    ]
    return Assessment(
        before**2,
        after**2,
        after,
        held_out.steps,
        held_out.scheme,
        scheme_error,
        largest,
        factor,
        coefficients,
        tuple(failures),
    )


def integer_kernels(model: Model, value: float) -> tuple[Floats, ...]:
    """Derivative of the flux along each axis by the cell values at a constant field, with integer weights.

    Returns
    -------
    tuple of float64 array [positions]
        The same one for all axes unless each has its own.
    """
    spec = model.spec
    units = [2.0**-exponent for exponent in spec.weight_exponents]
    units[0] *= spec.weight_unit
    weights = [np.rint(weight / unit) * unit for weight, unit in zip(model.weights, units, strict=True)]
    drive = weights[0] @ np.full(weights[0].shape[1], value) + model.biases[0]
    kernel = weights[0]
    for weight, bias in zip(weights[1:], model.biases[1:], strict=True):
        active = drive > 0
        kernel = (weight * active) @ kernel
        drive = weight @ np.where(active, drive, 0) + bias
    return spec.kernels(kernel)


def _largest_factor(model: Model, value: float) -> tuple[float, float]:
    """Largest amplification factor around a constant field, and its wave in radians per cell."""
    axes = len(model.spec.lengths)
    turn = np.linspace(-np.pi, np.pi, WAVES_ALONG[axes])
    waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*(turn,) * axes, indexing="ij")])
    gains = gain_along(integer_kernels(model, value), model.spec.positions, waves)
    factors = np.abs(largest_root(gains, model.spec.leak))
    # A constant field has the factor 1 up to rounding, and is not a wave.
    factors[~waves.any(axis=0)] = 0.0
    worst = int(factors.argmax())
    return float(factors[worst]), float(np.abs(waves[:, worst]).max())


def _coefficients(model: Model, spacing: tuple[float, ...], step: float, cells: int) -> tuple[Coefficient, ...]:
    """Coefficients measured from how the integer kernels damp and move the longest wave of the training mesh."""
    spec, clock = model.spec, model.spec.clock_axis
    limits = spec.operating_range
    value = (limits.lower + limits.upper) / 2
    kernels = integer_kernels(model, value)
    zeroth, first = flux_moments(kernels[clock], spec.positions)
    leak = 1.0 if spec.equation == "laplace" else spec.leak / MEMORYLESS
    number = Coefficient("diffusion number", first / leak, spec.diffusion_number)
    if not 0 < step < math.inf:
        return (number,)
    if spec.equation == "laplace":
        assert spec.damping is not None
        damping = -math.log1p(-spec.leak / MEMORYLESS) / step if spec.leak < MEMORYLESS else math.inf
        return (number, Coefficient("damping", damping, spec.damping))
    longest, axes = 2 * np.pi / round(cells ** (1 / len(spec.lengths))), len(spec.lengths)
    # The factor of a wave along each axis; that of a shared kernel is the same along all.
    waves = np.eye(axes)[: len(spec.rates) or 1] * longest
    factors = largest_root(gain_along(kernels, spec.positions, waves.T), spec.leak)
    diffusivities = []
    for axis, each in enumerate(factors.tolist()):
        damped = -math.log(abs(each)) if each else math.inf
        wanted = spec.diffusivity * (spec.along[axis] if spec.along else 1.0)
        name = "effective diffusivity" + (f" along {AXES[axis]}" if spec.rates else "")
        diffusivities.append(Coefficient(name, damped / ((longest / spacing[axis]) ** 2 * step), wanted))
    if spec.equation == "diffusion":
        return (number, *diffusivities)
    speed = spec.velocity if spec.equation == "advection-diffusion" else value
    factor = complex(factors[0])
    moved = -math.atan2(factor.imag, factor.real) / (longest / spacing[0] * step)
    courant = nominal_time_step(spec, spacing[0]) * speed / spacing[0]
    return (
        *diffusivities,
        Coefficient("effective velocity", moved, speed),
        Coefficient("Courant number", zeroth, courant),
    )


def first_order(values: Floats, shape: tuple[int, ...], diffusion: Sequence[float], courant: float) -> Floats:
    """Advance fields on a periodic mesh by first-order upwind and central differences, in stable steps.

    Parameters
    ----------
    values : float64 array [batch, cells]
        Initial fields.
    shape : tuple of int
        Cells along each axis.
    diffusion : sequence of float
        Diffusion number along each axis for the total time.
    courant : float
        Courant number along the first axis for the total time.
    """
    axes = len(shape)
    largest = max(diffusion)
    count = max(
        1, math.ceil(largest / LARGEST_SUBSTEP[axes]), math.ceil((abs(courant) + 2 * diffusion[0]) / LARGEST_COURANT)
    )
    waves = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(cells) for cells in shape), indexing="ij")
    spread = np.sum([number * np.sin(wave / 2) ** 2 for number, wave in zip(diffusion, waves, strict=True)], axis=0)
    factor = 1 - 4 / count * spread
    factor = factor - abs(courant) / count * (1 - np.exp(-1j * np.sign(courant) * waves[0]))
    spectrum = np.fft.fftn(values.reshape(-1, *shape), axes=range(1, axes + 1)) * factor**count
    return np.fft.ifftn(spectrum, axes=range(1, axes + 1)).real.reshape(values.shape)


def godunov(values: Floats, spacing: float, diffusivity: float, time: float) -> Floats:
    """Advance Burgers flows on a periodic line by Godunov's scheme and central diffusion, float64 [batch, cells]."""
    fastest = float(np.abs(values).max()) / spacing + 2 * diffusivity / spacing**2
    count = math.ceil(time * fastest / LARGEST_COURANT)
    step = time / count / spacing
    for _ in range(count):
        left = np.roll(values, 1, axis=1)
        flux = np.maximum(np.maximum(left, 0) ** 2, np.minimum(values, 0) ** 2) / 2
        flux -= diffusivity * (values - left) / spacing
        values = values - step * (np.roll(flux, -1, axis=1) - flux)
    return values
