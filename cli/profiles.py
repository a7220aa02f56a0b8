"""``pisnn-deploy profiles``."""

from __future__ import annotations

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.profiles import load_profile, names

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group("profiles", context_settings=_HELP, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List, show or validate hardware profiles.

    \b
    Examples:
      pisnn-deploy profiles
      pisnn-deploy profiles show loihi2
      pisnn-deploy profiles validate my_board.yaml
    """
    if context.invoked_subcommand is None:
        context.invoke(list_profiles)


@command.command("list", context_settings=_HELP)
def list_profiles() -> None:
    """List the profiles that come with the package."""
    print_table("profiles", [(name, load_profile(name).description) for name in names()])


@command.command("show", context_settings=_HELP)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, as_json: bool) -> None:
    """Show every figure of a profile with its range, confidence and source."""
    plain = load_profile(name).model_dump(mode="json")
    if as_json:
        print_json(plain)
        return
    rows: list[tuple[str, ...]] = []
    for section, figures in plain.items():
        if isinstance(figures, dict):
            for key, figure in figures.items():
                ends = "" if figure["low"] is None else f"{figure['low']} to {figure['high']}"
                rows.append((f"{section}.{key}", str(figure["value"]), ends, figure["confidence"], figure["source"]))
    print_table(plain["description"], rows, ("figure", "value", "range", "confidence", "source"))


@command.command("validate", context_settings=_HELP)
@click.argument("file")
def validate(file: str) -> None:
    """Validate a profile of your own; says which field is wrong."""
    click.echo(f"{file}: a valid profile of {load_profile(file).name}")
