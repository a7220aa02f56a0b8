"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
HELP: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}
"""Settings of every command's context."""
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
PROFILE = click.option(
    "--profile", default="loihi2", show_default=True, help="Hardware profile: a name or a YAML file."
)
BOUNDARY = click.option(
    "--boundary",
    metavar="SPEC",
    help="Boundary conditions: periodic, no-flux, dirichlet=0,1, x=periodic y=no-flux, left=no-flux right=dirichlet=1 "
    "(or x-=, x+=), or a YAML file (default: the problem's own). On a mesh file by group: hole=dirichlet=1 (other "
    "groups: no-flux).",
)
QUIETER = click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor tables.")


def picture(help_text: str) -> Callable[[Command], Command]:
    """Option ``--plot`` of a command.

    Parameters
    ----------
    help_text : str
        What is drawn.
    """
    return click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help=f"{help_text} (.png).")


def timeout(help_text: str) -> Callable[[Command], Command]:
    """Option ``--timeout`` of a command.

    Parameters
    ----------
    help_text : str
        What the time limit stops.
    """
    return click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help=help_text,
    )
