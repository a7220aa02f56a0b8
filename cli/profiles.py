"""``pisnn-deploy profiles``."""

from __future__ import annotations

import click

from pisnn_deploy.cli.console import Row, print_json, print_table, print_text
from pisnn_deploy.profiles import load_profile, names

_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
@_JSON
@_QUIET
def list_profiles(as_json: bool, quiet: bool) -> None:
    """List the profiles that come with the package.

    \b
    Examples:
      pisnn-deploy profiles list
      pisnn-deploy profiles list --json
    """
    found = [(name, load_profile(name).description) for name in names()]
    if as_json:
        print_json({"profiles": [{"name": name, "description": description} for name, description in found]})
    elif not quiet:
        print_table("profiles", found)


@command.command("show", context_settings=_HELP)
@click.argument("name")
@_JSON
@_QUIET
def show(name: str, as_json: bool, quiet: bool) -> None:
    """Show every figure of the profile NAME with its range, confidence and source.

    \b
    Examples:
      pisnn-deploy profiles show loihi2
      pisnn-deploy profiles show my_board.yaml --json
    """
    plain = load_profile(name).model_dump(mode="json")
    if as_json:
        print_json(plain)
        return
    if quiet:
        return
    rows: list[Row] = []
    for section, figures in plain.items():
        if isinstance(figures, dict):
            for key, figure in figures.items():
                ends = "" if figure["low"] is None else f"{figure['low']} to {figure['high']}"
                rows.append((f"{section}.{key}", str(figure["value"]), ends, figure["confidence"], figure["source"]))
    print_table(plain["description"], rows, ("figure", "value", "range", "confidence", "source"))


@command.command("validate", context_settings=_HELP)
@click.argument("file")
@_QUIET
def validate(file: str, quiet: bool) -> None:
    """Validate a profile of your own, FILE; says which field is wrong.

    \b
    Examples:
      pisnn-deploy profiles validate my_board.yaml
    """
    name = load_profile(file).name
    if not quiet:
        print_text(f"{file}: a valid profile of {name}")
