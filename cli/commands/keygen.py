"""``pisnn-deploy keygen``."""

from __future__ import annotations

from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project.signing import keygen


@click.command("keygen", context_settings=HELP)
@click.argument("key", type=click.Path(path_type=Path))
@JSON
@QUIET
def command(key: Path, as_json: bool, quiet: bool) -> None:
    """Make a pair of ed25519 keys: KEY, which only you can read, and KEY.pub for everyone.

    The private key has no password. Keep it out of repositories; a CI takes it from its secrets.

    \b
    Examples:
      pisnn-deploy keygen team.key
    """
    facts = keygen(key)
    if as_json:
        print_json(facts)
    elif not quiet:
        print_table(str(key), list(facts.items()))
