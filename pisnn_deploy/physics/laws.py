"""The equations of models, as laws."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pisnn_deploy.laws.expression import Expression, parse
from pisnn_deploy.laws.law import Law, Source
from pisnn_deploy.physics.model import ModelSpec


def law_of(spec: ModelSpec) -> Law:
    """Write the equation of a model as a law, with the model's coefficients as parameters.

    The damped wave equation of ``laplace`` is written as the system of its field and its flux: ``u_t + div(j) = 0``,
    ``j_t + grad u = -damping * j``, so ``u_tt + damping * u_t = laplacian(u)``.
    """
    return _LAWS[spec.equation](spec)


def _law(spec: ModelSpec, flux: str = "") -> Law:
    """Scalar law with constant diffusion."""
    parameters = {"diffusivity": spec.diffusivity}
    if spec.velocity:
        parameters["velocity"] = spec.velocity
    names = ("u", *parameters)
    fluxes: tuple[dict[str, Expression], ...] = tuple({} for _ in spec.lengths)
    if flux:
        fluxes = ({"u": parse(flux, names, "law.flux.u")}, *fluxes[1:])
    diffusion = {"u": parse("diffusivity", names, "law.diffusion.u")}
    return Law(("u",), parameters=parameters, flux=fluxes, diffusion=diffusion)


def _damped_wave(spec: ModelSpec) -> Law:
    assert spec.damping is not None  # every spec of this equation has one
    parameters = {"damping": spec.damping}
    axes = "xyz"[: len(spec.lengths)]
    currents = tuple(f"j{axis}" for axis in axes)
    names = ("u", *currents, *parameters)
    fluxes = tuple(
        {"u": parse(current, names, "law.flux.u"), current: parse("u", names, f"law.flux.{current}")}
        for current in currents
    )
    sources = tuple(
        Source(f"{current}-damping", current, parse(f"-damping*{current}", names, f"law.sources.{current}"))
        for current in currents
    )
    return Law(("u", *currents), parameters=parameters, flux=fluxes, sources=sources, vector=(currents,))


_LAWS: Mapping[str, Callable[[ModelSpec], Law]] = {
    "diffusion": _law,
    "advection-diffusion": lambda spec: _law(spec, "velocity*u"),
    "burgers": lambda spec: _law(spec, "u**2/2"),
    "laplace": _damped_wave,
}
