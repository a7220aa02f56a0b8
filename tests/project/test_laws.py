from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.building import computed_names
from pisnn_deploy.laws.expression import evaluate
from pisnn_deploy.laws.spec import read_law
from pisnn_deploy.laws.speeds import characteristic_speeds
from pisnn_deploy.laws.states import States
from pisnn_deploy.physics.clock import nominal_time_step, time_step
from pisnn_deploy.physics.laws import law_of
from pisnn_deploy.physics.model import Model, flux_moments
from pisnn_deploy.project import zoo
from pisnn_deploy.project.laws import understood
from pisnn_deploy.training.checkpoint import read_checkpoint


def model_of(name: str) -> Model:
    with zoo.model_path(name) as path:
        return read_checkpoint(path)


def states_of(model: Model) -> States:
    law = law_of(model.spec).numeric()
    limits = (model.spec.operating_range.lower, model.spec.operating_range.upper)
    return States(law, dict.fromkeys((*law.fields, *law.coordinates), limits))


EQUATIONS = {
    "heat1d": ("u_t = div(diffusivity grad u)",),
    "heat2d": ("u_t = div(diffusivity grad u)",),
    "advection_diffusion1d": ("u_t + (velocity*u)_x = div(diffusivity grad u)",),
    "burgers1d": ("u_t + (u^2/2)_x = div(diffusivity grad u)",),
    "laplace2d": ("u_t + (jx)_x + (jy)_y = 0", "jx_t + (u)_x = -damping*jx", "jy_t + (u)_y = -damping*jy"),
}


def test_every_model_of_the_zoo_is_a_law() -> None:
    assert {name: understood(name).equations for name in EQUATIONS} == EQUATIONS


@pytest.mark.parametrize("name", ["heat1d", "heat2d", "advection_diffusion1d", "laplace2d"])
def test_a_linear_network_has_the_coefficients_of_its_law(name: str) -> None:
    """Moments of the trained kernel against speeds and diffusivity of the law."""
    model = model_of(name)
    spec, speeds = model.spec, characteristic_speeds(states_of(model))
    zeroth, first = flux_moments(model.weights[0][0], spec.positions)
    spacing = spec.cell_width or spec.lengths[0] / 64
    step = float(time_step(spec, zeroth, first, spacing, spec.leak))
    if spec.equation == "laplace":
        # u_tt = speed^2 laplacian(u): the kernel's first moment is (speed * step / spacing)^2.
        assert first == pytest.approx((speeds.fastest[0] * step / spacing) ** 2)
        assert speeds.stiffness == {"jx": spec.damping, "jy": spec.damping}
        return
    # The current is what remains of all drives: 4096 / leak of one. A step in time adds half its second derivative.
    assert (first * (4096 / spec.leak) - zeroth**2 / 2) * spacing**2 / step == pytest.approx(
        speeds.diffusivity, rel=0.05
    )
    assert zeroth * spacing / step == pytest.approx(speeds.fastest[0], rel=0.01, abs=1e-9)


def test_the_burgers_network_has_the_flux_of_its_law() -> None:
    """On constant fields, where there is no diffusion."""
    model = model_of("burgers1d")
    spec, law = model.spec, law_of(model.spec)
    step = nominal_time_step(spec, spec.cell_width or 1.0)
    levels = np.linspace(0.4, 1.6, 13)

    def network(u: float) -> float:
        values = np.full(spec.positions.shape[1], u)
        for weight, bias in zip(model.weights[:-1], model.biases[:-1], strict=True):
            values = np.maximum(weight @ values + bias, 0.0)
        return float((model.weights[-1] @ values + model.biases[-1])[0])

    trained = np.array([network(u) - network(1.0) for u in levels]) * (spec.cell_width or 1.0) / step
    exact = evaluate(law.flux[0]["u"], {"u": levels}) - 0.5
    assert np.abs(trained - exact).max() < 0.01


def test_a_mesh_is_for_recipes_of_laws() -> None:
    with pytest.raises(UsageError, match=r"only a recipe with a section law is shown on a `mesh`$"):
        understood("heat1d", "64")
    with pytest.raises(UsageError, match=r"^model 'heat9d' \(did you mean 'heat3d'\?\): no such file, and "):
        understood("heat9d")


RECIPES = [Path(__file__).parents[2] / "models" / name / "recipe.yaml" for name in zoo.laws()]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_no_source_can_have_the_name_of_a_computed_population(path: Path) -> None:
    spec = read_law(path)
    law = spec.parsed()
    own = {*law.fields, *(source.name for source in law.sources), *(exchange.name for exchange in law.exchange)}
    graph = construct(spec, (8,) * spec.dimensions)
    computed = computed_names(law.fields)
    assert [each.name for each in graph.populations if each.name not in own and not computed.fullmatch(each.name)] == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_every_recipe_is_understood(path: Path) -> None:
    meaning = understood(str(path), "x".join("8" * read_law(path).dimensions))
    most = read_law(path).courant or 0.5
    steps = meaning.steps
    assert steps is not None and meaning.problem == "" and 0 < steps.share <= most * (1 + 1e-9)
    assert all(population.bits is not None for population in meaning.populations)
    assert len(meaning.equations) == len(meaning.latex) == len(meaning.law.fields)
