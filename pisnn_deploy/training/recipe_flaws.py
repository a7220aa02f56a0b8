"""What the fields of a recipe must be to each other, looked at before the first step of a training.

A check sees the part ``model`` and the part ``training`` and yields a field and what is wrong for each flaw. It reads
fields alone; one that is wrong by itself is unreadable, and the check is then left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.physics.clock import damped_leak, nominal_time_step
from pisnn_deploy.physics.model import OWN_LENGTH, Flaw
from pisnn_deploy.physics.problems import mismatch
from pisnn_deploy.physics.problems.burgers import MOST_POINTS, quadrature
from pisnn_deploy.physics.problems.modes import Modes

LARGEST_TRAINING = 1 << 34
"""Bytes that a training may take for its tables and one rollout."""
EXACT_BITS = 53
"""Integers up to this many bits are exact in float64, in which training computes them."""
SMALLEST, LARGEST = 1e-50, 1e50
"""Of all quantities with a unit, so that no product of them over- or underflows."""
EXTRAPOLATED = 0.25
"""Part of the range of the training fields by which the operating range of a nonlinear network may exceed it."""

Check = Callable[[Any, Any], Iterator[Flaw]]


class UnreadableError(Exception):
    """A field that is wrong by itself."""


def recipe_flaws(model: Any, training: Any) -> tuple[Flaw, ...]:
    """Everything that does not go together in a recipe.

    Parameters
    ----------
    model : ModelSpec
        Or something with its readable fields, which raises `UnreadableError` for others.
    training : TrainingOptions or GaussNewtonOptions
        Likewise.

    Returns
    -------
    tuple of (str, str)
        Field, such as ``training.cells``, and what is wrong with it.
    """
    flaws = tuple(flaw for check in _SIZES for flaw in readable_flaws((check,), model, training))
    if flaws:
        return flaws  # products of such numbers may over- or underflow in the checks themselves
    flaws = readable_flaws(_CHECKS, model, training)
    try:
        method = training.method
    except UnreadableError:
        return flaws
    return flaws + readable_flaws(_CHECKS_OF[method], model, training)


def readable_flaws(checks: Sequence[Callable[..., Iterator[Flaw]]], *parts: Any) -> tuple[Flaw, ...]:
    """Flaws that checks find in what is readable.

    Parameters
    ----------
    checks : sequence of callable
        Each yields the flaws of the parts.
    *parts : object
        What each check is given.
    """
    flaws: list[Flaw] = []
    for check in checks:
        try:
            flaws += check(*parts)
        except UnreadableError:
            continue
    return tuple(flaws)


def _size(part: str, field: str) -> Check:
    """A check that a quantity, or each of a list, is of a size that can be computed with; 0 is."""

    def check(model: Any, training: Any) -> Iterator[Flaw]:
        value = getattr(model if part == "model" else training, field, None)
        limits = ("lower", "upper", "slope", "flux") if field == "operating_range" else ()
        numbers = [getattr(value, name) for name in limits] if limits else value
        for number in numbers if isinstance(numbers, list | tuple) else [numbers]:
            if number and not SMALLEST <= abs(number) <= LARGEST:
                yield f"{part}.{field}", f"{number:g} is beyond {SMALLEST:g} to {LARGEST:g}"

    return check


def _problem(model: Any, training: Any) -> Iterator[Flaw]:
    wrong = mismatch(model.problem, model.equation, len(model.lengths))
    if wrong:
        yield "model.problem", wrong


def _method(model: Any, training: Any) -> Iterator[Flaw]:
    if (model.equation == "burgers") != (training.method == "gauss-newton"):
        suitable = "gauss-newton" if model.equation == "burgers" else "adam"
        yield "training.method", f"must be {suitable} for {model.equation}, it is {training.method}"


def _laplace(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation == "laplace" and model.diffusivity != 1:
        yield "model.diffusivity", f"must be 1 for laplace, it is {model.diffusivity:g}"


def _cells_of_a_width(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation not in OWN_LENGTH or model.cell_width is None:
        return
    cells = model.lengths[0] / model.cell_width
    if abs(cells - round(cells)) > 1e-6 * cells:
        yield "model.cell_width", f"{model.cell_width:g} does not divide the length {model.lengths[0]:g}"
    elif round(cells) < 2 * model.half_width:
        yield "model.cell_width", f"leaves {round(cells)} cells, a face sees {2 * model.half_width}"


def _time_step(model: Any, training: Any) -> Iterator[Flaw]:
    width = _width(model, training)
    step = model.diffusion_number * width**2 / model.diffusivity
    if not SMALLEST <= step <= LARGEST:
        yield "model.diffusivity", f"{model.diffusivity:g} with cells {width:g} wide makes a time step of {step:.1g}"


def _stable_kernel(model: Any, training: Any) -> Iterator[Flaw]:
    """Trigonometric polynomials of degree n between -1 and 1 have no curvature beyond n^2 (S. Bernstein, 1912)."""
    if model.hidden:
        return
    width, axes = _width(model, training), len(model.lengths)
    leak = model.leak
    if model.damping is not None:
        leak = damped_leak(model, math.sqrt(model.diffusion_number) * width)
    # Gains reach down to -2 (2 - leak / 4096), and the kernel's first moment is the leak's part of the number.
    room = 2 - leak / MEMORYLESS
    moment = model.diffusion_number * (1.0 if model.equation == "laplace" else leak / MEMORYLESS)
    diagonal = (model.half_width + model.transverse * (axes - 1)) ** 2 / axes
    most = room * min(model.half_width**2, diagonal) / 2 * model.diffusion_number / moment
    if model.diffusion_number > most:
        yield (
            "model.diffusion_number",
            f"{model.diffusion_number:g} is unstable: no kernel of half_width {model.half_width} is stable beyond "
            f"{most:g}",
        )


def _courant_number(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation == "advection-diffusion":
        yield from _courant_flaw(model, training, abs(model.velocity), "model.velocity")


def _courant_number_of_burgers(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation == "burgers":
        yield from _courant_flaw(
            model, training, max(abs(training.lower), abs(training.upper)), "model.diffusion_number"
        )


def _courant_flaw(model: Any, training: Any, speed: float, field: str) -> Iterator[Flaw]:
    width = _width(model, training)
    courant = speed * model.diffusion_number * width / model.diffusivity
    if courant > model.half_width:
        yield (
            field,
            f"makes a Courant number of {courant:.3g} (speed * time step / cell width), beyond the half_width "
            f"{model.half_width} that a face sees",
        )


def _matching_cells(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation != "advection-diffusion" or model.cell_width is None:
        return
    wanted = model.lengths[0] / model.cell_width
    if abs(wanted - training.cells) > 1e-6:
        yield "training.cells", f"is {training.cells}, model.lengths over model.cell_width is {wanted:g}"


def _window_fits(model: Any, training: Any) -> Iterator[Flaw]:
    seen = max(2 * model.half_width, 2 * model.transverse + 1)
    if training.cells < seen:
        yield "training.cells", f"must be at least {seen}, which a face sees along an axis; it is {training.cells}"


def _inner_cells(model: Any, training: Any) -> Iterator[Flaw]:
    reached = 2 * model.half_width * max(training.horizons)
    if model.equation == "laplace" and training.cells <= reached:
        yield (
            "training.cells",
            f"must be above {reached}, or the walls reach every cell within {max(training.horizons)} PDE steps; "
            f"it is {training.cells}",
        )


def _waves_fit(model: Any, training: Any) -> Iterator[Flaw]:
    most = training.cells - 1 if model.equation == "laplace" else (training.cells - 1) // 2
    if training.modes > most:
        yield "training.modes", f"must be at most {most} on {training.cells} cells, it is {training.modes}"


def _waves_fit_the_line(model: Any, training: Any) -> Iterator[Flaw]:
    if model.cell_width is None:
        return
    most = (round(model.lengths[0] / model.cell_width) - 1) // 2
    if training.modes > most:
        yield "training.modes", f"must be at most {most} on {2 * most + 1} cells, it is {training.modes}"


def _epochs_for_all(model: Any, training: Any) -> Iterator[Flaw]:
    if training.epochs < len(training.horizons):
        yield "training.epochs", f"is {training.epochs}, fewer than the {len(training.horizons)} horizons"


def _leak_can_learn(model: Any, training: Any) -> Iterator[Flaw]:
    if training.learn_leak and (model.damping is not None or model.equation in OWN_LENGTH):
        why = "model.damping sets the leak" if model.damping is not None else f"the leak of {model.equation} is fixed"
        yield "training.learn_leak", f"is of no use: {why}"


def _quantum_fits(model: Any, training: Any) -> Iterator[Flaw]:
    quantum = 2.0**-training.quantum_exponent
    if training.amplitude < quantum:
        yield "training.amplitude", f"{training.amplitude:g} is below a quantum, 2^-{training.quantum_exponent}"
    largest = abs(training.mean) + 8 * training.amplitude * math.sqrt(training.modes)
    bits = math.log2(largest) + training.quantum_exponent + max(model.weight_exponents, default=0)
    if bits > EXACT_BITS:
        yield (
            "training.quantum_exponent",
            f"makes integers of {bits:.0f} bits from values of {largest:.3g}; training is exact to {EXACT_BITS}",
        )


def _training_size(model: Any, training: Any) -> Iterator[Flaw]:
    axes = len(model.lengths)
    cells = training.cells**axes
    waves = (2 * training.modes + 1) ** axes / 2
    window = 2 * model.half_width * (2 * model.transverse + 1) ** (axes - 1)
    rollout = training.batch * max(training.horizons) * axes * cells * (3 * window + 2 * sum(model.hidden))
    needed = 8 * (2 * waves * cells + rollout)
    if needed > LARGEST_TRAINING:
        yield (
            "training.cells",
            f"{training.cells} in {axes}D with modes, batch and horizons as given take {needed / 1e9:.0f} GB; "
            f"{LARGEST_TRAINING / 1e9:.0f} are the limit",
        )


def _hidden_layer(model: Any, training: Any) -> Iterator[Flaw]:
    if len(model.hidden) != 1 or model.hidden[0] <= training.linear_units:
        yield "model.hidden", f"must be one layer of more than {training.linear_units} units, it is {[*model.hidden]}"


def _as_many_iterations(model: Any, training: Any) -> Iterator[Flaw]:
    if len(training.horizons) != len(training.iterations):
        horizons, iterations = len(training.horizons), len(training.iterations)
        yield (
            "training.iterations",
            f"has {iterations} {'entry' if iterations == 1 else 'entries'}, horizons has {horizons}",
        )


def _lower_is_lower(model: Any, training: Any) -> Iterator[Flaw]:
    if not training.lower < training.upper:
        yield "training.lower", f"{training.lower:g} must be below upper {training.upper:g}"


def _range_is_trained(model: Any, training: Any) -> Iterator[Flaw]:
    room = EXTRAPOLATED * (training.upper - training.lower)
    limits = model.operating_range
    if room > 0 and (limits.lower < training.lower - room or limits.upper > training.upper + room):
        yield (
            "model.operating_range",
            f"{limits.lower:g} to {limits.upper:g} is far beyond {training.lower:g} to {training.upper:g}, the values "
            "that the network is trained on",
        )


def _flow_can_be_known(model: Any, training: Any) -> Iterator[Flaw]:
    if model.cell_width is None or model.equation != "burgers":
        return
    time = 2 * max(training.horizons) * nominal_time_step(model, model.cell_width)
    modes = Modes(0.0, (abs(training.upper - training.lower) / 2,) * training.modes)
    _, points = quadrature(modes, model.lengths[0], model.diffusivity, time)
    cells = round(model.lengths[0] / model.cell_width)
    if points * cells * training.modes > MOST_POINTS:
        yield (
            "model.diffusivity",
            f"{model.diffusivity:g} is so small that an exact solution takes {points} points for each of {cells} cells",
        )


def _network_size(model: Any, training: Any) -> Iterator[Flaw]:
    if model.cell_width is None:
        return
    parameters = sum(model.hidden) * (2 * model.half_width + 2)
    cells = model.lengths[0] / model.cell_width
    needed = 32 * parameters**2 + 16 * cells * parameters
    if needed > LARGEST_TRAINING:
        yield (
            "model.hidden",
            f"{parameters} parameters on {cells:.0f} cells take {needed / 1e9:.0f} GB; "
            f"{LARGEST_TRAINING / 1e9:.0f} are the limit",
        )


def _width(model: Any, training: Any) -> float:
    """Cell width of the training's mesh."""
    if model.cell_width is not None:
        return float(model.cell_width)
    cells = getattr(training, "cells", None)
    if cells is None:
        raise UnreadableError("cells")
    return float(model.lengths[0] / cells)


_SIZES: tuple[Check, ...] = (
    *(
        _size("model", field)
        for field in (
            "diffusivity",
            "velocity",
            "damping",
            "cell_width",
            "lengths",
            "diffusion_number",
            "operating_range",
        )
    ),
    *(_size("training", field) for field in ("mean", "amplitude", "noise", "stability", "accept", "lower", "upper")),
)
_CHECKS: tuple[Check, ...] = (
    _problem,
    _method,
    _laplace,
    _cells_of_a_width,
    _time_step,
    _stable_kernel,
    _courant_number,
)
_CHECKS_OF: dict[str, tuple[Check, ...]] = {
    "adam": (
        _matching_cells,
        _window_fits,
        _inner_cells,
        _waves_fit,
        _epochs_for_all,
        _leak_can_learn,
        _quantum_fits,
        _training_size,
    ),
    "gauss-newton": (
        _hidden_layer,
        _as_many_iterations,
        _lower_is_lower,
        _range_is_trained,
        _courant_number_of_burgers,
        _waves_fit_the_line,
        _flow_can_be_known,
        _network_size,
    ),
}
