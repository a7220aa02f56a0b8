"""``pisnn-deploy new``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from pisnn_deploy.cli.console import print_json, print_line
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project.starters import STARTERS, write_starter

SCHEMA, VERSION = "pisnn-deploy-new", 1


@click.command("new", context_settings=HELP)
@click.argument("kind", type=click.Choice(list(STARTERS)))
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it (default: NAME.yaml in the current folder).",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@JSON
@QUIET
def command(kind: str, name: str, output: Path | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Write a commented starter that works as it stands, and show what to do with it.

    KIND is a law, a recipe to train a model, a hardware profile or a plan of a campaign.

    \b
    Examples:
      pisnn-deploy new law river
      pisnn-deploy new recipe rod -o recipes/rod.yaml
      pisnn-deploy new profile my_board
      pisnn-deploy new plan sweep --force
    """
    path = write_starter(kind, name, output, force=force)
    commands = [f"pisnn-deploy {text.replace('@', quote(str(path)))}" for text in STARTERS[kind].commands]
    if as_json:
        print_json({"schema": SCHEMA, "version": VERSION, "kind": kind, "file": str(path), "commands": commands})
    elif not quiet:
        print_line(f"wrote {path}; next:")
        for text in commands:
            print_line(f"  {text}")
