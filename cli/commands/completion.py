"""``pisnn-deploy completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pisnn_deploy.cli.console import print_text
from pisnn_deploy.cli.options import HELP, QUIET

PROGRAM = "pisnn-deploy"
VARIABLE = "_PISNN_DEPLOY_COMPLETE"
"""Set by the script when the shell asks; click derives this name from the program's."""


@click.command("completion", context_settings=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@QUIET
def command(shell: str, quiet: bool) -> None:
    """Print a script that completes commands, options and their values in SHELL.

    \b
    Examples:
      pisnn-deploy completion bash > ~/.local/share/bash-completion/completions/pisnn-deploy
      pisnn-deploy completion zsh > ~/.zfunc/_pisnn-deploy
      pisnn-deploy completion fish > ~/.config/fish/completions/pisnn-deploy.fish
    """
    from pisnn_deploy.cli.main import group

    kind = get_completion_class(shell)
    assert kind is not None
    if not quiet:
        print_text(kind(group, {}, PROGRAM, VARIABLE).source().strip())
