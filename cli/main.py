"""The command ``pisnn-deploy``. Commands are imported only when they are called, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import cast

import click

from pisnn_deploy import __version__
from pisnn_deploy.errors import PisnnError

COMMANDS: Mapping[str, str] = {
    "models": "List the models of the zoo, or show one.",
    "train": "Train a model from a recipe.",
    "compile": "Compile a model to an artifact.",
    "simulate": "Run an artifact and audit every step.",
    "campaign": "Run a product of models, meshes and starts on a Dask cluster.",
    "verify": "Prove the certificate of an artifact again.",
    "check": "Check an artifact against hardware profiles.",
    "export": "Write an artifact in the format of others.",
    "inspect": "Show what is in an artifact.",
    "profiles": "List, show or validate hardware profiles.",
}
"""Each command with its line in ``--help``; the module of the same name holds it."""
INTERRUPTED = 130
ONE_LINE = str.maketrans("\r\n\x1b", "   ")
"""Keeps text from a user's files from breaking the line or steering the terminal."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of the commands, in the order of work."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"pisnn_deploy.cli.{name}")
        return cast(click.Command, module.command)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pisnn-deploy")
def group() -> None:
    """Deploy physics-informed spiking neural networks as integers that conserve mass exactly.

    \b
    Examples:
      pisnn-deploy simulate
      pisnn-deploy compile model.pt --profile loihi2
      pisnn-deploy simulate model.pisnn --backend cpu --plot run.png
      pisnn-deploy verify model.pisnn
      pisnn-deploy check model.pisnn --profile loihi2

    Exit codes: 0 fine, 1 a check or verification failed, 2 wrong usage or input, 130 interrupted.
    """


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding lacks is no reason to lose a result.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = group.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except PisnnError as error:
        click.echo(f"error: {str(error).translate(ONE_LINE)}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter must not complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
