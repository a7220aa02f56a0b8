"""Check the fields of a recipe against each other, before training starts.

Each check gets the parts ``model`` and ``training`` and yields a field and what is wrong with it for each error. It
reads only fields; if one of them is invalid by itself and so unreadable, the check is skipped.
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
"""Maximum number of bytes for the tables and one rollout of a training."""
EXACT_BITS = 53
"""Integers up to this many bits are exact in float64, which training uses for them."""
SMALLEST, LARGEST = 1e-50, 1e50
"""Bounds of all quantities with a unit, so that their products neither over- nor underflow."""
EXTRAPOLATED = 0.25
"""Fraction of the training range by which a nonlinear network's operating range may exceed it."""

Check = Callable[[Any, Any], Iterator[Flaw]]


class UnreadableError(Exception):
    """A field that is invalid by itself."""


def recipe_flaws(model: Any, training: Any) -> tuple[Flaw, ...]:
    """Find all contradictions in a recipe.

    Parameters
    ----------
    model : ModelSpec
        Or its valid fields alone, where others raise `UnreadableError`.
    training : TrainingOptions or GaussNewtonOptions
        Or its valid fields alone.

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
    """Run checks and skip those that need an unreadable field.

    Parameters
    ----------
    checks : sequence of callable
        Each yields flaws of the parts.
    *parts : object
        Arguments of each check.
    """
    flaws: list[Flaw] = []
    for check in checks:
        try:
            flaws += check(*parts)
        except UnreadableError:
            continue
    return tuple(flaws)


def _size(part: str, field: str) -> Check:
    """Make a check that a quantity, or each of a list, is 0 or within `SMALLEST` and `LARGEST`."""

    def check(model: Any, training: Any) -> Iterator[Flaw]:
        value = getattr(model if part == "model" else training, field, None)
        limits = ("lower", "upper", "slope", "flux") if field == "operating_range" else ()
        numbers = [getattr(value, name) for name in limits] if limits else value
        for number in numbers if isinstance(numbers, list | tuple) else [numbers]:
            if number and not SMALLEST <= abs(number) <= LARGEST:
                yield f"{part}.{field}", f"{number:g} is outside {SMALLEST:g} to {LARGEST:g}"

    return check


def _problem(model: Any, training: Any) -> Iterator[Flaw]:
    wrong = mismatch(model.problem, model.equation, len(model.lengths))
    if wrong:
        yield "model.problem", wrong


def _method(model: Any, training: Any) -> Iterator[Flaw]:
    if (model.equation == "burgers") != (training.method == "gauss-newton"):
        suitable = "gauss-newton" if model.equation == "burgers" else "adam"
        yield "training.method", f"must be {suitable} for {model.equation}, not {training.method}"


def _laplace(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation == "laplace" and model.diffusivity != 1:
        yield "model.diffusivity", f"must be 1 for laplace, not {model.diffusivity:g}"


def _rates(model: Any, training: Any) -> Iterator[Flaw]:
    if model.rates:
        yield "model.rates", "follow from diffusivity, lengths and cells; leave them out"


def _cells_of_a_width(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation not in OWN_LENGTH or model.cell_width is None:
        return
    cells = model.lengths[0] / model.cell_width
    if abs(cells - round(cells)) > 1e-6 * cells:
        yield "model.cell_width", f"{model.cell_width:g} does not divide the length {model.lengths[0]:g}"
    elif round(cells) < 2 * model.half_width:
        yield (
            "model.cell_width",
            f"gives {round(cells)} cells, fewer than the {2 * model.half_width} in a face's window",
        )


def _time_step(model: Any, training: Any) -> Iterator[Flaw]:
    width = _width(model, training)
    step = model.diffusion_number * width**2 / model.diffusivity
    if not SMALLEST <= step <= LARGEST:
        yield (
            "model.diffusivity",
            f"{model.diffusivity:g} with a cell width of {width:g} gives a time step of {step:.1g}",
        )


def _stable_kernel(model: Any, training: Any) -> Iterator[Flaw]:
    """The curvature of trigonometric polynomials of degree n between -1 and 1 is at most n^2 (S. Bernstein, 1912)."""
    if model.hidden:
        return
    width, axes = _width(model, training), len(model.lengths)
    leak = model.leak
    if model.damping is not None:
        leak = damped_leak(model, math.sqrt(model.diffusion_number) * width)
    # Gains are at least -2 (2 - leak / 4096), and the kernel's first moment is the diffusion number times the leak.
    room = 2 - leak / MEMORYLESS
    moment = model.diffusion_number * (1.0 if model.equation == "laplace" else leak / MEMORYLESS)
    diagonal = (model.half_width + model.transverse * (axes - 1)) ** 2 / axes
    most = room * min(model.half_width**2, diagonal) / 2 * model.diffusion_number / moment
    if model.diffusion_number > most:
        yield (
            "model.diffusion_number",
            f"{model.diffusion_number:g} is unstable: kernels of half_width {model.half_width} are stable up to at "
            f"most {most:g}",
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
            f"gives a Courant number of {courant:.3g} (speed * time step / cell width), above the half_width "
            f"{model.half_width}",
        )


def _matching_cells(model: Any, training: Any) -> Iterator[Flaw]:
    if model.equation != "advection-diffusion" or model.cell_width is None:
        return
    cells = model.lengths[0] / model.cell_width
    if abs(cells - _fewest(training)) > 1e-6:
        yield "training.cells", f"must be model.lengths / model.cell_width = {cells:g}, not {_fewest(training)}"


def _window_fits(model: Any, training: Any) -> Iterator[Flaw]:
    seen = max(2 * model.half_width, 2 * model.transverse + 1)
    if _fewest(training) < seen:
        yield "training.cells", f"must be at least {seen}, the width of a face's window, not {_fewest(training)}"


def _cells_along(model: Any, training: Any) -> Iterator[Flaw]:
    if not isinstance(training.cells, list | tuple):
        return
    if model.equation != "diffusion":
        yield "training.cells", f"must be one number for {model.equation}: only diffusion is trained on other cells"
    elif len(training.cells) != len(model.lengths):
        yield "training.cells", f"has {len(training.cells)} entries for {len(model.lengths)} axes"


def _inner_cells(model: Any, training: Any) -> Iterator[Flaw]:
    reached = 2 * model.half_width * max(training.horizons)
    if model.equation == "laplace" and _fewest(training) <= reached:
        yield (
            "training.cells",
            f"must be above {reached}, not {_fewest(training)}: the walls would influence every cell within "
            f"{max(training.horizons)} PDE steps",
        )


def _waves_fit(model: Any, training: Any) -> Iterator[Flaw]:
    cells = _fewest(training)
    most = cells - 1 if model.equation == "laplace" else (cells - 1) // 2
    if training.modes > most:
        yield "training.modes", f"must be at most {most} on {cells} cells, not {training.modes}"


def _waves_fit_the_line(model: Any, training: Any) -> Iterator[Flaw]:
    if model.cell_width is None:
        return
    most = (round(model.lengths[0] / model.cell_width) - 1) // 2
    if training.modes > most:
        yield "training.modes", f"must be at most {most} on {2 * most + 1} cells, not {training.modes}"


def _epochs_for_all(model: Any, training: Any) -> Iterator[Flaw]:
    if training.epochs < len(training.horizons):
        yield (
            "training.epochs",
            f"must be at least the number of horizons, {len(training.horizons)}, not {training.epochs}",
        )


def _leak_can_learn(model: Any, training: Any) -> Iterator[Flaw]:
    if training.learn_leak and (model.damping is not None or model.equation in OWN_LENGTH):
        reason = (
            "model.damping sets the leak" if model.damping is not None else f"the leak of {model.equation} is fixed"
        )
        yield "training.learn_leak", f"has no effect: {reason}"


def _quantum_fits(model: Any, training: Any) -> Iterator[Flaw]:
    quantum = 2.0**-training.quantum_exponent
    if training.amplitude < quantum:
        yield "training.amplitude", f"{training.amplitude:g} is below a quantum, 2^-{training.quantum_exponent}"
    largest = abs(training.mean) + 8 * training.amplitude * math.sqrt(training.modes)
    bits = math.log2(largest) + training.quantum_exponent + max(model.weight_exponents, default=0)
    if bits > EXACT_BITS:
        yield (
            "training.quantum_exponent",
            f"gives integers of {bits:.0f} bits for values up to {largest:.3g}, but training is exact only up to "
            f"{EXACT_BITS} bits",
        )


def _training_size(model: Any, training: Any) -> Iterator[Flaw]:
    axes = len(model.lengths)
    counts = training.cells if isinstance(training.cells, list | tuple) else (training.cells,) * axes
    cells = math.prod(counts)
    waves = (2 * training.modes + 1) ** axes / 2
    window = 2 * model.half_width * (2 * model.transverse + 1) ** (axes - 1)
    rollout = training.batch * max(training.horizons) * axes * cells * (3 * window + 2 * sum(model.hidden))
    needed = 8 * (2 * waves * cells + rollout)
    shown = "x".join(map(str, counts)) if len({*counts}) > 1 else counts[0]
    if needed > LARGEST_TRAINING:
        yield (
            "training.cells",
            f"{shown} in {axes}D with these modes, batch and horizons needs {needed / 1e9:.0f} GB, but the "
            f"limit is {LARGEST_TRAINING / 1e9:.0f} GB",
        )


def _hidden_layer(model: Any, training: Any) -> Iterator[Flaw]:
    if len(model.hidden) != 1 or model.hidden[0] <= training.linear_units:
        yield "model.hidden", f"must be one layer of more than {training.linear_units} units, not {[*model.hidden]}"


def _as_many_iterations(model: Any, training: Any) -> Iterator[Flaw]:
    if len(training.horizons) != len(training.iterations):
        horizons, iterations = len(training.horizons), len(training.iterations)
        yield (
            "training.iterations",
            f"has {iterations} {'entry' if iterations == 1 else 'entries'}, but training.horizons has {horizons}",
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
            f"{limits.lower:g} to {limits.upper:g} is far outside the values that the network is trained on, "
            f"{training.lower:g} to {training.upper:g}",
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
            f"{model.diffusivity:g} is too small: an exact solution needs {points} points for each of {cells} cells",
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
            f"{parameters} parameters on {cells:.0f} cells need {needed / 1e9:.0f} GB, but the limit is "
            f"{LARGEST_TRAINING / 1e9:.0f} GB",
        )


def _width(model: Any, training: Any) -> float:
    """Cell width of the training mesh."""
    if model.cell_width is not None:
        return float(model.cell_width)
    cells = getattr(training, "cells", None)
    if cells is None:
        raise UnreadableError("cells")
    return float(model.lengths[0] / (cells[0] if isinstance(cells, list | tuple) else cells))


def _fewest(training: Any) -> int:
    """Fewest cells along an axis of the training mesh."""
    cells = training.cells
    return min(cells) if isinstance(cells, list | tuple) else int(cells)


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
    _rates,
    _cells_of_a_width,
    _time_step,
    _stable_kernel,
    _courant_number,
)
_CHECKS_OF: dict[str, tuple[Check, ...]] = {
    "adam": (
        _matching_cells,
        _cells_along,
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
