"""``pisnn-deploy sign``."""

from __future__ import annotations

from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project.signing import sign


@click.command("sign", context_settings=HELP)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Private key, from keygen.")
@click.option("--expires", metavar="DAY", help="Last day of the signature in UTC, such as 2027-12-31 (default: none).")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Envelope (default: ARTIFACT.dsse.json).")
@JSON
@QUIET
def command(artifact: Path, key: Path, expires: str | None, output: Path | None, as_json: bool, quiet: bool) -> None:
    """Sign ARTIFACT: write a DSSE envelope with an in-toto statement on its SHA-256.

    `verify --signed-by KEY.pub` checks it, without network. A signature says who released an artifact; what it
    conserves is proved by verify.

    \b
    Examples:
      pisnn-deploy sign heat.pisnn --key team.key
      pisnn-deploy sign heat.pisnn --key team.key --expires 2027-12-31
      pisnn-deploy verify heat.pisnn --signed-by team.key.pub
    """
    facts = sign(artifact, key, output, expires)
    if as_json:
        print_json(facts)
    elif not quiet:
        print_table(str(facts["file"]), [(name, fact or "never") for name, fact in facts.items()])
