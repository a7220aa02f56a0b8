"""``pisnn-deploy law``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pisnn_deploy.cli.console import Row, print_json, print_table, print_text
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP, JSON, QUIET

if TYPE_CHECKING:
    from pisnn_deploy.laws.law import Law
    from pisnn_deploy.project.laws import Understood


@click.group("law", context_settings=HELP)
def command() -> None:
    """Explain the recipe of a conservation law.

    \b
    Examples:
      pisnn-deploy law show my_law.yaml
    """


@command.command("show", context_settings=HELP)
@click.argument("recipe")
@click.option("--mesh", metavar="SHAPE", help="Cells along each axis, such as 64x64 (default: the recipe's).")
@click.option("--latex", is_flag=True, help="Print the equations in LaTeX and nothing else.")
@JSON
@QUIET
def show(recipe: str, mesh: str | None, latex: bool, as_json: bool, quiet: bool) -> None:
    """Show what RECIPE means: equations, speeds, time step, graph.

    RECIPE is a YAML file with a section law, the checkpoint of a trained law, or a name of the zoo. Of a trained
    model, the equation is shown.

    \b
    Examples:
      pisnn-deploy law show my_law.yaml
      pisnn-deploy law show my_law.safetensors
      pisnn-deploy law show my_law.yaml --mesh 256 --json
      pisnn-deploy law show heat1d --latex
    """
    from pisnn_deploy.project.laws import understood

    meaning = understood(recipe, mesh)
    if as_json:
        print_json(_plain(meaning))
    elif latex and not quiet:
        print_text("\n".join(meaning.latex))
    elif not quiet:
        print_law(recipe, meaning)


def print_law(recipe: str, meaning: Understood) -> None:
    """Print the tables of a law.

    Parameters
    ----------
    recipe : str
        Name of the recipe, for warnings.
    """
    print_table(f"{meaning.name}: equations", [(text,) for text in meaning.equations])
    spec = meaning.spec
    if spec is not None:
        fields: list[Row] = [
            (name, meaning.law.units.get(name, ""), f"{_number(low)} to {_number(high)}", spec.initial[name])
            for name in meaning.law.fields
            for low, high in (spec.range[name],)
        ]
        print_table("fields", fields, ("field", "unit", "range", "start"))
    names = _names(meaning.law)
    if names:
        print_table("names", names, ("name", "value", "unit"))
    if spec is not None:
        from pisnn_deploy.laws.conditions import side_texts

        sides: list[Row] = [*side_texts(spec.conditions).items()]
        print_table("boundary", sides, ("side", "condition"))
    if meaning.fluxes is not None:
        columns = ("axis", "hidden neurons", "cells seen", "weights", "outputs")
        print_table("trained fluxes", _networks(meaning), columns)
    print_table("over the range", _rates(meaning), ("rate", "value", "largest where"))
    if meaning.steps is not None:
        print_table("time step", _steps(meaning))
    if meaning.populations:
        rows: list[Row] = [
            (each.name, str(each.neurons), str(each.operations), "" if each.bits is None else str(each.bits))
            for each in meaning.populations
        ]
        print_table("populations", rows, ("population", "neurons", "operations", "bits"))
    if meaning.ledgers:
        ledgers: list[Row] = [(field, name, str(count)) for field, name, count in meaning.ledgers]
        print_table("ledgers", ledgers, ("field", "ledger", "reservoirs"))
    if meaning.problem:
        print_message(f"warning: {recipe}: cannot be compiled: {meaning.problem}")


def _networks(meaning: Understood) -> list[Row]:
    fluxes = meaning.fluxes
    assert fluxes is not None
    return [
        (
            coordinate,
            str(network.bias.size),
            str(len(network.offsets)),
            f"multiples of 2^{-network.weight_exponent}",
            f"multiples of 2^{-network.output_exponent}",
        )
        for coordinate, network in zip(meaning.law.coordinates, fluxes.networks, strict=True)
    ]


def _names(law: Law) -> list[Row]:
    from pisnn_deploy.laws.text import number_text, to_text

    rows: list[Row] = [(name, number_text(value), law.units.get(name, "")) for name, value in law.parameters.items()]
    rows += [(name, to_text(function), law.units.get(name, "")) for name, function in law.given.items()]
    return rows


def _rates(meaning: Understood) -> list[Row]:
    speeds, rows = meaning.speeds, list[Row]()
    unit = _Units(bool(meaning.law.units))
    for coordinate, families in zip(meaning.law.coordinates, speeds.waves, strict=True):
        rows += [
            (f"speed along {coordinate}", _extent(each.lower, each.upper) + unit("m/s"), each.state)
            for each in families
        ]
    for name, each in speeds.diffusivities.items():
        rows.append((f"diffusivity of {name}", _extent(each.lower, each.upper) + unit("m^2/s"), each.state))
    for name, value in speeds.fourth.items():
        rows.append((f"damping of short waves of {name}", _number(value) + unit("m^4/s"), ""))
    rows += [(f"reaction rate of {name}", _number(value) + unit("1/s"), "") for name, value in speeds.stiffness.items()]
    judged = meaning.posedness
    sampled = f", {judged.sampled} on {speeds.states} states" if judged.sampled else ""
    rows.append(("well-posed", f"{judged.proved} properties by interval bounds{sampled}", ""))
    return rows


class _Units:
    """Units in tables: lengths are in m and times in s where a law states units."""

    def __init__(self, are_known: bool) -> None:
        self._are_known = are_known

    def __call__(self, unit: str) -> str:
        return f" {unit}" if self._are_known else ""


def _steps(meaning: Understood) -> list[Row]:
    from pisnn_deploy.project.laws import reason_of_step

    steps, spec = meaning.steps, meaning.spec
    assert steps is not None and spec is not None
    step, unit = steps.time_step, _Units(bool(spec.law.units))
    rates = {"waves": steps.pace.waves, "diffusion": steps.pace.diffusion, "reactions": steps.pace.reactions}
    rows: list[Row] = [
        ("mesh", f"{'x'.join(map(str, steps.mesh))} cells of {' x '.join(map(_number, steps.spacing))}{unit('m')}"),
        ("time step", _number(step) + unit("s")),
        ("because", reason_of_step(spec)),
    ]
    for name, rate in rates.items():
        limiting = ", the largest" if name == steps.pace.limit else ""
        known_as = ", the Courant number" if name == "waves" and rate else ""
        rows.append((f"step * {name}", _number(step * rate) + known_as + limiting))
    if meaning.speeds.diffusivity:
        rows.append(
            ("diffusion number", f"{_number(steps.diffusion_number(meaning.speeds))}, step * diffusivity / width^2")
        )
    rows.append(("steps", f"{steps.count} to the final time {_number(spec.time)}{unit('s')}"))
    return rows


def _extent(lower: float, upper: float) -> str:
    return _number(lower) if lower == upper else f"{_number(lower)} to {_number(upper)}"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _plain(meaning: Understood) -> dict[str, object]:
    from pisnn_deploy.laws.text import to_text

    law, spec, steps = meaning.law, meaning.spec, meaning.steps
    plain: dict[str, object] = {
        "name": meaning.name,
        "fields": list(law.fields),
        "units": dict(law.units),
        "parameters": dict(law.parameters),
        "given": {name: to_text(function) for name, function in law.given.items()},
        "equations": list(meaning.equations),
        "latex": list(meaning.latex),
        "speeds": asdict(meaning.speeds),
        "well_posed": {"proved": meaning.posedness.proved, "sampled": meaning.posedness.sampled},
    }
    if spec is not None:
        plain["spec"] = spec.model_dump(mode="json")
        plain["problem"] = meaning.problem or None
    if meaning.fluxes is not None:
        plain["fluxes"] = {
            "hidden": [int(network.bias.size) for network in meaning.fluxes.networks],
            "cells_seen": [len(network.offsets) for network in meaning.fluxes.networks],
            "time_step": meaning.fluxes.time_step,
            "spacing": list(meaning.fluxes.spacing),
        }
    if steps is not None:
        plain["time_step"] = {
            "mesh": list(steps.mesh),
            "spacing": list(steps.spacing),
            "time_step": steps.time_step,
            "steps": steps.count,
            "courant": steps.share,
            "waves": steps.time_step * steps.pace.waves,
            "diffusion": steps.time_step * steps.pace.diffusion,
            "reactions": steps.time_step * steps.pace.reactions,
            "diffusion_number": steps.diffusion_number(meaning.speeds),
        }
        plain["populations"] = [asdict(each) for each in meaning.populations]
        plain["ledgers"] = [{"field": f, "name": name, "reservoirs": n} for f, name, n in meaning.ledgers]
    return plain
