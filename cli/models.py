"""``pisnn-deploy models``."""

from __future__ import annotations

import click

from pisnn_deploy import zoo
from pisnn_deploy.cli.console import print_json, print_table

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group("models", context_settings=_HELP, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the models of the zoo, or show one.

    \b
    Examples:
      pisnn-deploy models
      pisnn-deploy models show heat1d
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@command.command("list", context_settings=_HELP)
def list_models() -> None:
    """List the models of the zoo."""
    for name in zoo.names():
        click.echo(name)


@command.command("show", context_settings=_HELP)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, as_json: bool) -> None:
    """Show the spec and weights of a model."""
    from pisnn_deploy.training.checkpoint import read_checkpoint

    with zoo.model_path(name) as path:
        model = read_checkpoint(path)
    spec = model.spec.model_dump(mode="json")
    if as_json:
        print_json({"spec": spec, "weights": [weight.tolist() for weight in model.weights]})
        return
    rows: list[tuple[str, ...]] = [(key, str(value)) for key, value in spec.items()]
    rows += [(f"weight {n}", str(weight.round(6).tolist())) for n, weight in enumerate(model.weights)]
    print_table(name, rows)
