"""``pisnn-deploy models``."""

from __future__ import annotations

import click

from pisnn_deploy.cli.commands.law import print_law
from pisnn_deploy.cli.console import Row, print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project import zoo


@click.group("models", context_settings=HELP, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the models and laws of the zoo, or show one.

    \b
    Examples:
      pisnn-deploy models
      pisnn-deploy models show heat1d
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@command.command("list", context_settings=HELP)
@JSON
@QUIET
def list_models(as_json: bool, quiet: bool) -> None:
    """List the models and laws of the zoo.

    \b
    Examples:
      pisnn-deploy models list
      pisnn-deploy models list --json
    """
    if as_json:
        print_json({"models": list(zoo.names()), "laws": list(zoo.laws())})
    elif not quiet:
        print_table("models of the zoo", [_row(name) for name in zoo.names()], ("model", "equation", "mesh"))
        print_table("laws of the zoo", [_row_of_law(name) for name in zoo.laws()], ("law", "fields", "mesh"))


def _row(name: str) -> Row:
    """Name, equation and usual mesh of a model, from its recipe: reading the checkpoint would load torch."""
    from pisnn_deploy.physics.problems import problem
    from pisnn_deploy.training.recipe import read_recipe

    with zoo.recipe_path(name) as path:
        spec = read_recipe(path).model
    solved = problem(spec.problem, spec.diffusivity, spec.velocity)
    return name, solved.equation, "x".join(map(str, solved.default_shape))


def _row_of_law(name: str) -> Row:
    """Name, fields and usual mesh of a law."""
    from pisnn_deploy.laws.spec import read_law

    with zoo.recipe_path(name) as path:
        spec = read_law(path)
    return name, ", ".join(spec.law.fields), "x".join(map(str, spec.mesh))


@command.command("show", context_settings=HELP)
@click.argument("name")
@JSON
@QUIET
def show(name: str, as_json: bool, quiet: bool) -> None:
    """Show the specification and weights of the model NAME, or what a law means.

    \b
    Examples:
      pisnn-deploy models show heat1d
      pisnn-deploy models show heat1d --json
    """
    from pisnn_deploy.training.checkpoint import read_checkpoint

    if name in zoo.laws():
        _show_law(name, as_json, quiet)
        return
    with zoo.model_path(name) as path:
        model = read_checkpoint(path)
    spec = model.spec.model_dump(mode="json")
    if as_json:
        arrays = {"weights": model.weights, "biases": model.biases}
        print_json({"spec": spec, **{name: [a.tolist() for a in parts] for name, parts in arrays.items()}})
        return
    if quiet:
        return
    rows: list[Row] = [(key, str(value)) for key, value in spec.items()]
    rows += [(f"weight {n}", str(weight.round(6).tolist())) for n, weight in enumerate(model.weights)]
    print_table(name, rows)


def _show_law(name: str, as_json: bool, quiet: bool) -> None:
    from pisnn_deploy.laws.spec import read_law

    if as_json:
        with zoo.recipe_path(name) as path:
            print_json({"spec": read_law(path).model_dump(mode="json")})
    elif not quiet:
        from pisnn_deploy.project.laws import understood

        print_law(name, understood(name))
